"""The methods on features against cases computed by hand, the properties that their papers claim, and bad input."""

import math

import pytest
import torch
from waves import wave

from workbook.methods.attention_transfer import attention
from workbook.methods.crd import contrastive
from workbook.methods.fitnets import hint, regressor
from workbook.methods.reviewkd import hierarchical_context
from workbook.methods.rkd import angle, distance, relational
from workbook.methods.similarity_preserving import similarity

STUDENT, TEACHER = wave(6, 4, 3, 3, phase=0.2), wave(6, 4, 3, 3, phase=0.5)
LOSSES = {
    "FitNets": hint, "AT": attention, "RKD distance": distance, "RKD angle": angle, "RKD": relational, "SP": similarity,
    "ReviewKD": hierarchical_context,
}
TURN = torch.linalg.qr(wave(36, 36, phase=0.9)).Q  # a rotation of 36 numbers


def of(name, student=STUDENT, teacher=TEACHER):
    return LOSSES[name](student_features=student, teacher_features=teacher)


def crd(student, teacher):
    return contrastive(student_features=student.flatten(1), teacher_features=teacher.flatten(1), images=50)


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_zero_where_student_equals_teacher_and_positive_elsewhere(name):
    assert of(name, teacher=STUDENT.clone()).item() == pytest.approx(0, abs=1e-12)
    assert of(name).item() > 1e-3


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_right_and_reach_the_student_alone(name):
    student, teacher = STUDENT[:4].clone().requires_grad_(), TEACHER[:4].clone().requires_grad_()
    of(name, student, teacher).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0
    assert torch.autograd.gradcheck(lambda s: of(name, s, TEACHER[:4]), (student,), fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", [*LOSSES, "CRD"])
def test_features_of_ten_thousand_and_equal_ones_give_a_finite_loss_and_gradient(name, dtype):
    huge = 1e4 * STUDENT.sign()
    for features in (huge, torch.zeros_like(huge), torch.ones_like(huge)):
        student = features.clone().to(dtype).requires_grad_()
        for teacher in (TEACHER, -huge, torch.zeros_like(huge), features):
            found = (of if name in LOSSES else lambda _, s, t: crd(s, t))(name, student, teacher.to(dtype))
            student.grad = None
            found.backward()
            assert found.dtype == torch.float32 and math.isfinite(found.item()) and student.grad.isfinite().all()


@pytest.mark.parametrize("name", [*LOSSES, "CRD"])
def test_an_image_for_which_a_layer_is_dead_and_two_equal_ones_do_not_blow_up_the_gradient(name):
    student = STUDENT.clone()
    student[0], student[2] = 0, student[1]
    student.requires_grad_()
    (of(name, student) if name in LOSSES else crd(student, TEACHER)).backward()
    assert student.grad.isfinite().all() and student.grad.abs().max() < 10


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("AT", lambda x: 3 * x),
        ("AT", lambda x: -x),
        ("AT", lambda x: torch.cat([x, x], 1)),
        ("RKD", lambda x: 3 * x),
        ("RKD", lambda x: x + 5),
        ("RKD", lambda x: x.flatten(1) @ TURN),
        ("RKD", lambda x: torch.cat([x.flatten(1), torch.zeros(6, 9)], 1)),
        ("SP", lambda x: -3 * x),
        ("SP", lambda x: x.flatten(1) @ TURN),
    ],
)
def test_what_a_paper_says_does_not_matter_does_not(name, change):
    torch.testing.assert_close(of(name, change(STUDENT), TEACHER), of(name))
    torch.testing.assert_close(of(name, STUDENT, change(TEACHER)), of(name))


def test_a_hint_by_hand_and_regressors_that_make_the_teachers_shape():
    student, teacher = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 2.0]])
    assert hint(student_features=student, teacher_features=teacher).item() == 4 / 2 / 2
    for mine, his in (((8, 6, 5), (3, 6, 5)), ((8, 6, 5), (3, 4, 1)), ((8,), (30,))):
        assert regressor(mine, his)(torch.zeros(2, *mine)).shape == (2, *his)


def test_attention_by_hand():
    student = torch.tensor([[[[1.0, 0.0]], [[1.0, 0.0]]]])  # all of it at the left
    teacher = torch.tensor([[[[0.0, 5.0]]]])  # all at the right, of one channel
    assert attention(student_features=student, teacher_features=teacher).item() == pytest.approx(math.sqrt(2))
    both = torch.tensor([[[[3.0, math.sqrt(12)]]]])  # squares 9 and 12: length 15
    found = attention(student_features=both, teacher_features=teacher).item()
    assert found == pytest.approx(math.hypot(9 / 15, 12 / 15 - 1))


def test_distances_by_hand():
    line = torch.tensor([[0.0], [1.0], [3.0]])  # distances 1, 2, 3, mean 2
    even = torch.tensor([[0.0, 0.0], [0.0, 2.0], [0.0, 4.0]])  # 2, 2, 4, mean 8/3
    gaps = [1 / 2 - 3 / 4, 2 / 2 - 3 / 4, 3 / 2 - 3 / 2]
    expected = 2 * sum(gap**2 / 2 for gap in gaps) / 9
    assert distance(student_features=line, teacher_features=even).item() == pytest.approx(expected)


def test_angles_by_hand():
    corner = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # cosines 0, √½, √½
    line = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])  # −1 in the middle, 1 at both ends
    at = math.sqrt(0.5)
    gaps = [0 - 1, at + 1, at - 1]  # at the first, the second, the third image
    huber = [gap**2 / 2 if abs(gap) < 1 else abs(gap) - 0.5 for gap in gaps]
    expected = 2 * sum(huber) / 27  # and the legs' own cosines, 1 on both sides, add nothing
    assert angle(student_features=corner, teacher_features=line).item() == pytest.approx(expected)


def test_similarity_by_hand():
    apart, alike = torch.eye(2), torch.ones(2, 3)  # rows (1, 0), (0, 1) and (√½, √½) twice
    expected = (2 * (1 - math.sqrt(0.5)) ** 2 + 2 * 0.5) / 4
    assert similarity(student_features=apart, teacher_features=alike).item() == pytest.approx(expected)


def test_contrastive_by_hand():
    student, teacher = torch.eye(2), torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    score = {(0, 0): 0.6, (0, 1): 1.0, (1, 0): 0.8, (1, 1): 0.0}
    h = {at: math.exp(s / 0.5) / (math.exp(s / 0.5) + 1 / 10) for at, s in score.items()}
    expected = -sum(math.log(p if i == j else 1 - p) for (i, j), p in h.items()) / 2
    found = contrastive(student_features=student, teacher_features=teacher, images=10, temperature=0.5)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_contrastive_is_least_where_every_image_goes_with_its_own():
    rows = torch.eye(4)
    own = contrastive(student_features=rows, teacher_features=rows, images=50)
    other = contrastive(student_features=rows, teacher_features=rows.roll(1, 0), images=50)
    assert own < other and own > 0


def test_contrastive_lets_the_teachers_embedding_learn():
    teacher = TEACHER.flatten(1).clone().requires_grad_()
    crd(STUDENT, teacher).backward()
    assert teacher.grad.abs().sum() > 0


def test_hierarchical_context_by_hand():
    student, teacher = torch.tensor([[[[4.0, 0.0], [0.0, 0.0]]]]), torch.zeros(1, 1, 2, 2)
    # 16/4 on the maps, 1² of their mean, weighed 1 and ½
    found = hierarchical_context(student_features=student, teacher_features=teacher)
    assert found.item() == pytest.approx((4 + 0.5 * 1) / 1.5)


@pytest.mark.parametrize("name", LOSSES)
def test_features_of_other_images_are_refused_in_a_sentence(name):
    with pytest.raises(ValueError, match=r"got .*6.* and .*5|got \(6, 4, 3, 3\) and \(5, 4, 3, 3\)"):
        of(name, STUDENT, TEACHER[:5])


@pytest.mark.parametrize(
    ("name", "student", "teacher", "words"),
    [
        ("FitNets", STUDENT[:, :2], TEACHER, r"got \(2, 3, 3\) and \(4, 3, 3\); put a `regressor` between them"),
        ("AT", STUDENT[..., :2], TEACHER, r"height and width, got \(6, 4, 3, 2\) of the student and \(6, 4, 3, 3\)"),
        ("AT", STUDENT.flatten(1), TEACHER, r"attention compares maps .* got \(6, 36\)"),
        ("ReviewKD", STUDENT[:, :2], TEACHER, r"must have one shape, got \(6, 2, 3, 3\) and \(6, 4, 3, 3\)"),
        ("RKD distance", STUDENT[:1], TEACHER[:1], "compares images with each other and needs 2 in a batch, got 1"),
        ("RKD angle", STUDENT[:2], TEACHER[:2], "needs 3 in a batch, got 2"),
    ],
)
def test_features_that_no_method_can_match_are_refused_in_a_sentence(name, student, teacher, words):
    with pytest.raises(ValueError, match=words):
        of(name, student, teacher)


@pytest.mark.parametrize("pair", [((8, 3, 3), (8, 6, 6)), ((8,), (8, 3, 3)), ((8, 3, 3), (8,))])
def test_a_regressor_that_cannot_be_is_refused(pair):
    with pytest.raises(ValueError, match="no regressor maps features .* choose layers where the student's maps are"):
        regressor(*pair)


def test_embeddings_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"embeddings must have one shape, got \(6, 36\) and \(6, 18\)"):
        contrastive(student_features=STUDENT.flatten(1), teacher_features=TEACHER.flatten(1)[:, :18], images=9)
