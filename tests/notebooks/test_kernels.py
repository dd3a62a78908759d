"""The plugin that starts a kernel again: it tells of it, gives up after three, and hands on what else goes wrong."""

import pytest
from kernels import again

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
@pytest.mark.parametrize("error, tried", [(DIED, 3), (OSError("no such kernel"), 1)])
def test_a_kernel_that_never_starts_is_an_error(error, tried):
    start, tries = starting(9, error)
    with pytest.raises(type(error)):
        again(start, "python")
    assert len(tries) == tried
