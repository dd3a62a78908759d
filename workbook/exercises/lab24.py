"""The checks of lab 24, weighted and important: any right answer passes. What a check is made of stands in base.py."""

from collections.abc import Callable

import torch

from kdlab import losses
from workbook.exercises.base import checks, close, expect


@checks("equal weights give kdlab's soft loss, only proportions count, and nothing to learn from gives 0")
def weighted_soft(answer: Callable) -> None:  # 24, exercise 1
    """The answer maps student's and teacher's logits (n, classes), weights (n,) and a temperature to a scalar."""
    student, teacher = torch.randn(6, 4, requires_grad=True), torch.randn(6, 4, requires_grad=True)
    weights = torch.tensor([0.0, 1.0, 2.0, 0.0, 0.5, 3.0])
    for heat in (1.0, 3.0):
        plain = losses.soft_loss(student, teacher, heat).item()
        got = answer(student, teacher, torch.ones(6), heat)
        expect(torch.is_tensor(got) and got.shape == (), "return a scalar tensor, the weighted mean over the images")
        expect(heat == 1 or not close(got.item() * heat**2, plain), "T² is missing: temperature**2 · KL")
        hint = f"with equal weights at T = {heat:g} it must be kdlab's soft loss, {plain:.3f}, and is {got.item():.3f}"
        expect(close(got.item(), plain), f"{hint}: sum over classes, teacher first, then the mean over images")
        one, scaled = (answer(student, teacher, factor * weights, heat).item() for factor in (1, 7))
        expect(close(one, scaled), "weights times 7 change the loss: divide by the sum of the weights")
        rows = [losses.soft_loss(student[i : i + 1], teacher[i : i + 1], heat).item() for i in range(6)]
        wanted = sum(w * row for w, row in zip(weights.tolist(), rows)) / weights.sum().item()
        hint = f"weights {weights.tolist()} give {one:.3f} in place of {wanted:.3f}: weigh each image's own loss"
        expect(close(one, wanted), hint)
    gradient, back = torch.autograd.grad(answer(student, teacher, weights, 2.0), (student, teacher), allow_unused=True)
    expect(not gradient[weights == 0].any(), "an image of weight 0 must get no gradient")
    expect(back is None or not back.any(), "no gradient may flow to the teacher: detach() its logits")
    empty = answer(student, teacher, torch.zeros(6), 2.0)
    expect(not empty.isnan(), "all weights 0 give 0/0: bound the sum below, clamp_min(1e-12)")
    expect(empty.item() == 0, f"all weights 0 must give 0, and give {empty.item():.3g}")
    gradient = torch.autograd.grad(empty, student, allow_unused=True)[0] if empty.requires_grad else None
    hint = "all weights 0 must give a gradient of 0, not NaN"
    expect(gradient is None or bool((gradient == 0).all()), hint)


@checks("in [0, 1], high where both say the same, low where they differ, each image by itself")
def agreement(answer: Callable) -> None:  # 24, exercise 2
    """The answer maps two teachers' logits, (n, classes) each, to weights (n,); any good rule passes."""
    one, two = 3 * torch.randn(40, 5), 3 * torch.randn(40, 5)
    got = answer(one, two)
    hint = "return a float tensor with one weight for each image: (n, classes) twice → (n,)"
    expect(torch.is_tensor(got) and got.shape == (40,) and got.is_floating_point(), hint)
    finite = bool(got.isfinite().all()) and bool((got >= 0).all()) and bool((got <= 1 + 1e-6).all())
    low, high = got.aminmax()
    expect(finite, f"weights must lie in [0, 1], and yours reach from {low:.3g} to {high:.3g}")
    sure = 12 * torch.eye(5)
    same, other = answer(sure.repeat(2, 1), torch.cat([sure, sure.roll(1, 0)])).split(5)
    got_of = f"got {same[0]:.2f} and {other[0]:.2f}"
    hint = f"teachers sure of the same class must get more than teachers sure of two, {got_of}"
    expect(bool((same > other).all()), hint)
    wide = bool((same >= 0.8).all()) and bool((other <= 0.2).all())
    expect(wide, f"make the two differ more than {same[0]:.2f} and {other[0]:.2f}: at least 0.8, at most 0.2")
    hint = "adding a number to all logits of an image changes no softmax, and must not change its weight"
    expect(close(got, answer(one + 5, two - 3), 1e-4), hint)
    expect(close(got, answer(two, one), 1e-4), "it must not matter which teacher comes first")
    hint = "an image's weight must not depend on the other images of the batch"
    expect(close(got[:1], answer(one[:1], two[:1]), 1e-4), hint)
    far = answer(torch.tensor([[1e4, -1e4]]), torch.tensor([[-1e4, 1e4]]))
    expect(bool(far.isfinite().all()), "logits of ±10,000 give NaN: take softmax, and no log of it")


@checks("right on average, whatever the probabilities: an image seen more often counts less each time")
def estimate(answer: Callable) -> None:  # 24, exercise 3
    """The answer maps drawn images' losses (m,), the probabilities (m,) they were drawn with and n to their mean."""
    everything = torch.tensor([0.2, 1.0, 4.0, 0.5, 2.5])
    n, wanted = len(everything), everything.mean()
    even = answer(everything[:3], torch.full((3,), 1 / n), n)
    expect(torch.is_tensor(even) and even.shape == (), "return a scalar tensor, the estimated mean")
    hint = f"with equal probabilities it must be the plain mean of the drawn, {everything[:3].mean():.3f}"
    expect(close(even, everything[:3].mean()), f"{hint}, and is {even.item():.3f}: divide by n · probability")
    for q in (torch.tensor([0.4, 0.1, 0.3, 0.1, 0.1]), torch.tensor([0.05, 0.05, 0.7, 0.1, 0.1])):
        pair = answer(everything[:2], q[:2], n)
        hint = "losses alone do not say how often an image is drawn: divide each by n times its probability"
        expect(not close(pair, everything[:2].mean()), hint)
        alone = [answer(everything[i : i + 1], q[i : i + 1], n).item() for i in range(n)]
        hint = "one draw gives just its own loss: dividing by the sum of 1 / probability makes it biased; divide by m"
        expect(not close(alone[2], everything[2]), hint)
        mean = sum(chance * value for chance, value in zip(q.tolist(), alone))
        hint = f"over all draws it is {mean:.3f} on average in place of {wanted:.3f}: an image drawn often counts less"
        expect(close(mean, wanted), hint)
        twos = sum(q[i] * q[j] * answer(everything[[i, j]], q[[i, j]], n) for i in range(n) for j in range(n))
        expect(close(twos, wanted), f"two draws give {float(twos):.3f} on average in place of {wanted:.3f}")
    loss = everything.clone().requires_grad_()
    through = answer(loss, torch.full((n,), 1 / n), n)
    expect(through.requires_grad, "the gradient is lost: compute with the losses as they are")
