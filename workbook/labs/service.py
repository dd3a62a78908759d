"""A teacher behind HTTP on this machine: batches, a queue that ends somewhere, limits; its process, started and ended.

Who asks it, and what happens when no answer comes, stands in cascade.py.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from subprocess import PIPE, Popen, TimeoutExpired

import torch
from torch import nn
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from kdlab import files, models
from kdlab.data import Dataset

LIMIT = 4096  # bytes of a request's body; more is refused with 413 ...
WALL = 2**20  # ... and from here on the connection is closed before the body is read
PATIENCE = 120  # seconds until the process must answer


class Service(contextlib.AbstractContextManager):
    """A teacher in a process of its own, on a free port of 127.0.0.1; ready when this returns.

    The process ends with `stop()`, which waits for it and may be called again, with the last reference to this object,
    with this Python, and, because it reads its standard input to the end, also when this Python is killed.

        POST /predict   the uint8 bytes of one picture → 200 {"label", "confidence"}; 400 not that many bytes,
                        413 more than LIMIT, 503 with Retry-After: the queue is full; each with {"error": a sentence}
        GET /health     200 {"pictures", "batches", "largest", "refused"}: what it has answered so far

    Args:
        teacher: on the CPU, built as `kdlab.models.build(name, dataset.shape, len(dataset.classes))`.
        name: that name.
        dataset: shape, classes and normalization.
        batch: pictures that go through the teacher at once, >= 1.
        wait: seconds for which the first picture of a batch waits for others, >= 0.
        pending: pictures that may wait, >= 1; the next one is told 503.
        pause: seconds added to each batch, >= 0, to play a teacher that is larger than this one.

    Raises:
        ValueError: an option out of its range, or pictures of more bytes than LIMIT.
        RuntimeError: the process did not come up; the message ends with what it last said.
    """

    def __init__(
        self, teacher: nn.Module, name: str, dataset: Dataset, *,
        batch: int = 16, wait: float = 0.005, pending: int = 32, pause: float = 0.0,
    ):
        if batch < 1 or pending < 1 or wait < 0 or pause < 0:
            got = f"{batch}, {pending}, {wait}, {pause}"
            raise ValueError(f"batch and pending must be >= 1, wait and pause >= 0, got {got}")
        if (size := torch.Size(dataset.shape).numel()) > LIMIT:
            raise ValueError(f"a picture may have {LIMIT} bytes, one of {dataset.name} has {size}")
        job = dict(name=name, shape=dataset.shape, classes=len(dataset.classes), batch=batch, wait=wait,
                   pending=pending, pause=pause, mean=dataset.mean.tolist(), std=dataset.std.tolist())
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
            files.write_weights(teacher, job.setdefault("weights", os.path.join(folder, "teacher.safetensors")))
            # -P: not what lies in this folder
            command = [sys.executable, "-P", "-m", "workbook.labs.service", json.dumps(job)]
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            self.process = Popen(command, env=environment, stdin=PIPE, stdout=PIPE, stderr=said)
            self.stop = weakref.finalize(self, _end, self.process)
            timer = threading.Timer(PATIENCE, self.process.kill)
            timer.daemon = True
            timer.start()
            port = self.process.stdout.readline().strip()  # empty where the process ended
            timer.cancel()
            if not port:
                self.stop()
                said.seek(0)
                last = said.read().decode(errors="replace").strip().splitlines()[-1:]
                raise RuntimeError(f"the service did not come up within {PATIENCE} s: {' '.join(last) or 'no word'}")
        self.url = f"http://127.0.0.1:{int(port)}"

    def __exit__(self, *_) -> None:
        self.stop()


def _end(process: Popen) -> None:
    with process:  # waits for its end
        process.stdin.close()
        try:
            process.wait(3)
        except TimeoutExpired:
            process.kill()


async def _answer(queue: asyncio.Queue, counts: dict, teacher: Callable, batch: int, wait: float) -> None:
    """Single pictures in, batches through the teacher in a thread of its own, single answers out."""
    thread = ThreadPoolExecutor(1)
    while True:
        waiting = [await queue.get()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while len(waiting) < batch:
                    waiting.append(await queue.get())
        waiting = [(picture, future) for picture, future in waiting if not future.done()]  # who hung up is left out
        if not waiting:
            continue
        pictures, futures = zip(*waiting)
        try:
            answers = await asyncio.get_running_loop().run_in_executor(thread, teacher, pictures)
        except Exception as error:  # one batch that fails must not stop the service
            answers = [error] * len(futures)
        counts["pictures"] += len(futures)
        counts["batches"] += 1
        counts["largest"] = max(counts["largest"], len(futures))
        for future, answer in zip(futures, answers):
            if not future.done():
                future.set_exception(answer) if isinstance(answer, Exception) else future.set_result(answer)


class _Handler(RequestHandler):
    future = None

    def initialize(self, queue: asyncio.Queue, counts: dict, shape: tuple[int, int, int]):
        self.queue, self.counts, self.shape = queue, counts, shape

    def get(self):
        self.finish(self.counts)

    async def post(self):
        size, wanted = len(self.request.body), torch.Size(self.shape).numel()
        if size > LIMIT:
            return self.refuse(413, f"a body may have {LIMIT} bytes, got {size}")
        if size != wanted:
            return self.refuse(400, f"a picture of {'x'.join(map(str, self.shape))} has {wanted} bytes, got {size}")
        self.future = asyncio.get_running_loop().create_future()
        try:
            self.queue.put_nowait((self.request.body, self.future))
        except asyncio.QueueFull:
            self.set_header("Retry-After", "1")
            return self.refuse(503, f"{self.queue.maxsize} pictures are waiting already; ask again later")
        if answer := await self.future:
            self.finish(dict(zip(("label", "confidence"), answer)))

    def refuse(self, status: int, sentence: str):
        self.counts["refused"] += 1
        self.set_status(status)
        self.finish({"error": sentence})

    def on_connection_close(self):
        if self.future and not self.future.done():
            self.future.set_result(None)  # nobody listens any more


async def _serve(job: dict) -> None:
    shape = tuple(job["shape"])
    torch.set_num_threads(1)
    model = files.read_weights(models.build(job["name"], shape, job["classes"]), job["weights"]).eval()
    mean, std = (255 * torch.tensor(job[key]).view(-1, 1, 1) for key in ("mean", "std"))

    @torch.inference_mode()
    def teacher(pictures: tuple[bytes, ...]) -> list[tuple[int, float]]:
        time.sleep(job["pause"])
        images = torch.frombuffer(bytearray(b"".join(pictures)), dtype=torch.uint8).view(-1, *shape)
        confidence, label = model((images - mean) / std).softmax(1).max(1)
        return list(zip(label.tolist(), [round(c, 4) for c in confidence.tolist()]))

    queue, counts = asyncio.Queue(job["pending"]), dict(pictures=0, batches=0, largest=0, refused=0)
    routes = [(r"/(?:predict|health)", _Handler, dict(queue=queue, counts=counts, shape=shape))]
    server = HTTPServer(Application(routes, log_function=lambda handler: None), max_body_size=WALL, body_timeout=5)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await _answer(queue, counts, teacher, job["batch"], job["wait"])


def _leave_with_the_parent() -> None:
    while os.read(0, 4096):  # standard input ends when the parent closes it, or is gone
        pass
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is meant for the notebook, not for its service
    threading.Thread(target=_leave_with_the_parent, daemon=True).start()
    asyncio.run(_serve(json.loads(sys.argv[1])))
