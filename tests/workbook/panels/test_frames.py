"""What the training panel shows of a run: bounded tables, telling images, and the teacher's share of the gradient."""

import pytest
import torch

from kdlab import losses, training
from workbook.panels import frames, session
from workbook.panels.session import Choice, Session


def test_a_frame_does_not_grow_with_the_run(taught, monkeypatch):
    monkeypatch.setattr(session, "LIMIT", 40)
    digits, known = taught
    log = [{"step": n, "alpha": n % 2, "temperature": 4.0, "lr": 0.01} for n in range(1, 121)]
    run, looked = Session(Choice("mlp-16", "teacher", 20, 0, 120), digits, known, None, log=log, evaluate_every=2), []
    run.watch = lambda run: looked.append([len(table) // 4 for table in frames.frame(run, torch.tensor([0, 1, 2]))[1]])
    run.drive()
    losses, found, turned, soft = looked[-1]
    assert losses <= 4 * 41 and found <= 2 * 21 and turned <= 4 * 21 and soft == 2 * 3 * 10


def test_a_frame_holds_the_losses_in_the_order_that_the_canvas_reads(taught):
    digits, known = taught
    run = Session(Choice("mlp-16", "teacher", 20, 0, 3), digits, known, training.Knobs)
    assert [len(table) for table in frames.frame(run, torch.tensor([0]))[1]] == [0] * 4
    run.drive()
    header, (table, *_) = frames.frame(run, torch.tensor([0]))
    values = torch.frombuffer(bytearray(table), dtype=torch.float32).view(-1, 4).tolist()
    assert values == [[s.step, *map(pytest.approx, (s.soft, s.hard, s.loss))] for s in run.history]
    assert header["temperature"] == 4.0 and header["share"] == 1.0  # alpha is 1


def test_the_gradients_share_is_what_autograd_says(taught):
    digits, known = taught
    student = torch.randn(8, 10, generator=torch.Generator().manual_seed(1), requires_grad=True)
    teacher, labels = known.logits[:8], digits.train.labels[:8]
    soft, = torch.autograd.grad(losses.soft_loss(student, teacher, 3.0), student)
    hard, = torch.autograd.grad(losses.hard_loss(student, labels), student)
    share = 0.7 * soft.norm() / (0.7 * soft.norm() + 0.3 * hard.norm())
    assert frames.gradient_share(student, teacher, labels, 0.7, 3.0) == pytest.approx(share.item(), abs=1e-5)
    assert frames.gradient_share(student, teacher, labels, 0.0, 3.0) == 0


def test_the_images_shown_are_unseen_uncertain_and_of_different_classes(taught):
    digits, known = taught
    looked = frames.telling(known, digits, 50)
    certain = losses.soft_targets(known.logits, 1.0).amax(1)
    assert looked.min() >= 50 and len(set(digits.train.labels[looked].tolist())) == 3
    assert certain[looked].max() < certain.median()
