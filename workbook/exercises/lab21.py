"""The checks of lab 21, conventions: any right answer passes. What a check is made of stands in base.py."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.losses import soft_term
from workbook.exercises.base import checks, close, expect


@checks("the same direction of the gradient for every alpha, temperature and number of classes")
def to_ours(answer: Callable) -> None:  # 21, exercise 1
    """The answer maps alpha (of the labels), temperature and classes to this workbook's (alpha, temperature)."""
    for alpha, temperature, classes in [(0.1, 4.0, 10), (0.5, 1.0, 2), (0.9, 2.0, 100), (0.0, 3.0, 10), (1.0, 3.0, 10)]:
        where = f"for alpha = {alpha:g}, T = {temperature:g} and {classes} classes"
        found = answer(alpha, temperature, classes)
        pair = isinstance(found, tuple | list) and len(found) == 2
        expect(pair, "return two numbers: this workbook's alpha and temperature")
        ours, heat = map(float, found)
        expect(heat == temperature, f"{where}: the temperature stays as it is, the teacher's softmax depends on it")
        expect(-1e-12 <= ours <= 1 + 1e-12, f"{where} your alpha is {ours:.4g}: it must be in [0, 1]")
        soft, hard = (1 - alpha) / classes, alpha
        wanted = soft / (soft + hard)
        if not close(ours, wanted, 1e-6):
            hints = {
                "there alpha weighs the labels, here it weighs the teacher": alpha,
                "the soft loss is averaged over the classes, too: it is so many times weaker": 1 - alpha,
                "divide the soft loss's weight by the number of classes, do not multiply it":
                    (1 - alpha) * classes / ((1 - alpha) * classes + alpha),
                "the two weights no longer sum to 1: divide by their sum": soft,
                "the labels' loss is not averaged over the classes": alpha / (alpha + (1 - alpha) / classes),
            }
            usual = [hint for hint, value in hints.items() if close(ours, value, 1e-6)]
            said = usual[0] if usual else "write both gradients as hard · ∇CE + soft · ∇KL, and compare soft / hard"
            expect(False, f"{where} your alpha is {ours:.4g}: {said}")
        one, other = (_gradient(*both, temperature, classes) for both in ((1 - ours, ours), (hard, soft)))
        same = F.cosine_similarity(one.flatten(), other.flatten(), dim=0)
        expect(same > 1 - 1e-9, f"{where} the two gradients do not point the same way")


@checks("weights, T² and averaging, found in seven losses whose code you did not see")
def probe(answer: Callable) -> None:  # 21, exercise 2
    """The answer maps loss(student_logits, teacher_logits, labels, temperature) to hard, soft, squared, per_number."""
    boxes = [(0.1, 0.9, True, False, False), (0.1, 0.9, False, False, False), (0.5, 0.5, True, True, False),
             (0.75, 2.0, False, True, False), (1.0, 0.3, True, False, True), (0.2, 3.0, False, False, True),
             (0.0, 1.0, True, False, False)]
    for hard, soft, squared, per_number, entropy in boxes:
        found = answer(_box(hard, soft, squared, per_number, entropy))
        four = isinstance(found, tuple | list) and len(found) == 4
        expect(four, "return four things: hard, soft, squared, per_number")
        got_hard, got_soft, got_squared, got_per = float(found[0]), float(found[1]), bool(found[2]), bool(found[3])
        where = f"of hard {hard:g}, soft {soft:g}, squared {squared}, per_number {per_number}"
        if entropy:
            where += " (a soft cross-entropy, whose value is not 0 where student and teacher agree)"
        if hard != soft and close(got_hard, soft, 1e-3) and close(got_soft, hard, 1e-3):
            expect(False, f"{where}: hard weighs the labels and soft the teacher, you have them the other way")
        hint = "where the student's logits are the teacher's, only the labels give a gradient"
        expect(close(got_hard, hard, 1e-3), f"{where} you found hard {got_hard:.4g}: {hint}")
        hint = "compare the soft gradient at two temperatures: that of the KL alone changes, too"
        expect(got_squared == squared, f"{where} you found squared {got_squared}: {hint}")
        hint = "compare the soft gradient for two numbers of classes"
        expect(got_per == per_number, f"{where} you found per_number {got_per}: {hint}")
        hint = "divide by T² where it is there, and multiply by the classes where it is averaged over them"
        expect(close(got_soft, soft, 1e-3), f"{where} you found soft {got_soft:.4g}: {hint}")


def _gradient(hard: float, soft: float, temperature: float, classes: int) -> Tensor:
    """hard · ∇CE + soft · T² · ∇KL of some logits, float64."""
    z, t = torch.randn(2, 6, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind()
    z, labels = z.clone().requires_grad_(), torch.arange(6) % classes
    loss = hard * F.cross_entropy(z, labels) + soft * soft_term(z, t, temperature)
    return torch.autograd.grad(loss, z)[0]


def _box(hard: float, soft: float, squared: bool, per_number: bool, entropy: bool) -> Callable[..., Tensor]:
    """A loss with these properties; `entropy`: the soft cross-entropy in place of the KL."""

    def loss(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
        log_q, p = F.log_softmax(student_logits / temperature, 1), F.softmax(teacher_logits / temperature, 1)
        each = -p * log_q if entropy else F.kl_div(log_q, p, reduction="none")
        part = (each.mean() if per_number else each.sum(1).mean()) * (temperature**2 if squared else 1)
        return hard * F.cross_entropy(student_logits, labels) + soft * part

    return loss
