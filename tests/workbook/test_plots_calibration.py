"""The reliability diagram draws what it was given, in the bins of the calibration error."""

import pytest
import torch

from kdlab.evaluation import calibration_error
from workbook.plots import calibration


@pytest.fixture(scope="module")
def answers():
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(400, 5, generator=generator), torch.randint(5, (400,), generator=generator)


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_the_bins_are_those_of_the_calibration_error(answers, bins):
    confidence, accuracy, share = calibration.in_bins(*answers, bins)
    assert share.sum().item() == pytest.approx(1)
    error = ((confidence - accuracy).abs() * share).nansum().item()
    assert error == pytest.approx(calibration_error(*answers, bins))


def test_a_model_that_is_as_often_right_as_it_says_lies_on_the_diagonal():
    logits = torch.tensor([[0.75, 0.25]]).log().repeat(400, 1)
    labels = torch.tensor([0, 0, 0, 1]).repeat(100)
    ax = calibration.reliability({"honest": (logits, labels)}, title="t").axes[0]
    (line,) = ax.lines[1:]
    assert list(line.get_xdata()) == pytest.approx([0.75]) and list(line.get_ydata()) == pytest.approx([0.75])
    assert ax.get_legend().get_texts()[1].get_text() == "honest: error 0.000"


def test_each_model_has_its_own_look_and_bars_that_sum_to_all_its_answers(answers):
    figure = calibration.reliability({"a": answers, "b": answers}, title="Two models")
    top, below = figure.axes
    first, second = top.lines[1:]
    for look in ("get_color", "get_marker", "get_linestyle"):
        assert getattr(first, look)() != getattr(second, look)()
    assert sum(bar.get_height() for bar in below.patches) == pytest.approx(200)
    assert top.get_title(loc="left") == "Two models" and "confidence" in below.get_xlabel()
