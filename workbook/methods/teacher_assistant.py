"""Teacher assistants (TAKD): a network of middle size learns from the teacher, and the student from it."""

from collections.abc import Sequence

from torch import nn

from kdlab import bank
from kdlab.bank import Bank
from kdlab.data import Dataset
from kdlab.training import Knobs, distil, finish


def chain(
    models: Sequence[nn.Module], dataset: Dataset, knobs: Knobs = Knobs(), *, teacher: nn.Module | Bank, steps: int,
    **options,
) -> list[nn.Module]:
    """Distils each model from the one before it, the first from the teacher.

    With one model it is plain distillation, so that a chain and the direct way differ in nothing else.

    Args:
        models: the assistants, from large to small, and last the student; trained in place.
        dataset, knobs, options: as in `kdlab.distil`, the same for every model.
        teacher: a model or its bank; a model answers once, into a bank, where the images are not augmented.
        steps: of each model.

    Returns the models that were trained to their end: all, or fewer after Ctrl-C. ValueError: no model.

    Source: Mirzadeh, Farajtabar, Li, Levine, Matsukawa, Ghasemzadeh 2020, arXiv:1902.03393, section 3.
    """
    if not models:
        raise ValueError("a chain needs at least one model: the student")
    trained = []
    for model in models:
        if isinstance(teacher, nn.Module) and dataset.recipe is None and "method" not in options:
            teacher = bank.fill(teacher, dataset)
        if len(finish(distil(model, dataset, knobs, teacher=teacher, steps=steps, **options), steps)) < steps:
            break
        trained.append(teacher := model)
    return trained
