"""The edge of a cascade: a student that answers when it is sure and asks a service otherwise; a link; traffic.

The service itself stands in service.py. Whatever it does, each picture is answered within its deadline.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdlab.data import Dataset

FAULTS = ("gone", "late", "busy", "garbage")  # of the service; enough of them in a row, and it is left in peace


@dataclass(frozen=True)
class Answer:
    """A label, by whom, why, and after how many seconds.

    `by` is "student", "teacher", or "nobody" for something that is not a picture (label None). `why` is "sure" (not
    asked), "asked" (the teacher answered), or the reason for which the student answers alone: "gone" (no HTTP
    answer), "late" (none before the deadline), "busy" (503), "garbage" (not a label), "refused" (any other status),
    "resting" (not asked, after several faults in a row), "unreadable".
    """

    label: int | None
    by: str
    why: str
    seconds: float


class Edge:
    """A device with a student, and the address of a service with its teacher. Use it with `async with`.

    Args:
        student: on the CPU.
        dataset: shape, classes and normalization.
        url: of the service, or of a link to it.
        threshold: the student answers where its confidence is at least this; 0 never asks, above 1 always.
        temperature: > 0, divides the student's logits.
        deadline: seconds after a picture's arrival until which the service's answer is waited for.
        trip, rest: after `trip` faults in a row nobody is asked for `rest` seconds.
        pack: a picture → the bytes to send.
    """

    def __init__(
        self, student: nn.Module, dataset: Dataset, url: str, *, threshold: float, temperature: float = 1.0,
        deadline: float = 0.5, trip: int = 5, rest: float = 1.0, pack: Callable[[Tensor], bytes] | None = None,
    ):
        self.student, self.dataset, self.url = student.eval(), dataset, url
        self.threshold, self.temperature, self.deadline = threshold, temperature, deadline
        self.trip, self.rest, self.pack = trip, rest, pack or (lambda picture: picture.numpy().tobytes())
        self._faults, self._asleep_until = 0, 0.0

    async def __aenter__(self) -> "Edge":
        # no proxies from the environment: the service is on this machine
        self._client = httpx.AsyncClient(base_url=self.url, timeout=self.deadline, trust_env=False)
        for name in ("accept", "accept-encoding", "user-agent"):  # each byte costs time on a narrow link
            del self._client.headers[name]
        return self

    async def __aexit__(self, *_) -> None:
        await self._client.aclose()

    async def answer(self, picture: Tensor, due: float | None = None) -> Answer:
        """Answers for one picture; never raises for what the picture or the service does.

        Args:
            picture: uint8 (channels, height, width); the student sees it brought to its own height and width.
            due: when it was taken, in the event loop's time; None for now.
        """
        clock = asyncio.get_running_loop().time
        start = clock() if due is None else due
        try:
            label, confidence = self.look(picture)
        except ValueError:
            return Answer(None, "nobody", "unreadable", clock() - start)
        by, why = "student", "sure"
        if confidence < self.threshold:
            asked, why = await self._ask(picture, start + self.deadline)
            if asked is not None:
                label, by = asked, "teacher"
        return Answer(label, by, why, clock() - start)

    @torch.inference_mode()
    def look(self, picture: Tensor) -> tuple[int, float]:
        """The student's own label and its confidence in (0, 1].

        Raises:
            ValueError: not a uint8 picture with the data set's channels.
        """
        channels, *size = self.dataset.shape
        if not torch.is_tensor(picture) or picture.dtype != torch.uint8 or picture.dim() != 3 or not picture.numel():
            raise ValueError("a picture must be uint8 (channels, height, width), and not empty")
        if picture.shape[0] != channels:
            raise ValueError(f"a picture must have {channels} channels, got {picture.shape[0]}")
        if list(picture.shape[1:]) != size:
            picture = F.adaptive_avg_pool2d(picture.float(), size).round().to(torch.uint8)
        logits = self.student(self.dataset.normalize(picture[None])) / self.temperature  # (1, classes)
        confidence, label = logits.softmax(1).max(1)
        return int(label), float(confidence)

    async def _ask(self, picture: Tensor, until: float) -> tuple[int | None, str]:
        clock = asyncio.get_running_loop().time
        if clock() < self._asleep_until:
            return None, "resting"
        label = None
        try:
            async with asyncio.timeout_at(until):  # over all; httpx counts each read anew
                label, why = self._read(await self._client.post("/predict", content=self.pack(picture)))
        except (TimeoutError, httpx.TimeoutException):
            why = "late"
        except httpx.HTTPError:
            why = "gone"
        self._faults = self._faults + 1 if why in FAULTS else 0
        if self._faults >= self.trip:
            self._faults, self._asleep_until = 0, clock() + self.rest
        return label, why

    def _read(self, response: httpx.Response) -> tuple[int | None, str]:
        if response.status_code != 200:
            return None, "busy" if response.status_code == 503 else "refused"
        label = None
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            label = response.json()["label"]
        valid = type(label) is int and 0 <= label < len(self.dataset.classes)
        return (label, "asked") if valid else (None, "garbage")


class Link:
    """A TCP proxy on 127.0.0.1 with the delay and the bandwidth of a network. Use it with `async with`.

    All connections share the bandwidth, so bytes queue. A new connection costs one round trip more, as TCP's does.
    `up` and `down` count the bytes with all headers. `fault` may be set at any time: "" for none, "stall" holds all
    answers back, "garbage" replaces the bodies of the answers.

    Args:
        url: where it leads.
        delay: seconds of a round trip, >= 0.
        bandwidth: bytes per second, > 0, in each direction.
    """

    def __init__(self, url: str, *, delay: float = 0.0, bandwidth: float = math.inf):
        if delay < 0 or not bandwidth > 0:
            raise ValueError(f"delay must be >= 0 and bandwidth > 0, got {delay} and {bandwidth}")
        self.target, self.delay, self.bandwidth = urlsplit(url), delay, bandwidth
        self.up = self.down = 0
        self.fault = ""
        self._free = {"up": 0.0, "down": 0.0}  # when the link will have sent all that was given to it
        self._open: set[asyncio.Task] = set()

    async def __aenter__(self) -> "Link":
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connect(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task, ends, ways = asyncio.current_task(), [back], []
        self._open.add(task)
        try:
            await asyncio.sleep(self.delay)
            far, forth = await asyncio.open_connection(self.target.hostname, self.target.port)
            ends.append(forth)
            ways += [asyncio.ensure_future(self._carry(*way)) for way in (("up", near, forth), ("down", far, back))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.CancelledError):
            pass  # nobody at the other end, or the link is closed: the connection ends, as it would anywhere
        finally:
            for end in ends:
                end.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._open.discard(task)

    async def _carry(self, way: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        clock = asyncio.get_running_loop().time
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                setattr(self, way, getattr(self, way) + len(data))
                self._free[way] = max(self._free[way], clock()) + len(data) / self.bandwidth
                await asyncio.sleep(self._free[way] + self.delay / 2 - clock())
                if way == "down" and self.fault == "garbage":
                    head, end, body = data.partition(b"\r\n\r\n")
                    data = head + end + b"\xff" * len(body)
                while way == "down" and self.fault == "stall":
                    await asyncio.sleep(0.02)
                sink.write(data)
                await sink.drain()


async def traffic(edge: Edge, pictures: Sequence[Tensor], *, rate: float, seed: int = 0) -> list[Answer]:
    """Pictures that arrive at random times, whether or not the earlier ones are answered; waits for all answers.

    Args:
        edge: inside its `async with`.
        pictures: each uint8 (channels, height, width).
        rate: pictures per second on average, > 0; the gaps are exponential (a Poisson process).
        seed: of the arrival times.

    Returns:
        Their answers, in the order of the pictures; `seconds` counts from the arrival.
    """
    clock = asyncio.get_running_loop().time
    gaps = torch.empty(len(pictures)).exponential_(rate, generator=torch.Generator().manual_seed(seed))
    start = clock()

    async def arrive(picture: Tensor, after: float) -> Answer:
        await asyncio.sleep(start + after - clock())
        return await edge.answer(picture, due=start + after)

    return await asyncio.gather(*(arrive(p, after) for p, after in zip(pictures, gaps.cumsum(0).tolist())))
