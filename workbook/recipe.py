"""The lesson's recipe: its teacher and its student, built from a seed and trained, as notebooks 00 and 03 do it.

Everything else about a training is said where it is used, through `options`, which are those of kdlab.training.
"""

from torch import nn

from kdlab import models
from kdlab.bank import Bank
from kdlab.data import Dataset
from kdlab.training import Knobs, distil, finish, train


def teacher(
    dataset: Dataset, seed: int = 0, name: str = "mlp-512-512", *, steps: int = 200, batch_size: int = 64,
    weight_decay: float = 1e-2, **options,
) -> nn.Module:
    """A teacher, trained on labels: on the digits a test accuracy of about 97 % in a second.

    The seed is that of its weights and its batches, the name one of `kdlab.models.build`, the others those of
    `kdlab.training.train`. Returns the model in eval mode, on the data set's device.
    """
    model = models.build(name, dataset.shape, len(dataset.classes), seed=seed).to(dataset.train.images.device)
    options |= dict(steps=steps, batch_size=batch_size, weight_decay=weight_decay, seed=seed)
    finish(train(model, dataset, **options))
    return model


def student(
    dataset: Dataset, seed: int = 0, teacher: nn.Module | Bank | None = None, knobs: Knobs = Knobs(), *,
    name: str = "mlp-32", steps: int = 300, **options,
) -> nn.Module:
    """A student, distilled at alpha = 1 and T = 4 where nothing else is said; without a teacher it has labels alone.

    The lesson's student sees few images: `digits.only(torch.arange(50))`. All students of a seed start alike; the name
    is one of `kdlab.models.build`, the others are those of `kdlab.training.distil`.
    """
    model = models.build(name, dataset.shape, len(dataset.classes), seed=seed).to(dataset.train.images.device)
    finish(distil(model, dataset, knobs, teacher=teacher, steps=steps, **options))
    return model
