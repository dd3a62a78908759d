"""Deep mutual learning (DML): students without a teacher learn from labels and from each other, in lockstep."""

import contextlib
from collections.abc import Iterator, Sequence

from torch import nn

from kdlab.data import Dataset
from kdlab.training import Knobs, Step, distil
from workbook.methods.several_teachers import Teachers


def mutual(
    students: Sequence[nn.Module], dataset: Dataset, knobs: Knobs = Knobs(alpha=0.5, temperature=1.0), *, steps: int,
    **options,
) -> Iterator[tuple[Step, ...]]:
    """Trains students in turns, each with the others, as they are by then, for its teacher.

    Among three or more the mean of the others' soft targets teaches, whose gradient is that of the paper's mean of the
    divergences. A peer answers in eval mode, as a teacher in `kdlab.distil` does; the paper's are in training mode.

    Args:
        students: two or more, of any architectures, from different seeds: equal ones would agree from the start.
        dataset, steps, options: as in `kdlab.distil`; all see the same batch in a step.
        knobs: alpha = 0.5 and T = 1 weigh labels and peers alike, as the paper does.

    Yields the students' Steps, in their order. ValueError: fewer than two students, or one of them twice.

    Source: Zhang, Xiang, Hospedales, Lu 2018, arXiv:1706.00384, algorithm 1, and section 3.3 for more than two.
    """
    if len({id(student) for student in students}) < max(2, len(students)):
        raise ValueError(f"mutual learning needs two different students or more, got {len(students)}")
    with contextlib.ExitStack() as running:
        loops = []
        for student in students:
            others = [other for other in students if other is not student]
            peer = others[0] if len(others) == 1 else Teachers(others, temperature=knobs.temperature)
            loop = distil(student, dataset, knobs, teacher=peer, steps=steps, **options)
            loops.append(running.enter_context(contextlib.closing(loop)))
        yield from zip(*loops)
