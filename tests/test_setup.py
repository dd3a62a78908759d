"""The set-up files agree with each other: one list of dependencies, tested versions within its bounds, two commands."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LISTED = [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]


def pins():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def make(*arguments):
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("text", LISTED)
def test_the_tested_version_is_within_the_bounds(text):
    wanted = Requirement(text)
    if wanted.name != "kdlab":
        [pin] = pins()[canonicalize_name(wanted.name)].specifier
        assert pin.operator == "==" and wanted.specifier.contains(pin.version)


def test_constraints_hold_no_cuda_package_and_no_local_version():
    assert not [name for name in pins() if name.startswith(("nvidia", "cuda", "triton", "kdlab"))]
    assert not [pin for pin in pins().values() if "+" in str(pin.specifier)]


def test_environment_yml_lists_no_dependency_of_its_own():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert [item for item in listed if isinstance(item, str)] == ["python=3.11", "pip"]
    [through_pip] = [item["pip"] for item in listed if isinstance(item, dict)]
    assert through_pip[-2:] == ["-c constraints.txt", "-e .[lab]"]


needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@needs_make
def test_make_alone_lists_the_commands():
    shown = make().stdout
    for command in ("lab", "run", "test", "outputs", "clean"):
        assert f"make {command}\t" in shown


@needs_make
def test_a_python_that_is_too_old_is_named_in_one_sentence(tmp_path):
    old = tmp_path / "python3.8"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.1\n[ "$1" = --version ]\n')
    old.chmod(0o755)
    done = make("--always-make", "lab", f"PYTHON={old}")
    assert done.returncode != 0
    assert f"kdlab needs Python 3.11 or newer, and {old} is Python 3.8.1" in done.stdout


@needs_make
@pytest.mark.parametrize(
    "value, driver, expected",
    [
        ("auto", 1, "https://download.pytorch.org/whl/cpu --retries 0" if sys.platform == "linux" else ""),
        ("auto", 0, ""),
        ("pypi", 1, ""),
        ("https://example.org/cu1", 1, "https://example.org/cu1"),
    ],
)
def test_torch_and_torchvision_come_in_one_command_from_the_chosen_index(tmp_path, value, driver, expected):
    for name, body in {
        "nvidia-smi": f"exit {driver}",
        "python": '[ "$2" = venv ] && mkdir -p .venv/bin && cp "$0" .venv/bin/python; echo "ran $*"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\nexit 0\n")
        (tmp_path / name).chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "workbook" / "jupyter", tmp_path / "workbook" / "jupyter")
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    command = ["make", ".venv/installed", "PYTHON=./python", f"TORCH_INDEX={value}"]
    env = {"PATH": f"{tmp_path}:/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    first = [line for line in done.stdout.splitlines() if line.startswith("ran ") and "torch torchvision" in line]
    assert (first == []) if not expected else (len(first) == 1 and "-c constraints.txt --no-deps" in first[0])
    assert expected in "".join(first)
    assert "ran -m pip --disable-pip-version-check install -c constraints.txt -e .[test]" in done.stdout
    assert (tmp_path / ".venv" / "installed").exists()
    assert list((tmp_path / ".venv" / "etc" / "jupyter").rglob("kdlab.json"))


def chain(folder, target, fails=""):
    """Runs a target in a copy where all that is installed says what it was asked, and fails where it reads a word."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "lint-imports"):
        program = folder / ".venv" / "bin" / name
        program.write_text(f'#!/bin/sh\necho "ran $*"\ncase "$*" in *"{fails or "nothing at all"}"*) exit 3; esac\n')
        program.chmod(0o755)
    (folder / ".venv" / "installed").touch()
    command = ["make", "--no-print-directory", target]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def steps(done):
    return [line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.startswith("=== ")]


CHAIN = ["test-lint", "test-unit", "test-browser", "test-runtimes", "test-parameters", "test-outputs"]


@needs_make
def test_make_test_says_what_each_step_took_the_cheap_and_telling_ones_first(tmp_path):
    done = chain(tmp_path, "test")
    assert done.returncode == 0, done.stderr
    assert steps(done) == CHAIN
    assert re.search(r"^=== test-lint: \d+ s$", done.stdout, re.M)


@needs_make
@pytest.mark.parametrize("fails, ran", [("ruff", 1), ("loadfile tests/browser", 3), ("--nbval", 6)])
def test_a_step_that_fails_ends_the_chain(tmp_path, fails, ran):
    done = chain(tmp_path, "test", fails)
    assert done.returncode != 0
    assert steps(done) == CHAIN[:ran]


@needs_make
def test_every_test_is_in_one_step(tmp_path):
    ran = chain(tmp_path, "test").stdout.splitlines()
    asked = [line.split() for line in ran if line.startswith("ran -m pytest")]
    [unit] = [words for words in asked if "tests" in words]
    left_out = {after for word, after in zip(unit, unit[1:], strict=False) if word == "--ignore"}
    others = [word for words in asked if words is not unit for word in words]
    others = [word for word in others if re.fullmatch(r"tests/[\w/]+(\.py)?", word)]
    assert sorted(left_out) == sorted(others)
    assert {word for words in asked for word in words if word.endswith(".ipynb")} == {
        f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")
    }


def test_every_path_in_the_makefile_is_there():
    named = re.findall(r"\b(?:tests|benchmarks|demo)/[\w/.]+", (ROOT / "Makefile").read_text())
    assert named and [path for path in named if not (ROOT / path).exists() and not path.startswith("demo/index")] == []


@needs_make
def test_make_test_quick_lints_and_leaves_out_what_is_slow(tmp_path):
    done = chain(tmp_path, "test-quick")
    ran = [line for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert ran[0] == "ran -m ruff check ." and ran[-1].endswith("-m not slow")
    assert "--ignore tests/browser --ignore tests/workbook/runtimes" in ran[-1]
