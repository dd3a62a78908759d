"""`make lab` starts its notebook's kernel before the page does, with the slow imports done and no name left behind."""

import json
import socket
import time
import urllib.request

import harness
import pytest
from jupyter_client import BlockingKernelClient

from workbook import early

FLAGS = [*harness.LAB, "--ServerApp.jpserver_extensions=workbook.early=True"]


@pytest.fixture
def opened(tmp_path):
    """Starts JupyterLab on a file in its folder, and ends it."""
    servers = []

    def start(name):
        servers.append(harness.Server(tmp_path, flags=[*FLAGS, f"{{place}}/{name}"]))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.mark.slow
def test_a_server_whose_port_somebody_takes_starts_on_another(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports, real = [taken.getsockname()[1]], harness.free
        monkeypatch.setattr(harness, "free", lambda: ports.pop() if ports else real())
        server = harness.Server(tmp_path)
    assert sessions(server) == [] and not ports
    server.close()


def sessions(server):
    with urllib.request.urlopen(f"{server.url}/api/sessions") as reply:
        return json.load(reply)


def begun(server):
    """Its sessions, once there are any."""
    end = time.monotonic() + 120
    while not (found := sessions(server)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def value(server, kernel, expression):
    """What an expression gives in a kernel, as text."""
    client = BlockingKernelClient(connection_file=str(server.place / "runtime" / f"kernel-{kernel}.json"))
    client.load_connection_file()
    client.start_channels()
    try:
        asked = client.execute("", user_expressions={"it": expression}, store_history=False)
        while (reply := client.get_shell_msg(timeout=300))["parent_header"].get("msg_id") != asked:
            pass
        return reply["content"]["user_expressions"]["it"]["data"]["text/plain"]
    finally:
        client.stop_channels()


@pytest.mark.slow
def test_the_notebook_that_is_opened_has_a_kernel_with_the_imports_and_no_name_of_theirs(opened):
    server = opened("notebooks/00_start_here.ipynb")
    [session] = begun(server)
    assert session["path"] == "notebooks/00_start_here.ipynb" and session["type"] == "notebook"
    kernel, end = session["kernel"]["id"], time.monotonic() + 300
    missing = f"[m for m in {early.MODULES} if m not in __import__('sys').modules]"
    while (left := value(server, kernel, missing)) != "[]" and time.monotonic() < end:
        time.sleep(0.2)
    assert left == "[]"
    names = "[n for n in ('torch', 'matplotlib', 'sklearn', 'workbook', 'kdlab') if n in globals()], len(In)"
    assert value(server, kernel, names) == "([], 1)"
    assert value(server, kernel, "__import__('os').getcwd()") == repr(str(server.place / "notebooks"))


def test_a_file_that_is_no_notebook_starts_no_kernel(opened):
    server = opened("notebooks/drawings/bank.svg")
    time.sleep(1)
    assert sessions(server) == []


def test_make_lab_starts_it():
    line = next(line for line in (harness.ROOT / "Makefile").read_text().splitlines() if "-m jupyterlab" in line)
    assert FLAGS[-1] in line and "notebooks/00_start_here.ipynb" in line
