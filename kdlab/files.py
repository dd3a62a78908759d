"""A model's weights as a file that is whole or not there, and that is refused where it does not fit."""

import os
import tempfile
from pathlib import Path

from torch import nn


def write_whole(what: str, path: str | Path, content: bytes) -> None:
    """Writes a file to a temporary name in its folder and renames it, so that it is there whole or not at all.

    Args:
        what: the file's kind, for the error's sentence.
        path: the file; its folder is made where it is missing.
        content: all of it.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing half-written remains.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as folder:
            (Path(folder) / path.name).write_bytes(content)
            os.replace(Path(folder) / path.name, path)
    except OSError as error:
        raise OSError(f"could not write the {what} {path}: {error}; nothing was changed there") from None


def save(model: nn.Module, path: str | Path) -> None:
    """Writes a model's weights as safetensors, to a temporary name first; an older file stays until it is done.

    Args:
        model: any module.
        path: the file to write.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing half-written remains.
    """
    from safetensors.torch import save as packed

    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    write_whole("checkpoint", path, packed(weights))


def load(model: nn.Module, path: str | Path) -> nn.Module:
    """Reads weights that `save` wrote into a model of the same kind.

    Args:
        model: built with the same name, shape and classes.
        path: the file.

    Returns:
        The same model.

    Raises:
        ValueError: the file is missing, damaged, or belongs to another model; the model stays as it was.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} is not a readable checkpoint: {error}") from None
    mine = model.state_dict()
    wrong = sorted(
        name for name in mine.keys() | weights.keys()
        if name not in mine or name not in weights or mine[name].shape != weights[name].shape
    )
    if wrong:
        raise ValueError(f"{path} belongs to another model: {len(wrong)} tensors differ, the first is {wrong[0]}")
    model.load_state_dict(weights)
    return model
