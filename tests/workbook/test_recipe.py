"""The lesson's recipe gives what the same steps written out give."""

import torch

from kdlab import bank, data, models
from kdlab.evaluation import evaluate
from kdlab.training import Knobs, distil, finish, train
from workbook import recipe


def same(a, b):
    return all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))


def test_teacher_and_student_are_those_of_the_lesson_written_out():
    torch.set_num_threads(1)
    digits, before = data.load("digits", seed=20), torch.random.get_rng_state()
    teacher = models.build("mlp-512-512", digits.shape, 10, seed=20)
    finish(train(teacher, digits, steps=200, batch_size=64, lr=3e-3, weight_decay=1e-2, seed=20))
    assert same(recipe.teacher(digits, 20), teacher) and evaluate(teacher, digits).accuracy > 0.95
    answers, few = bank.fill(teacher, digits), digits.only(torch.arange(50))
    student = models.build("mlp-32", digits.shape, 10, seed=20)
    finish(distil(student, few, Knobs(1.0, 4.0, 1e-2), teacher=answers, steps=300))
    assert same(recipe.student(few, 20, answers), student)
    alone = models.build("mlp-32", digits.shape, 10, seed=20)
    finish(train(alone, few, steps=300, lr=1e-2))
    assert same(recipe.student(few, 20), alone)
    assert evaluate(student, digits).accuracy > evaluate(alone, digits).accuracy + 0.02
    assert torch.equal(before, torch.random.get_rng_state())  # other cells' random numbers stay as they were
