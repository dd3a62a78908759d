"""What demo and playground share, without a browser: parts that must have their place, and colours to be read."""

import importlib.util
import re
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[1] / "demo"
TEXTS = ("ink", "quiet", "teacher", "student", "recall", "accuracy")  # what words are written in
GROUNDS = ("card", "paper")


def colours(dark):
    """The custom properties of both style sheets of the playground, as they stand in a scheme."""
    css = "".join((DEMO / path).read_text() for path in ("shared/base.css", "playground/style.css"))
    schemes = re.findall(r"(@media \(prefers-color-scheme: dark\) \{\s*)?:root \{(.*?)\}", css, re.S)
    chosen = [body for media, body in schemes if dark or not media]
    return {name: value for body in chosen for name, value in re.findall(r"--(\w+): (#\w+);", body)}


def luminance(colour):
    """The relative luminance of WCAG 2.2."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_from_their_ground_in_both_schemes(dark):
    of = colours(dark)
    for text in TEXTS:
        for ground in GROUNDS[: 2 if text in ("ink", "quiet") else 1]:
            low, high = sorted(luminance(of[name]) for name in (text, ground))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


def test_a_page_has_a_place_for_each_of_its_parts(tmp_path):
    spec = importlib.util.spec_from_file_location("onefile", DEMO / "onefile.py")
    onefile = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(onefile)
    (tmp_path / "page.html").write_text("{{head}} {{base}} {{numbers}} {{own}} {{given}}")
    (tmp_path / "own.js").write_text("mine")
    page = onefile.write(tmp_path, tmp_path / "made", {"given": "data"}).read_text()
    assert "Content-Security-Policy" in page and page.endswith(" mine data")
    with pytest.raises(AssertionError, match="must hold {{other}} once"):
        onefile.write(tmp_path, tmp_path / "made", {"given": "data", "other": ""})
