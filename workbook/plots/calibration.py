"""How sure a model is, against how often it is right: the reliability diagram."""

import torch
from matplotlib.figure import Figure
from torch import Tensor

from workbook.plots.base import CLEAR, COLORS, blank, styled


def groups(logits: Tensor, labels: Tensor, bins: int = 15) -> list[tuple[float, float, int]]:
    """Mean confidence, share of right answers and number of answers of each bin of the confidence that has some.

    The bins are those of `kdlab.evaluation.calibration_error`, which is the mean gap, weighted by the numbers.

    Args:
        logits, labels: float (n, classes), int64 (n,).
        bins: equal parts of 0 .. 1.
    """
    confidence, answer = logits.cpu().double().softmax(1).max(1)  # (n,), (n,)
    right, which = (answer == labels.cpu()).double(), (confidence * bins).ceil().long().clamp(1, bins)
    filled = [which == number for number in which.unique(sorted=True)]
    return [(confidence[at].mean().item(), right[at].mean().item(), int(at.sum())) for at in filled]


@styled
def reliability(logits: Tensor, labels: Tensor, *, title: str, bins: int = 15) -> Figure:
    """The groups as discs, the larger, the more answers they hold; on the diagonal a model is as often right as sure.

    Args:
        logits, labels, bins: as in `groups`.
        title: a text.
    """
    figure, ax = blank(title, "how sure the model is (%)", "how often it is right (%)", size=(6.4, 5), dpi=84)
    ax.plot([0, 100], [0, 100], color="black", linestyle="--", linewidth=1.2, label="as often right as sure")
    found = torch.tensor(groups(logits, labels, bins), dtype=torch.float64)  # (groups, 3)
    sure, right, count = found.T
    ax.vlines(100 * sure, 100 * torch.minimum(sure, right), 100 * torch.maximum(sure, right), color="#888888", lw=1.5)
    size = (30 + 900 * count / count.sum()).tolist()
    ax.scatter(100 * sure, 100 * right, s=size, color=COLORS[0], alpha=0.85, zorder=3, clip_on=False)
    for (x, y, n), area in zip(found.tolist(), size, strict=True):  # its number beside each disc, inside the axes
        side, place = (-1, "right") if x > 0.9 else (1, "left")
        beside = (side * (area**0.5 / 2 + 4), 0)
        style = dict(ha=place, va="center", fontsize=11, bbox=CLEAR | {"pad": 0.2})
        ax.annotate(f"{n:.0f}", (100 * x, 100 * y), beside, textcoords="offset points", **style)
    ax.set(xlim=(0, 102), ylim=(-4, 104))
    ax.legend(loc="upper left", bbox_to_anchor=(0, 0.93))
    return figure
