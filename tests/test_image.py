"""environment.yml makes the image of a JupyterHub: repo2docker's own code reads it, and writes the image's recipe."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
if os.environ.get("CI") != "true":
    pytest.importorskip("repo2docker", reason="repo2docker is not installed: pip install -e .[test]")
STEP = "env update -p ${NB_PYTHON_PREFIX}"  # of conda or mamba, from environment.yml


def asked(folder):
    """`jupyter-repo2docker --no-build`, which reads a folder and prints the Dockerfile; nothing is built or fetched."""
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--user-id", "1000", "--user-name", "jovyan",
               "--target-repo-dir", "/srv/kdlab", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def recipe():
    done = asked(ROOT)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def pack(monkeypatch):
    """What repo2docker takes for this repository, the first that finds its files."""
    from repo2docker.app import Repo2Docker

    monkeypatch.chdir(ROOT)
    return next(made for kind in Repo2Docker().buildpacks if (made := kind(base_image="any")).detect())


def through_pip():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    [lines] = [item["pip"] for item in listed if isinstance(item, dict)]
    return lines


def test_conda_is_chosen_with_the_python_of_environment_yml(pack, recipe):
    assert type(pack).__name__ == "CondaBuildPack" and pack.environment_yaml_path == "environment.yml"
    assert pack.python_version == "3.11"
    assert "Building conda environment for python=3.11" in recipe.stderr


def test_the_repository_is_there_before_its_environment_is_installed(recipe):
    lines = recipe.stdout.splitlines()
    [copied] = [i for i, line in enumerate(lines) if re.match(r"COPY .* src/ \$\{REPO_DIR\}/$", line)]
    [installed] = [i for i, line in enumerate(lines) if STEP in line]
    [place] = [i for i, line in enumerate(lines) if line == "WORKDIR ${REPO_DIR}"]
    assert place < copied < installed and '--file "environment.yml"' in lines[installed]
    assert not [line for line in lines if line.startswith("COPY") and "src/environment" in line]


def test_it_is_the_lines_that_name_files_here_which_ask_for_that(pack):
    from repo2docker.utils import is_local_pip_requirement

    named = [line for line in through_pip() if is_local_pip_requirement(line)]
    assert named == ["-c constraints.txt", "-e .[lab]"] and not pack._should_preassemble_env
    assert all((ROOT / name).is_file() for name in ("constraints.txt", "pyproject.toml"))
    kept_out = [path for folder in (".", "binder", ".binder") if (path := ROOT / folder / ".dockerignore").exists()]
    assert not kept_out, "what is named there is not in the image"


def test_what_runs_after_the_build_may_be_run_and_runs(pack, recipe):
    scripts = pack.get_post_build_scripts() + [path for path in [pack.get_start_script()] if path]
    for script in scripts:
        path = ROOT / Path(script).name if not (ROOT / script).exists() else ROOT / script
        assert os.access(path, os.X_OK) and path.name in recipe.stdout
        assert path.read_text().startswith("#!"), f"{path.name} does not say what runs it"


def test_a_folder_without_local_lines_is_installed_before_it_is_copied(tmp_path):
    (tmp_path / "environment.yml").write_text("dependencies: [python=3.11, pip, {pip: [numpy]}]\n")
    lines = asked(tmp_path).stdout.splitlines()
    [copied] = [i for i, line in enumerate(lines) if re.match(r"COPY .* src/ \$\{REPO_DIR\}/$", line)]
    assert [i for i, line in enumerate(lines) if STEP in line][0] < copied
