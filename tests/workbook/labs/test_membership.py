"""Membership: known figures for known answers, and classes that tell nothing."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from workbook.labs import membership


def test_evidence_is_the_log_odds_of_the_label():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    p = logits.softmax(1)[torch.arange(6), labels]
    assert torch.allclose(membership.evidence(logits, labels), (p / (1 - p)).log(), atol=1e-5)
    assert membership.evidence(1000 * torch.eye(4), torch.arange(4)).isfinite().all()


def test_the_area_is_scikit_learns_and_half_for_ties():
    draw = torch.Generator().manual_seed(0)
    one, other = torch.randn(30, generator=draw).round(decimals=1) + 0.5, torch.randn(20, generator=draw)
    wanted = roc_auc_score([1] * 30 + [0] * 20, torch.cat([one, other]))
    assert membership.auc(one, other) == pytest.approx(wanted)
    assert membership.auc(torch.zeros(3), torch.zeros(4)) == 0.5


@pytest.mark.parametrize("members, others", [([], [1.0]), ([1.0], []), ([float("nan")], [1.0])])
def test_what_cannot_be_compared_is_refused(members, others):
    with pytest.raises(ValueError, match="there must be members and others, without NaN"):
        membership.auc(torch.tensor(members), torch.tensor(others))


def test_matched_images_have_the_same_classes():
    labels, others = torch.tensor([0, 0, 0, 1, 2, 2]), torch.tensor([0, 1, 1, 1, 2, 2, 2, 3])
    here, there = membership.matched(labels, others)
    assert labels[here].bincount().tolist() == others[there].bincount().tolist() == [1, 1, 2]
    assert len(here.unique()) == len(here) == len(there.unique())
    with pytest.raises(ValueError, match="no class in common"):
        membership.matched(torch.tensor([0]), torch.tensor([1]))
