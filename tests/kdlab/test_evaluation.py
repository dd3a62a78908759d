"""Evaluation against figures worked out by hand and an independent reference."""

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics
from torch import nn
from torch.nn import functional as F

from kdlab import Knobs, bank, data, distil, models
from kdlab.evaluation import Evaluation, calibration_error, evaluate, paired_difference, predict
from kdlab.losses import as_logits


@pytest.fixture(scope="module")
def model(digits):
    return models.build("cnn-8-16", digits.shape, 10, seed=0)


def test_every_figure_agrees_with_scikit_learn(digits, model):
    got = evaluate(model, digits)
    labels, logits = digits.test.labels.numpy(), predict(model, digits, "test")
    answers = logits.argmax(1).numpy()
    assert got.accuracy == pytest.approx(metrics.accuracy_score(labels, answers))
    assert got.cross_entropy == pytest.approx(metrics.log_loss(labels, logits.softmax(1).numpy()), rel=1e-4)
    assert got.recall == pytest.approx(metrics.recall_score(labels, answers, average=None).tolist())
    assert got.balanced == pytest.approx(metrics.balanced_accuracy_score(labels, answers))
    assert got.agreement is None


def reference_calibration_error(probabilities, labels, bins):
    confidence, answers = probabilities.max(1), probabilities.argmax(1)
    edges, total = np.linspace(0, 1, bins + 1), 0.0
    for low, high in zip(edges, edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs((answers == labels)[inside].mean() - confidence[inside].mean())
    return total


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_calibration_error_agrees_with_its_definition(scale):
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(500, 7, generator=generator, dtype=torch.float64)
    labels = torch.randint(7, (500,), generator=generator)
    expected = reference_calibration_error(logits.softmax(1).numpy(), labels.numpy(), 15)
    assert calibration_error(logits, labels) == pytest.approx(expected, abs=1e-9)


def test_a_model_that_is_sure_and_right_is_calibrated_and_one_that_is_sure_and_wrong_is_not():
    labels = torch.arange(10)
    right = 100 * F.one_hot(labels, 10).double()
    assert calibration_error(right, labels) == pytest.approx(0, abs=1e-9)
    assert calibration_error(right.roll(1, 0), labels) == pytest.approx(1, abs=1e-9)


def test_a_model_agrees_with_itself_and_with_its_logits(digits, model):
    assert evaluate(model, digits, teacher=model).agreement == 1
    assert evaluate(model, digits, teacher=predict(model, digits, "test")).agreement == 1
    assert evaluate(model, digits, teacher=-predict(model, digits, "test")).agreement < 0.5


def test_predicting_in_parts_equals_predicting_at_once_and_keeps_the_mode(digits, model):
    model.train()
    whole = predict(model, digits, "test", batch_size=10_000)
    torch.testing.assert_close(predict(model, digits, "test", batch_size=100), whole, rtol=1e-4, atol=1e-5)
    assert model.training
    pick = torch.tensor([5, 3, 700])
    torch.testing.assert_close(predict(model, digits, "test", indices=pick), whole[pick], rtol=1e-4, atol=1e-5)


def test_predicting_leaves_batch_norm_as_it_was(digits, model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    predict(model.train(), digits)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_class_without_test_images_has_no_recall(digits):
    keep = digits.test.labels != 3
    some = data.Dataset("no 3", digits.train, digits.test.subset(keep), digits.classes)
    recall = evaluate(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), some).recall
    assert math.isnan(recall[3]) and not any(math.isnan(r) for i, r in enumerate(recall) if i != 3)


def test_the_paired_interval_is_that_of_the_paired_t_test():
    after, before = [90.1, 88.0, 91.5, 85.2, 89.9], [78.0, 80.2, 75.5, 86.0, 79.1]
    gain = paired_difference(after, before)
    reference = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (gain.low, gain.high) == pytest.approx((reference.low, reference.high))
    assert gain.mean == pytest.approx(np.mean(np.subtract(after, before))) and (gain.wins, gain.pairs) == (4, 5)
    assert str(gain) == "  +9.2  [ +1.3, +17.0]  wins 4/5"


def test_runs_that_are_equal_in_every_pair_have_an_interval_of_no_width():
    assert paired_difference([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]) == (0, 0, 0, 0, 3)


@pytest.mark.parametrize("pairs", [([1.0], [2.0]), ([1.0, 2.0], [1.0])])
def test_an_interval_needs_two_pairs_of_equal_length(pairs):
    with pytest.raises(ValueError, match="2 paired seeds|shorter|longer"):
        paired_difference(*pairs)


def test_balanced_accuracy_leaves_out_a_class_without_images():
    got = Evaluation(accuracy=0.5, cross_entropy=1.0, ece=0.0, agreement=None, recall=(1.0, math.nan, 0.5))
    assert got.balanced == 0.75


class Wrapped(nn.Module):
    """A model whose logits come inside something else, as many libraries return them."""

    def __init__(self, model, wrap):
        super().__init__()
        self.model, self.wrap = model, wrap

    def forward(self, images):
        return self.wrap(self.model(images))


WRAPS = {
    "tuple": lambda logits: (logits, logits * 0), "list": lambda logits: [logits],
    "dict": lambda logits: {"loss": None, "logits": logits}, "object": lambda logits: SimpleNamespace(logits=logits),
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_logits_inside_something_else_are_found_in_teachers_and_students(digits, model, wrap):
    wrapped = Wrapped(copy.deepcopy(model), wrap)
    assert torch.equal(predict(wrapped, digits, "test"), predict(model, digits, "test"))
    assert torch.equal(bank.fill(wrapped, digits).logits, bank.fill(model, digits).logits)
    curves = []
    for one in (wrapped, copy.deepcopy(model)):
        teacher = Wrapped(model, wrap) if one is wrapped else model
        curves.append([step.loss for step in distil(one, digits, Knobs(0.5), teacher=teacher, steps=2)])
    assert curves[0] == curves[1]


@pytest.mark.parametrize("output, kind", [({"features": torch.ones(2, 3)}, "dict"), ((), "tuple"), (None, "NoneType")])
def test_an_output_without_logits_is_refused_with_what_is_expected(output, kind):
    with pytest.raises(ValueError, match=f"a model must return logits: .*; got {kind}"):
        as_logits(output)
