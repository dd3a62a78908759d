"""What tests share: the digits, a teacher that has learned them, and its answers. Nobody may change them."""

import os
import signal
import threading

import hypothesis
import pytest

# What a shell runs in the background is born deaf to Ctrl-C, and so would be all that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes, or to make one, depends on what else the machine does, and is nothing that a test claims.
hypothesis.settings.register_profile(
    "any machine", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("any machine")
# Two workers on two cores: with as many threads as cores in each they wait for each other, and take 1.4 times the CPU.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def digits():
    """The data set that needs no download: 1,000 training and 797 test images, split by seed 0."""
    from kdlab import data

    return data.load("digits")


@pytest.fixture(scope="session")
def teacher(digits):
    """A small network that is right on over nine of ten new digits, in eval mode."""
    from workbook import recipe

    return recipe.teacher(digits, name="mlp-64", steps=150)


@pytest.fixture(scope="session")
def known(digits, teacher):
    """The bank of the teacher's answers to all training images."""
    from kdlab import bank

    return bank.fill(teacher, digits)
