"""What teachers answer: their own accuracy, through the adapter, and several of them as one bank.

Where they come from stands in teachers.py, which offers these two as well.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from kdlab import bank, evaluate
from kdlab.bank import Bank
from kdlab.data import Dataset
from workbook.methods.several_teachers import together
from workbook.task.adapter import FLOOR, Teacher, refuse_probabilities


@dataclass(frozen=True)
class Report:
    """How a teacher does through its adapter: `accuracy` and `balanced` in [0, 1] on `images` images of `split`,
    `claimed` by its file or None, `floored` the share of probabilities below the floor or None, `advice` or "".
    """

    name: str
    split: str
    images: int
    accuracy: float
    balanced: float
    claimed: float | None
    floored: float | None
    advice: str

    def __str__(self) -> str:
        claim = "" if self.claimed is None else f", its file claims {self.claimed:.3f}"
        lines = [f"{self.name}: accuracy {self.accuracy:.3f} on {self.images} images of the {self.split} split{claim}"]
        if self.floored is not None:
            lines.append(f"{self.floored:.2%} of its probabilities were too small for their format and were floored")
        return "\n".join([*lines, *([self.advice] if self.advice else [])])


def report(teacher: Teacher | nn.Module | Bank, dataset: Dataset, *, split: str = "test") -> Report:
    """A teacher's own accuracy, through its adapter, to be looked at before anything is distilled.

    Args:
        teacher: what `load` returned, or any model on the data set's normalized images.
        dataset, split: whose images to use; a bank is looked at on those that it holds.

    Returns:
        Report. Its advice is there where the balanced accuracy is less than twice that of guessing (less than half-way
        from guessing to 1 where there are two classes), or the accuracy by 0.05 and three standard errors below the
        claimed one.
    """
    kinds, floored = len(dataset.classes), None
    check = "check size, mean and std, and the order of the classes, which show here first"
    if isinstance(teacher, Bank):
        split, name, claimed = teacher.split, f"bank by {teacher.producer}", None
        answers = teacher.logits.mean(0) if teacher.recipe else teacher.logits
        labels = dataset.part(split).labels.cpu()[teacher.indices.cpu()]
        right, n = answers.argmax(1).cpu() == labels, len(labels)
        accuracy = right.double().mean().item()
        shares = [right[labels == kind].double().mean().item() for kind in labels.unique()]
        balanced = sum(shares) / len(shares)
    else:
        name, n = getattr(teacher, "name", type(teacher).__name__), len(dataset.part(split))
        claimed = getattr(teacher, "claimed", None)
        if isinstance(teacher, Teacher) and teacher.built:
            check = f"it is {'hardly trained' if teacher.trained else 'untrained'}: train its .model" + (
                " longer" if teacher.trained else "")
        before = (teacher._floored, teacher._answered) if isinstance(teacher, Teacher) else (0, 0)
        found = evaluate(teacher, dataset, split=split)
        accuracy, balanced = found.accuracy, found.balanced
        if getattr(teacher, "probabilities", False):
            floored = (teacher._floored - before[0]) / (teacher._answered - before[1])
    advice = ""
    if balanced < min(2 / kinds, (1 + 1 / kinds) / 2):
        advice = f"that is near guessing ({1 / kinds:.3f}); {check}"
    elif claimed is not None and claimed - accuracy > max(0.05, 3 * math.sqrt(claimed * (1 - claimed) / n)):
        advice = f"that is far below what its file claims; {check}"
    return Report(name, split, n, accuracy, balanced, claimed, floored, advice)


def taught(answers: Bank, name: str, probabilities: bool) -> Bank:
    """A bank whose rows are logits; those of probabilities are refused, or made logits."""
    if not probabilities:
        refuse_probabilities(answers.logits.flatten(0, -2), name)
        return answers
    floored = (answers.logits < FLOOR[torch.float32]).double().mean().item()
    said = f"{answers.producer}; log of probabilities, {floored:.2%} floored"
    return replace(answers, logits=answers.logits.clamp_min(FLOOR[torch.float32]).log(), producer=said)


def average(
    teachers: Iterable[nn.Module | Bank], dataset: Dataset, *, temperature: float, split: str = "train",
    weights: Sequence[float] | None = None,
) -> Bank:
    """One bank of several teachers, whose softmax at this temperature is the mean of theirs.

    The logits are T · log(mean of softmax(logits / T)): the mean of distributions, since logits are known up to a
    constant a row and a teacher with larger ones would outvote the others. It holds at this temperature alone: at
    another, the bank's softmax is not that mean.

    Args:
        teachers: one or more, each a Bank of this split or a model on the data set's normalized images. Banks must hold
            the same images; with views, of one recipe, all of them banks.
        dataset, split: whose images to use.
        temperature: > 0, that of the distillation to come; it is recorded in the bank's `producer`.
        weights: of the mean, > 0, one for each teacher; None for equal ones.

    Returns:
        Bank, float32 logits that are <= 0.

    Raises:
        ValueError: no teacher, a temperature out of its range, or banks that do not fit each other or the data set.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be > 0 and finite, got {temperature}")
    banks = [x if isinstance(x, Bank) else bank.fill(x, dataset, split=split) for x in teachers]
    if not banks:
        raise ValueError("an average needs at least one teacher, got none")
    first = banks[0]
    if wrong := next((why for x in banks for why in [differs(x, first, dataset, split)] if why), ""):
        raise ValueError(f"these teachers cannot be averaged: {wrong}")
    each = [_rows(x, first.indices) for x in banks]  # (views, n, classes) or (n, classes)
    mean = together(torch.stack([x.double().cpu() for x in each]), temperature=temperature, weights=weights)
    producer = f"mean of {len(banks)} at T = {temperature:g}: " + "; ".join(x.producer for x in banks)
    dataset = dataset.augmented(first.recipe) if first.recipe else dataset
    return bank.make(mean, dataset, split=split, indices=first.indices.cpu(), producer=producer)


def differs(one: Bank, first: Bank, dataset: Dataset, split: str) -> str:
    """What keeps a bank from being used with this split, or beside the first one, or an empty text."""
    if one.split != split:
        return f"a bank holds the {one.split} split in place of {split}"
    if one.classes != tuple(dataset.classes):
        return f"a bank has the classes {', '.join(one.classes)} in place of {', '.join(dataset.classes)}"
    if one.fingerprint != dataset.fingerprint(split):
        return f"a bank was made for other images than the {split} split of {dataset.name}"
    if one.recipe != first.recipe or one.views != first.views:
        return "the banks hold different views"
    if one.indices.sort().values.tolist() != first.indices.sort().values.tolist():
        return f"the banks hold different images, {len(one.indices)} and {len(first.indices)}; fill them for the same"
    return ""


def _rows(one: Bank, indices: Tensor) -> Tensor:
    looked = [one.lookup(indices, view) for view in (range(one.views) if one.recipe else [None])]
    return torch.stack(looked) if one.recipe else looked[0]
