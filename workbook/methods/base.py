"""What the methods share: features of named layers beside the logits, and a loss's place in a training step.

A method's formula stands in its own file, the loop in kdlab.training.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdlab import losses


def tap(model: nn.Module, *layers: str) -> nn.Module:
    """The same model, its weights shared, that answers with the outputs of some layers beside its logits.

    Give the tapped student and the tapped teacher to `kdlab.distil`; the student itself is trained by it.

    Args:
        model: traceable by torch.fx, and its last step gives the logits.
        layers: names of modules or of torchvision's graph nodes, such as "blocks.2" or "layer1.0.relu": at least one,
            in the network's order, in which pairs of a student's and a teacher's layers are made.

    Returns a module: images → {"logits": (batch, classes), layer: its output, …}. ValueError: a name that is not there;
    the message holds those that are.
    """
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    _, *names, last = get_graph_node_names(model)[1]  # the first is the input
    there = f"{type(model).__name__} has, before its logits: {', '.join(names)}"
    if not layers:
        raise ValueError(f"name a layer whose output is wanted; {there}")
    ends = []
    for layer in layers:
        inside = [place for place, name in enumerate([*names, last]) if f"{name}.".startswith(f"{layer}.")]
        if not inside or inside[-1] == len(names):
            raise ValueError(f"there is no layer {layer!r}; {there}")
        ends.append(inside[-1])
    if ends != sorted(set(ends)):
        raise ValueError(f"name each layer once, in the network's order, got {', '.join(layers)}; {there}")
    return create_feature_extractor(model, {last: "logits"} | {layer: layer for layer in layers})


def shapes(student: nn.Module, teacher: nn.Module, shape: tuple[int, int, int]) -> list[tuple[tuple[int, ...], ...]]:
    """For each pair of layers the (student's, teacher's) shapes, without the batch, for images of this shape."""
    answers = []
    for model in (student, teacher):
        was_training, device = model.training, next(model.parameters()).device
        with torch.no_grad():
            answers.append(model.eval()(torch.zeros(1, *shape, device=device)))
        model.train(was_training)
    return [tuple(tuple(x.shape[1:]) for x in pair) for pair in zip(*_features(*answers).values())]


def on_logits(loss: Callable[..., Tensor], student, batch, targets, knobs) -> dict[str, Tensor]:
    """A step's losses by name, where "soft" is loss(student_logits=…, teacher_logits=…).

    Args:
        student, batch, targets, knobs: what `kdlab.training.distil` gives a method.

    Returns {"loss": alpha · soft + (1 − alpha) · hard, "soft": …, "hard": cross-entropy}. ValueError: no teacher.
    """
    _needs_a_teacher(targets)
    answer = losses.as_logits(student(batch.images))
    return _mixed(lambda: loss(student_logits=answer, teacher_logits=losses.as_logits(targets)), answer, batch, knobs)


def on_features(loss: Callable[..., Tensor], student, batch, targets, knobs, weight: float) -> dict[str, Tensor]:
    """A step's losses by name, where "soft" is weight · loss(student_features=[…], teacher_features=[…]), float32.

    Args, Returns and Raises as in `on_logits`; student and teacher are tapped, with as many layers each.
    """
    _needs_a_teacher(targets)
    answer = student(batch.images)
    features = _features(answer, targets)
    return _mixed(lambda: weight * loss(**features), losses.as_logits(answer), batch, knobs)


def each(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The sum of a loss over pairs: the student's first layer with the teacher's first, and so on."""

    def total(*, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        pairs = zip(student_features, teacher_features)
        return sum(loss(student_features=s, teacher_features=t) for s, t in pairs)

    return total


def wide(x: Tensor) -> Tensor:
    """At least float32: bfloat16 is too coarse for a loss, and float16 ends at 65,504."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def direction(x: Tensor, eps: float = 1e-12) -> Tensor:
    """Rows (…, numbers) of length 1; one shorter than eps becomes zeros, and gets no gradient in place of 1 / eps.

    Features of a layer that is dead for an image are such a row, and so is the difference of two equal images.
    """
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.where(length > eps, x / length.clamp_min(eps), torch.zeros_like(x))


def heated(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Both divided by the temperature, at least float32, the teacher's cut off from gradients.

    ValueError: shapes that differ or are not (batch, classes), or a temperature that is not > 0 and finite.
    """
    shape, other = tuple(student_logits.shape), tuple(teacher_logits.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"student_logits must be (batch, classes), got shape {shape}")
    if len(other) == 2 and other[0] == shape[0] and other[1] != shape[1]:
        said = f"the student tells {shape[1]} classes apart and the teacher {other[1]}"
        raise ValueError(f"{said}; give them the same classes in the same order")
    if shape != other:
        raise ValueError(f"teacher_logits must have the student's shape {shape}, got {other}")
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be > 0 and finite, got {temperature}")
    return wide(student_logits) / temperature, wide(teacher_logits.detach()) / temperature


def rows(student_features: Tensor, teacher_features: Tensor, least: int = 1, cut: bool = True) -> tuple[Tensor, Tensor]:
    """Features of any shape as rows (batch, numbers), at least float32, the teacher's cut off from gradients.

    ValueError: batches that differ, or hold fewer than `least` images.
    """
    batches = len(student_features), len(teacher_features)
    if batches[0] != batches[1]:
        given = f"{batches[0]} of the student and {batches[1]} of the teacher"
        raise ValueError(f"features must be of the same images, got {given}")
    if batches[0] < least:
        raise ValueError(f"this method compares images with each other and needs {least} in a batch, got {batches[0]}")
    teacher_features = teacher_features.detach() if cut else teacher_features
    return wide(student_features).flatten(1), wide(teacher_features).flatten(1)


def _mixed(soft: Callable[[], Tensor], answer: Tensor, batch, knobs) -> dict[str, Tensor]:
    with torch.autocast(answer.device.type, enabled=False):  # it would make products in a loss bfloat16 again
        hard, soft = F.cross_entropy(wide(answer), batch.labels), soft()
    return {"loss": losses.mixed(soft, hard, knobs.alpha), "soft": soft, "hard": hard}


def _needs_a_teacher(targets) -> None:
    if targets is None:
        raise ValueError("this method learns from a teacher; pass teacher=…")


def _features(answer, targets) -> dict[str, list[Tensor]]:
    found = {}
    for whose, said in (("student", answer), ("teacher", targets)):
        named = said if isinstance(said, Mapping) else {}
        found[f"{whose}_features"] = [wide(x) for name, x in named.items() if name != "logits"]
        if not found[f"{whose}_features"]:
            given = f"this method needs features, and the {whose} answers with logits alone"
            raise ValueError(f"{given}; pass workbook.methods.tap(model, layer), as a bank holds none")
    numbers = [len(each) for each in found.values()]
    if numbers[0] != numbers[1]:
        raise ValueError(f"name as many layers of the student as of the teacher, got {numbers[0]} and {numbers[1]}")
    return found
