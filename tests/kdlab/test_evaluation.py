"""Evaluation against figures worked out by hand and an independent reference."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics
from torch import nn
from torch.nn import functional as F

from kdlab import data, models
from kdlab.evaluation import calibration_error, evaluate, paired_difference, predict


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
