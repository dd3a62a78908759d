"""The kernel that notebooks run on where no front end chooses it, and its start, which may have to be tried again."""

from collections.abc import Callable
from typing import TypeVar

from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

T = TypeVar("T")


class ThisPython(AsyncKernelManager):
    """Starts the Python that runs this module, whatever kernels are registered, without its start-up warnings."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict(["--log-level=CRITICAL"]))


def retried(execute: Callable[[], T], before: Callable[[Exception | None], object] = lambda died: None) -> T:
    """What `execute` returns; where its kernel dies before it has answered, it is called again, twice at most.

    Two kernels that start in one moment may choose one port, and then one of them dies.

    Args:
        execute: starts a kernel; a plain RuntimeError of its says that the kernel has never answered.
        before: called before each start, with the error of the one before it, or None.
    """
    died = None
    for left in (2, 1, 0):
        before(died)
        try:
            return execute()
        except RuntimeError as error:
            if type(error) is not RuntimeError or not left:  # another kind comes from a kernel that ran
                raise
            died = error
