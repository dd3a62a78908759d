"""Which browser is taken, and what happens without one."""

import os
import subprocess
import sys
from pathlib import Path

import harness
import pytest

HERE = Path(__file__).parent


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """No browser on PATH, none of playwright's."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    if any(map(os.path.isfile, harness.PLACES)):
        pytest.skip("a browser is installed in a place of its own")
    return tmp_path


def outcome():
    one = f"{HERE / 'test_grid.py'}::test_every_cell_has_a_name_that_can_be_read_out"
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", one]
    return subprocess.run(command, capture_output=True, text=True)


def test_an_installed_browser_is_found_first(bare):
    for name in ("google-chrome", "chromium"):
        (bare / name).write_text("#!/bin/sh\n")
        (bare / name).chmod(0o755)
    assert harness.find_browser() == str(bare / "chromium")


def test_without_a_browser_the_tests_are_skipped_with_a_line_that_tells_how_to_get_one(bare):
    done = outcome()
    assert done.returncode == 0 and " skipped" in done.stdout
    assert done.stdout.count(harness.HOW_TO_GET_ONE) == 2  # which browser, and why skipped


def test_in_ci_a_missing_browser_is_a_failure(bare, monkeypatch):
    monkeypatch.setenv("CI", "true")
    done = outcome()
    assert done.returncode == 1 and harness.HOW_TO_GET_ONE in done.stdout
