"""A person in a real kernel: interrupts a training, and works on."""

import textwrap
import time

import pytest
from jupyter_client.manager import KernelManager

from workbook.run import ThisPython

SETUP = """
    import torch
    from kdlab import data, models, training
    torch.set_num_threads(1)
    digits = data.load("digits")
    model = models.build("mlp-32", digits.shape, 10)
    training.finish(training.train(model, digits, steps=1))  # the first optimizer of a process imports for seconds
"""
TRAIN = "history = training.finish(training.train(model, digits, steps=1_000_000, batch_size=64))"
AFTER = """
    print(0 < len(history) < 1_000_000, history[-1].step, model.training)
    more = training.finish(training.train(model, digits, steps=5))
    print(len(more), all(p.isfinite().all() for p in model.parameters()))
"""


@pytest.fixture
def kernel():
    manager = KernelManager()
    manager._kernel_spec = ThisPython().kernel_spec
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code, after_start=lambda: None):
    """What the code printed; `after_start` is called once the cell is running."""
    printed, request = [], client.execute(textwrap.dedent(code))
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "execute_input":
            after_start()
        elif kind == "stream" and content["name"] == "stdout":
            printed.append(content["text"])
        elif kind == "error":
            raise AssertionError("\n".join(content["traceback"]))
        elif kind == "status" and content["execution_state"] == "idle":
            return "".join(printed)


def test_interrupting_a_training_says_so_keeps_the_model_and_the_next_cell_works(kernel):
    manager, client = kernel
    run(client, SETUP)

    def interrupt():
        time.sleep(1.5)
        manager.interrupt_kernel()

    said = run(client, TRAIN, after_start=interrupt)
    assert said.startswith("stopped after step ") and said.endswith("; the model keeps that state\n")
    kept, more = run(client, AFTER).splitlines()
    assert kept.startswith("True ") and kept.endswith(" False")
    stopped, recorded = int(said.split()[3][:-1]), int(kept.split()[1])
    assert stopped - recorded in (0, 1)  # the last step may have been finished, and not yet recorded
    assert more == "5 True"
