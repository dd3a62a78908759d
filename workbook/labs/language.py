"""Language models for lab 27, offline: text that comes with Python, tiny networks of the Transformers library.

A window of text goes through kdlab's unchanged loop as an image of 1 × 1 × (context + 1) bytes, a character each.
"""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdlab.data import Dataset, Split
from kdlab.losses import mixed
from workbook.methods.token_level import tokens_loss

logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)  # torchao warns of itself when it is imported


@dataclass(frozen=True)
class Text:
    """Characters as numbers: ids, uint8 (length,); the characters in the order of their numbers; a short hash."""

    ids: Tensor
    characters: str
    digest: str

    def decode(self, ids: Tensor) -> str:
        return "".join(self.characters[i] for i in ids.tolist())


def topics() -> str:
    """The help texts that Python brings, about 460,000 characters; they differ from one patch release to the next."""
    from pydoc_data.topics import topics as found

    return "\n\n".join(found[name] for name in sorted(found))


def read(text: str, *, rare: int = 20) -> Text:
    """Characters seen fewer than `rare` times become "?"; ValueError where more than 256 are left."""
    counts = {character: text.count(character) for character in set(text)}
    characters = "".join(sorted({"?"} | {one for one, count in counts.items() if count >= rare}))
    if len(characters) > 256:
        said = f"a character must fit into a byte, and the text has {len(characters)} of them"
        raise ValueError(f"{said}; raise rare above {rare}")
    number = {character: i for i, character in enumerate(characters)}
    ids = torch.tensor([number.get(one, number["?"]) for one in text], dtype=torch.uint8)
    return Text(ids, characters, hashlib.sha256(text.encode()).hexdigest()[:12])


def windows(text: Text, context: int, *, test: float = 0.1) -> Dataset:
    """Neighbouring windows of context + 1 characters; the last part of the text, `test` of it, is the test split.

    ValueError: the text is shorter than one window in each split.
    """
    size = context + 1
    cut = round((1 - test) * len(text.ids))
    if cut < size or len(text.ids) - cut < size:
        said = f"the text has {len(text.ids):,} characters, of which {len(text.ids) - cut:,} are for testing"
        raise ValueError(f"{said}; a context of {context} needs {size} in each part")
    train, held = text.ids[:cut], text.ids[cut:]
    parts = [part[: len(part) // size * size].view(-1, 1, 1, size) for part in (train, held)]
    splits = [Split(part, torch.zeros(len(part), dtype=torch.int64)) for part in parts]
    return Dataset("text", *splits, classes=("text",), mean=torch.zeros(1), std=torch.ones(1))


def tokens(images: Tensor) -> Tensor:
    """What `Dataset.normalize` made of windows, float (batch, 1, 1, size), as ids again: int64 (batch, size)."""
    return (255 * images.flatten(1)).round().long()


class Reader(nn.Module):
    """A causal model of the Transformers library that takes windows: → logits (batch, context, vocabulary)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def logits(self, ids: Tensor) -> Tensor:
        """The answers at each place of a text, int64 (batch, length) → (batch, length, vocabulary)."""
        return self.model(input_ids=ids, use_cache=False).logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(tokens(images)[:, :-1])


def build(vocabulary: int, *, width: int, layers: int, heads: int = 4, context: int = 64, seed: int = 0) -> Reader:
    """A Llama of this size from a configuration, with fresh weights; nothing is downloaded."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=max(context, 64), tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Reader(LlamaForCausalLM(config)).eval()


@torch.no_grad()
def answers(teacher: Reader, dataset: Dataset, *, batch: int = 64) -> Tensor:
    """A teacher's logits on the first training windows, those in use: float32 (windows, context, vocabulary)."""
    parts = dataset.in_use.split(batch)
    return torch.cat([teacher(dataset.normalize(dataset.train.images[part])) for part in parts])


def by_token(loss: Callable[..., Tensor], known=None) -> Callable[..., Mapping[str, Tensor]]:
    """A loss on (…, vocabulary) logits as the method of `kdlab.distil`; without a teacher it is cross-entropy.

    What the teacher says comes from the loop, or from `known`, which maps the batch's indices to it.
    """

    def method(student, batch, targets, knobs) -> dict[str, Tensor]:
        logits, ids = student(batch.images), tokens(batch.images)
        targets = targets if known is None else known(batch.indices)
        hard = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        if targets is None:
            return {"loss": hard, "hard": hard}
        soft = loss(student_logits=logits, teacher_logits=targets)
        return {"loss": mixed(soft, hard, knobs.alpha), "soft": soft, "hard": hard}

    return method


def on_policy(teacher: Reader, loss: Callable[..., Tensor], *, prompt: int = 8, seed: int = 0):
    """The method that lets the student write, from the first characters of the batch, and the teacher judge it."""
    generator = torch.Generator().manual_seed(seed)

    def method(student, batch, targets, knobs) -> dict[str, Tensor]:
        ids = tokens(batch.images)
        written = sample(student, ids[:, :prompt], ids.shape[1] - prompt, generator=generator)[:, :-1]
        with torch.no_grad():
            judged = teacher.logits(written)
        logits = student.logits(written)
        soft = loss(student_logits=logits[:, prompt - 1 :], teacher_logits=judged[:, prompt - 1 :])
        return {"loss": soft, "soft": soft}

    return method


@torch.no_grad()
def sample(reader: Reader, prompts: Tensor, count: int, *, generator: torch.Generator, cache: bool = True) -> Tensor:
    """Goes on after prompts, int64 (batch, length), by `count` tokens drawn from the model; → (batch, length + count).

    With `cache`, keys and values of what was read are kept, and each step reads one token; without, all of them again.
    """
    from transformers import DynamicCache

    was_training, ids, read, known = reader.training, prompts, prompts, DynamicCache() if cache else None
    reader.eval()
    for _ in range(count):
        answer = reader.model(input_ids=read, cache=known, use_cache=cache)
        chosen = answer.logits[:, -1].softmax(-1).multinomial(1, generator=generator)
        ids = torch.cat([ids, chosen], 1)
        read = chosen if cache else ids
    reader.train(was_training)
    return ids


@torch.no_grad()
def judge(reader: Reader, ids: Tensor, prompt: int = 1) -> tuple[float, float]:
    """Of what stands behind the prompt: the model's mean surprise, and its mean entropy there, in nats a token."""
    log_p = reader.logits(ids[:, :-1])[:, prompt - 1 :].log_softmax(-1)
    surprise = -log_p.gather(-1, ids[:, prompt:, None]).mean()
    return float(surprise), float(-(log_p.exp() * log_p).sum(-1).mean())


@torch.no_grad()
def held_out(reader: Reader, dataset: Dataset, teacher: Reader | None = None, *, windows: int = 256) -> dict:
    """On the first test windows, in nats a token: "loss", and with a teacher "kl", KL(teacher ‖ student)."""
    images = dataset.normalize(dataset.test.images[:windows])
    logits = reader(images)
    found = {"loss": float(F.cross_entropy(logits.flatten(0, 1), tokens(images)[:, 1:].flatten()))}
    if teacher is not None:
        found["kl"] = float(tokens_loss(student_logits=logits, teacher_logits=teacher(images)))
    return found


FAMILIES = ("specialnames", "compound", "types", "formatstrings", "string-methods", "debugger")


class Snippets(NamedTuple):
    """Pieces of help texts, int64 (n, words), 0 for a rare word; the topic that each is from, int64 (n,)."""

    ids: Tensor
    labels: Tensor


def snippets(*, words: int = 32, vocabulary: int = 2000) -> tuple[Snippets, Snippets]:
    """Pieces of Python's longest help texts, mixed: three quarters for training, and a quarter for testing."""
    from pydoc_data.topics import topics as found

    texts = [re.findall(r"[a-z_]+", found[name].lower()) for name in FAMILIES]
    frequent = Counter(word for text in texts for word in text).most_common(vocabulary - 1)
    number = {word: i for i, (word, _) in enumerate(frequent, 1)}
    pieces = [
        ([number.get(word, 0) for word in text[i : i + words]], label)
        for label, text in enumerate(texts) for i in range(0, len(text) - words + 1, words)
    ]
    whole = Snippets(*map(torch.tensor, zip(*pieces)))
    order = torch.randperm(len(pieces), generator=torch.Generator().manual_seed(0))
    parts = order[len(pieces) // 4 :], order[: len(pieces) // 4]
    return tuple(Snippets(*(x[part] for x in whole)) for part in parts)


def classifier(*, width: int, layers: int, words: int = 32, vocabulary: int = 2000, seed: int = 0) -> nn.Module:
    """A BERT of this size for `snippets`, from a configuration, with fresh weights."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=2 * width, max_position_embeddings=words, num_labels=len(FAMILIES), pad_token_id=None,
        initializer_range=0.05,  # at BERT's 0.02 so small a network takes far longer to begin
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForSequenceClassification(config).eval()


def from_folder(folder: str | Path, *, vocabulary: int = 2000) -> nn.Module:
    """A classifier of `snippets` that `save_pretrained` wrote; nothing is downloaded. ValueError: it does not fit."""
    from transformers import AutoModelForSequenceClassification

    if not (Path(folder) / "config.json").is_file():
        raise ValueError(f"{folder} is not a folder that save_pretrained wrote: it has no config.json")
    model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).eval()
    sizes, wanted = (model.config.vocab_size, model.config.num_labels), (vocabulary, len(FAMILIES))
    if sizes != wanted:
        said = "the checkpoint has {} words and {} classes".format(*sizes)
        raise ValueError(said + ", and the snippets have {} and {}; train it on the same".format(*wanted))
    return model
