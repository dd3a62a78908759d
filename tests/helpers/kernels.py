"""A plugin of pytest for nbval: kernels are started again where they die at once, and the lesson's are kept small.

Two processes that start kernels in one moment may choose the same port, and then one of the kernels dies: it is started
again, twice at most. A notebook of the lesson that needs more memory than Binder gives, with its own parameters and the
Jupyter server counted, is an error after its last cell. Notebook 04 loads all runtimes that are installed, and Binder's
image has none: where they are here, it may have what else is the server's.
"""

import importlib.util
import os
import re
import warnings

import memory
from nbval import kernel, plugin

from workbook.kernels import retried

RUNTIMES = importlib.util.find_spec("onnxruntime") is not None


def again(start, *args, **kwargs):
    """start(*args, **kwargs), by `workbook.kernels.retried`, which is told of where it has to try again."""

    def tell(died):
        if died:
            warnings.warn(f"a kernel did not start, and is started again: {died}", stacklevel=4)

    return retried(lambda: start(*args, **kwargs), tell)


def too_large(name, peak, runtimes=RUNTIMES):
    """The sentence for a notebook of the lesson that does not fit Binder; None for one that does, or for a lab."""
    spare = 0 if runtimes and name.startswith("04_") else memory.SERVER
    if re.match(r"0\d_", name) and peak + spare > memory.BINDER:
        had, server, binder = (f"{amount / 1e6:.0f} MB" for amount in (peak, spare, memory.BINDER))
        return f"{name} had {had} in memory: with {server} for the Jupyter server more than Binder's {binder}"
    return None


def within_binder(teardown):
    """The end of a notebook, with the kernel's peak of memory looked at before the kernel is stopped."""

    def end(self):
        alive = self.kernel is not None and self.kernel.is_alive()
        peak = memory.peak(self.kernel.km.provisioner.pid) if alive else 0
        teardown(self)
        if complaint := too_large(self.path.name, peak):
            raise AssertionError(complaint)

    return end


def pytest_configure(config):
    if "PYTEST_XDIST_WORKER" in os.environ:  # as in tests/conftest.py, which notebooks do not read
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    start = kernel.start_new_kernel
    kernel.start_new_kernel = lambda *args, **kwargs: again(start, *args, **kwargs)
    plugin.IPyNbFile.teardown = within_binder(plugin.IPyNbFile.teardown)
