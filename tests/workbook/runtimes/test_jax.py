"""The student in JAX: torch's logits, torch's loss and gradient at step 0, and a program lowered for three platforms.

What was lowered for a TPU is looked at as text; it runs on the CPU here, and on no TPU.
"""

import sys

import pytest
import torch

from kdlab import losses, models
from kdlab.evaluation import predict
from workbook.runtimes import RUNTIMES, Unavailable
from workbook.runtimes import jax as ours

LINE = "python -m pip install -c constraints.txt -e '.[jax]'"
jax = pytest.importorskip("jax", reason=f"jax is not installed: {LINE}")
pytest.importorskip("optax", reason=f"optax is not installed: {LINE}")

NAMES = ["mlp-32", "cnn-8-16"]


@pytest.mark.parametrize("name", NAMES)
def test_the_lowered_student_gives_torchs_logits_on_the_cpu(trained, digits, name):
    student = trained("digits", name)[1]
    images, expected = digits.normalize(digits.test.images), predict(student, digits, "test")
    call = RUNTIMES["jax"].build(student, images[:1])
    got = call(images)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    right = [(logits.argmax(1) == digits.test.labels).double().mean().item() for logits in (got, expected)]
    assert abs(right[0] - right[1]) <= 0.005
    torch.testing.assert_close(call(images[:3]), expected[:3], rtol=1e-4, atol=1e-4)  # another batch size


@pytest.mark.parametrize("name", ["cnn-8-16-16", "article-student", "tutorial-student"])
def test_other_networks_and_odd_sizes_agree_too(name):
    torch.manual_seed(1)
    shape = (3, 21, 18)
    model, images = models.build(name, shape, 4).eval(), torch.randn(5, *shape)
    apply, parameters = ours.student(model)
    with torch.no_grad():
        torch.testing.assert_close(
            torch.from_dlpack(jax.jit(apply)(parameters, images.numpy())), model(images), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("alpha, temperature", [(1.0, 4.0), (0.3, 2.0), (0.0, 1.0)])
def test_the_loss_at_step_0_equals_torchs(digits, name, alpha, temperature):
    torch.manual_seed(2)
    model, teacher = models.build(name, digits.shape, 10).eval(), models.build("mlp-512-512", digits.shape, 10).eval()
    images, labels = digits.normalize(digits.train.images[:64]), digits.train.labels[:64]
    with torch.no_grad():
        teacher_logits = 5 * teacher(images)
        expected = losses.distillation_loss(model(images), teacher_logits, labels, alpha, temperature).item()
    apply, parameters = ours.student(model)
    got = ours.distillation_loss(
        apply(parameters, images.numpy()), teacher_logits.numpy(), labels.numpy(), alpha, temperature
    )
    assert float(got) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_gradient_of_the_first_step_equals_torchs(digits):
    torch.manual_seed(3)
    model, images, labels = models.build("mlp-32", digits.shape, 10), torch.randn(16, 1, 8, 8), torch.arange(16) % 10
    teacher_logits = 3 * torch.randn(16, 10)
    losses.distillation_loss(model(images), teacher_logits, labels, 0.7, 4.0).backward()
    apply, parameters = ours.student(model)

    def loss(parameters):
        logits = apply(parameters, images.numpy())
        return ours.distillation_loss(logits, teacher_logits.numpy(), labels.numpy(), 0.7, 4.0)

    gradients = jax.grad(loss)(parameters)
    for got, layer in zip(gradients, [model[1], model[3]], strict=True):
        torch.testing.assert_close(torch.from_dlpack(got["weight"]), layer.weight.grad, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(torch.from_dlpack(got["bias"]), layer.bias.grad, rtol=1e-4, atol=1e-6)


def test_one_program_is_lowered_for_tpu_cpu_and_cuda_with_any_batch(trained, digits):
    exported = ours.lower(trained("digits", "cnn-8-16")[1], digits.shape)
    assert exported.platforms == ("tpu", "cpu", "cuda")
    [images], [logits] = exported.in_avals, exported.out_avals
    assert str(images.shape[0]) == "batch" and images.shape[1:] == (1, 8, 8) and logits.shape[1:] == (10,)
    text = exported.mlir_module()
    assert text.count("= stablehlo.convolution(") >= 2 and "stablehlo.dot_general" in text
    assert "HIGHEST" in text  # float32 products are asked for on a TPU, too
    alone = ours.lower(trained("digits", "cnn-8-16")[1], digits.shape, platforms=["tpu"])
    assert alone.mlir_module().count("= stablehlo.convolution(") == 2
    with pytest.raises(ValueError, match="tpu"):  # lowered for a TPU alone it does not run here
        alone.call(jax.numpy.zeros((1, 1, 8, 8)))


def test_translating_leaves_the_model_as_it_was(trained):
    model = trained("digits", "cnn-8-16")[1]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    ours.student(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_without_jax_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(Unavailable, match=r"jax is not installed; in the repository: .*\[jax\]") as caught:
        ours.student(models.build("mlp-4", (1, 8, 8), 2))
    assert "\n" not in str(caught.value)
