"""Five clients that may not show their digits: what logits or weights on the wire are worth, and what they tell.

    python benchmarks/federated.py [--short] [--seeds 10]

Paired seeds: each has its own split of the digits by Dirichlet(0.3), 300 of them public, and its own weights. Clients
of three architectures exchange logits as FedMD does, and once as many of one architecture; a network of the server
learns from the last consensus, which is FedDF's direction; clients of one architecture average weights; and every
client trains as many steps alone. Then noise of several sizes on each logit that leaves a client: what the server's
plainest attack still finds, and what the noise costs.

Where .venv-federated is (`make federated`), federated_engine.py runs the same clients as processes over Flower, and
counts the bytes. The learning rate and the numbers of steps were chosen on seeds 1 to 4; reported are others.
"""

import argparse
import copy
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import torch
from provenance import ROOT, write

from kdlab import bank, evaluate, models
from kdlab.devices import huge_pages
from kdlab.evaluation import paired_difference
from kdlab.training import Knobs, distil, finish
from workbook.labs.membership import auc, evidence, matched
from workbook.scale import clients, consensus

LIKE, ONE, NOISE = [(300, 10)], ("mlp-64",), (1.0, 3.0, 10.0, 30.0)


def accuracy(model, dataset) -> float:
    return 100 * evaluate(model, dataset).accuracy


def mean(members) -> float:
    """The mean test accuracy of the clients, on all ten classes alike, in percent."""
    return statistics.fmean(accuracy(client.model, client.dataset) for client in members.values())


def leaks(members) -> dict:
    """The mean over clients of what the attack finds in the answers that leave them: their images against test images.

    "membership" compares images of the same classes, "with classes" all of them.
    """
    found = {"membership": [], "with classes": []}
    for client in members.values():
        labels, others = client.dataset.train.labels[client.own], client.dataset.test.labels
        own = evidence(client.logits(client.own), labels)
        other = evidence(client.logits(torch.arange(len(others)), "test"), others)
        here, there = matched(labels, others)
        found["membership"].append(auc(own[here], other[there]))
        found["with classes"].append(auc(own, other))
    return {name: statistics.fmean(values) for name, values in found.items()}


def server(agreed, dataset, public, *, steps, seed):
    """A network of the server's own, from the consensus alone."""
    model = models.build("mlp-64", dataset.shape, len(dataset.classes), seed=seed)
    known = bank.make(torch.tensor(agreed), dataset, indices=public, producer="consensus")
    options = dict(teacher=known, steps=steps, batch_size=64, seed=seed)
    finish(distil(model, dataset.only(public), Knobs(1.0, 4.0, 1e-2), **options))
    return model


def logits(members, count, *, alone=False) -> tuple[dict, dict]:
    """FedMD: accuracies after the clients' own images, as in the paper, and after one digestion more; and the leaks."""
    run = consensus.rounds(members, LIKE, count=count)
    ran, found = [next(run)], {}
    if alone:  # up to here the clients have heard nothing of each other
        lonely = copy.deepcopy(members)
        for client in lonely.values():
            for _ in range(1, count):
                client.revisit()
        found["alone"] = mean(lonely)
    agreed, first = [*ran, *run][-1].agreed[0], members["client 0"]
    found["FedMD"], leaked = mean(members), leaks(members)
    own = server(agreed, first.dataset, first.public, steps=4 * first.steps[1], seed=first.seed)
    found["server of the consensus"] = accuracy(own, first.dataset)
    for client in members.values():
        client.digest(agreed)
    return found | {"FedMD, digested last": mean(members)}, leaked


def weights(members, count) -> float:
    first = next(iter(members.values()))
    like = [tuple(tensor.shape) for tensor in first.model.state_dict().values()]
    *_, last = consensus.rounds(members, like, count=count, weights={n: len(c.own) for n, c in members.items()})
    first.load(last.agreed)
    return accuracy(first.model, first.dataset)


def over_flower(short: bool) -> dict:
    python = next((place for place in ROOT.glob(".venv-federated/*/python")), None)
    if python is None:
        print("there is no .venv-federated (make federated): no bytes are counted")
        return {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "engine.json")
        subprocess.run([python, ROOT / "benchmarks/federated_engine.py", out, *["--short"] * short], check=True)
        return json.loads(out.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two seeds, few steps, one size of noise")
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(1)
    huge_pages()
    count, steps = (2, (5, 5, 5)) if given.short else (3, (120, 60, 30))
    sizes = NOISE[2:3] if given.short else NOISE
    runs, leaked = {}, {}
    found = {"rounds": count, "steps": steps, "public": 300, "concentration": 0.3, "threads": 1,
             "architectures": clients.ARCHITECTURES, "flower": over_flower(given.short)}
    for seed in range(20, 20 + (2 if given.short else given.seeds)):
        options = dict(seed=seed, steps=steps)
        ran, leaked_here = logits(clients.of_digits(**options), count, alone=True)
        leaks_of = {"no noise": leaked_here}
        same = logits(clients.of_digits(names=ONE, **options), count, alone=True)[0]
        ran |= {f"one architecture: {name}": value for name, value in same.items()}
        ran["FedAvg"] = weights(clients.of_digits(clients.Averaging, names=ONE, **options), count)
        for size in sizes:
            noisy, leaks_of[f"noise {size:g}"] = logits(clients.of_digits(noise=size, **options), count)
            ran |= {f"noise {size:g}: {name}": value for name, value in noisy.items()}
        for name, value in ran.items():
            runs.setdefault(name, []).append(value)
        for name, values in leaks_of.items():
            for key, value in values.items():
                leaked.setdefault(name, {}).setdefault(key, []).append(value)
        if len(runs["alone"]) > 1:
            print(write("federated", found | summary(runs, leaked)), flush=True)


def summary(runs, leaked) -> dict:
    gains = {f"{a} − {b}": paired_difference(runs[a], runs[b])._asdict() for a, b in pairs(runs)}
    half = [0.5] * len(runs["alone"])
    found = {name: {key: paired_difference(values, half)._asdict() for key, values in keys.items()}
             for name, keys in leaked.items()}
    return {"accuracy_percent": runs, "gains_points": gains, "auc": leaked, "auc_above_half": found}


def pairs(runs):
    for name in runs:
        if name.startswith("noise"):
            yield name, name.split(": ")[1]
    yield from (("FedMD", "alone"), ("FedMD, digested last", "alone"), ("FedMD, digested last", "FedMD"))
    yield from (("server of the consensus", "alone"), ("FedAvg", "one architecture: alone"))
    yield from (("FedAvg", "FedMD, digested last"), ("FedAvg", "server of the consensus"))
    yield from (("FedAvg", f"one architecture: {name}") for name in ("FedMD, digested last", "server of the consensus"))


if __name__ == "__main__":
    main()
