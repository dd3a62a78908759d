"""Devices: what is here, what is refused, and settings that are put back."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from kdlab import devices


def test_the_cpu_comes_first_and_every_name_makes_a_tensor():
    names = devices.available()
    assert names[0] == "cpu"
    for name in names:
        assert torch.zeros(1, device=devices.choose(name)).device.type == torch.device(name).type


def test_auto_takes_the_accelerator_where_there_is_one():
    expected = (devices.available() + devices.available()[:1])[1] if len(devices.available()) > 1 else "cpu"
    assert devices.choose("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ["cuda:99", "tpu", ""])
def test_a_device_that_is_not_here_is_refused_with_what_is(name):
    with pytest.raises(ValueError, match=f"device '{name}' is not available here; this machine has cpu"):
        devices.choose(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has cuda")
def test_cuda_on_a_machine_without_it_is_refused():
    with pytest.raises(ValueError, match="device 'cuda' is not available here"):
        devices.choose("cuda")


def test_threads_are_restored_even_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="inside"), devices.threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise RuntimeError("inside")
    assert torch.get_num_threads() == before
    with devices.threads(None):
        assert torch.get_num_threads() == before


def test_less_than_one_thread_is_refused():
    with pytest.raises(ValueError, match="threads must be >= 1, got 0"), devices.threads(0):
        pass


def test_describe_names_the_processor_and_its_cores():
    assert "cores" in devices.describe("cpu") and "\n" not in devices.describe("cpu")


def test_autocast_is_bfloat16_or_nothing_and_a_matrix_product_runs_in_it():
    dtype = devices.autocast_dtype("cpu")
    assert dtype in (None, torch.bfloat16)
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (dtype or torch.float32)


def test_fast_settings_follow_the_model_and_say_why():
    convolutions, none = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)
    assert devices.fast(convolutions, "cpu").channels_last and not devices.fast(none, "cpu").channels_last
    assert devices.fast(convolutions, "cpu").autocast == devices.autocast_dtype("cpu")
    assert devices.fast(none, "cpu").autocast is None
    assert devices.fast(none, "cpu").fused and not devices.fast(none, "meta").fused
    said = str(devices.fast(none, "cpu")).splitlines()
    assert said[0] == "channels_last: off, there is no convolution" and len(said) == 3
    assert said[2] == "fused: on, one call updates all weights"


def test_bfloat16_is_for_hardware_that_computes_in_it(monkeypatch):
    model = nn.Conv2d(3, 4, 3)
    for dtype, said in (
        (torch.bfloat16, "bf16: on, cpu computes"),
        (None, "bf16: off, the hardware would only imitate it"),
    ):
        monkeypatch.setattr(devices, "autocast_dtype", lambda device, dtype=dtype: dtype)
        assert devices.fast(model, "cpu").autocast == dtype and devices.fast(model, "cpu").reasons[1].startswith(said)


@pytest.mark.parametrize(
    "quota, cores", [("100000 100000", 1), ("250000 100000", 2), ("50000 100000", 1), ("max 100000", None)]
)
def test_cores_are_those_that_the_affinity_and_the_containers_quota_leave(monkeypatch, tmp_path, quota, cores):
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no affinity")
    (tmp_path / "cpu.max").write_text(quota + "\n")
    monkeypatch.setattr(devices, "CPU_MAX", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(4)))
    assert devices.cores() == (cores or 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3})
    assert devices.cores() == 1
    (tmp_path / "cpu.max").unlink()
    assert devices.cores() == 1


def test_importing_kdlab_changes_nothing_in_the_process():
    code = (
        "import os; before = dict(os.environ); import kdlab; [getattr(kdlab, name) for name in kdlab.__all__]; "
        "assert before == dict(os.environ)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="huge pages are asked for on Linux")
@pytest.mark.slow
def test_large_tensors_lie_in_huge_pages_where_they_are_asked_for_and_not_switched_off():
    pages = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not pages.exists() or "[madvise]" not in pages.read_text():
        pytest.skip("this kernel gives huge pages to everyone or to no one")
    code = (
        "import resource, torch; from kdlab import devices; devices.huge_pages(); "
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt; "
        "before = faults(); torch.ones(32_000_000); print(faults() - before)"
    )
    found = {}
    for value in ("1", "0", None):
        environment = {name: text for name, text in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
        environment |= {} if value is None else {"THP_MEM_ALLOC_ENABLE": value}
        for _ in range(1 if value == "0" else 3):  # while much else runs, the system may have none to give
            command = [sys.executable, "-c", code]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            found[value] = min(int(done.stdout), found.get(value, sys.maxsize))
            if found[value] < 10_000:
                break
    assert found["0"] > 30_000 and max(found["1"], found[None]) < 10_000, found  # 128 MB are 31,250 pages of 4 kB


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory is kept with glibc")
def test_freed_memory_stays_for_the_next_step_where_huge_pages_are_asked_for():
    code = (
        "import sys, torch; from kdlab import devices; sys.argv[1] == 'ask' and devices.huge_pages(); "
        "held = lambda: int(open('/proc/self/statm').read().split()[1]) * 4096; "
        "before = held(); x = torch.ones(50_000_000); del x; print(held() - before)"
    )
    found = {}
    for ask, value in (("ask", "1"), ("ask", "0"), ("no", "1")):
        command, environment = [sys.executable, "-c", code, ask], os.environ | {"THP_MEM_ALLOC_ENABLE": value}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found[ask, value] = int(done.stdout)
    assert found.pop(("ask", "1")) > 190e6 and max(found.values()) < 100e6, found  # of 200 MB
