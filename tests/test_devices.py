"""Devices: what is here, what is refused, and settings that are put back."""

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
    assert devices.fast(none, "cpu").fused and not devices.fast(none, "xla").fused
    said = str(devices.fast(none, "cpu")).splitlines()
    assert said[0] == "channels_last: off, there is no convolution" and len(said) == 3
    assert said[2] == "fused: on, one call updates all weights"


def test_each_fast_setting_can_be_switched_off(monkeypatch):
    monkeypatch.setattr(devices, "autocast_dtype", lambda device: torch.bfloat16)
    model, off = nn.Conv2d(3, 4, 3), dict(channels_last=False, bf16=False, fused=False)
    settings = devices.fast(model, "cpu", **off)
    assert (settings.channels_last, settings.autocast, settings.fused) == (False, None, False)
    assert all(line.endswith("off, switched off") for line in settings.reasons)
    assert devices.fast(model, "cpu").autocast == torch.bfloat16
