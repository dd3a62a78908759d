"""What was tried to make float32 faster on a CPU: each variant of a step and of filling a bank, against kdlab as it is.

    python benchmarks/float32_variants.py [--short] [--without-compiling]

In turns within one run, on one thread, with the pairs, the pictures and the loop of training_speed.py, and bfloat16
off. A step distils the student from a bank; filling asks the teacher. Above 1, a variant is faster than kdlab. Of a
variant that torch.compile makes, the record has the seconds until it is ready, from an empty cache, and the number of
steps (or of pictures to fill) after which these are earned back, or null where they never are. The last rows say what
the usual loop, whose process has none of kdlab's settings of memory, would gain by them.
"""

import argparse
import copy
import functools
import os
import tempfile
import time
from collections.abc import Callable

import torch
from provenance import write
from torch import Tensor, nn
from torch.nn import functional as F
from training_speed import elsewhere, ours, published, steps, usual
from turns import BATCH, in_turns, ratio, show

from kdlab import bank, data, devices, models
from kdlab.evaluation import predict

STEPS, IMAGES = 24, {"tutorial": 384, "article": 1920}  # a turn
BUILT = "as kdlab is"


class ChannelsLastFirst(data.Dataset):
    """Pictures are brought into channels last as bytes, and normalized then."""

    def normalize(self, images: Tensor) -> Tensor:
        return super().normalize(images.contiguous(memory_format=torch.channels_last))


class Normalized(data.Dataset):
    """Pictures that cost nothing: more than any way to keep them normalized could save."""

    @functools.cached_property
    def _some(self) -> Tensor:
        return super().normalize(self.train.images[:BATCH]).contiguous(memory_format=torch.channels_last)

    def normalize(self, images: Tensor) -> Tensor:
        return self._some


class Blocks(nn.Module):
    """Goes through a batch 32 pictures at a time, so that a block's first activations stay in a processor's cache."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.model(part) for part in images.split(32)])


class OwnLayout(nn.Module):
    """Convolutions, poolings and ReLUs on tensors in oneDNN's own layout, forwards and backwards."""

    def __init__(self, model: nn.Sequential):
        super().__init__()
        flat = next(i for i, layer in enumerate(model) if isinstance(layer, nn.Flatten))
        self.features, self.head = model[:flat], model[flat:]

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images.contiguous().to_mkldnn()).to_dense())


class Winograd(nn.Module):
    """A 3x3 convolution as F(4x4, 3x3), a quarter of the multiplications: Lavin, Gray 2015, arXiv:1509.09308, 4.3."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        before = torch.tensor([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0],
                               [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1.0]])
        after = torch.tensor([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1.0]])
        of_weights = torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
        self.before, self.after, self.bias = torch.kron(before, before), torch.kron(after, after), conv.bias
        weight = torch.einsum("ai,kcij,bj->abck", of_weights, conv.weight.detach(), of_weights)
        self.weight = weight.flatten(0, 1).contiguous()  # (36, in, out)

    def forward(self, images: Tensor) -> Tensor:  # two at a time, so that their tiles stay in a processor's cache
        return torch.cat([self._some(part) for part in images.split(2)])

    def _some(self, images: Tensor) -> Tensor:
        n, channels, down, right = len(images), images.shape[1], images.shape[2] // 4, images.shape[3] // 4
        padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
        image, row, pixel, channel = padded.stride()
        tiles = padded.as_strided((6, 6, n, down, right, channels), (row, pixel, image, 4 * row, 4 * pixel, channel))
        tiles = (self.before @ tiles.reshape(36, -1)).view(36, -1, channels)
        answers = (self.after @ torch.bmm(tiles, self.weight).view(36, -1)).view(4, 4, n, down, right, -1)
        answers = answers.permute(2, 3, 0, 4, 1, 5).reshape(n, 4 * down, 4 * right, -1) + self.bias
        return answers.permute(0, 3, 1, 2)


def in_place(model: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(*(nn.ReLU(inplace=True) if isinstance(layer, nn.ReLU) else layer for layer in model))


def by_winograd(model: nn.Sequential) -> nn.Sequential:
    """Its convolutions of 64 channels and more by Winograd's algorithm."""
    layers = (Winograd(m) if isinstance(m, nn.Conv2d) and m.in_channels >= 64 else m for m in model)
    return nn.Sequential(*layers).eval()


def stepping(pair: str, pictures: data.Dataset, compiled: bool) -> dict[str, Callable[[], int]]:
    """Variants of a step: name → a call that makes some and returns the number of pictures."""
    def student() -> nn.Module:
        return models.build(f"{pair}-student", pictures.shape, 10, seed=0)

    answers = bank.make(torch.randn(len(pictures.train), 10), pictures, producer="chance")  # which takes no time
    loop = functools.partial(ours, dataset=pictures, answers=answers, autocast=None)
    loops = {
        BUILT: loop(student()),
        "without devices.huge_pages": elsewhere(ours, student(), pictures, answers),
        "ReLU before pooling": loop(published(student())),
        "ReLU in place": loop(in_place(student())),
        "contiguous": loop(student(), channels_last=False),
        "channels last before normalizing": loop(student(), dataset=ChannelsLastFirst(**vars(pictures))),
        "pictures that cost nothing": loop(student(), dataset=Normalized(**vars(pictures))),
        "blocks of 32 pictures": loop(Blocks(student())),
        "oneDNN's own layout": loop(OwnLayout(student()), channels_last=False),
        "Adam, a weight at a time": loop(student(), fused=False),
        "Adam, foreach": loop(student(), optimizer=functools.partial(torch.optim.Adam, foreach=True)),
    }
    if compiled:
        loops |= {
            "compiled": loop(torch.compile(student())),
            "compiled, ReLU before pooling": loop(torch.compile(published(student()))),
            "compiled, max-autotune": loop(torch.compile(student(), mode="max-autotune")),
        }
    return {name: functools.partial(steps, running, STEPS) for name, running in loops.items()}


def filling(pair: str, pictures: data.Dataset, compiled: bool) -> dict[str, Callable[[], int]]:
    """Variants of filling a bank, as `stepping`."""
    teacher = models.build(f"{pair}-teacher", pictures.shape, 10, seed=0).eval()
    some = torch.arange(IMAGES[pair])

    def ask(model: nn.Module, freezing: bool = False, **options) -> int:
        with torch._inductor.config.patch(freezing=True) if freezing else torch.no_grad():
            return len(predict(model, pictures, indices=some, **options))

    own = devices.Settings()
    variants = {
        BUILT: functools.partial(ask, teacher),
        "ReLU before pooling": functools.partial(ask, published(teacher)),
        "ReLU in place": functools.partial(ask, in_place(teacher).eval()),
        "contiguous": functools.partial(ask, teacher, settings=own),
        "channels last before normalizing": lambda: len(predict(
            teacher, ChannelsLastFirst(**vars(pictures)), indices=some)),
        "oneDNN's own layout": functools.partial(ask, OwnLayout(teacher).eval(), settings=own),
        **{f"{n} pictures at once": functools.partial(ask, teacher, batch_size=n) for n in (8, 16, 32, 128)},
    }
    if pair == "tutorial":  # the article's teacher has no convolution of so many channels
        variants["Winograd"] = functools.partial(ask, by_winograd(teacher))
    if compiled:
        variants |= {
            "compiled": functools.partial(ask, torch.compile(teacher)),
            "compiled, weights frozen": functools.partial(ask, torch.compile(copy.deepcopy(teacher)), freezing=True),
        }
    return variants


def remembering(pair: str, pictures: data.Dataset, compiled: bool) -> dict[str, Callable[[], int]]:
    """The usual loop in a process of its own, and in this one."""
    teacher, student = (models.build(f"{pair}-{role}", pictures.shape, 10, seed=0) for role in ("teacher", "student"))
    loops = {"alone": elsewhere(usual, student, pictures, teacher.eval()),
             "with devices.huge_pages": usual(copy.deepcopy(student), pictures, teacher)}
    return {name: functools.partial(steps, running, 4) for name, running in loops.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two rounds in place of seven")
    parser.add_argument("--without-compiling", action="store_true", help="leave out what torch.compile makes")
    given = parser.parse_args()
    torch.set_num_threads(1)
    devices.huge_pages()
    glyphs = data.load("glyphs", train=6000, test=100)
    figures, rates, ready, earned = {}, {}, {}, {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # empty
        for pair in ("tutorial", "article"):
            for what, make in {"step": stepping, "filling": filling, "the usual loop": remembering}.items():
                variants = make(pair, glyphs, not given.without_compiling)
                for name, call in variants.items():
                    if name.startswith("compiled"):
                        start = time.perf_counter()
                        call()
                        ready[f"{pair}, {what}: {name}"] = time.perf_counter() - start
                found = rates[f"{pair}, {what}"] = in_turns(variants, 2 if given.short else 7)
                first, *others = found
                figures |= {f"{pair}, {what}: {name}": ratio(found[name], found[first]) for name in others}
                for row in (row for row in ready if row.startswith(f"{pair}, {what}: ")):
                    saved = 1 / max(found[BUILT]) - 1 / max(found[row.split(": ")[1]])  # seconds a picture
                    pictures = ready[row] / saved if saved > 0 else None
                    earned[row] = pictures and round(pictures / (BATCH if what == "step" else 1))
    show(figures)
    print(write("float32_variants", {
        "batch": BATCH, "threads": 1, "figures": figures, "images_per_second": rates,
        "seconds_until_compiled": ready, "steps_or_pictures_until_earned_back": earned,
    }))


if __name__ == "__main__":
    main()
