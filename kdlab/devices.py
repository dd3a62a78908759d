"""What hardware is here, how to wait for it, and which fast settings it has a use for.

Models and data move themselves; this module only finds, names, synchronizes and counts.
"""

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

# Linux hands out memory in pages of 4 kB, each with a fault when it is first written. torch asks for pages of 2 MB where
# this says so before its first tensor, and a large network trains faster. Set it to 0 to keep the small ones.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

_ACCELERATORS = ("cuda", "mps", "xpu", "xla")


def available() -> list[str]:
    """Names of the devices that torch can use here, "cpu" first, then one name for each accelerator.

    Returns:
        For instance ["cpu"] or ["cpu", "cuda:0", "cuda:1"]. "xla" appears when torch_xla is installed.
    """
    names = ["cpu"]
    for kind in _ACCELERATORS:
        if kind == "xla":
            names += ["xla"] if _has_xla() else []
        elif kind == "mps":
            names += ["mps"] if torch.backends.mps.is_available() else []
        elif getattr(torch, kind).is_available():
            names += [f"{kind}:{i}" for i in range(getattr(torch, kind).device_count())]
    return names


def choose(name: str = "auto") -> torch.device:
    """The device of that name, refused in one sentence when it is not here.

    Args:
        name: "auto" takes the first accelerator, or the CPU where there is none; otherwise a name such as
            "cpu", "cuda", "cuda:1", "mps".

    Returns:
        A torch.device; a kind without a number becomes its first device.

    Raises:
        ValueError: no such device here.
    """
    here = available()
    if name == "auto":
        return _device(here[1] if len(here) > 1 else "cpu")
    for found in here:
        if name == found or name == found.split(":")[0]:
            return _device(found)
    raise ValueError(f"device {name!r} is not available here; this machine has {', '.join(here)} (or device='auto')")


def describe(device: torch.device | str) -> str:
    """One line that a person recognises: the processor's or the accelerator's name, with its size.

    Args:
        device: as returned by `choose`, or its name.

    Returns:
        For instance "Intel(R) Xeon(R) Processor, 2 cores, AVX512" or "NVIDIA H100, 80 GB".
    """
    device = torch.device(device)
    if device.type == "cpu":
        return f"{_processor()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}"
    if device.type in ("cuda", "xpu"):
        found = getattr(torch, device.type).get_device_properties(device)
        return f"{found.name}, {found.total_memory / 1e9:.0f} GB"
    return {"mps": f"Apple GPU ({platform.machine()})"}.get(device.type, device.type)


def synchronize(device: torch.device | str) -> None:
    """Waits until everything that was given to the device is done. On the CPU there is nothing to wait for.

    Args:
        device: any device of `available`.
    """
    device = torch.device(device)
    if device.type == "xla":
        import torch_xla

        torch_xla.sync(wait=True)
    elif device.type == "mps":
        torch.mps.synchronize()
    elif device.type != "cpu":
        getattr(torch, device.type).synchronize(device)


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Runs its block with that many CPU threads inside an operation, and restores the number afterwards.

    Args:
        count: >= 1; None leaves the setting alone.

    Raises:
        ValueError: count < 1.
    """
    if count is not None and count < 1:
        raise ValueError(f"threads must be >= 1, got {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def autocast_dtype(device: torch.device | str) -> torch.dtype | None:
    """bfloat16 where the hardware computes in it, None where it would only be imitated.

    Args:
        device: any device of `available`.

    Returns:
        torch.bfloat16 for CPUs with AVX512-BF16 or AMX and for CUDA from compute capability 8.0; else None.
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


def fast(
    model: nn.Module, device: torch.device | str, *, channels_last: bool = True, bf16: bool = True, fused: bool = True
) -> Settings:
    """The settings that make a training of this model fast on this device, each by a rule, with its reason.

    What they gain is measured by benchmarks/training_speed.py: results/ has the factors, with them and without.

    Args:
        model: whose layers decide.
        device: any device of `available`.
        channels_last, bf16, fused: False switches that setting off.

    Returns:
        Settings.
    """
    device = torch.device(device)
    convolves = any(isinstance(module, nn.Conv2d) for module in model.modules())
    dtype = autocast_dtype(device)
    rules = {
        "channels_last": (channels_last, convolves, "convolutions read the channels of a pixel together",
                          "there is no convolution"),
        "bf16": (bf16, convolves and dtype is not None, f"{device.type} computes convolutions in bfloat16",
                 "the hardware would only imitate it" if convolves else
                 "without convolutions the casts cost more than they save"),
        "fused": (fused, device.type in ("cpu", "cuda", "mps", "xpu"), "one call updates all weights",
                  f"torch has no fused optimizer for {device.type}"),
    }  # name: wanted, useful, why, why not
    on = {name: wanted and useful for name, (wanted, useful, _, _) in rules.items()}
    reasons = tuple(
        f"{name}: {'on, ' + why if on[name] else 'off, ' + (why_not if wanted else 'switched off')}"
        for name, (wanted, _, why, why_not) in rules.items()
    )
    return Settings(on["channels_last"], dtype if on["bf16"] else None, on["fused"], reasons)


def _device(name: str) -> torch.device:
    if name == "xla":
        import torch_xla

        return torch_xla.device()
    return torch.device(name)


def _has_xla() -> bool:
    try:
        import torch_xla  # noqa: F401
    except Exception:  # a torch_xla made for another torch fails in many ways
        return False
    return True


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
