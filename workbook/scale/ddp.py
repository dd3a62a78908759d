"""Data-parallel distillation: kdlab's loop, unchanged, in several processes, each with its shard of the images.

    torchrun --standalone --nproc-per-node 2 -m workbook.scale.ddp --state run.state --out student.safetensors
"""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from kdlab import bank, data, devices, files, losses, models, training
from kdlab.data import Dataset
from kdlab.training import Knobs, Step


@contextlib.contextmanager
def group() -> Iterator[torch.device]:
    """Joins the processes that torchrun has started, over gloo on CPUs and NCCL on GPUs; yields this one's device.

    ValueError: torchrun has not started this process.
    """
    if "RANK" not in os.environ:
        raise ValueError("no group of processes is here; start it with: torchrun --standalone --nproc-per-node 2 …")
    gpu = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if torch.cuda.is_available() else None
    distributed.init_process_group("nccl" if gpu else "gloo", device_id=gpu)
    try:
        yield gpu or torch.device("cpu")
    finally:
        distributed.destroy_process_group()


def shard(dataset: Dataset, rank: int, ranks: int) -> Dataset:
    """The images of one process: every so-manyth, as many for each; up to ranks − 1 images are left out."""
    return dataset.only(dataset.in_use[rank::ranks][: len(dataset.in_use) // ranks])


def distil(
    student: nn.Module, dataset: Dataset, knobs=Knobs(), *, steps: int, batch_size: int, state: Path | None = None,
    every: int = 100, method=losses.logits, **options,
) -> Iterator[Step]:
    """`kdlab.distil` in every process of the group, with a part of each batch; gradients are averaged in each step.

    A step equals that of one process with all parts in one batch, but for rounding, as long as the loss is a mean over
    images: batch norm, and methods that compare images with each other, see a part. Losses are those of the part.

    Args:
        student: the same weights in every process; trained in place.
        dataset, knobs, steps, method, options: as in `kdlab.distil`, the same in every process; teacher=Bank gives each
            its slice. A method with parameters is averaged as the student is.
        batch_size: of all processes together, a multiple of their number.
        state: a file to go on from where it exists; the first process writes it after every `every` steps.

    Yields Step. ValueError: sizes that do not fit; RuntimeError: another process is gone.
    """
    rank, ranks = distributed.get_rank(), distributed.get_world_size()
    part = shard(dataset, rank, ranks)
    if batch_size % ranks or not 0 < batch_size // ranks <= len(part.in_use):
        said = f"batch_size must be a multiple of the {ranks} processes, and at most {ranks * len(part.in_use)}"
        raise ValueError(f"{said}, got {batch_size}")
    settings = options.setdefault("settings", devices.fast(student, part.train.images.device))
    student.to(memory_format=torch.channels_last if settings.channels_last else torch.contiguous_format)
    learns = isinstance(method, nn.Module) and any(True for _ in method.parameters())
    options |= dict(method=DistributedDataParallel(method) if learns else method, batch_size=batch_size // ranks)
    options |= dict(resume=state) if state and Path(state).exists() else {}
    for step in training.distil(DistributedDataParallel(student), part, knobs, steps=steps, **options):
        if state and rank == 0 and (step.step % every == 0 or step.step == steps):
            training.save_state(step, state)
        yield step


def read(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command's arguments ask for; None takes those of the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("student", "mlp-32"), ("steps", 300), ("batch-size", 64), ("every", 100), ("seed", 0)):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--teacher", type=Path, help="a bank of the digits' teacher; without it labels alone")
    parser.add_argument("--state", type=Path, help="goes on from this file where it exists, and writes it")
    parser.add_argument("--out", type=Path, help="the student's weights, as safetensors")
    return parser.parse_args(arguments)


def run(given: argparse.Namespace, device: torch.device) -> None:
    """Trains a student of the digits in this process of the group, as `read` says."""
    digits, done = data.load("digits", seed=given.seed), 0
    student = models.build(given.student, digits.shape, len(digits.classes), seed=given.seed).to(device)
    options = dict(steps=given.steps, batch_size=given.batch_size, every=given.every, seed=given.seed)
    options |= {"teacher": bank.read(given.teacher, digits)} if given.teacher else {}

    def end(*_) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what follows is not said twice
        goes_on = f"the same command goes on from {given.state}" if given.state else "begin again"
        sys.exit(f"after step {done} another process was gone, or the job was stopped; {goes_on}")

    signal.signal(signal.SIGTERM, end)  # of torchrun, which ends the others often before they have noticed themselves
    try:
        for step in distil(student, digits.to(device), state=given.state, **options):
            done = step.step
    except RuntimeError as error:
        if isinstance(error, distributed.DistError) or "gloo" in str(error):
            end()
        raise
    if given.out and distributed.get_rank() == 0:
        files.write_weights(student, given.out)


def main() -> None:
    given = read()
    torch.set_num_threads(1)
    try:
        with group() as device:
            run(given, device)
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
