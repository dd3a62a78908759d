"""Small language models on the text that comes with Python: which loss of distillation teaches what, and how fast.

    python benchmarks/language.py [--short] [--seeds 3] [--speed]

A teacher, then students with paired seeds, all on the same windows with the same number of steps. Every student is
judged by its loss on text that nobody has seen, by KL(teacher ‖ student) there, by the teacher's surprise at what the
student writes, and by the student's own entropy while it writes; all in nats a character. From the student that learned
from the text alone three go on for a few steps: on the text, by reverse KL on it, and by reverse KL on what they write.
The learning rate was chosen for each loss on the last windows of the training text, with another seed.

--speed leaves the students out, and times kdlab's loop against the Trainer of the Transformers library, and writing
with and without a cache of keys and values, in turns.
"""

import argparse
import contextlib
import copy
import functools
import io
import tempfile
import time
from dataclasses import replace

import torch
from provenance import write
from turns import in_turns, ratio, show

from kdlab.data import Split
from kdlab.devices import huge_pages
from kdlab.evaluation import paired_difference
from kdlab.training import Knobs, distil
from workbook.labs import language
from workbook.methods.token_level import tokens_loss
from workbook.methods.top_k import Top, top_k, top_k_loss
from workbook.methods.uld import universal

BATCH, K, PROMPT, RATES = 32, 8, 8, (5e-3, 1e-2, 2e-2)
REVERSE = functools.partial(tokens_loss, beta=1.0)


def measured(student, teacher, dataset, *, prompts=None) -> dict:
    """What a student is judged by, in nats a character; without prompts it has a vocabulary of its own."""
    if prompts is None:
        return language.held_out(student, dataset)
    count = dataset.shape[-1] - prompts.shape[1]
    written = language.sample(student, prompts, count, generator=torch.Generator().manual_seed(1))
    opinion, entropy = language.judge(teacher, written, PROMPT)[0], language.judge(student, written, PROMPT)[1]
    return language.held_out(student, dataset, teacher) | {"opinion": opinion, "entropy": entropy}


def fit(student, dataset, method, *, alpha, lr, steps, seed):
    for _ in distil(student, dataset, Knobs(alpha, 1.0, lr), steps=steps, batch_size=BATCH, seed=seed, method=method):
        pass
    return student


def summed(student_logits, teacher_logits, to):
    """Forward KL where the probabilities of characters that become one are added."""
    p = teacher_logits.softmax(-1)
    p = torch.zeros(*p.shape[:-1], student_logits.shape[-1]).index_add(-1, to, p)
    return tokens_loss(student_logits=student_logits, teacher_logits=p.clamp_min(1e-12).log())


def from_top(top, rest):
    def method(student, batch, targets, knobs):
        some = Top(*(part[batch.indices] for part in top))
        soft = top_k_loss(student_logits=student(batch.images), teacher=some, rest=rest)
        return {"loss": soft, "soft": soft}

    return method


def its_own(teacher, dataset, count):
    """As many windows as `count`, which the teacher has written."""
    draw, written = torch.Generator().manual_seed(0), []
    for start in range(0, count, 256):
        prompts = read(dataset, dataset.train.images[start : start + 256])[:, :PROMPT]
        written.append(language.sample(teacher, prompts, dataset.shape[-1] - PROMPT, generator=draw))
    images = torch.cat(written).to(torch.uint8)[:, None, None]
    return replace(dataset, train=Split(images, torch.zeros(len(images), dtype=torch.int64)))


def read(dataset, images):
    return language.tokens(dataset.normalize(images))


def tuned(ways, build, teacher, dataset, steps):
    """For each loss the best of RATES on the last 512 training windows, by what it minimises."""
    cut = len(dataset.train) - 512
    judge, rates = replace(dataset, test=dataset.train.subset(slice(cut, None))), {}
    for name, (_, method, alpha) in ways.items():
        scores = {}
        for lr in RATES:
            used = dataset.only(torch.arange(cut))
            net = fit(build(seed=100), used, method, alpha=alpha, lr=lr, steps=steps, seed=100)
            scores[lr] = language.held_out(net, judge, teacher)["loss" if name == "labels" else "kl"]
        rates[name] = min(scores, key=scores.get)
    return rates


def students(given, size) -> None:
    text = language.read(language.topics())
    whole, plain = language.windows(text, size["context"]), language.by_token(tokens_loss)
    build = functools.partial(language.build, len(text.characters), **size["student"], context=size["context"])
    start = time.process_time()
    teacher = language.build(len(text.characters), **size["teacher"], context=size["context"], seed=0)
    fit(teacher, whole, plain, alpha=0.0, lr=3e-3, steps=size["teacher_steps"], seed=0)
    spent, known = time.process_time() - start, language.answers(teacher, whole)
    prompts = read(whole, whole.test.images[:128])[:, :PROMPT]
    found = {
        "text": {"characters": len(text.ids), "vocabulary": len(text.characters), "digest": text.digest},
        "size": size, "batch": BATCH, "k": K, "threads": 1,
        "parameters": {name: sum(p.numel() for p in net.parameters())
                       for name, net in (("teacher", teacher), ("student", build()))},
        "teacher": measured(teacher, teacher, whole, prompts=prompts) | {"cpu_seconds": spent},
    }

    def by(loss):
        return language.by_token(loss, known.__getitem__)

    ways = {
        "labels": (whole, plain, 0.0), "forward KL": (whole, by(tokens_loss), 1.0),
        "reverse KL": (whole, by(REVERSE), 1.0),
        "Jensen–Shannon": (whole, by(functools.partial(tokens_loss, beta=0.5)), 1.0),
    }
    rates = tuned(ways, build, teacher, whole, size["tuning_steps"])
    top = top_k(known, K)
    near = {
        "labels and forward KL": (whole, by(tokens_loss), 0.5), "top 8, scaled": (whole, from_top(top, False), 1.0),
        "top 8 and the rest": (whole, from_top(top, True), 1.0),
    }
    ways |= near | {"teacher's text": (its_own(teacher, whole, size["written"]), plain, 0.0)}
    rates |= dict.fromkeys(near, rates["forward KL"]) | {"teacher's text": rates["labels"]}
    small = language.read("".join(text.characters[i] for i in text.ids.tolist()).lower(), rare=1)
    small_set = language.windows(small, size["context"])
    to = torch.tensor([small.characters.index(one.lower()) for one in text.characters])
    others = {
        "small letters: labels": (plain, 0.0), "small letters: labels and ULD": (by(universal), 0.5),
        "small letters: labels and summed": (by(functools.partial(summed, to=to)), 0.5),
    }
    found |= {"rates": rates, "runs": {}}
    for seed in range(1, given.seeds + 1):
        ran, kept = {}, {}
        for name, (dataset, method, alpha) in ways.items():
            net = fit(build(seed=seed), dataset, method, alpha=alpha, lr=rates[name], steps=size["steps"], seed=seed)
            ran[name] = measured(net, teacher, whole, prompts=prompts)
            kept[name] = net
        own = language.on_policy(teacher, REVERSE, prompt=PROMPT, seed=seed)
        more = {
            "labels, then labels": (plain, 0.0), "labels, then reverse KL": (by(REVERSE), 1.0),
            "labels, then reverse KL on its own text": (own, 1.0),
        }
        for name, (method, alpha) in more.items():
            start, net = time.process_time(), copy.deepcopy(kept["labels"])
            fit(net, whole, method, alpha=alpha, lr=2e-3, steps=size["more"], seed=seed + 50)
            spent = time.process_time() - start
            ran[name] = measured(net, teacher, whole, prompts=prompts) | {"cpu_seconds": spent}
        for name, (method, alpha) in others.items():
            net = language.build(len(small.characters), **size["student"], context=size["context"], seed=seed)
            fit(net, small_set, method, alpha=alpha, lr=rates["labels"], steps=size["steps"], seed=seed)
            ran[name] = measured(net, teacher, small_set)
        for name, figures in ran.items():
            for key, value in figures.items():
                found["runs"].setdefault(name, {}).setdefault(key, []).append(value)
        found["against"] = against(found["runs"]) if seed > 1 else {}
        print(write("language", found), flush=True)


def against(runs) -> dict:
    """Paired differences to the student of the labels; for those that went on, to the one that went on with them."""
    found = {}
    for name, figures in runs.items():
        kind = "small letters: labels" if name.startswith("small") else "labels"
        control = "labels, then labels" if ", then" in name else kind
        if name != control:
            both = [key for key in figures if key in runs[control] and key != "cpu_seconds"]
            found[name] = {key: paired_difference(figures[key], runs[control][key])._asdict() for key in both}
    return found


class Rows(torch.utils.data.Dataset):
    def __init__(self, ids):
        self.ids = ids

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "labels": self.ids[i]}


def trainer_turn(model, ids, steps, folder) -> int:
    """Steps of the library's Trainer with the same model, batch, optimizer and precision; returns the characters."""
    from transformers import Trainer, TrainingArguments

    options = TrainingArguments(
        folder, max_steps=steps, per_device_train_batch_size=BATCH, learning_rate=1e-3, weight_decay=0.0,
        save_strategy="no", report_to="none", disable_tqdm=True, logging_strategy="no", use_cpu=True, max_grad_norm=0.0,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        Trainer(model=model, args=options, train_dataset=Rows(ids)).train()
    return steps * BATCH * (ids.shape[1] - 1)


def speed(given, size, folder) -> None:
    text = language.read(language.topics())
    whole, vocabulary = language.windows(text, size["context"]), len(text.characters)
    ids, knobs, method = read(whole, whole.train.images), Knobs(0.0, 1.0, 1e-3), language.by_token(tokens_loss)
    figures, rates = {}, {}
    steps, rounds = (10, 2) if given.short else (60, 5)
    for who in ("teacher", "student"):
        mine, theirs = (language.build(vocabulary, **size[who], context=size["context"]) for _ in range(2))
        loop = distil(mine, whole, lambda step: knobs, steps=10**9, batch_size=BATCH, method=method)

        def ours(loop=loop) -> int:
            for _ in range(steps):
                next(loop)
            return steps * BATCH * size["context"]

        turns = {"kdlab": ours, "Trainer": functools.partial(trainer_turn, theirs.model, ids, steps, folder)}
        found = in_turns(turns, rounds)
        loop.close()
        figures[f"language, {who}: kdlab / Trainer"] = ratio(found["kdlab"], found["Trainer"], 1)
        rates |= {f"{who}: {name}": values for name, values in found.items()}
    length = 128 if given.short else 512
    reader = language.build(vocabulary, **size["teacher"], context=length + PROMPT)
    prompts = ids[:16, :PROMPT]

    def writes(cache: bool) -> int:
        language.sample(reader, prompts, length, generator=torch.Generator().manual_seed(0), cache=cache)
        return len(prompts) * length

    ways = {name: functools.partial(writes, name == "with a cache") for name in ("with a cache", "without")}
    found = in_turns(ways, 2 if given.short else 3)
    name = f"language, 16 texts of {length} characters: with a cache / without"
    figures[name] = ratio(found["with a cache"], found["without"], 5)
    rates |= {f"writing {name}": values for name, values in found.items()}
    show(figures)
    print(write("language_speed", {"batch": BATCH, "threads": 1, "figures": figures, "tokens_per_second": rates}))


SIZE = dict(
    context=64, teacher=dict(width=64, layers=4), student=dict(width=40, layers=1), teacher_steps=700, steps=500,
    more=60, tuning_steps=150, written=2048,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="the speeds alone, of few steps")
    parser.add_argument("--speed", action="store_true", help="the speeds alone")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    huge_pages()
    if given.speed or given.short:
        with tempfile.TemporaryDirectory() as folder:
            speed(given, SIZE, folder)
    else:
        students(given, SIZE)


if __name__ == "__main__":
    main()
