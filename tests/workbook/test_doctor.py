import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbook import doctor

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "workbook.doctor"]


@pytest.fixture
def disguise(monkeypatch):
    """Lets a package appear in another version, or as not installed: disguise(torch="2.13.0", nbval=None)."""
    real = metadata.distribution

    def set_versions(**versions):
        def distribution(name):
            found = real(name)
            if name not in versions:
                return found
            if versions[name] is None:
                raise metadata.PackageNotFoundError(name)
            return SimpleNamespace(version=versions[name], requires=found.requires, metadata=found.metadata)

        monkeypatch.setattr(metadata, "distribution", distribution)

    return set_versions


def report(capsys):
    """The doctor's exit status, and its report with the lines joined."""
    status = doctor.report()
    return status, " ".join(capsys.readouterr().out.split())


def in_a_process(**environment):
    """A report in a process of its own, begun; its output and what it complains of come through `communicate`."""
    env = {**os.environ, "PYTHONIOENCODING": "utf-8", **environment}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    return subprocess.Popen(COMMAND, cwd=ROOT, env=env, **pipes)


def test_two_reports_at_once_in_a_healthy_environment_both_give_0_and_name_what_is_there(tmp_path):
    running = [in_a_process(KDLAB_CACHE=str(tmp_path / "cache")) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert said[0] == said[1]
    out = said[0][0]
    assert "The lesson can run here." in out and "✗" not in out
    flat = " ".join(out.split())
    for package in ("torch", "torchvision", "jupyterlab", "ipykernel", "ipywidgets"):
        assert f"{package} {metadata.version(package)}" in flat
    for found in ("device cpu", "CPU threads", "data: digits and glyphs", "widgets' front-end", "torch.compile"):
        assert found in out
    assert "cifar10 has not been downloaded" in flat and str(tmp_path / "cache") in flat


def test_a_torchvision_of_another_build_is_named_in_plain_words(tmp_path):
    (tmp_path / "torchvision").mkdir()
    broken = 'raise RuntimeError("operator torchvision::nms does not exist")'
    (tmp_path / "torchvision" / "__init__.py").write_text(broken)
    process = in_a_process(PYTHONPATH=str(tmp_path), PYTHONIOENCODING="ascii")  # a console that has no ✗
    out, complaints = process.communicate(timeout=300)
    assert process.returncode == 1 and not complaints
    flat = " ".join(out.split())
    assert re.search(r"\? wrong torch \S+ and torchvision \S+ do not fit together \(RuntimeError: operator", flat)
    assert "in one command and from one index" in flat and "could not run" in flat


def test_operators_that_do_not_load_are_explained_by_torchvision_itself(tmp_path):
    fake = tmp_path / "torchvision"
    fake.mkdir()
    (fake / "extension.py").write_text("def _has_ops():\n    return False\n")
    (fake / "__init__.py").write_text('raise RuntimeError("compiled with different CUDA major versions")')
    out, _ = in_a_process(PYTHONPATH=str(tmp_path)).communicate(timeout=300)
    assert "do not fit together (RuntimeError: compiled with different CUDA" in " ".join(out.split())


def test_a_report_imports_neither_torchvisions_models_nor_the_compiler_and_torchvision_works_after_it():
    code = """if True:
        import sys
        from workbook import doctor
        status = doctor.report()
        slow = [name for name in ("torchvision", "torchvision.extension", "torch._dynamo") if name in sys.modules]
        import torch, torchvision
        boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2.1], [5, 5, 6, 6]])
        kept = torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
        sys.exit(f"{status} {slow} {kept}" if (status, slow, kept) != (0, [], [0, 2]) else 0)"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
                          env=os.environ | {"PYTHONIOENCODING": "utf-8"})
    assert done.returncode == 0, done.stderr


def test_versions_that_do_not_pair_are_named_though_they_import(disguise, capsys):
    disguise(torch="2.13.0+cpu")
    status, text = report(capsys)
    assert status == 1
    assert "torch 2.13.0+cpu and torchvision" in text and "do not fit together (torchvision wants torch" in text


def test_an_extra_that_is_missing_is_optional_and_has_its_own_remedy(disguise, capsys):
    disguise(voila=None)
    status, text = report(capsys)
    assert status == 0
    assert "optional voila is not installed (extra 'dashboard') → make dashboard, or" in text
    assert "'.[dashboard]'" in text


@pytest.mark.parametrize("package", ["jupyterlab", "torch", "torchvision", "scikit-learn", "ipywidgets"])
def test_a_missing_package_is_named_with_its_remedy(disguise, capsys, package):
    disguise(**{package: None})
    status, text = report(capsys)
    assert status == 1
    assert f"✗ missing {package} is not installed → make lab" in text


def test_the_ipykernel_that_breaks_widgets_is_refused(disguise, capsys):
    disguise(ipykernel="7.0.1")
    status, text = report(capsys)
    assert status == 1
    assert "ipykernel 7.0.1 is installed, kdlab wants" in text and "breaks widget updates from threads" in text


def test_a_missing_test_extra_does_not_stop_the_lesson(disguise, capsys):
    disguise(nbval=None)
    status, text = report(capsys)
    assert status == 0
    assert "– optional nbval is not installed (extra 'test')" in text


def test_a_python_without_kdlab_is_told_where_to_go(disguise, capsys):
    disguise(kdlab=None)
    status, text = report(capsys)
    assert status == 1
    assert "✗ missing kdlab is not installed in this Python" in text and ".venv/bin" in text


def test_a_missing_front_end_of_the_widgets_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *_: [str(tmp_path)])
    status, text = report(capsys)
    assert status == 1
    assert "✗ missing widgets' front-end for JupyterLab" in text and "jupyterlab_widgets" in text


def test_no_compiler_is_optional_and_has_a_remedy(monkeypatch, capsys):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    status, text = report(capsys)
    assert status == 0
    assert "– optional torch.compile needs a C++ compiler" in text and "apt install" in text


def test_a_gpu_that_torch_cannot_use_is_mentioned(monkeypatch, capsys):
    monkeypatch.setattr("kdlab.devices.available", lambda: ["cpu"])
    monkeypatch.setattr(doctor, "_driver", lambda: True)
    status, text = report(capsys)
    assert status == 0
    assert "– optional an NVIDIA GPU is here, and torch" in text and "TORCH_INDEX" in text


def test_environment_prints_three_lines(capsys):
    doctor.environment()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("Python 3.") and "torch" in lines[0] and "kdlab" in lines[0]
    assert lines[1].startswith("Devices: cpu (") and lines[2].startswith("CPU threads in torch:")
