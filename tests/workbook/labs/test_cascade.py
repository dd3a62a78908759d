"""The cascade: whatever the service or the picture is like, the edge answers; the service batches, refuses and ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from kdlab import models
from kdlab.evaluation import predict

httpx = pytest.importorskip("httpx")
pytest.importorskip("tornado")
from workbook.labs.cascade import Answer, Edge, Link, traffic  # noqa: E402
from workbook.labs.service import LIMIT, Service  # noqa: E402

ALWAYS = 2.0  # a threshold above every confidence
HANG = 120.0  # seconds after which something hangs, whatever else this machine does


@pytest.fixture(scope="module")
def teacher(digits):
    return models.build("mlp-8", digits.shape, classes=10, seed=0)


@pytest.fixture(scope="module")
def student(digits):
    return models.build("mlp-4", digits.shape, classes=10, seed=1)


@pytest.fixture(scope="module")
def service(digits, teacher):
    with Service(teacher, "mlp-8", digits, pending=64) as running:  # as many as any test sends at once, and more
        yield running


def run(coroutine):
    """Runs it to its end, or fails where it hangs."""
    return asyncio.run(asyncio.wait_for(coroutine, HANG))


def post(service, *bodies):
    """The responses to bodies that are all sent at once."""

    async def all_at_once():
        async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=HANG) as client:
            return await asyncio.gather(*(client.post("/predict", content=body) for body in bodies))

    return run(all_at_once())


async def answers(student, digits, url, pictures, **options):
    async with Edge(student, digits, url, **{"threshold": ALWAYS, "deadline": HANG, **options}) as edge:
        return [await edge.answer(picture) for picture in pictures]


def bodies(pictures):
    return [picture.numpy().tobytes() for picture in pictures]


def test_the_service_says_what_the_teacher_says(service, teacher, digits):
    expected = predict(teacher, digits, "test")[:20].softmax(1)
    said = [response.json() for response in post(service, *bodies(digits.test.images[:20]))]
    assert [one["label"] for one in said] == expected.argmax(1).tolist()
    assert [one["confidence"] for one in said] == pytest.approx(expected.max(1).values.tolist(), abs=1e-4)


def test_pictures_that_come_together_go_through_the_teacher_together_and_each_gets_its_own_answer(teacher, digits):
    pictures = digits.test.images[:24]
    with Service(teacher, "mlp-8", digits, batch=8, wait=HANG) as patient:
        said = [response.json()["label"] for response in post(patient, *bodies(pictures))]
        counts = httpx.get(patient.url + "/health", trust_env=False, timeout=HANG).json()
    assert said == predict(teacher, digits, "test")[:24].argmax(1).tolist()
    assert (counts["pictures"], counts["batches"], counts["largest"]) == (24, 3, 8)


def test_a_full_queue_is_told_with_503_and_when_to_come_back(teacher, digits):
    with Service(teacher, "mlp-8", digits, batch=1, pending=1, pause=0.5) as full:
        responses = post(full, *bodies(digits.test.images[:8]))
    statuses = {response.status_code for response in responses}
    assert statuses == {200, 503}
    turned_away = next(response for response in responses if response.status_code == 503)
    assert turned_away.headers["Retry-After"] == "1" and "1 pictures are waiting" in turned_away.json()["error"]


@pytest.mark.parametrize(("size", "status", "sentence"), [
    (0, 400, "a picture of 1x8x8 has 64 bytes, got 0"),
    (63, 400, "a picture of 1x8x8 has 64 bytes, got 63"),
    (LIMIT, 400, f"a picture of 1x8x8 has 64 bytes, got {LIMIT}"),
    (LIMIT + 1, 413, f"a body may have {LIMIT} bytes, got {LIMIT + 1}"),
])
def test_a_body_that_is_no_picture_is_refused_with_a_sentence(service, size, status, sentence):
    (response,) = post(service, b"x" * size)
    assert (response.status_code, response.json()) == (status, {"error": sentence})


def test_a_service_that_cannot_start_says_why(teacher, digits):
    with pytest.raises(RuntimeError, match="did not come up.*belongs to another model"):
        Service(teacher, "mlp-9", digits)
    with pytest.raises(ValueError, match="pending must be >= 1"):
        Service(teacher, "mlp-8", digits, pending=0)


def test_a_stopped_service_has_ended(teacher, digits):
    stopped = Service(teacher, "mlp-8", digits)
    assert stopped.process.poll() is None
    stopped.stop()
    stopped.stop()
    assert stopped.process.poll() is not None


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_parent_takes_its_service_with_it():
    script = """if True:
        import sys, time
        from kdlab import data, models
        from workbook.labs.service import Service
        digits = data.load("digits")
        service = Service(models.build("mlp-8", digits.shape, classes=10), "mlp-8", digits)
        print(service.url, flush=True)
        time.sleep(600)"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    url = parent.stdout.readline().strip()
    assert httpx.get(url + "/health", trust_env=False, timeout=HANG).status_code == 200
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + HANG
    while time.monotonic() < end:
        try:
            httpx.get(url + "/health", trust_env=False, timeout=HANG)
        except httpx.TransportError:
            return
        time.sleep(0.05)
    pytest.fail("the service outlived its parent")


def test_a_sure_student_does_not_ask(student, digits):
    (answer,) = run(answers(student, digits, "http://127.0.0.1:9", digits.test.images[:1], threshold=0.0))
    assert (answer.by, answer.why) == ("student", "sure")


def test_an_unsure_student_gives_the_teachers_answer(service, student, teacher, digits):
    got = run(answers(student, digits, service.url, digits.test.images[:12]))
    assert {(one.by, one.why) for one in got} == {("teacher", "asked")}
    assert [one.label for one in got] == predict(teacher, digits, "test")[:12].argmax(1).tolist()


def test_the_threshold_is_compared_with_the_confidence_at_the_temperature(service, student, digits):
    logits = predict(student, digits, "test")[:40]
    confidence = (logits / 0.5).softmax(1).max(1).values
    at = dict(threshold=float(confidence.median()), temperature=0.5)
    got = run(answers(student, digits, service.url, digits.test.images[:40], **at))
    assert [one.by == "teacher" for one in got] == (confidence < confidence.median()).tolist()


def http(body, status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


SERVICES = {
    "hangs up": (b"", "gone"),
    "is not HTTP": (b"\x00\xff" * 50, "gone"),
    "stops in the middle": (http('{"label": 3}')[:-4], "gone"),
    "never ends its header": (None, "late"),
    "sends a web page": (http("<html>hello</html>"), "garbage"),
    "sends bytes that are no text": (http("x" * 8).replace(b"x", b"\xff"), "garbage"),
    "sends a number": (http("3"), "garbage"),
    "sends another object": (http('{"answer": 3}'), "garbage"),
    "sends a label that does not exist": (http('{"label": 10}'), "garbage"),
    "sends a label that is no whole number": (http('{"label": true}'), "garbage"),
    "sends brackets without end": (http("[" * 50_000), "garbage"),
    "fails": (http("", "500 Internal Server Error"), "refused"),
    "is full": (http("", "503 Service Unavailable"), "busy"),
    "sends elsewhere": (http("", "302 Found"), "refused"),
}


async def imitation(response, connections):
    """A server that answers each connection with these bytes, or with a header that trickles for ever."""

    async def connected(reader, writer):
        connections.append(1)
        await reader.readuntil(b"\r\n\r\n")
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nX: " if response is None else response)
            while response is None:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("what", SERVICES)
def test_the_edge_answers_alone_and_says_why_when_the_service(what, student, digits):
    response, why = SERVICES[what]

    async def ask():
        server, url = await imitation(response, [])
        try:
            return await answers(student, digits, url, digits.test.images[:2], deadline=0.3 if why == "late" else HANG)
        finally:
            server.close()

    own = predict(student, digits, "test")[:2].argmax(1).tolist()
    assert [(one.label, one.by, one.why) for one in run(ask())] == [(label, "student", why) for label in own]


def test_the_edge_answers_alone_when_the_service_is_killed_under_way(teacher, student, digits):
    async def ask():
        with Service(teacher, "mlp-8", digits, pause=HANG) as slow:
            async with Link(slow.url) as link, Edge(student, digits, link.url, threshold=ALWAYS, deadline=HANG) as edge:
                under_way = asyncio.create_task(edge.answer(digits.test.images[0]))
                while not link.up:
                    await asyncio.sleep(0.01)
                slow.process.kill()
                return await under_way, await edge.answer(digits.test.images[1])

    assert [(one.by, one.why) for one in run(ask())] == 2 * [("student", "gone")]


@pytest.mark.parametrize("size", [16, 64, 65, 2000])
def test_an_oversized_picture_is_refused_and_the_student_answers_for_it_made_small(service, student, digits, size):
    picture = digits.test.images[0]
    large = picture.repeat_interleave(size // 8, 1).repeat_interleave(size // 8, 2)
    large, small, after = run(answers(student, digits, service.url, [large, picture, picture], trip=100))
    assert (large.by, small.by, after.by) == ("student", "teacher", "teacher")
    assert large.label == predict(student, digits, "test")[:1].argmax(1).item()
    assert large.why in ("refused", "gone")  # so large that the service hangs up before it has read it


def test_a_malformed_body_is_refused_and_the_student_answers(service, student, digits):
    def cut(picture):
        return picture.numpy().tobytes()[:-1]

    (answer,) = run(answers(student, digits, service.url, digits.test.images[:1], pack=cut))
    assert (answer.by, answer.why) == ("student", "refused")


@pytest.mark.parametrize("thing", [
    None, b"bytes", torch.zeros(1, 8, 8), torch.zeros(8, 8, dtype=torch.uint8), torch.zeros(3, 8, 8, dtype=torch.uint8),
    torch.zeros(1, 0, 8, dtype=torch.uint8),
])
def test_what_is_no_picture_is_said_to_be_unreadable(service, student, digits, thing):
    (answer,) = run(answers(student, digits, service.url, [thing]))
    assert (answer.label, answer.by, answer.why) == (None, "nobody", "unreadable")


def test_after_some_faults_in_a_row_the_service_is_left_in_peace_and_then_asked_again(student, digits):
    connections = []

    async def ask():
        server, url = await imitation(http("nonsense"), connections)
        async with Edge(student, digits, url, threshold=ALWAYS, deadline=HANG, trip=3, rest=600.0) as edge:
            before = [(await edge.answer(picture)).why for picture in digits.test.images[:6]]
            edge._asleep_until = 0.0  # ten minutes later
            after = (await edge.answer(digits.test.images[0])).why
        server.close()
        return before, after

    before, after = run(ask())
    assert before == 3 * ["garbage"] + 3 * ["resting"] and after == "garbage" and len(connections) == 4


def test_a_link_takes_the_time_of_its_delay_and_bandwidth_and_counts_what_it_carries(service, student, digits):
    async def timed(n, **network):
        clock = asyncio.get_running_loop().time
        async with Link(service.url, **network) as link:
            start = clock()
            got = await answers(student, digits, link.url, digits.test.images[:n])
            return got, clock() - start, link.up, link.down

    got, seconds, up, down = run(timed(3, delay=0.1))
    assert {one.by for one in got} == {"teacher"} and seconds >= 0.4  # one for the connection, three for the pictures
    assert up > 3 * 64 and down > 3 * 30
    got, seconds, up, down = run(timed(3, bandwidth=2000))
    assert {one.by for one in got} == {"teacher"} and seconds >= (up + down) / 2000
    with pytest.raises(ValueError, match="bandwidth > 0"):
        Link(service.url, bandwidth=0)


@pytest.mark.parametrize(("fault", "why"), [("stall", "late"), ("garbage", "garbage")])
def test_a_link_with_a_fault_leaves_the_student_alone(service, student, digits, fault, why):
    async def ask():
        async with Link(service.url) as link:
            link.fault = fault
            deadline = 0.5 if fault == "stall" else HANG
            return await answers(student, digits, link.url, digits.test.images[:1], deadline=deadline)

    (answer,) = run(ask())
    assert (answer.by, answer.why) == ("student", why)


def test_traffic_answers_every_picture_in_its_place(service, student, teacher, digits):
    async def ask():
        async with Edge(student, digits, service.url, threshold=ALWAYS, deadline=HANG) as edge:
            return await traffic(edge, digits.test.images[:50], rate=200.0)

    got = run(ask())
    assert all(isinstance(one, Answer) and one.seconds > 0 for one in got)
    assert [one.label for one in got] == predict(teacher, digits, "test")[:50].argmax(1).tolist()
