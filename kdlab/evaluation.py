"""What a model knows: its logits on a split, accuracy, calibration, agreement, and paired comparisons of runs.

It trains nothing and draws nothing.
"""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdlab import devices
from kdlab.data import Dataset
from kdlab.losses import as_logits


@dataclass(frozen=True)
class Evaluation:
    """A model on one split: `cross_entropy` in nats, the others in [0, 1]; `ece` is the expected calibration error,
    `agreement` that with a teacher (None without one), `recall` nan for a class without images, `balanced` the mean
    of the others' recall: the accuracy if all classes were equally frequent."""

    accuracy: float
    cross_entropy: float
    ece: float
    agreement: float | None
    recall: tuple[float, ...]

    balanced = property(lambda self: statistics.fmean(share for share in self.recall if not math.isnan(share)))


# Values of the images that a model is given at once, so that its activations stay in a processor's cache; tuned for
# ResNet-20 and the tutorial's teacher on 32x32 pictures, where 1,000 at once took up to twice as long as 64. Of larger
# pictures 8 at once took half as long as one.
AT_ONCE = {"cpu": 200_000, "accelerator": 6_000_000}


@torch.no_grad()
def predict(
    model: nn.Module, dataset: Dataset, split: str = "train", batch_size: int | None = None,
    indices: Tensor | None = None, settings: devices.Settings | None = None,
) -> Tensor:
    """A model's logits for a split, float32 (n, classes), in eval mode; the model's mode is restored.

    Args:
        model: on the data set's device.
        dataset, split: whose images to use.
        batch_size: images at a time, >= 1; None for as many as the device does best with.
        indices: int64 (n,), the images to use; None for all.
        settings: memory format and precision; None for those of `devices.fast`, in float32.
    """
    images = dataset.part(split).images
    images = images if indices is None else images[indices.to(images.device)]
    kind = images.device.type
    settings = settings or replace(devices.fast(model, kind), autocast=None)
    form = torch.channels_last if settings.channels_last else torch.contiguous_format
    batch_size = batch_size or max(8, AT_ONCE.get(kind, AT_ONCE["accelerator"]) // images.shape[1:].numel())
    was_training = model.training
    model.eval()
    with torch.autocast(kind, settings.autocast, enabled=settings.autocast is not None):
        logits = [
            as_logits(model(dataset.normalize(part).contiguous(memory_format=form))).float()
            for part in images.split(batch_size)
        ]
    model.train(was_training)
    return torch.cat(logits)


def evaluate(
    model: nn.Module, dataset: Dataset, *, split: str = "test", teacher: nn.Module | Tensor | None = None
) -> Evaluation:
    """Accuracy, cross-entropy, calibration, agreement with a teacher, and recall per class.

    Args:
        model: on the data set's device.
        dataset, split: whose images to use.
        teacher: a model, or its logits (n, classes) for that split, or None.

    Source: expected calibration error after Guo et al. 2017, arXiv:1706.04599, eq. 3, with 15 equal bins.
    """
    labels = dataset.part(split).labels.cpu()  # Apple's GPUs have no float64
    logits = predict(model, dataset, split).cpu()
    answers = logits.argmax(1)  # (n,)
    if isinstance(teacher, nn.Module):
        teacher = predict(teacher, dataset, split)
    correct = (answers == labels).double()
    classes = len(dataset.classes)
    hits = torch.bincount(labels, correct, minlength=classes)
    return Evaluation(
        accuracy=correct.mean().item(),
        cross_entropy=F.cross_entropy(logits, labels).item(),
        ece=calibration_error(logits, labels),
        agreement=None if teacher is None else (answers == teacher.argmax(1).cpu()).double().mean().item(),
        recall=tuple((hits / torch.bincount(labels, minlength=classes)).tolist()),
    )


def calibration_error(logits: Tensor, labels: Tensor, bins: int = 15) -> float:
    """How far a model's confidence is from its accuracy, in [0, 1], averaged over equal bins of the confidence.

    Args:
        logits: float (n, classes).
        labels: int64 (n,).
        bins: how many, >= 1.
    """
    logits, labels = logits.cpu(), labels.cpu()
    confidence, answers = logits.double().softmax(1).max(1)  # (n,), (n,)
    which = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = torch.bincount(which, confidence - (answers == labels).double(), minlength=bins)
    return (gap.abs().sum() / len(labels)).item()


class Gain(NamedTuple):
    """A paired comparison: the mean difference, the ends of its 95 % t interval, and how many of the pairs were won."""

    mean: float
    low: float
    high: float
    wins: int
    pairs: int

    def __str__(self) -> str:
        return f"{self.mean:+6.1f}  [{self.low:+5.1f}, {self.high:+5.1f}]  wins {self.wins}/{self.pairs}"


def paired_difference(treated: Iterable[float], control: Iterable[float]) -> Gain:
    """How much better the first of two paired runs is, on average and with its uncertainty, in the figures' unit.

    Args:
        treated, control: one figure for each seed, in the same order; ValueError where there are fewer than 2.
    """
    from scipy.stats import t  # its ttest_rel warns where all differences are equal, as those of a control may be

    differences = [a - b for a, b in zip(treated, control, strict=True)]
    if (n := len(differences)) < 2:
        raise ValueError(f"an interval needs at least 2 paired seeds, got {n}")
    mean, half = statistics.fmean(differences), float(t.ppf(0.975, n - 1)) * statistics.stdev(differences) / n**0.5
    return Gain(mean, mean - half, mean + half, sum(difference > 0 for difference in differences), n)
