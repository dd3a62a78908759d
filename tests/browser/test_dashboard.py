"""The dashboard for a lecture (`make dashboard`): voila shows notebook 02 without code, and the explorer answers.

It stands under a hub's prefix, as where a course team serves it to a class.
"""

import importlib.util

import harness
import pytest

PATIENCE = 240_000  # ms: voila runs the whole notebook before it shows the page


@pytest.fixture
def url(tmp_path, monkeypatch):
    """voila's address of notebook 02, with fewer pictures and steps."""
    if importlib.util.find_spec("voila") is None:
        pytest.skip("voila is not installed: make dashboard")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    server = harness.Server(tmp_path, "voila", ["{place}", "--ExecutePreprocessor.timeout=600"],
                            prefix="/user/ana%20maria/")
    yield f"{server.url}/voila/render/{server.lesson('02_soft_targets', {'pictures': 1000, 'steps': 100})}"
    server.close()


def test_voila_shows_the_explorer_without_code(context, url):
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url, timeout=PATIENCE)
    slider, bits = page.locator(".kd-explorer-temperature"), page.locator(".kd-explorer-entropy")
    slider.wait_for(timeout=PATIENCE)
    before = bits.inner_text()
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("before => document.querySelector('.kd-explorer-entropy').innerText !== before", arg=before)
    assert not page.get_by_text("panels.explorer(").count(), "the code is shown"
    assert not page.get_by_text("model not found").count() and not errors
    page.close()
