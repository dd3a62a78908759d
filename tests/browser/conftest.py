"""Fixtures of the browser tests: one browser and one page a file, one JupyterLab for all files of a process.

Without a browser the tests are skipped with one line that tells how to get one; with CI=true that is a failure.
"""

import functools
import os

import harness
import pages
import pytest

find_browser = functools.cache(harness.find_browser)


def pytest_report_collectionfinish(config, items):
    """Says which browser it is, or how to get one."""
    if not any("/browser/" in item.path.as_posix() for item in items):
        return None
    return f"browser: {find_browser() or harness.HOW_TO_GET_ONE}"


@pytest.fixture(scope="session")
def executable():
    """The browser's path; without one nothing else is started."""
    if not (found := find_browser()):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(harness.HOW_TO_GET_ONE)
    from playwright.sync_api import expect

    expect.set_options(timeout=1000 * harness.PATIENCE)
    return found


@pytest.fixture(scope="session")
def server(executable, tmp_path_factory):
    """JupyterLab for all browser tests; notebooks are copies."""
    server = harness.Server(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def context(executable, tmp_path_factory):
    """A browser for the tests of one file: playwright's event loop must be gone before other tests run theirs."""
    with harness.browser(executable, tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture(scope="module")
def lab(context, server):
    """Opens a notebook (sources of its cells, or the name of one of the workbook's) and runs all of it.

    It stays open for the tests of its file; what they change, they put back.
    """
    opened = []

    def open_and_run(source, *, parameters=None, timeout=120.0):
        path = server.lesson(source, parameters or {}) if isinstance(source, str) else source
        opened.append(notebook := pages.Notebook(context, server, path))
        notebook.run_all(timeout)
        return notebook

    open_and_run.opened = opened
    yield open_and_run
    for notebook in opened:
        notebook.close()


@pytest.fixture(autouse=True)
def no_errors(request):
    """An error of a panel's JavaScript that nobody caught fails its test; one that expects it clears `errors`."""
    yield
    opened = request.getfixturevalue("lab").opened if "lab" in request.fixturenames else ()
    errors = [error for notebook in opened for error in notebook.errors]
    for notebook in opened:
        notebook.errors.clear()
    assert not errors, errors
