"""The emulated FPGA: torch's answers where the bits suffice, arithmetic of fixed-point numbers where they do not."""

import shutil
import sys

import pytest
import torch
from torch import nn

from kdlab import models
from kdlab.evaluation import predict
from workbook.runtimes import Unavailable, fpga

needs_hls = pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")


@pytest.fixture
def hls():
    line = "python -m pip install -c constraints.txt -e '.[fpga]'"
    return pytest.importorskip("hls4ml", reason=f"hls4ml is not installed: {line}")


@needs_hls
def test_wide_numbers_give_torchs_logits_and_narrow_ones_other_answers(hls, trained):
    digits, student = trained("digits", "mlp-16")
    images, logits = digits.normalize(digits.test.images), predict(student, digits, "test")

    def right(z):
        return 100 * (z.argmax(1) == digits.test.labels).double().mean().item()

    wide = fpga.build(student, images[:1], width=32, integer=12)(images)
    torch.testing.assert_close(wide, logits, rtol=1e-3, atol=1e-3)
    assert abs(right(wide) - right(logits)) <= 0.5
    narrow = fpga.build(student, images[:1], width=5, integer=3)(images)
    assert right(narrow) < right(logits) - 10
    assert torch.equal((narrow * 4).round() / 4, narrow)  # steps of 2 ** -(5 - 3)
    assert -4 <= narrow.min() and narrow.max() < 4  # three bits before the point, the sign among them


@needs_hls
def test_a_network_with_three_channels_gets_them_in_the_right_order(hls):
    torch.manual_seed(1)
    model, images = models.build("cnn-4", (3, 4, 4), 3), torch.randn(6, 3, 4, 4)
    model(images)  # batch norm's statistics
    with torch.no_grad():
        expected = model.eval()(images)
    torch.testing.assert_close(fpga.build(model, images)(images), expected, rtol=1e-2, atol=1e-2)


def test_bits_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="need 1 <= integer < width, got width 8 and integer 8"):
        fpga.build(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.zeros(1, 1, 2, 2), width=8, integer=8)


def test_without_hls4ml_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "hls4ml", None)
    with pytest.raises(Unavailable, match=r"hls4ml is not installed; in the repository: .*\[fpga\]") as caught:
        fpga.build(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.zeros(1, 1, 2, 2))
    assert "\n" not in str(caught.value)
