"""What the server of a federation makes of its clients' replies: their mean, and who is left out of it, by name.

`rounds` asks clients one after another in this process; over which engine else they are asked is told in federated.py.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Arrays = Sequence[np.ndarray]


@dataclass(frozen=True)
class Round:
    """What came of a round: the mean, empty where there was none; who is not in it and why; bytes of its messages.

    `sent` and `received` are those to and from each client: Flower's messages, or without it the arrays alone.
    """

    agreed: list[np.ndarray]
    left_out: dict[str, str]
    sent: dict[str, int] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        gone = "; ".join(f"left out: {name} {why}" for name, why in self.left_out.items())
        up, down = sum(self.received.values()), sum(self.sent.values())
        return f"{len(self.received)} replies, {up:,} bytes to the server, {down:,} from it" + (gone and f"; {gone}")


def merged(
    replies: Mapping[str, Arrays | None], like: list[tuple], weights: Mapping[str, float] | None = None
) -> tuple[list[np.ndarray], dict[str, str]]:
    """The mean of the replies that are whole, array by array, and who was left out of it: name → why.

    There is no mean where fewer than two are whole: it would hand one client's answer to the others.

    Args:
        replies: a client's name → its arrays, or None.
        like: the shapes that are expected.
        weights: name → its share of the mean, such as its number of images; None for equal ones.
    """
    left_out = {name: why for name, reply in replies.items() if (why := _wrong(reply, like))}
    whole = {name: reply for name, reply in sorted(replies.items()) if name not in left_out}
    if len(whole) < 2:
        return [], left_out
    shares = [weights[name] if weights else 1.0 for name in whole]
    return [np.average(arrays, 0, shares).astype(np.float32) for arrays in zip(*whole.values())], left_out


def _wrong(reply: Arrays | None, like: list[tuple]) -> str:
    if not reply:
        return "sent nothing"
    if (shapes := [np.shape(array) for array in reply]) != like:
        return f"sent the shapes {shapes} in place of {like}"
    finite = all(np.issubdtype(array.dtype, np.floating) and np.isfinite(array).all() for array in reply)
    return "" if finite else "sent what is no number"


def rounds(
    clients: Mapping, like: list[tuple], *, count: int, weights: Mapping[str, float] | None = None
) -> Iterator[Round]:
    """Asks all clients in each of so many rounds, one after another in this process; arguments as in `merged`.

    Where a round has no mean the clients get the last one again. A client that raises OSError has sent nothing.
    Yields Round. ValueError: fewer than two clients.
    """
    check(clients)
    received = []
    for _ in range(count):
        replies = dict.fromkeys(clients)
        for name, client in clients.items():
            with contextlib.suppress(OSError):
                replies[name] = client.reply(received)
        agreed, left_out = merged(replies, like, weights)
        sizes = {name: sum(array.nbytes for array in reply) for name, reply in replies.items() if reply}
        yield Round(agreed, left_out, dict.fromkeys(clients, sum(array.nbytes for array in received)), sizes)
        received = agreed or received


def check(names) -> None:
    if len(names) < 2:
        raise ValueError(f"a federation needs at least 2 clients, got {len(names)}")
