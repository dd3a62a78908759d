"""Makes the playground: one page, build/playground/index.html, in which a student trains, with nothing to install.

Trains the lesson's teacher for ten seeds, and packs its logits, the digits and the scripts into the page, which then
fetches nothing. `make playground` runs it.

    python demo/playground/build.py [--output FOLDER]
"""

import argparse
import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from sklearn.datasets import load_digits

from kdlab import bank, data, devices
from workbook import recipe

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))
import onefile  # noqa: E402

OUTPUT = HERE.parents[1] / "build" / "playground"
SEEDS = range(20, 30)  # those of the recorded headline; a seed is that of the split, the teacher and the student


def build(output: Path = OUTPUT, seeds: Sequence[int] = SEEDS, steps: int = 200) -> Path:
    """Trains a teacher of so many steps for each of these successive seeds, writes the page, and returns its path."""
    described = packed_digits() | {"seeds": {seed: taught(seed, steps) for seed in seeds}}
    return onefile.write(HERE, output, {"data": json.dumps(described)})


def taught(seed: int, steps: int) -> dict:
    """What the page needs of a seed: mean and std of its training images, and its teacher's logits of all of them."""
    digits = data.load("digits", seed=seed)
    answers = bank.fill(recipe.teacher(digits, seed, steps=steps), digits, settings=devices.Settings())
    logits = packed(answers.logits.numpy().tobytes())  # float32 (1000, 10)
    return {"mean": digits.mean.item(), "std": digits.std.item(), "logits": logits}


def packed_digits() -> dict:
    """scikit-learn's digits in their own order: pixels 0 .. 16 and labels, a byte each."""
    digits = load_digits()
    parts = {"images": digits.data, "labels": digits.target}
    return {name: packed(part.astype("uint8").tobytes()) for name, part in parts.items()}


def packed(content: bytes) -> str:
    return base64.b64encode(content).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the page (default: build/playground)")
    torch.set_num_threads(1)
    page = build(parser.parse_args().output)
    print(f"{page} ({page.stat().st_size / 1e6:.1f} MB): open it in a browser; it needs no server and no network.")


if __name__ == "__main__":
    main()
