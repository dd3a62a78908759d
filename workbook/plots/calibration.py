"""The reliability diagram: whether a model that says 90 % is right in 90 % of such cases."""

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from kdlab.evaluation import calibration_error
from workbook.plots.base import COLORS, LINES, MARKERS, styled

Answers = tuple[Tensor, Tensor]  # logits (n, classes) and labels (n,)


def in_bins(logits: Tensor, labels: Tensor, bins: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean confidence, accuracy and share of the answers of each equal bin of confidence, (bins,); nan where none are.

    The bins are those of `kdlab.evaluation.calibration_error`: each holds its upper end, not its lower one.
    """
    confidence, answers = logits.double().cpu().softmax(1).max(1)  # (n,), (n,)
    right = (answers == labels.cpu()).double()
    which = (confidence * bins).ceil().long().clamp(1, bins) - 1
    counts = torch.bincount(which, minlength=bins)
    sums = [torch.bincount(which, values, minlength=bins) for values in (confidence, right)]
    return sums[0] / counts, sums[1] / counts, counts / len(labels)


@styled
def reliability(models: Mapping[str, Answers], *, title: str, bins: int = 10) -> Figure:
    """Accuracy against confidence for one model or several, and below it how often each confidence is given.

    On the diagonal a model is as often right as it says; below it, it is too sure; above it, not sure enough. The
    legend gives the expected calibration error, the mean distance from the diagonal weighted by the bars below.

    Args:
        models: name → logits (n, classes) and labels (n,), of images that it was not trained on.
        title: text.
        bins: how many equal bins of confidence, >= 1.
    """
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
    top.plot([0, 1], [0, 1], color="#666666", linewidth=1, linestyle=":", label="as sure as right")
    width = 0.9 / bins / len(models)
    for i, (name, (logits, labels)) in enumerate(models.items()):
        confidence, accuracy, share = in_bins(logits, labels, bins)
        told = f"{name}: error {calibration_error(logits, labels, bins):.3f}"
        filled, color = share > 0, COLORS[i % 7]
        style = dict(color=color, marker=MARKERS[i % 7], linestyle=LINES[i % 4], markersize=7, clip_on=False)
        top.plot(confidence[filled].tolist(), accuracy[filled].tolist(), label=told, **style)
        left = [(b + 0.05) / bins + width * i for b in range(bins)]
        below.bar(left, (100 * share).tolist(), width, align="edge", color=color)
    top.set(title=title, ylabel="accuracy\nin the bin", xlim=(0, 1), ylim=(-0.03, 1.03))
    top.legend(loc="upper left")
    below.set(xlabel="confidence: the probability of the answer given", ylabel="answers\n(%)")
    below.grid(axis="x", visible=False)
    for ax in (top, below):
        ax.tick_params(labelsize=12)
    return figure
