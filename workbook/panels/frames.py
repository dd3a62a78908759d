"""What a session looks like at one moment: header and float32 tables for the panel's canvas, words, a static figure.

steer.py sends and shows them, steer.js draws the tables; nothing here waits, sends or keeps anything.
"""

import math
from dataclasses import asdict

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from workbook import plots
from kdlab.bank import Bank
from kdlab.data import Dataset
from kdlab.evaluation import predict
from kdlab.losses import gradient_share, soft_targets
from workbook.panels.session import Session

POINTS = 400  # of a curve in one frame; a screen shows no more


def frame(run: Session, looked: Tensor) -> tuple[dict, list[bytes]]:
    """A run as it stands; called in the thread that trains, because it asks the student.

    Args:
        run: any.
        looked: int64 (n,), the training images whose soft targets are shown.

    Returns:
        A header, and four tables, row by row: step, soft, hard and total loss; step and accuracy; step, alpha,
        temperature and lr of the log; soft targets (2, n, classes) of teacher and student.
    """
    losses = [(s.step, s.soft, s.hard, s.loss) for s in even(run.history)]
    turned = [(entry["step"], entry["alpha"], entry["temperature"], entry["lr"]) for entry in even(run.log)]
    header = {"kind": "frame", "step": run.step, "steps": run.choice.steps, "rate": run.rate, "share": None}
    soft: Tensor | tuple = ()
    if run.step:
        _, alpha, temperature, _ = turned[-1]
        n, batch = len(looked), torch.arange(min(run.choice.labelled, 128))
        asked = torch.cat([looked, batch])
        student = predict(run.student, run.dataset, indices=asked)  # (n + batch, classes)
        teacher = run.bank.lookup(asked).to(student.device)  # (n + batch, classes)
        soft = torch.stack([soft_targets(part[:n], temperature) for part in (teacher, student)]).nan_to_num().cpu()
        labels = run.dataset.train.labels[batch.to(student.device)]
        share = gradient_share(student[n:], teacher[n:], labels, alpha, temperature)
        header |= {"temperature": temperature, "alpha": alpha, "share": share if math.isfinite(share) else None}
    return header, [table(losses), table(even(run.accuracies)), table(turned), table(soft)]


@plots.styled
def figure(run: Session | None) -> Figure:
    """A steered training: test accuracy, the losses, and alpha and T along the same steps.

    Args:
        run: any; without a step the figure is one sentence.

    Returns:
        A Figure.
    """
    figure, history = Figure(figsize=(9, 5.4 if run and run.step else 0.6), layout="constrained"), run.history if run else []
    title = "A panel to steer a training: open the notebook in Jupyter and press Start"
    if history:
        found, log = run.accuracies, run.log
        title = f"{run.choice}: " + (f"{100 * found[-1][1]:.1f} %" if found else "no accuracy yet")
        top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1.6])
        top.plot([a[0] for a in found], [100 * a[1] for a in found], color=plots.COLORS[2])
        top.set_ylabel("test accuracy\n(%)")
        for name, style, color in (("loss", "-", "black"), ("soft", "--", plots.COLORS[0]), ("hard", ":", plots.COLORS[1])):
            values = [max(getattr(step, name), 1e-6) for step in history]
            middle.plot([step.step for step in history], values, style, color=color, label=name.replace("loss", "total"))
        middle.set(ylabel="loss (nats)", yscale="log")
        middle.legend(loc="upper right", ncols=3)
        for ax, name, style, color in ((bottom, "alpha", "-", plots.COLORS[0]), (bottom.twinx(), "temperature", "--", plots.COLORS[1])):
            turned = [(entry["step"], entry[name]) for entry in log] + [(history[-1].step, log[-1][name])]
            ax.step(*zip(*turned), style, where="post", color=color)
            ax.set_ylabel("alpha" if ax is bottom else "T", color=color)
        bottom.set(xlabel="step", ylim=(-0.05, 1.05))
        ax.set_yscale("log", base=2)
        ax.set(ylim=(0.2, 40), yticks=(0.5, 4, 32), yticklabels=("½", "4", "32"))
        ax.grid(False)
    figure.suptitle(title, fontsize=13)
    return figure


def spoken(run: Session | None, status: str, share: float | None) -> str:
    """The picture in words, for a screen reader."""
    words = [f"Training curves. {status}."]
    if run and run.step:
        last, now = run.history[-1], run.log[-1]
        words += [f"Soft loss {last.soft:.3g}, hard loss {last.hard:.3g}."]
        words += [f"alpha {now['alpha']:.2f}, temperature {now['temperature']:.3g}, learning rate {now['lr']:.2g}."]
    if share is not None:
        words += [f"The teacher gives {100 * share:.0f} percent of the gradient."]
    return " ".join(words)


def pictures(dataset: Dataset, looked: Tensor) -> tuple[dict, list[bytes]]:
    """The images that `frame` speaks of: a header with names, and their uint8 values; a bad label is its number."""
    split = dataset.train
    values = split.images[looked.to(split.images.device)].cpu()  # (n, channels, height, width)
    names = dict(enumerate(dataset.classes))
    labels = [names.get(i, str(i)) for i in split.labels[looked.to(split.labels.device)].tolist()]
    header = {"kind": "setup", "classes": list(dataset.classes), "labels": labels, "shape": dataset.shape}
    return header, [values.numpy().tobytes()]


def ended(run: Session, name: str) -> dict:
    """What stays of a run: its choice, its last knobs, and its accuracies; at least one was measured."""
    last = {key: run.log[-1][key] for key in ("alpha", "temperature", "lr")}
    return asdict(run.choice) | last | {
        "name": name, "accuracy": run.accuracies[-1][1], "steps": run.step, "state": run.state, "pinned": False,
        "steered": len(run.log) > 1, "curve": even(run.accuracies, 100)}


def runs(finished: list[dict]) -> tuple[dict, list[bytes]]:
    """The runs that `ended` made: a header with a list, and a table of step and accuracy for each."""
    listed = [{key: value for key, value in run.items() if key != "curve"} for run in finished]
    return {"kind": "runs", "list": listed}, [table(run["curve"]) for run in finished]


def telling(bank: Bank, dataset: Dataset, labelled: int) -> Tensor:
    """Three training images of different classes whose soft targets are the least certain, int64 (3,).

    They are images that the student does not see, where there are three of them.
    """
    unseen = bank.indices >= labelled
    rows = unseen if unseen.sum() >= 3 else torch.ones_like(unseen)
    indices, p = bank.indices[rows].cpu(), soft_targets(bank.logits[rows], 1.0).cpu()
    entropy = torch.special.entr(p).sum(1)  # (n,)
    labels, chosen = dataset.train.labels.cpu()[indices], []
    for i in entropy.argsort(descending=True).tolist():
        if len(chosen) < 3 and labels[i] not in labels[chosen]:
            chosen.append(i)
    return indices[chosen]


def even(entries: list, most: int = POINTS) -> list:
    """Every entry, or every second, fourth, eighth … of them, and the newest: at most `most` + 1."""
    stride = 1
    while len(entries) > most * stride:
        stride *= 2
    return entries if stride == 1 else [*entries[:-1:stride], entries[-1]]


def table(rows) -> bytes:
    """Numbers as float32, row by row."""
    return np.asarray(rows, dtype=np.float32).tobytes()
