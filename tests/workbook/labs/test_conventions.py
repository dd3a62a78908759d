"""Sixteen conventions: each computed by itself, translated to each other, and compared with the libraries' own loss."""

import importlib.util
import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from waves import wave

from kdlab.losses import soft_loss
from kdlab.training import Batch
from workbook.labs import conventions
from workbook.labs.conventions import CONVENTIONS, copied, entropy, find, times, translate

ROOT = Path(__file__).parents[3]
TRANSLATABLE = [name for name, convention in CONVENTIONS.items() if convention.translatable]
OTHERS = [name for name in CONVENTIONS if name not in TRANSLATABLE]
FREE = [name for name in TRANSLATABLE if CONVENTIONS[name].soft and CONVENTIONS[name].hard and name != "torchdistill"]
KLS = [name for name in TRANSLATABLE if name != "torchtune"]
CASES = [(6, 5, 0.0, 0.7), (3, 2, 0.9, 0.4)]  # images, classes, phases
# both weights above zero, and the ends where a convention has them
WEIGHED = {name: dict(zip((CONVENTIONS[name].soft, CONVENTIONS[name].hard), pair)) for name, pair in {
    "PyTorch tutorial": (0.25, 0.75), "Keras 3": (None, 0.3), "Keras example, before T²": (None, 0.1),
    "RepDistiller": (0.9, 0.1), "torchdistill": (0.6, 0.4), "mdistiller": (0.9, 2.5), "haitongli": (0.9, None),
    "Distillation-Zoo": (3.0, None), "TextBrewer": (1.5, 0.5), "DeiT": (0.7, None), "Model-Optimizer": (0.5, None),
    "timm": (0.2, 1.0), "torchtune": (0.4, None), "HF guide": (0.5, None), "kdlab": (0.9, None),
}.items()}


def tensors(images, classes, one, other):
    labels = torch.arange(images) % classes
    logits = wave(images, classes, phase=one).requires_grad_(), wave(images, classes, phase=other)
    return dict(student_logits=logits[0], teacher_logits=logits[1], labels=labels)


def settings(name, temperature):
    """The weights of WEIGHED at this temperature, in the convention's own names."""
    convention = CONVENTIONS[name]
    heat = {convention.temperature: temperature} if convention.temperature else {}
    return {key: weight for key, weight in WEIGHED[name].items() if key} | heat


def answer(name, given, batch):
    """The loss, and its gradient with respect to the student's logits."""
    loss = CONVENTIONS[name].loss(**batch, **given)
    return loss.detach(), torch.autograd.grad(loss, batch["student_logits"])[0]


def test_there_are_sixteen_and_ours():
    assert len(CONVENTIONS) == 17 and "kdlab" in CONVENTIONS and set(OTHERS) == {"mdistiller DKD", "KD_Lib"}
    assert set(WEIGHED) == set(TRANSLATABLE)
    assert all(name == convention.name and convention.source for name, convention in CONVENTIONS.items())


@pytest.mark.parametrize("source", TRANSLATABLE)
def test_a_translation_has_the_same_gradient_and_the_stated_loss(source):
    for case, temperature in itertools.product(CASES, {1.0, 1.0 if source == "torchtune" else 2.5}):
        batch, given = tensors(*case), settings(source, temperature)
        loss, gradient = answer(source, given, batch)
        extra = entropy(batch["teacher_logits"], temperature)
        for target in TRANSLATABLE if temperature == 1 else KLS:
            found = translate(given, source, target, classes=case[1])
            other, turned = answer(target, found.settings, batch)
            assert torch.allclose(turned, found.scale * gradient, rtol=1e-10, atol=1e-12), (source, target)
            stated = found.scale * loss + found.entropies * extra
            assert other.item() == pytest.approx(stated.item(), abs=1e-6), (source, target)


@pytest.mark.parametrize("source", TRANSLATABLE)
def test_there_and_back_is_the_same_up_to_the_scale(source):
    temperature = 1.0 if source == "torchtune" else 4.0
    before = CONVENTIONS[source].pull(settings(source, temperature), 10)
    for target in KLS:
        there = translate(settings(source, temperature), source, target, 10)
        back = translate(there.settings, target, source, 10)
        after, scale = CONVENTIONS[source].pull(back.settings, 10), there.scale * back.scale
        assert after == pytest.approx((scale * before.hard, scale * before.soft, temperature), rel=1e-12)


@pytest.mark.parametrize("name", [name for name in CONVENTIONS if name != "torchtune"])
def test_equal_logits_have_the_labels_loss_alone(name):
    """Both distributions agree, so what is left is weighed cross-entropy, and TextBrewer's entropy."""
    batch = tensors(*CASES[0])
    batch["student_logits"] = batch["teacher_logits"].clone().requires_grad_()
    given = CONVENTIONS[name].complete({})
    hard = {"KD_Lib": 0.5, "mdistiller DKD": 1.0}.get(name)
    hard = CONVENTIONS[name].pull({}, 5).hard if hard is None else hard
    left = entropy(batch["teacher_logits"], 4.0) if name == "TextBrewer" else 0.0
    wanted = hard * F.cross_entropy(batch["student_logits"], batch["labels"]) + left
    assert answer(name, given, batch)[0].item() == pytest.approx(wanted.item(), abs=1e-9)


def test_dkd_with_its_weights_of_the_kl_is_the_kl():
    """Of one image: the KL is the label's part, and the others' times what the teacher leaves them."""
    batch = tensors(1, 5, 0.0, 0.7)
    rest = 1 - F.softmax(batch["teacher_logits"] / 2, dim=1)[0, 0].item()
    whole = CONVENTIONS["mdistiller DKD"].loss(**batch, CE_WEIGHT=0.0, ALPHA=1.0, BETA=rest, T=2.0)
    assert whole.item() == pytest.approx(soft_loss(batch["student_logits"], batch["teacher_logits"], 2.0).item())


@pytest.mark.parametrize("target", KLS)
def test_the_teacher_alone_translates_or_a_sentence_says_why_not(target):
    batch = tensors(*CASES[0])
    if target == "Distillation-Zoo":
        with pytest.raises(ValueError, match="the labels always weigh 1, and here they weigh nothing"):
            translate({"alpha": 1.0, "temperature": 3.0}, "kdlab", target)
        return
    given = {"alpha": 1.0, "temperature": 3.0}
    found = translate(given, "kdlab", target, classes=5)
    (_, gradient), (_, turned) = answer("kdlab", given, batch), answer(target, found.settings, batch)
    assert torch.allclose(turned, found.scale * gradient, rtol=1e-10, atol=1e-12)
    bare = target in ("torchdistill", "Keras example, before T²")
    wanted = 1 / 9 if bare else 1 / 5 if CONVENTIONS[target].per_number else 1.0
    assert found.scale == pytest.approx(1.0 if target in FREE else wanted)


def test_known_translations():
    """By hand: 0.9 of the teacher at T = 4, ten classes."""
    ours = {"alpha": 0.9, "temperature": 4.0}
    deit = translate(ours, "kdlab", "DeiT", classes=10)
    assert deit.settings == pytest.approx({"alpha": 9 / 9.1, "tau": 4.0}) and deit.scale == pytest.approx(1 / 9.1)
    assert translate(ours, "kdlab", "Keras 3").settings["student_loss_weight"] == pytest.approx(0.1)
    assert translate(ours, "kdlab", "TextBrewer").settings["kd_loss_weight"] == pytest.approx(14.4)
    assert translate(ours, "kdlab", "TextBrewer").entropies == pytest.approx(14.4)
    assert translate(ours, "kdlab", "Distillation-Zoo").settings["lambda_kd"] == pytest.approx(9)
    assert translate(ours, "kdlab", "timm").line == (
        "LogitDistillationTask(…, task_loss_weight=0.1, distill_loss_weight=0.9, temperature=4)")
    assert translate(ours, "kdlab", "kdlab") == (ours, 1.0, 0.0, "Knobs(alpha=0.9, temperature=4)")


@pytest.mark.parametrize("source, target, given, wanted", [
    ("kdlab", "DeiT", {"alpha": 0.9, "temperature": 4.0}, 1 / 10),  # the mean over numbers: exactly the classes
    ("kdlab", "HF guide", {"alpha": 0.9, "temperature": 4.0}, 1),
    ("kdlab", "Keras 3", {"alpha": 0.9, "temperature": 4.0}, 1 / 81),  # alpha weighs the labels there
    ("kdlab", "Keras example, before T²", {"alpha": 0.9, "temperature": 4.0}, 1 / 81 / 16),
    ("mdistiller", "TextBrewer", {}, 1 / 16),  # T² is not there
    ("haitongli", "kdlab", {}, 10),
    ("kdlab", "Distillation-Zoo", {"alpha": 0.9, "temperature": 4.0}, 1 / 10),
    ("kdlab", "Keras 3", {"alpha": 1.0, "temperature": 4.0}, 0),
    ("Keras 3", "kdlab", {"student_loss_weight": 1.0}, math.inf),
    ("TextBrewer", "mdistiller", {}, math.nan),  # no labels before and after: there is no share to compare
    ("kdlab", "kdlab", {}, 1),
])
def test_how_many_times_a_copy_is_wrong(source, target, given, wanted):
    assert times(given, source, target, classes=10) == pytest.approx(wanted, nan_ok=True)


def test_a_copy_carries_numbers_over_as_people_do():
    assert copied({"alpha": 0.9, "temperature": 4.0}, "kdlab", "Keras 3") == {
        "student_loss_weight": 0.9, "temperature": 4.0}
    assert copied({"alpha": 0.9}, "haitongli", "mdistiller") == pytest.approx(
        {"TEMPERATURE": 20.0, "CE_WEIGHT": 0.1, "KD_WEIGHT": 0.9})
    assert copied({}, "mdistiller", "Keras 3") == {"student_loss_weight": 0.1, "temperature": 4.0}
    assert copied({"kd_ratio": 0.3}, "torchtune", "DeiT") == {"alpha": 0.3, "tau": 1.0}


@pytest.mark.parametrize("call, sentence", [
    (lambda: find("FitNets"), "there is no convention 'FitNets'; there are: PyTorch tutorial, Keras 3,"),
    (lambda: translate({}, "kdlab", "Torchdistill"), "there is no convention 'Torchdistill'"),
    (lambda: translate({"T": 4.0}, "kdlab", "DeiT", 10), "kdlab has no 'T'; its settings are alpha, temperature"),
    (lambda: translate({"temperature": 0.0}, "kdlab", "DeiT", 10), "temperature of kdlab must be > 0 and finite"),
    (lambda: translate({"tau": math.nan}, "DeiT", "kdlab", 10), "tau of DeiT must be > 0 and finite, got nan"),
    (lambda: translate({"alpha": 1.2}, "kdlab", "DeiT", 10), r"alpha of kdlab must be in \[0, 1\], got 1.2"),
    (lambda: translate({"alpha": None}, "kdlab", "DeiT", 10), "alpha of kdlab must be >= 0 and finite, got None"),
    (lambda: translate({"kd_loss_weight": 0.0}, "TextBrewer", "kdlab"), "are both 0: nothing would be learned"),
    (lambda: translate({}, "kdlab", "DeiT"), "DeiT averages over the classes, too: say how many there are, got None"),
    (lambda: translate({}, "haitongli", "kdlab", 1), "say how many there are, got 1"),
    (lambda: translate({}, "kdlab", "KD_Lib", 10), "KD_Lib has another loss, the MSE of the softmaxes"),
    (lambda: translate({}, "mdistiller DKD", "kdlab"), "the label and the other classes weighed apart"),
    (lambda: translate({}, "kdlab", "torchtune"), "torchtune has no temperature: only T = 1 translates, got 4"),
    (lambda: find("torchdistill").complete({"alpha": None}), "must be given a beta"),
    (lambda: conventions.method("kdlab", alpha=-1.0), "alpha of kdlab must be >= 0"),
])
def test_what_does_not_translate_is_said_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_settings_that_are_left_out_are_as_published():
    assert find("timm").complete({}) == {"task_loss_weight": 1.0, "distill_loss_weight": 1.0, "temperature": 1.0}
    assert find("timm").complete({"task_loss_weight": 0.3})["distill_loss_weight"] == pytest.approx(0.7)
    assert find("timm").complete({"distill_loss_weight": 0.3})["task_loss_weight"] == 1.0
    assert find("torchdistill").complete({"alpha": 0.2})["beta"] == pytest.approx(0.8)
    assert find("torchdistill").pull({"alpha": None, "beta": 0.7}) == (0.0, 1.0, 4.0)  # no beta, no T²


def test_a_method_computes_in_the_students_precision():
    student = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 5)).double()
    images, targets = torch.ones(6, 1, 2, 2), BATCH["teacher_logits"].float()
    step = conventions.method("DeiT", alpha=0.9, tau=4.0)
    found = step(student, Batch(images, BATCH["labels"], torch.arange(6)), targets, None)["loss"]
    logits = dict(student_logits=student(images.double()), teacher_logits=targets.double())
    assert found.dtype == torch.float64
    assert found.equal(find("DeiT").loss(**logits, labels=BATCH["labels"], alpha=0.9, tau=4.0))


# The libraries themselves. Where one cannot be installed beside this project, its value was computed once.

BATCH = tensors(*CASES[0])
OURS = {
    "torchdistill": {"temperature": 3.0, "alpha": 0.3, "beta": 0.7},
    "timm": {"task_loss_weight": 0.3, "distill_loss_weight": 0.7, "temperature": 3.0},
    "Keras 3": {"student_loss_weight": 0.3, "temperature": 3.0},
    "Model-Optimizer": {"kd_loss_weight": 0.7, "temperature": 3.0},
    "TextBrewer": {"kd_loss_weight": 0.7, "hard_label_weight": 0.3, "temperature": 3.0},
    "torchtune": {"kd_ratio": 0.7},
    "KD_Lib": {"distil_weight": 0.7, "temp": 3.0},
}


def ours(name, **other):
    return CONVENTIONS[name].loss(**BATCH, **OURS[name] | other).item()


@pytest.mark.parametrize("name, value", [
    ("Model-Optimizer", 1.3684132513087708),  # nvidia_modelopt 0.47.0: LogitsDistillationLoss, StaticLossBalancer
    ("TextBrewer", 2.0849205422145314),  # textbrewer 0.2.1.post1: kd_ce_loss, weighed as its distillers do
    ("torchtune", 3.234357833087547),  # torchtune 0.6.1: ForwardKLLoss, in float32; weighed by its recipe
    ("KD_Lib", 0.982844973256628),  # KD_Lib 0.0.32: VanillaKD.calculate_kd_loss
])
def test_the_value_is_the_librarys(name, value):
    assert ours(name) == pytest.approx(value, rel=1e-7 if name == "torchtune" else 1e-12)


@pytest.mark.parametrize("alpha, beta", [(0.3, None), (0.3, 0.9), (0.0, 0.5), (None, 0.5)])
def test_torchdistill_says_the_same(alpha, beta):
    theirs = pytest.importorskip("torchdistill.losses.mid_level").KDLoss("x", "y", "x", "y", 3.0, alpha, beta)
    student, teacher = ({"x": {"y": BATCH[f"{who}_logits"]}} for who in ("student", "teacher"))
    said = theirs(student, teacher, BATCH["labels"]).item()
    assert ours("torchdistill", alpha=alpha, beta=beta) == pytest.approx(said, rel=1e-12)


def test_torchdistill_refuses_none_without_beta():
    kd = pytest.importorskip("torchdistill.losses.mid_level").KDLoss
    with pytest.raises(TypeError):
        kd("x", "y", "x", "y", 3.0)


@pytest.mark.parametrize("weights", [{}, {"task_loss_weight": 0.3}, {"distill_loss_weight": 0.3}])
def test_timm_says_the_same(weights):
    task = pytest.importorskip("timm.task")

    class Says(torch.nn.Module):
        pretrained_cfg = dict(mean=(0.5,) * 3, std=(0.5,) * 3)
        num_classes, in_chans = 5, 3

        def __init__(self, logits):
            super().__init__()
            self.logits = logits

        def forward(self, images):
            return self.logits

    student, teacher = (Says(BATCH[f"{who}_logits"].detach()) for who in ("student", "teacher"))
    options = dict(criterion=torch.nn.CrossEntropyLoss(), temperature=3.0, verbose=False, device=torch.device("cpu"))
    said = task.LogitDistillationTask(student, teacher, **options, **weights)(torch.zeros(6, 3, 4, 4), BATCH["labels"])
    given = {"temperature": 3.0} | weights
    assert CONVENTIONS["timm"].loss(**BATCH, **given).item() == pytest.approx(said["loss"].item(), rel=1e-12)


KERAS = """
import torch, keras, waves
z, t, y = waves.wave(6, 5, phase=0.0), waves.wave(6, 5, phase=0.7), torch.arange(6) % 5
keras.config.set_floatx("float64")
inputs = keras.Input((5,), dtype="float64")
one = keras.Model(inputs, keras.layers.Identity()(inputs))
other = keras.Model(inputs, keras.layers.Lambda(lambda x: t)(inputs))
for loss in (keras.losses.KLDivergence(), "kl_divergence"):
    soft = keras.distillation.LogitsDistillation(temperature=3.0, loss=loss)
    both = keras.distillation.Distiller(teacher=other, student=one, distillation_losses=soft, student_loss_weight=0.3)
    both.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    print(float(both.compute_loss(x=z, y=y, y_pred=z)), float(soft.compute_loss(t, z)))
"""


@pytest.mark.slow
def test_keras_says_the_same_with_its_class_and_something_else_with_a_text():
    """In a process of its own: its backend is chosen by a variable, before it is imported."""
    if not importlib.util.find_spec("keras"):
        pytest.skip("keras is not installed")
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests/helpers")])
    env = os.environ | {"KERAS_BACKEND": "torch", "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", KERAS], env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (said, soft), (wrong, other) = [map(float, line.split()) for line in done.stdout.splitlines()[-2:]]
    right = soft_loss(BATCH["student_logits"], BATCH["teacher_logits"], 3.0).item()
    assert ours("Keras 3") == pytest.approx(said, rel=1e-6) and soft == pytest.approx(right, rel=1e-6)
    assert abs(other / right - 1) > 0.1 and abs(wrong / said - 1) > 0.1
