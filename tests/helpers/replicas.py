"""One process of a group that torchrun starts: trains students in float64, leaves their weights in a folder."""

import sys
from pathlib import Path

import torch
from torch import distributed, nn

from kdlab import bank, data, models
from kdlab.devices import Settings
from kdlab.training import Knobs
from workbook.scale import ddp

BATCH, STEPS, KNOBS = 64, 12, Knobs(0.7, 4.0, 1e-2)
RUN = ["--steps", "600", "--every", "100"]  # of the command that is never killed, and of the one that is


class Double(nn.Module):
    """A network of the digits in float64, which the loop's float32 images enter."""

    def __init__(self, name="mlp-32", seed=0):
        super().__init__()
        self.net = models.build(name, (1, 8, 8), 10, seed=seed).double()

    def forward(self, images):
        return self.net(images.double())


class Scaled(nn.Module):
    """A method with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(10, dtype=torch.float64))

    def forward(self, student, batch, targets, knobs):
        return {"loss": (self.scale * student(batch.images) - targets).square().mean()}


def known(digits):
    return bank.fill(models.build("mlp-8", digits.shape, 10, seed=7), digits)


def main(folder):
    torch.set_num_threads(1)
    digits = data.load("digits")
    with ddp.group() as device:
        rank = distributed.get_rank()
        for name, method in {"logits": {}, "scaled": {"method": Scaled()}}.items():
            student, options = Double(), dict(steps=STEPS, batch_size=BATCH, settings=Settings(), **method)
            for _ in ddp.distil(student, digits, lambda step: KNOBS, teacher=known(digits), **options):
                pass
            own = method["method"].state_dict() if method else {}
            torch.save(student.state_dict() | own, folder / f"{name}-{rank}.pt")
        for batch_size in (63, 0, 2000):
            try:
                next(ddp.distil(Double(), digits, KNOBS, steps=1, batch_size=batch_size))
            except ValueError as error:
                (folder / f"refused-{batch_size}-{rank}.txt").write_text(str(error))
        ddp.run(ddp.read([*RUN, "--out", str(folder / "never.safetensors")]), device)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
