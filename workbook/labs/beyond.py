"""Published methods side by side: each with its weights and layers, on a student that starts alike, in equal steps.

The formulas stand in workbook.methods, the loop in kdlab.training.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from kdlab import data, losses, models
from kdlab.training import Knobs, distil, finish
from workbook import methods
from workbook.methods import attention_transfer, dist, dkd, logit_mse, logit_standardization, rkd, similarity_preserving
from workbook.methods.crd import CRD
from workbook.methods.fitnets import Hints
from workbook.methods.reviewkd import Review


@dataclass(frozen=True)
class Way:
    """How a student is taught.

    `method` goes into `kdlab.distil` as it is, or where `made` is set is made of (tapped student, tapped teacher, an
    image's shape, number of images). Student and teacher are tapped at the layers that `Pair` names by `layers`.
    """

    method: Callable
    alpha: float
    temperature: float = 4.0
    layers: str = ""  # "maps", "last" or "rows"; "" for logits alone
    made: bool = False
    teacher: str = "asked"  # "none", or "of other images": of one of the same class


@dataclass(frozen=True)
class Pair:
    """A student and a teacher by name, and where they are tapped: layers → (the student's, the teacher's).

    The teacher's stand in the network's order: "maps", then "last", then "rows".
    """

    student: str
    teacher: str
    layers: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]


# The weights are those of the authors' or of mdistiller's runs on CIFAR-100: cross-entropy + weight · soft is alpha =
# 0.5, up to the factor 2. AT has the formula of the paper, for which no weight is published: here 10.
WAYS = {
    "alone": Way(losses.logits, 0.0, teacher="none"),
    "label smoothing": Way(partial(losses.logits, label_smoothing=0.1), 0.0, teacher="none"),
    "shuffled teacher": Way(losses.logits, 0.9, teacher="of other images"),
    "KD": Way(losses.logits, 0.9),
    "logit MSE": Way(logit_mse.method, 0.9),
    "DKD": Way(dkd.method, 0.5),
    "DIST": Way(partial(dist.method, inter=2.0, intra=2.0), 0.5),
    "logit standardization": Way(partial(logit_standardization.method, weight=10.0), 0.9, 2.0),
    "FitNets": Way(lambda s, t, shape, images: Hints(s, t, shape, weight=200.0), 0.5, layers="last", made=True),
    "AT": Way(partial(attention_transfer.method, weight=10.0), 0.5, layers="maps"),
    "RKD": Way(rkd.method, 0.5, layers="rows"),
    "SP": Way(similarity_preserving.method, 0.5, layers="last"),
    "CRD": Way(
        lambda s, t, shape, images: CRD(s, t, shape, images=images, temperature=0.07, weight=0.8), 0.5,
        layers="rows", made=True,
    ),
    "ReviewKD": Way(lambda s, t, shape, images: Review(s, t, shape, weight=1.0), 0.5, layers="maps", made=True),
}
CONTROLS = ("alone", "label smoothing", "shuffled teacher")
SMALL = Pair(
    "cnn-8-16", "cnn-32-64", {"maps": (("3", "7"), ("3", "7")), "last": (("7",), ("7",)), "rows": (("8",), ("8",))}
)
RESNETS = Pair("resnet8", "resnet20", {
    "maps": (("blocks.0", "blocks.1", "blocks.2"), ("blocks.2", "blocks.5", "blocks.8")),
    "last": (("blocks.2",), ("blocks.8",)), "rows": (("mean",), ("mean",)),
})


@torch.no_grad()
def asked(teacher: nn.Module, dataset: data.Dataset, places: Tensor, batch_size: int = 100) -> dict[str, Tensor]:
    """What a tapped teacher says about some training images, in eval mode: name → (images, …), the logits among them.

    Args:
        teacher: images → {name: (batch, …)}, on the data set's device.
        dataset: whose training images are shown, as they are.
        places: int64 (images,) in the training split.
        batch_size: images at a time, >= 1.
    """
    images = dataset.train.images
    parts = [teacher.eval()(dataset.normalize(images[at])) for at in places.split(batch_size)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


class Known(nn.Module):
    """A method of `kdlab.distil` whose teacher has answered before: the same steps, and no teacher in the loop.

    It holds for images that are not augmented; `distil(…, teacher=None, method=Known(method, answers, places))`.

    Args:
        method: as `kdlab.distil` takes it; the parameters of one that is a module are trained.
        answers: of `asked`, or one tensor (images, …).
        places: int64 (images,): the image in the training split that each row belongs to.
    """

    def __init__(self, method, answers: Mapping[str, Tensor] | Tensor, places: Tensor):
        super().__init__()
        rows = len(answers) if isinstance(answers, Tensor) else len(next(iter(answers.values())))
        if rows != len(places):
            raise ValueError(f"there must be an answer for each image, got {rows} for {len(places)}")
        self.method, self.answers = method, answers
        self.rows = torch.full((int(places.max()) + 2,), -1)  # the last stands for every image beyond
        self.rows[places.cpu()] = torch.arange(rows)

    def forward(self, student, batch, targets, knobs) -> dict[str, Tensor]:
        at = self.rows[batch.indices.cpu().clamp_max(len(self.rows) - 1)]
        if (at < 0).any():
            raise IndexError("a training image is not among those that the teacher was asked about")
        known = self.answers
        said = known[at] if isinstance(known, Tensor) else {name: answer[at] for name, answer in known.items()}
        return self.method(student, batch, said, knobs)


def answers(pair: Pair, teacher: nn.Module, dataset: data.Dataset, places: Tensor) -> dict[str, Tensor]:
    """What the teacher says at all layers of the pair, for `student`: asked once."""
    named = dict.fromkeys(layer for _, layers in pair.layers.values() for layer in layers)
    return asked(methods.tap(teacher, *named), dataset, places)


def exchanged(labels: Tensor, *, seed: int) -> Tensor:
    """For each image the place of one of the same class, at random, int64 (images,): a permutation."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    shuffled, places = order[labels[order].argsort(stable=True)], labels.argsort(stable=True)
    found = torch.empty_like(places)
    found[places] = shuffled
    return found


def student(
    name: str, pair: Pair, teacher: nn.Module, known: Mapping[str, Tensor], dataset: data.Dataset, places: Tensor, *,
    lr: float, seed: int, steps: int, **options,
) -> nn.Module:
    """A student of the pair, taught one way: every way's starts from the same weights and sees the same batches.

    Args:
        name: of a way, a key of WAYS.
        pair, teacher, known: the networks, and the teacher's answers for the images at `places`, of `answers`.
        dataset, places: the training images that the student sees, int64 (images,).
        lr, seed, steps, options: as in `kdlab.distil`; the seed is that of weights and batches.
    """
    way = WAYS[name]
    build = partial(models.build, shape=dataset.shape, classes=len(dataset.classes))
    model = build(pair.student, seed=seed)
    mine, his = pair.layers[way.layers] if way.layers else ((), ())
    learner = methods.tap(model, *mine) if mine else model
    method = way.method
    if way.made:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            method = method(learner, methods.tap(teacher, *his), dataset.shape, len(places))
    if way.teacher != "none":
        said = {layer: known[layer] for layer in ("logits", *his)} if his else known["logits"]
        if way.teacher == "of other images":
            said = said[exchanged(dataset.train.labels[places], seed=seed)]
        method = Known(method, said, places)
    knobs = Knobs(way.alpha, way.temperature, lr)
    finish(distil(learner, dataset.only(places), knobs, steps=steps, seed=seed, method=method, **options), total=steps)
    return model.eval()


def work(name: str, pair: Pair, shape: tuple[int, int, int], classes: int) -> float:
    """Multiply-adds of a step for one image, in those of the student's own step: 1, or more if the teacher is asked.

    A training step takes three times its forward pass; what a method adds on top of the networks is left out.
    """
    small, large = (
        models.cost(models.build(x, shape, classes), shape).multiply_adds for x in (pair.student, pair.teacher)
    )
    return 1 + (large / (3 * small) if WAYS[name].layers else 0)
