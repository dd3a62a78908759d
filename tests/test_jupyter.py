"""What the workbook sets in Jupyter lies in the environment, where a person's own settings win, and not among these."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ROOT / "workbook" / "jupyter"


def test_make_and_the_image_of_a_hub_copy_the_same_folder_into_the_environment():
    for name in ("Makefile", "postBuild"):
        assert "cp -R workbook/jupyter/. " in (ROOT / name).read_text(), name
    assert len(files := list(OURS.rglob("*.json"))) == 2
    assert all(json.loads(file.read_text()) for file in files)


@pytest.mark.skipif(os.name == "nt", reason="images of a hub are built on Linux")
def test_after_the_build_of_an_image_the_files_lie_beside_those_of_others(tmp_path):
    (tmp_path / "etc" / "jupyter").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c \'print("{tmp_path}")\'\n')
    python.chmod(0o755)
    env = os.environ | {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([ROOT / "postBuild"], cwd=ROOT, env=env, check=True)
    copied = {file.relative_to(tmp_path / "etc" / "jupyter") for file in tmp_path.rglob("*.json")}
    assert copied == {file.relative_to(OURS) for file in OURS.rglob("*.json")}
