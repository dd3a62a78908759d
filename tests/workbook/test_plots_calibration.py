"""The reliability diagram's groups are those of the calibration error."""

import pytest
import torch

from kdlab.evaluation import calibration_error
from workbook.plots import calibration


def made(n=400, classes=5):
    torch.manual_seed(0)
    logits = 2 * torch.randn(n, classes)
    return logits, torch.where(torch.rand(n) < 0.6, logits.argmax(1), torch.randint(classes, (n,)))


def test_the_mean_gap_of_the_groups_is_the_calibration_error():
    logits, labels = made()
    gap = sum(abs(sure - right) * count for sure, right, count in calibration.groups(logits, labels)) / len(labels)
    assert gap == pytest.approx(calibration_error(logits, labels))


def test_each_group_has_a_disc_and_its_number_of_answers():
    logits, labels = made()
    found = calibration.groups(logits, labels)
    ax = calibration.reliability(logits, labels, title="t").axes[0]
    discs = ax.collections[-1]
    assert len(discs.get_offsets()) == len(found)
    assert [int(text.get_text()) for text in ax.texts] == [count for *_, count in found]
    assert sum(count for *_, count in found) == len(labels)
    sizes = discs.get_sizes().tolist()
    assert sizes.index(max(sizes)) == max(range(len(found)), key=lambda i: found[i][2])


def test_a_model_that_is_always_sure_makes_one_group():
    logits = 100 * torch.eye(4)
    assert calibration.groups(logits, torch.tensor([0, 1, 2, 0])) == [(1.0, 0.75, 4)]
