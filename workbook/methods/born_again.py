"""Born-again networks (BAN): a student of its teacher's own size, then a student of that one, and so on."""

from collections.abc import Callable

from torch import nn

from kdlab.bank import Bank
from kdlab.data import Dataset
from kdlab.training import Knobs
from workbook.methods.teacher_assistant import chain


def born_again(
    build: Callable[[int], nn.Module], dataset: Dataset, knobs: Knobs = Knobs(), *, teacher: nn.Module | Bank,
    generations: int, steps: int, **options,
) -> list[nn.Module]:
    """Trains generations of one architecture, each from fresh weights on the soft targets of the one before.

    Their ensemble, the paper's BANE, is `workbook.methods.several_teachers.Teachers(generations, temperature=1)`.

    Args:
        build: maps a generation's number, from 1, to a new model of the teacher's architecture, from a seed of its own.
        dataset, knobs, teacher, steps, options: as in `workbook.methods.teacher_assistant.chain`.
        generations: >= 1.

    Returns the generations in their order. ValueError: generations < 1.

    Source: Furlanello, Lipton, Tschannen, Itti, Anandkumar 2018, arXiv:1805.04770, section 3.1.
    """
    if generations < 1:
        raise ValueError(f"generations must be >= 1, got {generations}")
    models = [build(number) for number in range(1, generations + 1)]
    return chain(models, dataset, knobs, teacher=teacher, steps=steps, **options)
