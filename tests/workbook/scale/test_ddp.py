"""Two processes under torchrun: the same weights as one process with the joint batch, and a killed one goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import replicas
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from kdlab import data
from kdlab.losses import soft_loss
from workbook.scale import ddp

ROOT = Path(__file__).parents[3]
HELD = Path(replicas.__file__).with_name("held.py")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="torchrun's gloo on Windows")]


def torchrun(*command):
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, command)]
    return subprocess.Popen(run, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    run = torchrun(replicas.__file__, folder)
    said = run.communicate(timeout=400)[1]
    assert run.returncode == 0, said
    return folder


def joint(digits, method):
    """One process, written by hand: in each step the parts of both in one batch."""
    student, own = replicas.Double(), replicas.Scaled()
    parameters = [*student.parameters(), *(own.parameters() if method == "scaled" else ())]
    optimizer = torch.optim.AdamW(parameters, lr=replicas.KNOBS.lr, weight_decay=0.0)
    answers, half = replicas.known(digits).lookup(torch.arange(len(digits.train))), replicas.BATCH // 2
    order = data.batches(len(digits.train) // 2, half, seed=0, device="cpu")
    for _, place in zip(range(replicas.STEPS), order):
        both = torch.cat([2 * place, 2 * place + 1])  # the first process has 0, 2, 4, …, the other 1, 3, 5, …
        logits = student(digits.normalize(digits.train.images[both]))
        if method == "scaled":
            loss = (own.scale * logits - answers[both]).square().mean()
        else:
            soft = soft_loss(logits, answers[both].double(), replicas.KNOBS.temperature)
            loss = 0.7 * soft + 0.3 * F.cross_entropy(logits, digits.train.labels[both])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return student.state_dict() | (own.state_dict() if method == "scaled" else {})


@pytest.mark.parametrize("method", ["logits", "scaled"])
def test_two_processes_give_the_weights_of_one_with_the_joint_batch(trained, digits, method):
    wanted, found = joint(digits, method), torch.load(trained / f"{method}-0.pt")
    assert wanted.keys() == found.keys()
    for name, tensor in wanted.items():
        assert tensor.dtype == torch.float64 and torch.allclose(found[name], tensor, rtol=0, atol=1e-10), name
    fresh = replicas.Double().state_dict()
    assert all((wanted[name] - tensor).abs().max() > 1e-3 for name, tensor in fresh.items())


@pytest.mark.parametrize("method", ["logits", "scaled"])
def test_the_replicas_are_equal_bit_for_bit(trained, method):
    one, other = (torch.load(trained / f"{method}-{rank}.pt") for rank in range(2))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("batch_size", [63, 0, 2000])
def test_a_batch_that_cannot_be_shared_is_refused(trained, batch_size):
    said = {(trained / f"refused-{batch_size}-{rank}.txt").read_text() for rank in range(2)}
    assert said == {f"batch_size must be a multiple of the 2 processes, and at most 1000, got {batch_size}"}


def test_shards_share_the_images_evenly(digits):
    shards = [ddp.shard(digits.only(torch.arange(50)), rank, 4).in_use for rank in range(4)]
    assert [len(places) for places in shards] == [12] * 4
    assert len(torch.cat(shards).unique()) == 48 and torch.cat(shards).max() < 50


def test_without_torchrun_there_is_one_sentence(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match="no group of processes is here; start it with: torchrun"):
        with ddp.group():
            pass


@pytest.mark.parametrize("order", ["as it comes", "told before it has noticed"])
def test_a_killed_process_ends_the_job_and_the_same_command_goes_on_to_the_same_weights(trained, tmp_path, order):
    state, out, gate = tmp_path / "run.state", tmp_path / "student.safetensors", tmp_path / "gate"
    options = [*replicas.RUN, "--state", state, "--out", out]
    killed = torchrun(HELD, gate, *options)  # it waits where it has written its first state
    while not state.exists():
        assert killed.poll() is None, killed.communicate()[1]
        time.sleep(0.02)
    first, second = psutil.Process(killed.pid).children()
    if order == "told before it has noticed":
        first.suspend()
    second.send_signal(signal.SIGKILL)
    if order == "told before it has noticed":
        first.send_signal(signal.SIGTERM)  # waits until the process goes on, as torchrun's does
        first.resume()
    else:
        gate.touch()
    said = killed.communicate(timeout=300)[1]
    assert killed.returncode != 0 and "forcefully" not in said, said  # as torchrun ends who stays for half a minute
    wanted = "another process was gone, or the job was stopped; the same command goes on from"
    assert said.count(wanted) == 1 and "SystemExit" not in said, said
    assert not out.exists()
    if order == "told before it has noticed":
        return
    again = torchrun("-m", "workbook.scale.ddp", *options)
    said = again.communicate(timeout=400)[1]
    assert again.returncode == 0, said
    resumed, never = load_file(out), load_file(trained / "never.safetensors")
    assert all(torch.equal(tensor, never[name]) for name, tensor in resumed.items())
