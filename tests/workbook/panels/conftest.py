"""What the tests of the training panel share: a taught bank, one thread, and a wait that has an end."""

import threading
import time

import pytest
import torch
from matplotlib.figure import Figure


@pytest.fixture
def taught(digits, known):
    """The digits, and a teacher's bank."""
    return digits, known


@pytest.fixture
def until():
    """Waits until a condition holds."""

    def until(condition, what, seconds=120):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            time.sleep(0.005)

    return until


@pytest.fixture
def ours():
    """The panels' threads that are alive."""
    return lambda: [thread for thread in threading.enumerate() if thread.name.startswith("kdlab")]


@pytest.fixture(autouse=True)
def one_thread():
    """The same numbers on any machine, and no threads of torch that wait for each other on a busy one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def figures(monkeypatch):
    """Every Figure that a panel draws, newest last."""
    seen, save = [], Figure.savefig

    def saved(self, *args, **kwargs):
        seen.append(self)
        return save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", saved)
    return seen
