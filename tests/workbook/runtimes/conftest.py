"""What the runtimes' tests share: students, trained once, on one thread."""

import functools

import pytest
import torch

from kdlab import data, models
from kdlab.training import finish, train

STEPS = {"glyphs": 120, "digits": 150}


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def trained():
    """Maps names of a data set and of a student to both, trained; nobody may change them."""
    load = functools.cache(lambda name: data.load(name, train=1500, test=500) if name == "glyphs" else data.load(name))

    @functools.cache
    def of(dataset: str, name: str):
        pictures = load(dataset)
        student = models.build(name, pictures.shape, len(pictures.classes), seed=0)
        finish(train(student, pictures, steps=STEPS[dataset], batch_size=64, lr=1e-2))
        return pictures, student.eval()

    return of
