"""What a session looks like at one moment: header and float32 tables for the panel's canvas, words, a static figure.

training.py sends and shows them, training.js draws the tables; nothing here waits, sends or keeps anything.
"""

import math
from dataclasses import asdict

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from kdlab.bank import Bank
from kdlab.data import Dataset
from kdlab.evaluation import predict
from kdlab.losses import soft_targets
from kdlab.training import Step
from workbook import plots
from workbook.panels.session import Session

Message = tuple[dict, list[bytes]]  # a header with its "kind", and tables
EMPTY: Message = ({"kind": "frame", "step": 0, "share": None}, [b""] * 4)


def frame(run: Session, looked: Tensor) -> Message:
    """A run as it stands; called in the thread that trains, because it asks the student.

    `looked`, int64 (n,), are the training images whose soft targets are shown. The tables: step, soft, hard and total
    loss; step and accuracy; step, alpha, temperature and lr; soft targets (2, n, classes) of teacher and student.
    """
    header = {"kind": "frame", "step": run.step, "steps": run.choice.steps, "rate": run.rate, "share": None}
    history, soft = run.history, ()
    if history:
        last, n, batch = history[-1], len(looked), torch.arange(min(run.choice.labelled, 128))
        asked = torch.cat([looked, batch])
        student = predict(run.student, run.dataset, indices=asked)  # (n + batch, classes)
        teacher = run.bank.lookup(asked).to(student.device)  # (n + batch, classes)
        soft = torch.stack([soft_targets(part[:n], last.temperature) for part in (teacher, student)]).nan_to_num().cpu()
        labels = run.dataset.train.labels[batch.to(student.device)]
        share = gradient_share(student[n:], teacher[n:], labels, last.alpha, last.temperature)
        header |= {"temperature": last.temperature, "share": share if math.isfinite(share) else None}
    return header, [_table(values) for values in (_losses(history), run.accuracies, run.turned, soft)]


@plots.styled
def curves(run: Session | None) -> Figure:
    """A steered training: test accuracy, the losses, and alpha and T along the same steps; one sentence without any."""
    history = run.history if run else []
    figure = Figure(figsize=(9, 5.4 if history else 0.6), layout="constrained")
    title = "A panel to steer a training: open the notebook in Jupyter and press Start"
    if history:
        found, log, losses = run.accuracies, run.turned, _losses(history).clamp(min=1e-6)
        title = f"{run.choice}: " + (f"{100 * found[-1][1]:.1f} %" if found else "no accuracy yet")
        top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1.6])
        top.plot([a[0] for a in found], [100 * a[1] for a in found], color=plots.COLORS[2])
        top.set_ylabel("test accuracy\n(%)")
        blue, red = plots.COLORS[:2]
        for i, name, style, color in ((3, "total", "-", "black"), (1, "soft", "--", blue), (2, "hard", ":", red)):
            middle.plot(losses[:, 0], losses[:, i], style, color=color, label=name)
        middle.set(ylabel="loss (nats)", yscale="log")
        middle.legend(loc="upper right", ncols=3)
        heat, ends = bottom.twinx(), [entry[0] for entry in log] + [history[-1].step]
        for i, ax, name, style, color in ((1, bottom, "alpha", "-", blue), (2, heat, "T", "--", red)):
            values = [entry[i] for entry in log]
            ax.step(ends, [*values, values[-1]], style, where="post", color=color)
            ax.set_ylabel(name, color=color)
        bottom.set(xlabel="step", ylim=(-0.05, 1.05))
        heat.set_yscale("log", base=2)
        heat.set(ylim=(0.2, 40), yticks=(0.5, 4, 32), yticklabels=("½", "4", "32"))
        heat.grid(False)
    figure.suptitle(title, fontsize=13)
    return figure


def spoken(run: Session | None, status: str, share: float | None) -> str:
    """The picture in words, for a screen reader."""
    words = [f"Training curves. {status}."]
    if run and run.step:
        last, (_, alpha, temperature, lr) = run.history[-1], run.turned[-1]
        words += [f"Soft loss {last.soft:.3g}, hard loss {last.hard:.3g}."]
        words += [f"alpha {alpha:.2f}, temperature {temperature:.3g}, learning rate {lr:.2g}."]
    if share is not None:
        words += [f"The teacher gives {100 * share:.0f} percent of the gradient."]
    return " ".join(words)


def pictures(dataset: Dataset, looked: Tensor) -> Message:
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
        "steered": len(run.log) > 1, "curve": run.accuracies}


def runs(finished: list[dict]) -> Message:
    """The runs that `ended` made: a header with a list, and a table of step and accuracy for each."""
    listed = [{key: value for key, value in run.items() if key != "curve"} for run in finished]
    return {"kind": "runs", "list": listed}, [_table(run["curve"]) for run in finished]


def telling(bank: Bank, dataset: Dataset, labelled: int) -> Tensor:
    """Three training images, int64 (3,), of different classes and with the least certain soft targets; the student
    does not see them, where there are three such."""
    unseen = bank.indices >= labelled
    rows = unseen if unseen.sum() >= 3 else torch.ones_like(unseen)
    indices, p = bank.indices[rows].cpu(), soft_targets(bank.logits[rows], 1.0).cpu()
    entropy = torch.special.entr(p).sum(1)  # (n,)
    labels, chosen = dataset.train.labels.cpu()[indices], []
    for i in entropy.argsort(descending=True).tolist():
        if len(chosen) < 3 and labels[i] not in labels[chosen]:
            chosen.append(i)
    return indices[chosen]


def gradient_share(student: Tensor, teacher: Tensor, labels: Tensor, alpha: float, temperature: float) -> float:
    """The soft loss's part in what moves the student: its gradient's norm against that of both terms.

    Its arguments are those of `kdlab.losses.distillation_loss`. With respect to the student's logits the soft loss has
    the gradient T · (q_T − p_T), the hard loss q − labels. In [0, 1]; alpha where both gradients are 0.
    """
    soft = temperature * (soft_targets(student, temperature) - soft_targets(teacher, temperature))
    hard = soft_targets(student, 1.0) - F.one_hot(labels, student.shape[1])
    soft, hard = alpha * soft.norm().item(), (1 - alpha) * hard.norm().item()
    return soft / (soft + hard) if soft + hard > 0 else alpha


def _losses(history: list[Step]) -> Tensor:
    """Step, soft, hard and total loss, float32 (steps, 4); the training's device is read once for all of them."""
    parts = [step.parts[name] for step in history for name in ("soft", "hard", "loss")]
    values = torch.stack(parts).view(-1, 3).cpu() if parts else torch.empty(0, 3)
    return torch.cat([torch.tensor([[step.step] for step in history]).view(-1, 1), values], 1)


def _table(rows) -> bytes:
    return np.asarray(rows, dtype=np.float32).tobytes()
