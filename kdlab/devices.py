"""What hardware is here, how to wait for it, and which fast settings it has a use for.

Models and data move themselves; this module only finds, names, synchronizes and counts.
"""

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def available() -> list[str]:
    """Names of the devices that torch can use here: "cpu", then one for each accelerator, such as "cuda:1" or "mps"."""
    names = ["cpu"]
    for kind in ("cuda", "mps", "xpu"):
        here = torch.backends.mps if kind == "mps" else getattr(torch, kind)
        if here.is_available():
            names += ["mps"] if kind == "mps" else [f"{kind}:{i}" for i in range(here.device_count())]
    return names


def choose(name: str = "auto") -> torch.device:
    """The device of that name, such as "cpu", "cuda", "cuda:1" or "mps"; a kind without a number is its first device.

    "auto" takes the first accelerator, or the CPU where there is none. ValueError: it is not here.
    """
    here = available()
    if name == "auto":
        return torch.device(here[1] if len(here) > 1 else "cpu")
    for found in here:
        if name in (found, found.split(":")[0]):
            return torch.device(found)
    raise ValueError(f"device {name!r} is not available here; this machine has {', '.join(here)} (or device='auto')")


def describe(device: torch.device | str) -> str:
    """One line that a person recognises, such as "NVIDIA H100, 80 GB" or "AMD EPYC, 2 cores, AVX512"."""
    device = torch.device(device)
    if device.type == "cpu":
        return f"{_processor()}, {cores()} cores, {torch.backends.cpu.get_cpu_capability()}"
    if device.type in ("cuda", "xpu"):
        found = getattr(torch, device.type).get_device_properties(device)
        return f"{found.name}, {found.total_memory / 1e9:.0f} GB"
    return {"mps": f"Apple GPU ({platform.machine()})"}.get(device.type, device.type)


def synchronize(device: torch.device | str) -> None:
    """Waits until everything that was given to the device is done. On the CPU there is nothing to wait for."""
    device = torch.device(device)
    if device.type == "mps":
        torch.mps.synchronize()
    elif device.type != "cpu":
        getattr(torch, device.type).synchronize(device)


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Runs its block with so many CPU threads inside an operation, >= 1 (None: as many as now), and restores them."""
    if count is not None and count < 1:
        raise ValueError(f"threads must be >= 1, got {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cores() -> int:
    """CPU cores that this process may use: its affinity, and a container's quota (cgroup's cpu.max), count."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CPU_MAX.read_text().split()
        return max(1, min(here, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup, or no quota in it
        return here


def huge_pages() -> None:
    """Has torch take large tensors' memory in pages of 2 MB in place of 4 kB, and keep it from step to step.

    A large network trains faster: the system clears no pages for a tensor where one of the step before has been. Up to
    1 GB that is free stays with the process. Linux only, the keeping with glibc, and the pages only where it is called
    before the process's first tensor; a THP_MEM_ALLOC_ENABLE that is set stays.
    """
    if os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1") != "1":
        return  # without the pages' alignment glibc would leave holes
    with contextlib.suppress(OSError):  # another C library
        libc = ctypes.CDLL("libc.so.6")
        if libc.mallopt(-3, 1 << 30):  # M_MMAP_THRESHOLD; an old glibc refuses more than 32 MB, and keeps its own rules
            libc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD


def autocast_dtype(device: torch.device | str) -> torch.dtype | None:
    """torch.bfloat16 where the hardware computes in it, None where it would only be imitated.

    CPUs with AVX512-BF16 or AMX do, CUDA from compute capability 8.0, and Intel's GPUs.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else None
    if device.type == "xpu":
        return torch.bfloat16
    if device.type == "cpu" and platform.machine() in ("x86_64", "AMD64"):
        # torch has no public question for this yet
        return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else None
    return None


@dataclass(frozen=True)
class Settings:
    """How a training runs: `channels_last` memory, `autocast` to a type or None, a `fused` optimizer; and why.

    `print` shows the `reasons`, a line for each. Settings() is plain float32 training.
    """

    channels_last: bool = False
    autocast: torch.dtype | None = None
    fused: bool = False
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.reasons)


def fast(model: nn.Module, device: torch.device | str) -> Settings:
    """The settings that make a training of this model fast on this device, each by a rule, with its reason.

    What they gain is measured by benchmarks/training_speed.py. `dataclasses.replace` switches one of them off.

    Args:
        model: whose layers decide.
        device: any device of `available`.
    """
    device, convolves = torch.device(device), any(isinstance(module, nn.Conv2d) for module in model.modules())
    dtype = autocast_dtype(device) if convolves else None
    rules = [
        ("channels_last", convolves, "convolutions read the channels of a pixel together", "there is no convolution"),
        ("bf16", dtype, f"{device.type} computes convolutions in bfloat16", "the hardware would only imitate it"
         if convolves else "without convolutions the casts cost more than they save"),
        ("fused", device.type in ("cpu", "cuda", "mps", "xpu"), "one call updates all weights",
         f"torch has no fused optimizer for {device.type}"),
    ]
    reasons = (f"{name}: {f'on, {why}' if useful else f'off, {why_not}'}" for name, useful, why, why_not in rules)
    return Settings(convolves, dtype, rules[2][1], tuple(reasons))


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
