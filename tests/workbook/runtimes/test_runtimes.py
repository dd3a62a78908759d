"""The runtimes: each answers as eager does on trained weights, says what it lacks, and leaves the model alone.

Those whose extra is not installed are skipped with the line that installs it.
"""

import copy
import functools
import os
import signal
import subprocess
import sys

import pytest
import torch
from torch import nn

from kdlab import devices, latency, models
from kdlab.evaluation import predict
from workbook import runtimes
from workbook.runtimes import RUNTIMES, Unavailable, base, litert, pytorch

ACCURACY = {"float32": 0.005, "bf16": 0.005, "int8": 0.015}  # the difference to eager that is allowed
BATCH = 50
STUDENTS = {"glyphs": "cnn-8-16-16", "digits": "mlp-32"}
COMPILERS = ("compile", "aotinductor")  # seconds for each model: they get the CNN alone


@pytest.fixture
def digits(trained):
    return trained("digits", STUDENTS["digits"])


@pytest.fixture(scope="module")
def program(trained):
    """Maps names of a runtime and of a data set to the program for that student, made once for BATCH images."""

    @functools.cache
    def of(name, dataset):
        pictures, student = trained(dataset, STUDENTS[dataset])
        images, seen = pictures.normalize(pictures.test.images), pictures.normalize(pictures.train.images[:256])
        model = copy.deepcopy(student).train()
        built = build(name, model, images[:BATCH], seen)
        weights = student.state_dict()
        assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
        assert model.training and all(w.is_contiguous() for w in model.parameters()), "build changed its model"
        return built

    return of


def small_cnn():
    first = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(144, 7))


def build(name, model, example, calibration=None):
    """The program; where this machine lacks the runtime, a skip. A model that the runtime refuses is a failure."""
    if reason := RUNTIMES[name].why_not(example.device):
        pytest.skip(reason)
    return RUNTIMES[name].build(model, example, calibration)


@pytest.mark.parametrize(
    "name, dataset", [(name, dataset) for dataset in STUDENTS for name in RUNTIMES if (name, dataset) not in
                      [(compiler, "digits") for compiler in COMPILERS]]
)
def test_a_runtime_is_as_accurate_as_eager_and_leaves_the_model_alone(name, dataset, trained, program):
    pictures, student = trained(dataset, STUDENTS[dataset])
    images, labels = pictures.normalize(pictures.test.images), pictures.test.labels
    expected = predict(student, pictures, "test")
    made = program(name, dataset)
    logits = runtimes.logits(made, images, BATCH)
    right, eager = ((answer.argmax(1) == labels).double().mean().item() for answer in (logits, expected))
    assert eager > 0.7, "the student must have learned something for the comparison to mean anything"
    assert abs(right - eager) <= ACCURACY[RUNTIMES[name].precision], (right, eager)
    spread = expected.std().item()
    if RUNTIMES[name].precision == "float32":
        assert (logits - expected).abs().max() < 1e-4 * spread
    else:
        assert 0 < (logits - expected).square().mean().sqrt() < 0.15 * spread
    assert made.bytes > 0


@pytest.mark.parametrize("name", [name for name, runtime in RUNTIMES.items() if not runtime.fixed_batch])
def test_a_program_without_a_fixed_batch_takes_any(name, trained, program):
    dataset = "glyphs" if name in COMPILERS else "digits"
    pictures, _ = trained(dataset, STUDENTS[dataset])
    images, made = pictures.normalize(pictures.test.images[:7]), program(name, dataset)
    seven = runtimes.logits(made, images, 7)
    torch.testing.assert_close(seven, runtimes.logits(made, images, 1), rtol=2e-2, atol=2e-2 * seven.std().item())


@pytest.mark.parametrize("name", ["eager", "channels_last", "bf16", "channels_last+bf16"])
def test_torchs_own_settings_write_a_file_only_when_asked_and_it_gives_the_same_answers(name, digits, monkeypatch):
    monkeypatch.setattr("kdlab.devices.autocast_dtype", lambda device: torch.bfloat16)
    pictures, student = digits
    image = pictures.normalize(pictures.test.images[:5])
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", lambda *a: pytest.fail("a file was written"))
        patch.setattr(base, "TemporaryDirectory", lambda **k: pytest.fail("a folder was made"))
        made = RUNTIMES[name].build(student, image)
        expected = runtimes.logits(made, image, 5)
    assert [file.name for file in made.path.iterdir()] == ["model.pt"] and made.path == made.path
    assert torch.equal(runtimes.logits(RUNTIMES[name].read(made.path, image), image, 5), expected)


def test_a_model_that_cannot_be_pickled_runs_and_says_so_when_its_file_is_asked_for():
    class Own(nn.Flatten):  # of a function: pickle does not find it
        pass

    made = RUNTIMES["eager"].build(Own(), torch.zeros(1, 1, 2, 2))
    assert made(torch.ones(2, 1, 2, 2)).shape == (2, 4)
    with pytest.raises(Unavailable, match="it does not take this model: [A-Za-z]*Error: .*Own"):
        _ = made.bytes


@pytest.mark.parametrize("name", [name for name, runtime in RUNTIMES.items() if runtime.precision == "int8"])
def test_int8_files_are_smaller_and_without_calibration_images_they_are_refused(name):
    images, model = torch.randn(64, 1, 8, 8), models.build("mlp-512", (1, 8, 8), 10)
    small = build(name, model, images[:1], images).bytes
    assert small < 0.5 * build(name.removesuffix(" int8"), model, images[:1]).bytes
    with pytest.raises(ValueError, match="int8 needs calibration images"):
        RUNTIMES[name].build(model, images[:1])


@pytest.mark.parametrize("name", [name for name, runtime in RUNTIMES.items() if runtime.extra])
def test_a_missing_extra_gives_the_line_that_installs_it(name, monkeypatch):
    monkeypatch.setattr(base, "find_spec", lambda module: None)
    extra, example = RUNTIMES[name].extra, torch.zeros(1, 1, 8, 8)
    with pytest.raises(Unavailable) as error:
        RUNTIMES[name].build(nn.Flatten(), example, example)
    assert str(error.value) == (
        f"{RUNTIMES[name].modules[0]} is not installed; in the repository: "
        f"python -m pip install -c constraints.txt -e '.[{extra}]'"
    )


def test_every_extra_that_is_named_exists_and_devices_joins_them():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = {runtime.extra for runtime in RUNTIMES.values()} - {""}
    assert named <= set(extras)
    (joined,) = extras["devices"]
    assert named <= set(joined.removeprefix("kdlab[").removesuffix("]").split(","))


def test_at_hand_names_every_runtime_and_is_true_of_eager_everywhere():
    assert list(runtimes.at_hand()) == list(RUNTIMES) and runtimes.at_hand()["eager"] == ""
    assert RUNTIMES["eager"].why_not("cuda") == RUNTIMES["cuda graph"].why_not("cuda") == ""
    assert RUNTIMES["onnxruntime"].why_not("cuda") == "it runs on the CPU here, not on cuda"
    assert "needs an NVIDIA GPU" in runtimes.at_hand("cpu")["cuda graph"]


def test_a_sweep_takes_runtimes_by_name_and_their_reasons_along(monkeypatch):
    monkeypatch.setattr(devices, "autocast_dtype", lambda device: None)
    monkeypatch.setattr(base, "find_spec", lambda module: None)
    names = ["eager", "channels_last", "bf16", "cuda graph", "onnxruntime", "jax", "bare C"]
    model = small_cnn().train()
    rows = latency.sweep({"m": model}, (1, 8, 8), batches=(2,), variants=runtimes.builders(names), rounds=1, min_runs=2)
    assert [row.variant for row in rows] == names and all(bool(row.timing) != bool(row.skipped) for row in rows)
    reasons = {row.variant: row.skipped for row in rows}
    assert reasons["eager"] == reasons["channels_last"] == "" and "would only imitate bf16" in reasons["bf16"]
    assert "pip install" in reasons["onnxruntime"] and "pip install" in reasons["jax"]
    assert "cannot be translated" in reasons["bare C"] or "is not here" in reasons["bare C"]
    assert model.training and model[0].weight.is_contiguous()


def test_builders_are_all_runtimes_or_those_named_and_a_wrong_name_is_told_the_right_ones():
    assert list(runtimes.builders()) == list(RUNTIMES)
    assert list(runtimes.builders(["bf16", "eager"])) == ["bf16", "eager"]
    with pytest.raises(ValueError, match="no runtime is called 'fast'; there are eager, channels_last, bf16, "):
        runtimes.builders(["eager", "fast"])


def test_bf16_is_not_offered_where_the_processor_would_imitate_it(monkeypatch):
    monkeypatch.setattr("kdlab.devices.autocast_dtype", lambda device: None)
    reasons = runtimes.at_hand()
    assert "would only imitate bf16" in reasons["bf16"] and "would only imitate bf16" in reasons["channels_last+bf16"]


def test_bf16_runs_where_it_is_offered(monkeypatch, digits):
    """Also imitated it must answer rightly; the processor of a test machine may have no such unit."""
    monkeypatch.setattr("kdlab.devices.autocast_dtype", lambda device: torch.bfloat16)
    dataset, model = digits
    images = dataset.normalize(dataset.test.images[:200])
    expected = runtimes.logits(RUNTIMES["eager"].build(model, images), images, 200)
    for name in ("bf16", "channels_last+bf16"):
        program = RUNTIMES[name].build(model, images)
        with torch.inference_mode():
            assert program(images).dtype == torch.bfloat16
        gap = runtimes.logits(program, images, 200) - expected
        assert 0 < gap.abs().max() < 0.1 * expected.std()


def test_logits_fill_up_the_last_part_and_drop_the_filling():
    asked = []
    images = torch.arange(7.0).view(7, 1, 1, 1)
    answers = runtimes.logits(lambda part: asked.append(part.flatten().tolist()) or part.flatten(1), images, 3)
    assert asked == [[0, 1, 2], [3, 4, 5], [6, 6, 6]] and answers.flatten().tolist() == list(range(7))


@pytest.mark.parametrize("name", ["eager", "onnxruntime"])
def test_the_file_goes_when_the_program_goes(name, digits):
    dataset, model = digits
    program = build(name, model, dataset.normalize(dataset.test.images[:1]))
    path = program.path
    assert path.is_dir() and program.bytes == sum(file.stat().st_size for file in path.iterdir())
    del program
    assert not path.exists()


@pytest.mark.parametrize("name", ["eager", "onnxruntime"])
def test_a_cold_start_reads_the_file_in_another_process(name, digits):
    dataset, model = digits
    image = dataset.normalize(dataset.test.images[:1])
    program = build(name, model, image)
    assert 0 < runtimes.cold_start(name, program.path, image) < float("inf")
    for file in program.path.iterdir():
        file.unlink()
    with pytest.raises(Exception, match="(?i)no such file|not|exist"):
        runtimes.cold_start(name, program.path, image)


def test_an_interrupt_ends_the_process_of_the_cold_starts_quietly_and_the_next_one_works(digits, capfd, monkeypatch):
    dataset, model = digits
    image = dataset.normalize(dataset.test.images[:1])
    program = build("eager", model, image)
    monkeypatch.setattr(runtimes, "_host", [])  # a process of this test's own
    runtimes.cold_start("eager", program.path, image)
    [host] = runtimes._host
    host.send_signal(signal.SIGINT)
    assert host.wait(120) == 0
    assert runtimes.cold_start("eager", program.path, image) > 0
    assert "Traceback" not in capfd.readouterr().err


def test_an_onnx_file_holds_its_weights_takes_any_batch_and_is_exported_once(tmp_path, monkeypatch):
    if reason := base.not_installed("onnx", "onnx", "onnxscript"):
        pytest.skip(reason)
    import onnx

    torch.manual_seed(0)
    model = models.build("cnn-4-8", (3, 8, 8), 5)
    path = runtimes.to_onnx(model, torch.zeros(1, 3, 8, 8), tmp_path / "a.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"] and model.training
    graph = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(graph, full_check=True)
    assert graph.opset_import[0].version == 20
    (images,), (logits,) = graph.graph.input, graph.graph.output
    assert (images.name, logits.name) == ("images", "logits")
    assert [d.dim_param or d.dim_value for d in images.type.tensor_type.shape.dim] == ["batch", 3, 8, 8]
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in graph.graph.initializer)
    with monkeypatch.context() as patch:
        patch.setattr(torch.onnx, "export", lambda *a, **k: pytest.fail("exported again"))
        again = runtimes.to_onnx(model, torch.zeros(4, 3, 8, 8), tmp_path / "b.onnx")
    assert again.read_bytes() == path.read_bytes()
    with torch.no_grad():
        model[0].weight.add_(0.1)  # other weights are another file
    assert runtimes.to_onnx(model, torch.zeros(1, 3, 8, 8), tmp_path / "c.onnx").read_bytes() != path.read_bytes()


def test_the_ninth_compiled_model_is_compiled_too(monkeypatch, tmp_path):
    from torch._dynamo.utils import counters

    inductor = torch.compile
    monkeypatch.setattr(torch, "compile", lambda call, **options: inductor(call, backend="eager", **options))
    before = counters["stats"]["unique_graphs"]
    for batch in range(1, 12):  # torch's own limit for one piece of code is 8
        RUNTIMES["compile"].build(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), torch.randn(batch, 1, 8, 8))
    assert counters["stats"]["unique_graphs"] == before + 11


def test_without_a_compiler_compile_says_why(monkeypatch):
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, "/no/such/compiler"))
    monkeypatch.setattr(torch._inductor.config, "force_disable_caches", True)
    model, example = small_cnn(), torch.randn(3, 1, 8, 8)
    for name, called in {"compile": "compile", "aotinductor": "AOTInductor"}.items():
        with pytest.raises(Unavailable) as error:
            RUNTIMES[name].build(model, example)
        assert str(error.value) == f"{called} does not work here: no C++ compiler was found; install g++ or clang++"


def test_executorch_refuses_another_number_of_threads_while_its_programs_live():
    if reason := RUNTIMES["executorch"].why_not():
        pytest.skip(reason)
    from executorch.extension.pybindings import portable_lib

    example, before = torch.zeros(1, 1, 8, 8), torch.get_num_threads()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 7))
    alive = RUNTIMES["executorch"].build(model, example)
    try:
        torch.set_num_threads(portable_lib._threadpool_get_thread_count() + 1)
        with pytest.raises(Unavailable, match="ExecuTorch has 1? ?.*threads for this whole process"):
            RUNTIMES["executorch"].build(model, example)
    finally:
        torch.set_num_threads(before)
    assert alive(example).shape == (1, 7)


def test_litert_without_its_converter_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(litert, "CONVERTER", tmp_path)
    assert "make litert" in litert.no_converter(torch.device("cpu"))


def test_exporters_are_quiet_and_their_errors_are_not(capfd):
    import logging
    import os
    import warnings

    with base.quiet():
        print("a"), warnings.warn("b", stacklevel=1), logging.getLogger("c").error("c"), os.write(2, b"d")
    logging.getLogger("e").warning("heard again"), os.write(2, b"and C++ too")
    out, err = capfd.readouterr()
    assert out == "" and "d" not in err.replace("heard again", "").replace("and C++ too", "") and "and C++ too" in err
    with pytest.raises(ZeroDivisionError), base.quiet():
        raise ZeroDivisionError


def test_importing_the_runtimes_imports_none_of_their_libraries():
    code = (
        "import sys, workbook.runtimes; found = {'onnx', 'onnxruntime', 'openvino', 'nncf', 'executorch', 'torchao', "
        "'ai_edge_litert', 'torch._inductor'} & set(sys.modules); sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def in_a_process_of_its_own(tmp_path_factory):
    """Three programs of OpenVINO, dropped one by one, then Ctrl-C: the process that did it, and its home folder."""
    if reason := RUNTIMES["openvino int8"].why_not():
        pytest.skip(reason)
    code = (
        "import gc, os, signal, sys, torch, urllib.request\n"
        "os.fork = urllib.request.urlopen = lambda *a, **k: os._exit(7)\n"
        "from workbook import runtimes\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # what runs in the background is born deaf to it
        "image, names = torch.randn(4, 1, 8, 8), ('openvino', 'openvino int8', 'openvino int8', 'openvino')\n"
        "model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten())\n"
        "runtimes.at_hand(), (calls := [runtimes.RUNTIMES[name].build(model, image, image) for name in names])\n"
        "while calls:\n"
        "    calls.pop(0)(image[:1]), gc.collect()\n"
        "said = [name for name, module in sys.modules.items() if name.startswith('openvino_telemetry') and module]\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print(len(said), 'of telemetry, interrupted')\n"
    )
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NNCF", "CI"))}
    env = kept | {"HOME": str(home)}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True), home


def test_nothing_is_reported_over_the_network(in_a_process_of_its_own):
    """OpenVINO and NNCF would: in a process of their own, because NNCF keeps still under pytest by itself."""
    done, home = in_a_process_of_its_own
    assert done.returncode != 7 and "0 of telemetry" in done.stdout, done.stderr[-2000:]
    assert not list(home.rglob("*openvino*")) and not list(home.rglob("*_cid"))


@pytest.mark.skipif(os.name == "nt", reason="needs SIGINT")
def test_an_interrupt_after_several_models_of_openvino_is_only_an_interrupt(in_a_process_of_its_own):
    """Where each model had its own Core, and the first went before the second, the process ended by SIGSEGV."""
    done, _ = in_a_process_of_its_own
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["0 of telemetry, interrupted"]), done.stderr[-2000:]


def test_jax_refuses_another_number_of_threads_and_bare_c_too_many_weights():
    image, before = torch.zeros(1, 1, 8, 8), torch.get_num_threads()
    model = models.build("mlp-32", (1, 8, 8), 10)
    if not RUNTIMES["jax"].why_not():
        build("jax", model, image)
        try:
            torch.set_num_threads(before + 1)
            said = f"JAX has {before} threads for this whole process, and {before + 1} were"
            with pytest.raises(Unavailable, match=said):
                RUNTIMES["jax"].build(model, image)
        finally:
            torch.set_num_threads(before)
    with pytest.raises(Unavailable, match="holds about 500,000 weights, and this model has 1,186,986"):
        build("bare C", models.build("tutorial-teacher", (3, 32, 32), 10), torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize("name", ["jax", "bare C", "bare C int8"])
def test_a_model_that_cannot_be_translated_is_unavailable_in_one_sentence(name):
    image = torch.zeros(1, 3, 32, 32)
    with pytest.raises(Unavailable, match="cannot be translated|is not installed|is not here"):
        RUNTIMES[name].build(models.build("resnet8", (3, 32, 32), 10), image, image)


class Branching(nn.Module):
    """Which way it goes depends on the values: no exporter takes that."""

    def forward(self, images):
        return images.flatten(1) if images.sum() > 0 else -images.flatten(1)


@pytest.mark.parametrize("name", ["compile", "aotinductor", "onnxruntime", "executorch"])
def test_a_model_that_no_exporter_takes_is_unavailable_in_one_line(name):
    if reason := RUNTIMES[name].why_not():
        pytest.skip(reason)
    with pytest.raises(Unavailable) as caught:
        RUNTIMES[name].build(Branching(), torch.ones(2, 1, 2, 2))
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 30


def test_a_class_of_ones_own_is_exported_anew(tmp_path):
    """Two classes may have one name and the same weights, as when a notebook's cell is changed and run again."""
    if reason := base.not_installed("onnx", "onnxscript", "onnxruntime"):
        pytest.skip(reason)
    image, answers = -torch.ones(1, 1, 1, 4), []
    for function in (torch.relu, torch.tanh):
        Net = type("Net", (nn.Module,), {"forward": lambda self, x, f=function: f(x.flatten(1))})
        answers.append(runtimes.logits(RUNTIMES["onnxruntime"].build(Net(), image), image, 1))
    assert answers[0].abs().max() == 0 and answers[1].abs().min() > 0.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", [n for n, r in RUNTIMES.items() if not r.extra and n != "aotinductor"])
def test_on_a_gpu_torchs_settings_answer_as_the_cpu_does(name, digits):
    dataset, model = digits
    images = dataset.normalize(dataset.test.images[:BATCH])
    expected = runtimes.logits(RUNTIMES["eager"].build(model, images), images, BATCH)
    found = runtimes.logits(build(name, model, images.cuda()), images.cuda(), BATCH).cpu()
    torch.testing.assert_close(found, expected, rtol=3e-2, atol=3e-2 * expected.std().item())
    assert pytorch.no_cuda(images.cuda().device) == ""
