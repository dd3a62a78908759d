"""The adapter between a data set and a teacher from elsewhere: pixels on the way in, classes on the way out.

Where a teacher comes from stands in teachers.py; every step that is taken here can be read in `describe`.
"""

import contextlib
import re
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdlab.data import Dataset
from kdlab.evaluation import AT_ONCE
from kdlab.losses import as_logits
from workbook.task.foreign import Facts, nearest

GREY = (0.299, 0.587, 0.114)  # of red, green and blue; ITU-R BT.601, as Pillow's convert("L")
# The least probability that its format tells from 0; a teacher's 0 means "less than that". A larger floor would change
# what was said: soft targets at T = 4 hold p^(1/4), and that of 1e-12 is still 1e-3.
FLOOR = {torch.float16: 2.0**-24, torch.float32: 2.0**-126, torch.bfloat16: 2.0**-126, torch.float64: 2.0**-126}
PROBE = 16  # images that a teacher is asked about before it is handed out


class Teacher(nn.Module):
    """A teacher in the data set's terms, always in eval mode and without gradients.

    It maps the data set's normalized images, float32 (n, channels, height, width), to logits, float32 (n, classes) in
    the data set's order of classes. An adapter that has nothing to do changes no bit.

    `model` is what was adapted; `built` is True where it was built by its name, `trained` False until the caller has
    trained it; `claimed` is the accuracy in [0, 1] that its file states, or None; `mapping` holds (the data set's
    class, the teacher's class or None without names, its column); `floored` is the share in [0, 1] of the probabilities
    so far that were below the floor, None where logits are given.
    """

    def __init__(
        self, model: nn.Module, dataset: Dataset, known: Facts, *, name: str, trained: bool = True,
        probabilities: bool = False,
    ):
        """Adapts a model.

        Args:
            model: any module whose answer `kdlab.losses.as_logits` understands; moved to the data set's device.
            dataset: whose images will come.
            known: facts of the teacher with who says so: channels, size, mean, std, classes, dtype, accuracy.
            name: of the teacher, for messages.
            trained, probabilities: as in `workbook.task.teachers.load`.

        Raises:
            ValueError: facts that do not fit the model or the data set, or an answer that cannot be used.
        """
        super().__init__()
        self.name, self.probabilities, self.model = name, probabilities, model.to(dataset.train.images.device)
        self._built = None if trained else _sample(self.model)
        self.claimed = known.get("accuracy", (None,))[0]
        self._floored = self._answered = 0
        self.steps: list[str] = []
        self._plan(dataset, known)
        self._classes(dataset, known)
        self.eval()

    built = property(lambda self: self._built is not None)
    trained = property(lambda self: self._built is None or not torch.equal(self._built, _sample(self.model)))
    floored = property(lambda self: self._floored / max(1, self._answered) if self.probabilities else None)

    def train(self, mode: bool = True) -> "Teacher":
        """Stays in eval mode, and leaves its model alone, which the caller may be training."""
        self.training = False
        return self

    def describe(self) -> str:
        """Every step between the data set and the teacher's answers, a line each, with who says so."""
        return "\n".join([f"{self.name}{'' if self.trained else ', untrained'}", *(f"  {line}" for line in self.steps)])

    __str__ = __repr__ = describe

    def forward(self, images: Tensor) -> Tensor:
        values = self.channels * self.size[0] * self.size[1]  # of an image as the teacher sees it, maybe a larger one
        at_once = max(PROBE, AT_ONCE.get(images.device.type, AT_ONCE["accelerator"]) // values)
        parts = images.split(at_once) if values > images.shape[1:].numel() else [images]
        logits = torch.cat([self._answer(self.prepare(part)) for part in parts])
        return logits if self.columns is None else logits[:, self.columns.to(logits.device)]

    @torch.no_grad()
    def prepare(self, images: Tensor) -> Tensor:
        """What the teacher is shown for the data set's normalized images (n, channels, height, width)."""
        if self.undone:
            mean, std = (x.to(images.device) for x in self.undone)
            images = images * std + mean  # 0..1
        if images.shape[1] != self.channels:
            weights = images.new_tensor(GREY).view(1, 3, 1, 1)
            images = images.expand(-1, 3, -1, -1) if self.channels == 3 else (images * weights).sum(1, keepdim=True)
        if tuple(images.shape[2:]) != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        if self.done:
            mean, std = (x.to(images.device) for x in self.done)
            images = (images - mean) / std
        if self.dtype == torch.uint8:
            images = (images * 255).round().clamp(0, 255)
        return images.to(self.dtype)

    @torch.no_grad()
    def _answer(self, images: Tensor) -> Tensor:
        """The teacher's own logits, float32 (n, its classes)."""
        was_training = self.model.training
        if was_training:
            self.model.eval()
        try:
            with self._own_precision(images.device.type):
                answer = as_logits(self.model(images))
        finally:
            if was_training:
                self.model.train()
        answer = answer.flatten(1) if answer.shape[2:].numel() == 1 else answer
        if not self.probabilities:
            return answer.float()
        if not are_probabilities(answer):
            raise ValueError(f"{self.name} does not answer with probabilities; leave probabilities=True out")
        floor = FLOOR[answer.dtype]
        self._floored, self._answered = self._floored + int((answer < floor).sum()), self._answered + answer.numel()
        return answer.float().clamp_min(floor).log()

    def _own_precision(self, kind: str):
        """Keeps autocast off weights that are not float32: it would cast the images, and not all weights with them."""
        return contextlib.nullcontext() if self.dtype == torch.float32 else torch.autocast(kind, enabled=False)

    def _plan(self, dataset: Dataset, known: Facts) -> None:
        """Settles what `prepare` does."""
        channels, *pixels = dataset.shape
        first = next((module for module in self.model.modules() if isinstance(module, nn.Conv2d)), None)
        weight = next((p for p in self.model.parameters() if p.is_floating_point()), None)
        own = (torch.float32 if weight is None else weight.dtype, "its weights")
        self.channels, channels_by = known.get("channels") or (first.in_channels if first else channels, "its weights")
        self.size, size_by = known.get("size") or (tuple(pixels), "")
        self.dtype, dtype_by = known.get("dtype") or own
        if self.channels != channels and {self.channels, channels} != {1, 3}:
            raise ValueError(f"{self.name} takes {self.channels} channels, and {dataset.name} has {channels}")
        here = [tuple(float(x) for x in figures) for figures in (dataset.mean, dataset.std)]
        bytes_in = self.dtype == torch.uint8
        there, norm_by = (None, "") if bytes_in else self._normalisation(known)
        fewer = self.channels < channels
        plain = [_grey(figures) if fewer else _spread(figures, self.channels) for figures in here]
        # Scaling commutes with normalising; turning to grey does not, and a teacher that takes bytes wants pixels.
        redo = there is not None and there != plain
        undo = redo or bytes_in or fewer
        target = (there or plain) if undo and not bytes_in else None
        self.undone, self.done = _column(here if undo else None), _column(target)
        say = self.steps.append
        self.steps += [f"weights     {what} ({by})" for what, by in [known["weights"]]] if "weights" in known else []
        if undo:
            say(f"pixels      the data set's normalisation is undone (mean {_text(here[0])}, std {_text(here[1])})")
        if self.channels != channels:
            how = "grey repeated to 3" if self.channels == 3 else f"colour to grey by {_text(GREY)}"
            say(f"channels    {how} ({channels_by})")
        if list(self.size) != pixels:
            sizes = f"{pixels[0]}x{pixels[1]} to {self.size[0]}x{self.size[1]} pixels"
            say(f"size        {sizes}, bilinear with antialiasing ({size_by})")
        if target:
            say(f"normalised  mean {_text(target[0])}, std {_text(target[1])} ({norm_by or 'of the data set'})")
        elif bytes_in:
            say("normalised  not at all: it takes bytes in 0..255")
        elif self.trained:
            say(f"normalised  as the data set ({norm_by or 'assumed: nobody says how the teacher was trained'})")
        if self.dtype != torch.float32:
            say(f"precision   {str(self.dtype).removeprefix('torch.')} ({dtype_by})")

    def _normalisation(self, known: Facts) -> tuple[list | None, str]:
        """The teacher's mean and std, or None where nobody says."""
        if ("mean" in known) != ("std" in known):
            one = "mean" if "mean" in known else "std"
            raise ValueError(f"{self.name} has a {one} alone; give mean and std, both of pixels in 0..1")
        if "mean" not in known:
            return None, ""
        (mean, by), (std, _) = known["mean"], known["std"]
        for figures, what in ((mean, "mean"), (std, "std")):
            if len(figures) not in (1, self.channels):
                raise ValueError(f"{what} must have 1 or {self.channels} figures for {self.name}, got {len(figures)}")
        if max(map(abs, mean)) > 1 or min(std) <= 0:
            raise ValueError(f"mean and std are of pixels in 0..1, std > 0, got mean {_text(mean)}, std {_text(std)};"
                             " figures for pixels in 0..255 are divided by 255")
        return [_spread(mean, self.channels), _spread(std, self.channels)], by

    def _classes(self, dataset: Dataset, known: Facts) -> None:
        """Asks the teacher about a few images, and settles which of its answers stand for which class."""
        ours, (theirs, by) = tuple(dataset.classes), known.get("classes") or (None, "")
        images = dataset.train.images[:PROBE] if len(dataset.train) else dataset.test.images[:PROBE]
        given = self.prepare(dataset.normalize(images))
        try:
            answer = self._answer(given)
        except ValueError:
            raise
        except Exception as error:  # a foreign model fails in many ways
            said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            shape = tuple(given.shape[1:])
            raise ValueError(f"{self.name} cannot take images {shape} of {given.dtype}; is it size? {said}") from error
        if answer.dim() != 2 or len(answer) != len(given):
            got = f"{tuple(answer.shape)} for {len(given)} images"
            raise ValueError(f"{self.name} must answer with (n, classes), got {got}")
        if not answer.isfinite().all():
            raise ValueError(f"{self.name} answers with numbers that are not finite; check size, mean and std")
        if not self.probabilities:
            refuse_probabilities(answer, self.name)
        self._floored = self._answered = 0  # these images will be asked about again
        self.count = answer.shape[1]
        if theirs and len(theirs) != self.count:
            raise ValueError(f"{self.name} has {self.count} logits, and {by} names {len(theirs)} classes")
        if not theirs and self.count != len(ours):
            raise ValueError(
                f"{self.name} has {self.count} classes and {dataset.name} has {len(ours)}, and nobody names the"
                " teacher's; name them in the order of its logits by classes="
            )
        columns = match(theirs, ours) if theirs else list(range(self.count))
        self.columns = None if columns == list(range(self.count)) else torch.tensor(columns)
        self.mapping = tuple((name, theirs[at] if theirs else None, at) for name, at in zip(ours, columns))
        if self.probabilities:
            self.steps.append("answers     the logarithm of probabilities, exact up to a constant a row")
        if not theirs:
            self.steps.append(f"classes     {self.count} in the data set's order (assumed: nobody names the teacher's)")
            return
        how = "in the data set's order" if self.columns is None else f"of {self.count} by name"
        self.steps.append(f"classes     {len(ours)} {how} ({by})")
        if self.columns is not None:
            self.steps += [f"            {a} <- {b} (logit {at})" for a, b, at in self.mapping[:10]]
            self.steps += [f"            and {len(ours) - 10} more, in .mapping"] if len(ours) > 10 else []


def match(theirs: Sequence[str], ours: Sequence[str]) -> list[int]:
    """The place in `theirs` of each of our classes: of the same name, or else alike but for case, spaces, _ and -.

    Raises:
        ValueError: a class of ours that is not there (the nearest are named), or there more than once.
    """
    places: dict[str, list[int]] = {}
    for at, name in enumerate(theirs):
        places.setdefault(name, []).append(at)
    alike: dict[str, list[int]] = {}
    for at, name in enumerate(theirs):
        alike.setdefault(_folded(name), []).append(at)
    found = [places.get(name) or alike.get(_folded(name), []) for name in ours]
    if absent := [name for name, at in zip(ours, found) if not at]:
        said = ", ".join(f"{name!r}{nearest(name, theirs)}" for name in absent[:3])
        more = f", … {len(absent) - 3} more" if len(absent) > 3 else ""
        raise ValueError(
            f"the teacher has no class for {len(absent)} of {len(ours)}: {said}{more}; name its classes in the data"
            " set's words, in the order of its logits, by classes="
        )
    if twice := next(((name, at) for name, at in zip(ours, found) if len(at) > 1), None):
        raise ValueError(f"the teacher has {twice[0]!r} {len(twice[1])} times, as logits {twice[1]}; tell them apart")
    columns = [at[0] for at in found]
    if len(set(columns)) < len(columns):
        at = next(at for at in columns if columns.count(at) > 1)
        both = [name for name, column in zip(ours, columns) if column == at]
        raise ValueError(f"{' and '.join(both)} would both be the teacher's {theirs[at]!r}; tell them apart")
    return columns


def are_probabilities(answers: Tensor) -> bool:
    """Whether all rows of answers (n, classes) lie in [0, 1] and sum to 1, within 1e-3, or 1e-2 in half precision."""
    slack = 1e-3 if answers.dtype in (torch.float32, torch.float64) else 1e-2
    rows = answers.double()
    inside = rows.min() >= 0 and rows.max() <= 1 + slack
    return bool(len(rows) and rows.shape[1] > 1 and inside and ((rows.sum(1) - 1).abs() <= slack).all())


def refuse_probabilities(answers: Tensor, name: str = "the teacher") -> None:
    """ValueError where answers (n, classes) are probabilities: a second softmax would flatten them unnoticed."""
    if are_probabilities(answers):
        raise ValueError(
            f"{name} answers with probabilities (rows in [0, 1] that sum to 1), not logits; pass probabilities=True to"
            " take their logarithm, which is the same up to a constant a row, or take its softmax off"
        )


def _sample(model: nn.Module) -> Tensor:
    """A few values of each weight, on the CPU: they change as soon as the model is trained."""
    return torch.cat([torch.zeros(1), *(x.detach().flatten()[:64].float().cpu() for x in model.parameters())])


def _folded(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", name.casefold())


def _grey(figures: tuple) -> tuple:
    return (sum(a * b for a, b in zip(GREY, figures)),)


def _spread(figures: tuple, channels: int) -> tuple:
    return tuple(figures) * channels if len(figures) == 1 else tuple(figures)


def _column(figures: list | None) -> list[Tensor] | None:
    return figures and [torch.tensor(x, dtype=torch.float32).view(1, -1, 1, 1) for x in figures]


def _text(figures) -> str:
    return " ".join(f"{x:.3g}" for x in figures)
