"""Files that are whole or not there, and a model's weights as one of them, refused where they do not fit."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from torch import nn


def write_whole(what: str, path: str | Path, content: bytes | Iterable[bytes]) -> None:
    """Writes a file to a temporary name in its folder, made where it is missing, and renames it when it is complete.

    The content is bytes, or an iterable of them for more than should be in memory at once.

    Raises:
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
    """Writes a model's weights as safetensors, by `write_whole`: an older file stays until the new one is complete."""
    from safetensors.torch import save

    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    write_whole("checkpoint", path, save(weights))


def read_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Reads weights that `write_weights` wrote into a model of the same name, shape and classes, and returns it.

    Raises:
        ValueError: the file is missing, damaged, or belongs to another model; the model stays as it was.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} is not a readable checkpoint: {error}") from None
    mine = {name: tensor.shape for name, tensor in model.state_dict().items()}
    theirs = {name: tensor.shape for name, tensor in weights.items()}
    if wrong := sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)):
        raise ValueError(f"{path} belongs to another model: {len(wrong)} tensors differ, the first is {wrong[0]}")
    model.load_state_dict(weights)
    return model
