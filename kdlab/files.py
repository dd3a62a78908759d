"""Files that are whole or not there: weights, and the states of a run; and work that is not cut in two."""

import contextlib
import io
import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import nn


def write_whole(what: str, path: str | Path, content: bytes | Iterable[bytes]) -> None:
    """Writes a file to a temporary name in its folder, made where it is missing, and renames it when it is complete.

    The content is bytes, or an iterable of them for more than should be in memory at once.

    OSError: the disk is full or the folder cannot be written; nothing half-written remains. It names `what` it is.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as folder:
            part = Path(folder) / path.name
            if isinstance(content, bytes):
                part.write_bytes(content)
            else:
                with part.open("wb") as file:
                    file.writelines(content)
            os.replace(part, path)
    except OSError as error:
        raise OSError(f"could not write the {what} {path}: {error}; nothing was changed there") from None


def write_weights(model: nn.Module, path: str | Path) -> None:
    """Writes a model's weights as safetensors, by `write_whole`: an older file stays until the new one is complete.

    A model that was compiled writes the names of the plain one.
    """
    from safetensors.torch import save

    weights = {_plain(name): tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    write_whole("checkpoint", path, save(weights))


def read_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Reads weights that `write_weights` wrote into a model of the same name, shape and classes, and returns it.

    ValueError: the file is missing, damaged, or belongs to another model; the model stays as it was.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} is not a readable checkpoint: {error}") from None
    mine = {_plain(name): tensor.shape for name, tensor in model.state_dict().items()}
    theirs = {name: tensor.shape for name, tensor in weights.items()}
    if wrong := sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)):
        raise ValueError(f"{path} belongs to another model: {len(wrong)} tensors differ, the first is {wrong[0]}")
    model.load_state_dict({name: weights[_plain(name)] for name in model.state_dict()})
    return model


def _plain(name: str) -> str:
    return name.replace("_orig_mod.", "")  # what torch.compile puts before the names of what it wraps


def write_state(path: str | Path, state: Mapping, device: torch.device) -> None:
    """Writes a run's state, "step", "run" and a state_dict for each part, with that of the device's random numbers."""
    kinds, content = dict.fromkeys(("cpu", device.type)), io.BytesIO()
    random = {kind: (torch if kind == "cpu" else getattr(torch, kind)).get_rng_state() for kind in kinds}
    torch.save({"random": random, **state}, content)
    write_whole("state", path, content.getvalue())


def read_state(path: str | Path, parts: Mapping, run: Mapping, device: torch.device) -> int:
    """Puts what `write_state` wrote into these parts, by name, and into torch's random numbers; returns the step.

    ValueError: the file is missing, damaged, or was made with another `run` or other parts; nothing was changed.
    """
    try:
        state = torch.load(path, weights_only=True, map_location=device)
        step, made, random = (state.pop(key) for key in ("step", "run", "random"))
    except Exception as error:  # a damaged file raises many kinds
        raise ValueError(f"{path} is not a readable state of a run: {type(error).__name__}: {error}") from None
    shapes = [{name: _shapes(part) for name, part in held.items()} for held in (state, parts)]
    differs = [f"{key} {made.get(key)} in place of {value}" for key, value in run.items() if made.get(key) != value]
    if differs or shapes[0] != shapes[1]:
        said = ", ".join(differs) or "its weights or its optimizer are others"
        raise ValueError(f"{path} belongs to another run: {said}; resume it with the arguments that it was made with")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    for kind, numbers in random.items():
        (torch if kind == "cpu" else getattr(torch, kind)).set_rng_state(numbers.cpu())
    return step


def _shapes(part) -> list | dict:
    state = part if isinstance(part, Mapping) else part.state_dict()
    if "param_groups" in state:  # an optimizer's, whose tensors come with its first step
        return [{key: value for key, value in group.items() if key != "lr"} for group in state["param_groups"]]
    return {name: value.shape for name, value in state.items()}


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """Holds Ctrl-C back until its block is done; other threads do not receive it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        signal.raise_signal(signal.SIGINT)
