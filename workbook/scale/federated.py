"""Federated distillation over Flower: a server asks its clients for logits, and sends back what they agree on.

It is Flower's gRPC server and a process for each client, in .venv-federated (`make federated`); between machines give
it certificates. What a client does stands in clients.py, what the server makes of replies in consensus.py.

    .venv-federated/bin/python -m workbook.scale.federated serve --rounds 3
    .venv-federated/bin/python -m workbook.scale.federated join --number 0        and 1 … 4, each in a terminal
"""

import argparse
import contextlib
import importlib.util
import logging
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence

import torch

from workbook.scale.clients import Client, of_digits
from workbook.scale.consensus import Round, check, merged

ADDRESS = "127.0.0.1:9092"


def serve(
    names: Sequence[str], like: list[tuple], *, count: int, weights: Mapping[str, float] | None = None,
    address: str = ADDRESS, timeout: float = 60.0,
) -> list[Round]:
    """Runs the server for so many rounds, in the main thread of this process, and returns what came of each.

    Args:
        names: of the clients that are awaited, and no others are asked.
        like, weights: as in `consensus.merged`.
        address, timeout: "HOST:PORT"; the seconds after which Flower drops a silent client, and the round ends.

    ValueError: fewer than two names, or Flower is not installed.
    """
    check(names)
    flower()
    from flwr import common, server
    from flwr.common import serde

    known, ran = {}, []  # Flower's number of a client → its name

    class Consensus(server.strategy.FedAvg):
        def initialize_parameters(self, client_manager):
            client_manager.wait_for(len(names), int(timeout))
            return common.ndarrays_to_parameters([])

        def configure_fit(self, server_round, parameters, client_manager):
            for number, client in client_manager.all().items():
                if number not in known:
                    with contextlib.suppress(Exception):  # it has gone, or has no name
                        answer = client.get_properties(common.GetPropertiesIns({}), timeout, server_round)
                        known[number] = answer.properties["name"]
            ins = common.FitIns(parameters, {})
            asked = {known.get(number): (client, ins) for number, client in client_manager.all().items()}
            asked = {name: asked[name] for name in names if name in asked}
            self.sent = dict.fromkeys(asked, serde.fit_ins_to_proto(ins).ByteSize())
            return list(asked.values())

        def aggregate_fit(self, server_round, results, failures):
            came = {known[client.cid]: answer for client, answer in results}
            replies = dict.fromkeys(names)
            for name, answer in came.items():
                with contextlib.suppress(Exception):  # its bytes are no arrays
                    replies[name] = common.parameters_to_ndarrays(answer.parameters)
            agreed, left_out = merged(replies, like, weights)
            received = {name: serde.fit_res_to_proto(answer).ByteSize() for name, answer in came.items()}
            ran.append(Round(agreed, left_out, self.sent, received))
            return (common.ndarrays_to_parameters(agreed) if agreed else None), {}

    config, strategy = server.ServerConfig(count, timeout), Consensus(fraction_evaluate=0.0)
    server.start_server(server_address=address, config=config, strategy=strategy)
    return ran


def join(client: Client, name: str, *, address: str = ADDRESS, patience: float = 60.0) -> None:
    """Takes part in a server's rounds until they are over. ConnectionError: no server after so many seconds."""
    flower()
    host, until = address.rsplit(":", 1), time.monotonic() + patience
    while socket.socket().connect_ex((host[0], int(host[1]))):
        if time.monotonic() > until:
            raise ConnectionError(f"no server at {address}; start one with: serve")
        time.sleep(0.1)
    from flwr.client import NumPyClient, start_client

    class Party(NumPyClient):
        def get_properties(self, config):
            return {"name": name}

        def fit(self, parameters, config):
            return client.reply(parameters), len(client.own), {}

    start_client(server_address=address, client=Party().to_client(), insecure=True)


def flower() -> None:
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")  # or each run is told to Flower's makers
    if importlib.util.find_spec("flwr") is None:
        raise ValueError("Flower is not installed here: make federated, and use .venv-federated")
    logging.getLogger("flwr").setLevel(logging.ERROR)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("serve", "join"))
    for name, default in (("clients", 5), ("rounds", 3), ("seed", 0), ("number", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--address", default=ADDRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    try:
        clients, name = of_digits(clients=given.clients, seed=given.seed), f"client {given.number}"
        if given.part == "join":
            return join(clients[name], name, address=given.address)
        print(*serve(list(clients), [(300, 10)], count=given.rounds, address=given.address), sep="\n")
    except (ValueError, ConnectionError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
