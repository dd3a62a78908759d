"""The playground under test: how it is made and opened, what is asked of its scripts, and what is compared with it."""

import importlib.util
import json

import torch
from harness import ROOT, eventually
from playwright.sync_api import expect
from torch import nn

# a run with these knobs, others from step 40 on, and all that comes of it
RUN = """([chosen, knobs]) => { const run = new Run(data, chosen), steps = [];
  while (run.step < run.steps) steps.push(run.advance(run.step < 40 ? knobs[0] : knobs[1]));
  return {steps, ...run.evaluate(), logits: [...run.logits(run.tests)], size: run.rows.length}; }"""
# the weights that a seed draws
DRAWN = """(seed) => { const draw = generator(seed), layers = [linear(64, 32, draw), linear(32, 10, draw)];
  return layers.flatMap((layer) => [[...layer.weight], [...layer.bias]]); }"""


def built(folder, seeds):
    """Makes the page with these seeds and hasty teachers; returns its path."""
    spec = importlib.util.spec_from_file_location("playground_build", ROOT / "demo" / "playground" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build(folder, seeds, steps=60)


def go(page, url):
    page.goto("about:blank")
    page.goto(url)
    expect(page.locator("body")).to_have_attribute("data-state", "ready")


def until(page, claim):
    """Waits for a claim in JavaScript; playwright's own wait needs what the page's policy forbids."""
    eventually(lambda: page.evaluate(claim), claim)


class Double(nn.Module):
    """A student in float64, for a loop that hands out float32."""

    def __init__(self, model):
        super().__init__()
        self.model = model.double()

    def forward(self, images):
        return self.model(images.double())


def lessons_shuffle():
    """Notebook 03's own function that deals out the numbers of the wrong classes, with its generator as it begins."""
    cells = json.loads((ROOT / "notebooks" / "03_distil_a_student.ipynb").read_text(encoding="utf-8"))["cells"]
    source = next(text for cell in cells if (text := "".join(cell["source"])).startswith("def shuffled("))
    space = {"torch": torch}
    exec(source, space)
    return space["shuffled"]
