"""Distillation by published code: kdlab's loop against torchdistill and PyTorch's tutorial, in turns, in one run.

All three train the same student with the same teacher, the same float32 pictures in memory and batches of 128;
torchdistill is the library (its KDLoss, Adam, DataLoader without workers), the tutorial's loop follows its published
`train_knowledge_distillation`. What they do not do is what is measured: the teacher is asked in every step, the
memory format is the default. kdlab is measured with its bank and the settings of `kdlab.devices.fast`, and once as
they work: live teacher, plain float32. One thread.

    pip install -e .[bench]
    python benchmarks/libraries.py [--short]
"""

import argparse
import functools
import logging

import torch
from provenance import write
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
from training_speed import ALPHA, TEMPERATURE, steps
from turns import BATCH, in_turns, ratio, show

from kdlab import bank, data, devices, models
from kdlab.training import Knobs, distil


def tutorial(teacher, student, batches):
    """PyTorch's "Knowledge Distillation Tutorial" (A. Chariton), its train_knowledge_distillation, a step a time."""
    ce_loss = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(student.parameters(), lr=0.001)
    teacher.eval()
    student.train()
    while True:
        for inputs, labels in batches:
            optimizer.zero_grad()
            with torch.no_grad():
                teacher_logits = teacher(inputs)
            student_logits = student(inputs)
            soft_targets = nn.functional.softmax(teacher_logits / TEMPERATURE, dim=-1)
            soft_prob = nn.functional.log_softmax(student_logits / TEMPERATURE, dim=-1)
            soft_targets_loss = (
                torch.sum(soft_targets * (soft_targets.log() - soft_prob)) / soft_prob.size()[0] * (TEMPERATURE**2)
            )
            label_loss = ce_loss(student_logits, labels)
            loss = ALPHA * soft_targets_loss + (1 - ALPHA) * label_loss
            loss.backward()
            optimizer.step()
            yield loss.item()


def torchdistill(teacher, student, pictures):
    """torchdistill's DistillationBox, used as in its examples/torchvision/image_classification.py, a step a time."""
    logging.disable(logging.INFO)
    from torchdistill.core.distillation import get_distillation_box

    criterion = {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"kd": {"weight": 1.0, "criterion": {
        "key": "KDLoss", "kwargs": {
            "student_module_path": ".", "student_module_io": "output", "teacher_module_path": ".",
            "teacher_module_io": "output", "temperature": TEMPERATURE, "alpha": 1 - ALPHA, "reduction": "batchmean",
        }}}}}}
    config = {
        "num_epochs": 1,
        "train_data_loader": {
            "dataset_id": "train", "sampler": {"class_or_func": RandomSampler},
            "kwargs": {"batch_size": BATCH, "drop_last": True},
        },
        "teacher": {"forward_proc": "forward_batch_only", "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only", "requires_grad": True},
        "optimizer": {"key": "Adam", "kwargs": {"lr": 0.001}}, "criterion": criterion,
    }
    box = get_distillation_box(teacher, student, {"train": pictures}, config, torch.device("cpu"), [], False, 1)
    epoch = 0
    while True:
        box.pre_epoch_process(epoch=epoch)
        for sample, targets, extra in box.train_data_loader:
            box.pre_forward_process()
            loss = box.forward_process(sample, targets, extra)
            box.post_forward_process(loss=loss)
            yield loss.item()
        epoch += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="20 steps each in place of 200")
    short = parser.parse_args().short
    torch.set_num_threads(1)
    devices.huge_pages()
    glyphs = data.load("glyphs", train=6000, test=100)
    pictures = TensorDataset(glyphs.normalize(glyphs.train.images), glyphs.train.labels)
    figures, rates = {}, {}
    rounds = 2 if short else 5
    for pair in ("tutorial", "article"):
        def build(role: str) -> nn.Module:
            return models.build(f"{pair}-{role}", glyphs.shape, 10, seed=0)

        def ours(teacher, **settings):
            options = dict(steps=10**9, batch_size=BATCH, optimizer=torch.optim.Adam, **settings)
            knobs = Knobs(ALPHA, TEMPERATURE, 1e-3)
            return distil(build("student"), glyphs, lambda step: knobs, teacher=teacher, **options)

        teacher = build("teacher")
        loops = {
            "torchdistill": torchdistill(build("teacher"), build("student"), pictures),
            "tutorial's loop": tutorial(
                teacher, build("student"), DataLoader(pictures, BATCH, shuffle=True, drop_last=True)
            ),
            "kdlab, live teacher, plain float32": ours(teacher, settings=devices.Settings()),
            "kdlab": ours(bank.fill(teacher, glyphs)),
        }
        count = 10 if short else 40  # steps a turn
        found = in_turns({name: functools.partial(steps, loop, count) for name, loop in loops.items()}, rounds)
        for loop in loops.values():
            loop.close()
        rates[pair] = found
        for name in list(loops)[2:]:
            for other in list(loops)[:2]:
                figures[f"{pair}, distil: {name} / {other}"] = ratio(found[name], found[other])
    show(figures)
    print(
        write(
            "libraries",
            {"batch": BATCH, "threads": 1, "steps": rounds * count, "figures": figures, "images_per_second": rates},
        )
    )


if __name__ == "__main__":
    main()
