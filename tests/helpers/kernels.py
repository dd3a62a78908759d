"""A plugin of pytest for nbval: a kernel that dies at its start is started again, twice at most.

Two processes that start kernels in one moment may choose the same port, and then one of the kernels dies.
"""

import warnings

from nbval import kernel


def again(start, *args, **kwargs):
    """start(*args, **kwargs), which is tried three times, as long as it is a RuntimeError that it raises."""
    for left in (2, 1, 0):
        try:
            return start(*args, **kwargs)
        except RuntimeError as error:
            if not left:
                raise
            warnings.warn(f"a kernel did not start, and is started again: {error}", stacklevel=2)


def pytest_configure(config):
    start = kernel.start_new_kernel
    kernel.start_new_kernel = lambda *args, **kwargs: again(start, *args, **kwargs)
