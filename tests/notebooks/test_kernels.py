"""nbval's plugin: a start that fails is tried again and told of; the lesson's kernels stay within Binder's memory."""

import os
from pathlib import Path
from types import SimpleNamespace

import memory
import pytest
from kernels import again, too_large, within_binder
from nbclient.exceptions import DeadKernelError

DIED = RuntimeError("Kernel died")


def starting(fails, error=DIED):
    tries = []

    def start(name):
        tries.append(name)
        if len(tries) <= fails:
            raise error
        return f"{name} runs"

    return start, tries


@pytest.mark.parametrize("fails", [0, 1, 2])
def test_a_kernel_that_dies_at_its_start_is_started_again_and_told_of(fails, recwarn):
    start, tries = starting(fails)
    assert again(start, "python") == "python runs" and len(tries) == fails + 1
    told = {str(one.message) for one in recwarn}  # the same words once
    assert told == ({"a kernel did not start, and is started again: Kernel died"} if fails else set())


@pytest.mark.filterwarnings("ignore:a kernel did not start")
@pytest.mark.parametrize("error, tried", [(DIED, 3), (DeadKernelError("Kernel died"), 1), (OSError("none"), 1)])
def test_a_kernel_that_never_starts_is_an_error(error, tried):
    start, tries = starting(9, error)
    with pytest.raises(type(error)):
        again(start, "python")
    assert len(tries) == tried


@pytest.mark.parametrize("name, peak, complaint", [
    ("03_distil_a_student.ipynb", memory.BINDER - memory.SERVER, None),
    ("23_beyond_logits.ipynb", 5e9, None),  # not of the lesson
    ("03_distil_a_student.ipynb", 1.9e9,
     "had 1900 MB in memory: with 200 MB for the Jupyter server more than Binder's 2000 MB"),
])
def test_a_notebook_of_the_lesson_that_binder_does_not_hold_is_named(name, peak, complaint):
    assert too_large(name, peak) == (complaint and f"{name} {complaint}")


def test_what_the_runtimes_add_is_not_binders():
    assert too_large("04_cpu", 1.9e9, runtimes=True) is None
    assert "1900 MB" in too_large("04_cpu", 1.9e9, runtimes=False)
    assert "2100 MB" in too_large("04_cpu", 2.1e9, runtimes=True)
    assert "1900 MB" in too_large("03_a", 1.9e9, runtimes=True)



def ended(alive, monkeypatch, peak):
    """What the end of notebook 03 asked and did, and what it raised."""
    done = []
    monkeypatch.setattr(memory, "peak", lambda pid: done.append(f"looked at {pid == os.getpid()}") or peak)
    manager = SimpleNamespace(provisioner=SimpleNamespace(pid=os.getpid()))
    kernel = SimpleNamespace(is_alive=lambda: alive, km=manager)
    notebook = SimpleNamespace(kernel=kernel, path=Path("notebooks/03_distil_a_student.ipynb"))
    try:
        within_binder(lambda self: done.append("stopped"))(notebook)
    except AssertionError as error:
        done.append(str(error))
    return done


def test_memory_is_looked_at_before_the_kernel_is_stopped_and_complained_of_after(monkeypatch):
    assert ended(True, monkeypatch, 1e9) == ["looked at True", "stopped"]
    assert ended(False, monkeypatch, 9e9) == ["stopped"]
    *before, said = ended(True, monkeypatch, 3e9)
    assert before == ["looked at True", "stopped"] and said.startswith("03_distil_a_student.ipynb had 3000 MB")
