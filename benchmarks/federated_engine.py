"""A federation of processes on this machine, over Flower: what its messages weigh, and what faults do to its rounds.

    .venv-federated/bin/python benchmarks/federated_engine.py OUT [--rounds 3] [--short]

Each client is a process of its own, and the server, too. Between them lies a relay that counts the bytes of the TCP
connections. OUT gets what the server says of each round, and beside it OUT.npz the last mean that was agreed on.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from workbook.scale import clients, federated  # noqa: E402

federated.flower()
from flwr.client import start_client  # noqa: E402, F401
from flwr.server import start_server  # noqa: E402, F401

FORK = multiprocessing.get_context("fork")  # what is imported here is imported once


def spoilt(reply):
    return [np.where(np.arange(array.size).reshape(array.shape) == 7, np.nan, array) for array in reply]


def silent(reply):
    time.sleep(600)


def gone(reply):
    os._exit(1)


FAULTS = {
    "NaN": spoilt, "a wrong shape": lambda reply: [array[:-1] for array in reply], "nothing": lambda reply: [],
    "silence": silent, "death": gone,
}


class Faulty(clients.Client):
    """A client that does something else with its reply from the second round on."""

    fault = None

    def reply(self, received):
        answer = super().reply(received)
        return FAULTS[self.fault](answer) if self.fault and self.rounds > 1 else answer


class Relay(threading.Thread):
    """Passes on what comes at its address to the server's port and back, and counts the bytes of both ways."""

    def __init__(self):
        super().__init__(daemon=True)
        self.to, self.up, self.down, self.counting = None, 0, 0, threading.Lock()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listening.getsockname()[1]}"

    def run(self):
        while True:
            here = self.listening.accept()[0]
            threading.Thread(target=self.link, args=(here,), daemon=True).start()

    def link(self, here):
        there = socket.socket()
        while there.connect_ex(("127.0.0.1", self.to)):
            time.sleep(0.1)
        threading.Thread(target=self.passes, args=("down", there, here), daemon=True).start()
        self.passes("up", here, there)

    def passes(self, name, a, b):
        with contextlib.suppress(OSError):
            while part := a.recv(65536):
                with self.counting:
                    setattr(self, name, getattr(self, name) + len(part))
                b.sendall(part)
        for end in (a, b):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def federation(members, like, *, count, timeout, weights=None):
    """Runs a server and its clients to the end, and returns the rounds, the last mean and the bytes that the relay saw.

    A member is a client, or None for one that never comes.
    """
    relay, port, names = Relay(), free(), list(members)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "rounds.json")
        server = FORK.Process(target=serves, args=(kept, names, like, weights, count, port, timeout))
        others = [FORK.Process(target=federated.join, args=(client, name), kwargs={"address": relay.address})
                  for name, client in members.items() if client]
        for process in (server, *others):
            process.start()
        relay.to = port
        relay.start()
        server.join()
        for process in others:
            process.join(timeout=2)
            process.terminate()
        found = json.loads(kept.read_text())
        with np.load(kept.with_suffix(".npz")) as arrays:
            mean = [arrays[name] for name in arrays.files]
    return found | {"tcp": {"received": relay.up, "sent": relay.down}}, mean


def serves(kept, names, like, weights, count, port, timeout) -> None:
    options = dict(count=count, weights=weights, address=f"127.0.0.1:{port}", timeout=timeout)
    ran = federated.serve(names, like, **options)
    np.savez(kept.with_suffix(".npz"), *next((round.agreed for round in reversed(ran) if round.agreed), []))
    told = [{"agreed": bool(one.agreed)} | {key: getattr(one, key) for key in ("left_out", "sent", "received")}
            for one in ran]
    kept.write_text(json.dumps({"rounds": told}))


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="few steps")
    given = parser.parse_args()
    torch.set_num_threads(1)
    steps = dict(steps=(2, 2, 2) if given.short else (120, 60, 30))
    found, kept = {"flwr": metadata.version("flwr"), "python": sys.version.split()[0]}, {}
    clients.of_digits(steps=(1, 1, 1))["client 1"].reply([])  # what torch loads at its first step is loaded once
    whole = clients.of_digits(seed=1, **steps)
    ways = {"logits": (whole, [(300, 10)], 60, None)}
    equal = clients.of_digits(clients.Averaging, seed=1, names=("mlp-64",), **steps)
    shapes = [tuple(tensor.shape) for tensor in equal["client 0"].model.state_dict().values()]
    ways["weights"] = (equal, shapes, 60, {name: len(client.own) for name, client in equal.items()})
    faulty = clients.of_digits(Faulty, clients=2 + len(FAULTS), seed=1, **steps)
    for client, fault in zip(list(faulty.values())[2:], FAULTS):
        client.fault = fault
    ways["faults"] = (faulty | {"client 7": None}, [(300, 10)], 15 if given.short else 30, None)
    for name, (members, like, timeout, weights) in ways.items():
        begun = time.monotonic()
        found[name], mean = federation(members, like, count=given.rounds, timeout=timeout, weights=weights)
        found[name]["seconds"] = time.monotonic() - begun
        kept |= {f"{name} {i}": array for i, array in enumerate(mean)}
    given.out.write_text(json.dumps(found, indent=1))
    np.savez(given.out.with_suffix(".npz"), **kept)


if __name__ == "__main__":
    main()
