"""Cells that tests run in a kernel, with a browser before it or without."""

# digits, an untrained teacher's logits, and a bank that lacks most images; ours() names the threads of the panels
TAUGHT = """
import threading, time, torch
from kdlab import bank, data, models
from workbook import panels
torch.set_num_threads(1)
digits = data.load("digits")
known = bank.fill(models.build("mlp-64", digits.shape, 10, seed=0), digits)
few = bank.make(known.logits[:5], digits, indices=torch.arange(5), producer="a teacher of five images")
def ours():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("kdlab")]
"""
