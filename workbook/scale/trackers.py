"""TensorBoard and Weights & Biases as consumers of a training: they pass its steps on, and write them down.

    for step in trackers.tensorboard(distil(…), "runs/alpha-1"):
        …
    finish(trackers.wandb(distil(…), "runs", config={"alpha": 1.0}))

The loop knows nothing of them. Every part of the loss is written by its name, and the knobs beside it.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kdlab.training import Step

NAMES = ("none", "tensorboard", "wandb")  # what a notebook's parameter may choose


def track(steps: Iterable[Step], tracker: str, folder: str | Path, **options) -> Iterable[Step]:
    """The steps, written down by one of NAMES; "none" hands them back as they are. ValueError: another name."""
    if tracker not in NAMES:
        raise ValueError(f"tracker must be one of {', '.join(NAMES)}, got {tracker!r}")
    if tracker == "none":
        return steps
    return (tensorboard if tracker == "tensorboard" else wandb)(steps, folder, **options)


def tensorboard(steps: Iterable[Step], folder: str | Path, *, every: int = 1) -> Iterator[Step]:
    """Passes the steps on, and writes every so-manyth into the folder; `tensorboard --logdir FOLDER` shows them.

    Args:
        steps: of `kdlab.distil`, which is closed with this generator.
        folder: made where it is not there; one for each run.
        every: >= 1: an accelerator is waited for where a step is written.

    ValueError: TensorBoard is not installed, or every < 1.
    """
    _check(every)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError("TensorBoard is not installed: pip install -e '.[tracking]'") from None
    with SummaryWriter(str(folder)) as writer:
        for step in _closing(steps):
            if step.step % every == 0:
                for name, value in _values(step).items():
                    writer.add_scalar(name, value, step.step)
            yield step


def wandb(
    steps: Iterable[Step], folder: str | Path, *, every: int = 1, project: str = "kdlab", mode: str = "offline",
    config: Mapping | None = None,
) -> Iterator[Step]:
    """Passes the steps on, and writes every so-manyth as a run of Weights & Biases into the folder.

    Nothing is sent anywhere as long as mode is "offline"; `wandb sync FOLDER/wandb/offline-run-…` sends it later.

    Args:
        steps, folder, every: as in `tensorboard`.
        project, mode, config: as in `wandb.init`: a name, "offline" or "online", and what the run was made with.

    ValueError: Weights & Biases is not installed, or every < 1.
    """
    _check(every)
    try:
        import wandb as library
    except ImportError:
        raise ValueError("Weights & Biases is not installed: pip install -e '.[tracking]'") from None
    Path(folder).mkdir(parents=True, exist_ok=True)
    quiet = library.Settings(silent=True, console="off")
    run = library.init(project=project, dir=str(folder), mode=mode, config=dict(config or {}), settings=quiet)
    try:
        for step in _closing(steps):
            if step.step % every == 0:
                run.log(_values(step), step=step.step)
            yield step
    finally:
        run.finish()


def _check(every: int) -> None:
    if every < 1:
        raise ValueError(f"every must be >= 1, got {every}")


def _values(step: Step) -> dict[str, float]:
    values = {f"loss/{name}": float(part) for name, part in step.parts.items()}
    return values | {f"knobs/{name}": getattr(step, name) for name in ("alpha", "temperature", "lr")}


def _closing(steps: Iterable[Step]) -> Iterator[Step]:
    try:
        yield from steps
    finally:
        if hasattr(steps, "close"):
            steps.close()
