"""Losses on a language model's tokens against cases by hand, other people's formulas, hard numbers and bad input."""

import functools
import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch.nn import functional as F
from waves import wave

from workbook.methods.token_level import tokens_loss
from workbook.methods.top_k import Top, top_k, top_k_loss
from workbook.methods.uld import universal

STUDENT, TEACHER = (wave(6, 5, phase=phase).view(2, 3, 5) for phase in (0.0, 0.7))


def of_top(rest, student_logits, teacher_logits):
    return top_k_loss(student_logits=student_logits, teacher=top_k(teacher_logits, 2), rest=rest)


LOSSES = {f"beta {beta}": functools.partial(tokens_loss, beta=beta) for beta in (0.0, 0.3, 0.5, 1.0)}
LOSSES |= {"top k": functools.partial(of_top, False), "top k, rest": functools.partial(of_top, True), "ULD": universal}


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "top k"])
def test_zero_where_both_agree_positive_elsewhere_and_the_gradient_is_right(name):
    loss = LOSSES[name]
    assert loss(student_logits=TEACHER.clone(), teacher_logits=TEACHER).item() == pytest.approx(0, abs=1e-9)
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    assert loss(student_logits=student, teacher_logits=teacher).item() > 1e-3
    loss(student_logits=student, teacher_logits=teacher).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0
    assert torch.autograd.gradcheck(lambda s: loss(student_logits=s, teacher_logits=TEACHER), (student,))


EXTREME = torch.tensor([[1e4, -1e4, 0.0, 5.0], [-1e4, 1e4, 1e4, 1.0], [0.0, 0.0, 0.0, 0.0], [1e4, 1e4, 1e4, 1e4]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("temperature", [0.05, 1.0])
@pytest.mark.parametrize("name", LOSSES)
def test_logits_of_ten_thousand_give_a_finite_loss_and_gradient(name, temperature, dtype):
    for teacher in (-EXTREME, EXTREME, EXTREME.flip(0)):
        student = EXTREME.clone().to(dtype).requires_grad_()
        options = {} if name.startswith("top") else {"temperature": temperature}
        found = LOSSES[name](student_logits=student, teacher_logits=teacher.to(dtype), **options)
        found.backward()
        assert found.dtype == torch.float32 and math.isfinite(found.item()) and not student.grad.isnan().any()
        if name != "beta 1.0" or dtype != torch.float16:  # there the gradient is over 65,504, where float16 ends
            assert student.grad.isfinite().all()


def test_both_directions_are_torchs_and_the_middle_is_scipys():
    log_q, log_p = STUDENT.log_softmax(-1), TEACHER.log_softmax(-1)
    both = dict(student_logits=STUDENT, teacher_logits=TEACHER)
    each = dict(reduction="none", log_target=True)
    assert torch.allclose(tokens_loss(**both), F.kl_div(log_q, log_p, **each).sum(-1).mean())
    assert torch.allclose(tokens_loss(**both, beta=1.0), F.kl_div(log_p, log_q, **each).sum(-1).mean())
    middle = jensenshannon(log_p.exp().numpy(), log_q.exp().numpy(), axis=-1) ** 2
    assert tokens_loss(**both, beta=0.5).item() == pytest.approx(middle.mean(), rel=1e-5)


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_between_the_ends_it_is_the_formula_of_trl(beta):
    log_q, log_p = STUDENT.log_softmax(-1), TEACHER.log_softmax(-1)
    share = torch.tensor(beta, dtype=log_q.dtype)
    log_m = torch.logsumexp(torch.stack([log_q + torch.log1p(-share), log_p + torch.log(share)]), 0)
    one, other = (F.kl_div(log_m, x, reduction="none", log_target=True) for x in (log_p, log_q))
    wanted = (share * one + (1 - share) * other).sum(-1).mean()
    assert torch.allclose(tokens_loss(student_logits=STUDENT, teacher_logits=TEACHER, beta=beta), wanted)


def test_by_hand_and_what_is_masked_has_no_say():
    student, teacher = torch.zeros(1, 2, 2), torch.tensor([[[math.log(3.0), 0.0], [math.nan, 0.0]]])
    mask = torch.tensor([[True, False]])
    found = tokens_loss(student_logits=student, teacher_logits=teacher, mask=mask)
    assert found.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), rel=1e-5)


def test_the_best_student_of_scaled_k_forgets_the_rest_and_with_the_rest_it_does_not():
    teacher, ends = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log(), {}
    for rest in (False, True):
        student = torch.zeros(1, 4, requires_grad=True)
        optimizer = torch.optim.Adam([student], lr=0.2)
        for _ in range(200):
            optimizer.zero_grad()
            top_k_loss(student_logits=student, teacher=top_k(teacher, 2), rest=rest).backward()
            optimizer.step()
        ends[rest] = student.detach().softmax(-1)[0]
    assert torch.allclose(ends[False], torch.tensor([4 / 7, 3 / 7, 0, 0]), atol=0.01)
    assert torch.allclose(ends[True], torch.tensor([0.4, 0.3, 0.15, 0.15]), atol=0.01)


def test_uld_by_hand_and_blind_to_names():
    student, teacher = torch.tensor([[0.5, 0.3, 0.2]]).log(), torch.tensor([[0.1, 0.9]]).log()
    found = universal(student_logits=student, teacher_logits=teacher)
    assert found.item() == pytest.approx(0.4 + 0.2 + 0.2, rel=1e-5)
    assert universal(student_logits=TEACHER.flip(-1), teacher_logits=TEACHER).item() == pytest.approx(0, abs=1e-9)


BAD = [
    (lambda: tokens_loss(student_logits=torch.zeros(2, 151_936), teacher_logits=torch.zeros(2, 152_064)),
     "student's vocabulary has 151936 entries and the teacher's 152064; cut what only pads"),
    (lambda: tokens_loss(student_logits=STUDENT, teacher_logits=TEACHER, mask=torch.zeros(2, 3, dtype=torch.bool)),
     "the mask is empty"),
    (lambda: tokens_loss(student_logits=STUDENT, teacher_logits=TEACHER[:1]), "logits of one shape"),
    (lambda: tokens_loss(student_logits=STUDENT, teacher_logits=TEACHER, beta=1.5), "beta in"),
    (lambda: tokens_loss(student_logits=STUDENT, teacher_logits=TEACHER, temperature=0.0), "temperature > 0"),
    (lambda: top_k(TEACHER, 5), "k must be in 1 .. 4"),
    (lambda: top_k_loss(student_logits=STUDENT, teacher=Top(*(x[:1] for x in top_k(TEACHER, 2)))), "must be"),
    (lambda: universal(student_logits=STUDENT, teacher_logits=TEACHER[:, :2]), "same places"),
    (lambda: universal(student_logits=STUDENT, teacher_logits=TEACHER, temperature=0.0), "temperature must be > 0"),
]


@pytest.mark.parametrize("call, words", BAD)
def test_what_does_not_fit_is_refused_in_one_sentence(call, words):
    with pytest.raises(ValueError) as refused:
        call()
    assert words in str(refused.value) and "\n" not in str(refused.value)
