"""A hand-over answers elsewhere as the notebook does, says what it measured, and is whole or not there."""

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from kdlab import data, evaluate, files, latency, models, predict
from kdlab.data import Dataset, Split
from kdlab.evaluation import Gain
from kdlab.training import finish, train
from workbook import runtimes
from workbook.task import exports, handover, page, picture

GAINS = {"60 pictures": Gain(3.3, 0.4, 6.2, 3, 3), "all | pictures": Gain(-0.7, -2.1, 0.8, 0, 3)}
AWKWARD = ("a|b", "<b>&amp;", 'say "x"', "two\nlines", "猫", "قطة", "*_`$x$", "O", "l", "I")

ANSWER = r"(?s)([^\n]+)\t(\d\.\d{4})\t(.*?)(?=\n[^\n]+\t\d\.\d{4}\t|\n\Z)"  # file, share, class of any letters


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def handed(tmp, name, pictures, student, **options):
    options = {"timed": ("eager", "onnxruntime"), "seconds": 600, **options}
    folder = tmp.mktemp("out") / name
    return SimpleNamespace(folder=folder, pictures=pictures, student=student,
                           report=handover.write(folder, student, pictures, **options))


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    digits = data.load("digits")
    student = models.build("mlp-16", digits.shape, 10, seed=0)
    finish(train(student, digits, steps=150, batch_size=64, lr=1e-2))
    return handed(tmp_path_factory, "grey", digits, student.train())


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Glyphs whose classes have the most awkward names, and the facts that a notebook knows."""
    pictures = replace(data.load("glyphs", train=600, test=300), classes=AWKWARD, name="folder:/home/ann/some_pictures")
    teacher = models.build("cnn-8-16-32", pictures.shape, 10, seed=1)
    finish(train(teacher, pictures, steps=60, batch_size=64))
    student = models.build("cnn-4-8-8", pictures.shape, 10, seed=0)
    finish(train(student, pictures, steps=80, batch_size=64, lr=1e-2))
    few = pictures.only(torch.arange(60))
    told = dict(gains=GAINS, chosen="the first seed, by accuracy on val", notes=("Mind\nthe <gap>.",))
    facts = handover.Facts("cnn-4-8-8", "cnn-8-16-32", **told)
    made = handed(tmp_path_factory, "coloured", few, student, facts=facts, teacher=teacher)
    made.teacher = teacher
    return made


@pytest.fixture(params=["grey", "coloured"])
def made(request):
    return request.getfixturevalue(request.param)


def session(file):
    import onnxruntime

    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def test_the_folder_holds_what_an_engineer_needs_and_nothing_else(made):
    names = {file.name for file in made.folder.iterdir()}
    optional = set() if runtimes.RUNTIMES["litert"].why_not("cpu") else {"student.tflite"}
    assert names == {"student.safetensors", "student.onnx", "student-int8.onnx", "labels.json", "predict.py", "card.md",
                     "card.html"} | optional == set(made.report.files)
    assert [file.name for file in made.folder.parent.iterdir()] == [made.folder.name], "something was left beside it"
    for name, (size, digest) in made.report.files.items():
        content = (made.folder / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (size, digest)
    same = files.read_weights(models.build(*name_and_shape(made), 10), made.folder / "student.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(same.state_dict().values(), made.student.state_dict().values()))


def name_and_shape(made):
    return ("mlp-16" if made.pictures.shape[0] == 1 else "cnn-4-8-8"), made.pictures.shape


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_onnx_answers_as_torch_for_any_batch(made, batch):
    images = made.pictures.normalize(made.pictures.test.images[:batch])
    (logits,) = session(made.folder / "student.onnx").run(["logits"], {"images": images.numpy()})
    expected = predict(made.student, made.pictures, "test", indices=torch.arange(batch))
    assert logits.shape == (batch, 10) and np.abs(logits - expected.numpy()).max() < 1e-4
    (export,) = [export for export in made.report.exports if export.file == "student.onnx"]
    assert export.batches == (1, 2, 7) and export.difference < 1e-4 and export.same == 1 and export.ship


@pytest.mark.parametrize("name", ["student.onnx", "student-int8.onnx"])
def test_the_metadata_tell_a_stranger_how_to_prepare_pictures(made, name):
    told = dict(session(made.folder / name).get_modelmeta().custom_metadata_map)
    assert set(told) == {"classes", "size", "channels", "mean", "std", "producer"}
    assert told.pop("producer").startswith("kdlab ")
    facts = {key: json.loads(value) for key, value in told.items()}
    channels, *size = made.pictures.shape
    assert (facts["classes"], facts["size"], facts["channels"]) == ([*made.pictures.classes], size, channels)
    for key in ("mean", "std"):
        assert torch.equal(torch.tensor(facts[key]), getattr(made.pictures, key))
    labels = json.loads((made.folder / "labels.json").read_text(encoding="utf-8"))
    assert labels == {**facts, "ground": "white"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A Python that sees its own library, onnxruntime, Pillow and numpy, what these need, and nothing else."""
    place = tmp_path_factory.mktemp("bare")
    for name in ("onnxruntime", "PIL", "numpy", "google", "flatbuffers", "packaging"):
        if spec := find_spec(name):
            source = Path(next(iter(spec.submodule_search_locations)))
            (place / name).symlink_to(source)
            for libraries in source.parent.glob(f"{'pillow' if name == 'PIL' else name}.libs"):
                (place / libraries.name).symlink_to(libraries)
    start = f"import sys; sys.path.append({str(place)!r}); sys.argv = sys.argv[1:]; "

    def run(code, *arguments):
        command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", start + code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env={"PATH": os.defpath})

    return run


def pictures_of_all_modes(folder, split):
    """The same few test pictures, enlarged, as files of all the modes that a folder of pictures has."""
    images = [Image.fromarray(image.permute(1, 2, 0).numpy().squeeze()) for image in split.images[:9]]
    big = [image.convert("RGB").resize((70, 54), Image.Resampling.BICUBIC) for image in images]
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = big[3].copy()
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    index = big[6].quantize(16)
    deep = Image.fromarray(np.asarray(big[4].convert("L")).astype(np.uint16) * 257)
    saved = {
        "rgb.png": big[0], "l.png": big[1].convert("L"), "p.png": big[2].quantize(32), "rgba.png": clear,
        "deep.png": deep, "la.png": clear.convert("LA"), "cmyk.jpg": big[5].convert("CMYK"),
        "one.png": big[7].convert("1"),
    }
    for name, image in saved.items():
        image.save(folder / name)
    index.save(folder / "clear_p.png", transparency=index.getpixel((0, 0)))
    big[8].save(folder / "turned.jpg", exif=turned)
    return sorted(folder.iterdir())


def test_predict_py_gives_the_notebooks_answers_where_nothing_else_is_installed(made, bare, tmp_path):
    nothing = bare("import torch")
    assert nothing.returncode and "No module named 'torch'" in nothing.stderr
    paths = pictures_of_all_modes(tmp_path, made.pictures.test)
    done = bare("import runpy; runpy.run_path(sys.argv[0], run_name='__main__')", made.folder / "predict.py", *paths)
    assert not done.returncode, done.stderr
    told = re.findall(ANSWER, done.stdout)
    assert [Path(name) for name, _, _ in told] == paths
    channels, *size = made.pictures.shape
    for path, (_, share, answer) in zip(paths, told):
        with Image.open(path) as image:
            raw = picture(image, tuple(size), channels=channels)
        with torch.no_grad():
            expected = made.student.eval()(made.pictures.normalize(raw[None])).softmax(1)[0]
        assert answer == made.pictures.classes[expected.argmax()], path.name
        assert abs(float(share) - expected.max().item()) < 1e-4, path.name


def predicted(bare, made, *paths):
    return bare("import runpy; runpy.run_path(sys.argv[0], run_name='__main__')", made.folder / "predict.py", *paths)


def pictures_of_all_depths(folder):
    """Noise in every mode and depth that Pillow writes, transparent values among them."""
    rng = np.random.default_rng(0)
    grey, rgb = rng.integers(0, 255, (40, 60), "uint8"), rng.integers(0, 255, (40, 60, 3), "uint8")
    deep, clear, colour = grey.astype("uint16") * 257, int(grey[0, 0]), Image.fromarray(rgb)
    grey16 = Image.fromarray(deep)
    made = {
        "float01.tif": grey.astype("float32") / 255, "float255.tif": grey.astype("float32"),
        "float_over.tif": grey.astype("float32") * 2, "float_negative.tif": grey.astype("float32") - 1,
        "float_between.tif": grey.astype("float32") / 200,
        "float_nan.tif": np.where(grey == clear, np.nan, grey).astype("float32"),
        "u16.png": deep, "u16.tif": deep, "i32.tif": grey.astype("int32") * 200,
        "i32_over.tif": grey.astype("int32") * 2000,
        "i32_negative.tif": grey.astype("int32") - 5, "l.png": grey, "rgb.png": rgb, "rgb.webp": rgb, "rgb.ppm": rgb,
        "rgba.png": np.dstack([rgb, grey]), "la.png": np.dstack([grey, grey[::-1]]),
    }
    for name, array in made.items():
        Image.fromarray(array).save(folder / name)
    colour.convert("CMYK").save(folder / "cmyk.jpg")
    colour.convert("CMYK").save(folder / "cmyk.tif")
    colour.convert("YCbCr").save(folder / "ycbcr.tif")
    Image.frombytes("LAB", (60, 40), rgb.tobytes()).save(folder / "lab.tif")
    Image.fromarray(grey).convert("1").save(folder / "one.png")
    Image.fromarray(grey).convert("1").save(folder / "one_clear.png", transparency=1)
    colour.quantize(8).save(folder / "p_clear.png", transparency=3)
    colour.quantize(8).save(folder / "p_clear.gif", transparency=3)
    Image.fromarray(grey).save(folder / "l_clear.png", transparency=clear)
    grey16.save(folder / "u16_clear.png", transparency=257 * clear)
    colour.save(folder / "rgb_clear.png", transparency=tuple(map(int, rgb[0, 0])))
    for bits in (1, 2, 4):  # greys of few bits with a transparent value, which Pillow does not write
        (folder / f"l{bits}_clear.png").write_bytes(png_of_few_bits(bits))
    turned = Image.Exif()
    turned[0x0112] = 6
    colour.save(folder / "turned.jpg", exif=turned)
    return sorted(folder.iterdir())


def png_of_few_bits(bits, side=16):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes((37 * y + 91 * x) % 256 for x in range(side * bits // 8)) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, bits, 0, 0, 0, 0)
    parts = {b"IHDR": header, b"tRNS": struct.pack(">H", 1), b"IDAT": zlib.compress(rows), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts.items())


def test_predict_py_prepares_every_mode_and_depth_as_training_did_or_refuses(made, bare, tmp_path):
    paths = pictures_of_all_depths(tmp_path)
    done = predicted(bare, made, *paths)
    told = {Path(name).name: (float(share), answer) for name, share, answer in re.findall(ANSWER, done.stdout)}
    refused = {Path(line.split(": ")[0]).name: line for line in done.stderr.splitlines()}
    assert {*told, *refused} == {path.name for path in paths} and not told.keys() & refused and done.returncode == 1
    assert refused.keys() == {"float_over.tif", "float_negative.tif", "float_nan.tif", "float_between.tif", "lab.tif",
                              "i32_over.tif", "i32_negative.tif", "u16_clear.png", "l2_clear.png", "l4_clear.png"}
    assert all(re.search("this file has .*; convert it to (RGB of )?8 bits first$", line) for line in refused.values())
    channels, *size = made.pictures.shape
    for name, (share, answer) in told.items():
        with Image.open(tmp_path / name) as image:
            raw = picture(image, tuple(size), channels=channels)
        with torch.no_grad():
            expected = made.student.eval()(made.pictures.normalize(raw[None])).softmax(1)[0]
        assert answer == made.pictures.classes[expected.argmax()] and abs(share - expected.max().item()) < 1e-4, name


def test_one_bad_file_does_not_keep_the_others_from_their_answers(grey, bare, tmp_path):
    good = tmp_path / "good.png"
    Image.new("L", (8, 8), 99).save(good)
    (tmp_path / "bad.png").write_bytes(good.read_bytes()[:40])
    (tmp_path / "notes.txt").write_text("no picture")
    bad = [tmp_path / name for name in ("bad.png", "notes.txt", "not there.png")]
    done = predicted(bare, grey, *bad, good)
    assert done.returncode == 1 and len(re.findall(ANSWER, done.stdout)) == 1 and "Traceback" not in done.stderr
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [str(path) for path in bad]
    assert predicted(bare, grey, good).returncode == 0


def test_predict_py_is_short_and_says_how_it_is_called(made, bare):
    code = (made.folder / "predict.py").read_text()
    work = [line for line in code.splitlines() if line and not line.startswith(("import", "from", '"""'))]
    assert len(work) <= 37 and max(map(len, code.splitlines())) <= 120
    assert "predict.py" in bare("import runpy; runpy.run_path(sys.argv[0])", made.folder / "predict.py").stderr


class Page(HTMLParser):
    """A page's text, its pictures and addresses; an end tag that closes another element is an error."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.addresses, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.addresses += [attributes[key] for key in ("src", "href", "srcset", "action") if key in attributes]
        self.images += [attributes] if tag == "img" else []
        self.open += [] if tag in ("meta", "img", "link", "br") else [tag]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.words.append(text)


def test_the_page_is_whole_in_itself(made):
    text = (made.folder / "card.html").read_text(encoding="utf-8")
    seen = Page(text)
    assert len(seen.images) == 2 and all(image["alt"] for image in seen.images)
    assert all(address.startswith("data:image/png;base64,") for address in seen.addresses)
    style = text.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style and "prefers-color-scheme: dark" in style
    assert 'name="viewport"' in text and "<script" not in text


def test_both_cards_hold_the_figures_that_are_computed_here(coloured):
    found = evaluate(coloured.student, coloured.pictures, teacher=coloured.teacher)
    teacher, pictures = evaluate(coloured.teacher, coloured.pictures), coloured.pictures
    cost = models.cost(coloured.student, pictures.shape)
    answers = predict(coloured.student, pictures, "test").argmax(1)
    labels = pictures.test.labels
    counts = labels.bincount(minlength=10).tolist()
    pairs = torch.bincount(labels * 10 + answers, minlength=100).view(10, 10).fill_diagonal_(0)
    true, said = divmod(int(pairs.argmax()), 10)
    rows = [["accuracy", f"{found.accuracy:.1%}"], ["balanced accuracy", f"{sum(found.recall) / 10:.1%}"],
            ["calibration error, 15 bins", f"{found.ece:.3f}"],
            ["agreement with the teacher", f"{found.agreement:.1%}"],
            ["parameters", f"{cost.parameters:,}"], ["multiply-adds a picture", f"{cost.multiply_adds:,}"],
            ["weights", f"{cost.bytes / 1e3:,.1f} kB"],
            ["60 pictures", "+3.3", "[+0.4, +6.2]", "3 of 3"], ["all | pictures", "-0.7", "[-2.1, +0.8]", "0 of 3"],
            [page.visible(AWKWARD[true]), page.visible(AWKWARD[said]), f"{pairs.max()}",
             f"{pairs.max() / counts[true]:.0%}"]]
    train = pictures.train.labels[pictures.in_use].bincount(minlength=10).tolist()
    rows += [[f"{i + 1}", page.visible(AWKWARD[i]), f"{train[i]}", f"{counts[i]}", f"{found.recall[i]:.1%}"]
             for i in range(10)]
    for row in coloured.report.rows:
        ms = [f"{1e3 * value:.3f}" for value in (row.timing.median, row.timing.p95)]
        rows.append([row.variant, runtimes.RUNTIMES[row.variant].what, *ms, f"{row.timing.runs}"])
    shown = tables(coloured.folder)
    for name, (size, digest) in coloured.report.files.items():
        rows += [] if name.startswith("card.") else [[name, f"{size:,}", digest]]
    for row in rows:
        assert row in shown["html"] and row in shown["md"], row
    for text in (" ".join(Page((coloured.folder / "card.html").read_text()).words), plain(coloured.folder / "card.md")):
        assert f"accuracy {teacher.accuracy:.1%} on the test pictures" in text and "60 of 600 pictures" in text
        assert "folder:some_pictures" in text and "/home/ann" not in text
        assert "by accuracy on val" in text and "Split: not told" in text and "Mind\\nthe <gap>." in text


def plain(file):
    return re.sub(r"\\([\\`*_\[\]<>|#~&$])", r"\1", file.read_text(encoding="utf-8"))


def tables(folder):
    """The rows of both cards' tables, as their readers see them."""
    text = (folder / "card.html").read_text(encoding="utf-8")
    import html

    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", text)]
    lines = [line for line in (folder / "card.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    md = [re.split(r"(?<!\\) \| ", line[2:-2]) for line in lines]
    return {"html": [[html.unescape(cell) for cell in row] for row in cells],
            "md": [[re.sub(r"\\([\\`*_\[\]<>|#~&$])", r"\1", cell) for cell in row] for row in md]}


def test_names_of_classes_never_become_markup(coloured):
    text = (coloured.folder / "card.html").read_text(encoding="utf-8")
    assert "<b>" not in text and "&lt;b&gt;&amp;amp;" in text and "猫" in text and "قطة" in text
    mistune = pytest.importorskip("mistune")
    rendered = mistune.create_markdown(plugins=["table"])((coloured.folder / "card.md").read_text(encoding="utf-8"))
    assert "<b>" not in rendered and "<em>_" not in rendered and rendered.count("<table>") >= 6


def test_what_was_not_told_is_said_to_be_missing(grey):
    text = plain(grey.folder / "card.md")
    for line in ("Student: not told.", "Teacher: not told, accuracy not told", "Chosen: not told.", "Split: not told.",
                 "What distillation gained: not told."):
        assert line in text
    if reason := runtimes.RUNTIMES["litert"].why_not("cpu"):
        assert f"Not made: student.tflite. {reason}" in text and grey.report.missing["student.tflite"] == reason


def small(name="mlp-8", seed=0):
    digits = data.load("digits")
    return models.build(name, digits.shape, 10, seed=seed).eval(), digits


def quick(folder, student, pictures, **options):
    return handover.write(folder, student, pictures, timed=(), **options)


def test_the_same_student_gives_the_same_files(grey, tmp_path):
    again = quick(tmp_path / "again", grey.student, grey.pictures)
    kept = [name for name in again.files if not name.startswith("card.")]
    assert {name: again.files[name] for name in kept} == {name: grey.report.files[name] for name in kept}


def quantizer_that_breaks(model, example, calibration, folder):
    """As onnxruntime-inference-examples#319: what comes out names one class."""
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.arange(10) == 3)
    runtimes.to_onnx(model, example, folder / "model.onnx")


def test_an_int8_file_that_lost_its_accuracy_is_kept_out_of_the_way(grey, tmp_path, monkeypatch):
    broken = replace(runtimes.RUNTIMES["onnxruntime int8"], write=quantizer_that_breaks)
    monkeypatch.setitem(runtimes.RUNTIMES, "onnxruntime int8", broken)
    report = quick(tmp_path / "out", grey.student, grey.pictures)
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert "student-int8.onnx" not in names and "student-int8.DO-NOT-SHIP.onnx" in names
    export = report.exports[1]
    threes = (grey.pictures.test.labels == 3).double().mean().item()
    assert not export.ship and export.judged.crowding == ("3", 1.0, threes) and export.judged.accuracy == threes
    right = evaluate(grey.student, grey.pictures).accuracy
    for text in (str(report), plain(tmp_path / "out" / "card.md"), (tmp_path / "out" / "card.html").read_text()):
        assert "DO NOT SHIP student-int8.DO-NOT-SHIP.onnx" in text and f"{100 * (right - threes):.1f} points" in text
        assert text.count(f"answers “3” for 100% of the test pictures; {threes:.0%} of them are.") == 1
    assert grey.report.warnings == []
    assert quick(tmp_path / "out", grey.student, grey.pictures, tolerated=0.999).exports[1].ship


def test_a_student_that_names_one_class_is_told_of(tmp_path):
    student, digits = small()
    with torch.no_grad():
        student[-1].bias[7] = 100.0
    report = quick(tmp_path / "out", student, digits)
    share = (digits.test.labels == 7).double().mean().item()
    right = f"The student is right on {share:.1%} of the test pictures; guessing gives 10.0%: do not use it."
    crowding = f"The student answers “7” for 100% of the test pictures; {share:.0%} of them are."
    assert report.warnings == [right, crowding]  # once, though the exports answer so as well
    for text in ((tmp_path / "out" / "card.html").read_text(encoding="utf-8"), plain(tmp_path / "out" / "card.md")):
        assert text.count(crowding) == text.count(right) == 1 and "keeps the student" in text and "good" not in text
    assert str(report).isprintable() or set(str(report)) - {"\n"} <= set(filter(str.isprintable, str(report)))


@pytest.mark.parametrize("answers, truth, told", [
    ([1] * 10, [0] * 10, "guessing gives 50.0%"), ([0] * 5 + [1] * 5, [0] * 10, "guessing gives 50.0%"),
    ([0] * 10, [0] * 9 + [1], "naming the largest class always gives 90.0%"),
    ([0] * 8 + [1] * 2, [0] * 9 + [1], ""),  # 9 of 10, and it knows the small class
    ([0] * 7 + [1] * 3, [0] * 5 + [1] * 5, ""), ([0] * 10, [0] * 10, ""),
])
def test_a_student_no_better_than_guessing_is_told_of(answers, truth, told):
    logits = nn.functional.one_hot(torch.tensor(answers), 2).float()
    said = exports.judge(logits, torch.tensor(truth), ("a", "b")).guessing
    assert told in said and bool(said) == bool(told) and ("do not use it" in said) == bool(told)


def test_classes_without_a_picture_in_use_are_named_and_the_table_counts_those_in_use(tmp_path):
    student, digits = small()
    few = digits.only((digits.train.labels < 8).nonzero()[:40, 0])
    report = quick(tmp_path / "out", student, replace(few, classes=(*"01234567", "8", "قطة")))
    assert report.unseen == ("8", "قطة") and report.warnings[-1] == "Never seen by the student: “8”, “\u2068قطة\u2069”."
    assert "Never seen by the student: “8”, “قطة”." in str(report)
    rows = tables(tmp_path / "out")["md"]
    used = few.train.labels[few.in_use].bincount(minlength=10).tolist()
    assert [row[2] for row in rows if len(row) == 5 and row[1] in ("3", "8")] == [f"{used[3]}", "0"] and used[3] > 0
    assert "train pictures in use" in plain(tmp_path / "out" / "card.md")


@pytest.mark.parametrize("told, shown", [
    ("/home/x/clean/student.onnx", "student.onnx"), ("resnet18:/home/x/t.pth?size=48", "resnet18:t.pth?size=48"),
    ("resnet18:/home/my name/my t.pth?classes=/x/names.txt&size=48", "resnet18:my t.pth?classes=names.txt&size=48"),
    (r"C:\Users\ann\t.pth", "t.pth"), (r"resnet18:C:\Users\ann\t.pth", "resnet18:t.pth"), ("~/t.pth", "t.pth"),
    ("resnet18:runs/t.pth, /home/x/b.pth", "resnet18:t.pth, b.pth"), ("folder:/home/x/data/", "folder:data"),
    ("resnet18:DEFAULT", "resnet18:DEFAULT"), ("a ResNet-18 and/or a 34", "a ResNet-18 and/or a 34"), ("", ""),
])
def test_the_card_names_files_without_the_folders_they_lay_in(told, shown):
    assert handover.card.homeless(told) == shown


def test_neither_card_holds_a_local_path_of_teacher_or_data(tmp_path):
    facts = handover.Facts(teacher=f"mlp-8:{tmp_path}/t.pth?size=48", data=f"folder:{tmp_path}/mine")
    quick(tmp_path / "out", *small(), facts=facts)
    for name in ("card.md", "card.html"):
        text = plain(tmp_path / "out" / name)
        assert str(tmp_path) not in text and "Teacher: mlp-8:t.pth?size=48," in text and "Name: folder:mine." in text


@pytest.mark.parametrize("answers, truth, told", [
    ([0] * 6 + [1] * 4, [0] * 3 + [1] * 7, True), ([0] * 6 + [1] * 4, [0] * 4 + [1] * 6, False),
    ([0] * 5 + [1] * 5, [1] * 10, False), ([0] * 10, [0] * 10, False),
])
def test_one_class_crowds_the_answers_over_half_and_over_one_and_a_half_times_its_share(answers, truth, told):
    logits = nn.functional.one_hot(torch.tensor(answers), 2).float()
    judged = exports.judge(logits, torch.tensor(truth), ("a", "b"))
    assert judged.crowding == (("a", sum(a == 0 for a in answers) / 10, truth.count(0) / 10) if told else None)


def test_a_class_without_test_pictures_has_no_recall_and_does_not_count():
    judged = exports.judge(torch.eye(3)[[0, 0, 1]], torch.tensor([0, 0, 0]), ("a", "b", "c"))
    assert judged.recall[0] == judged.balanced == 2 / 3 and str(judged.recall[1]) == "nan"
    assert judged.counts == (3, 0, 0)
    assert judged.confused == (("a", "b", 1),)


def test_where_a_tool_is_missing_the_card_says_what_to_install(grey, tmp_path, monkeypatch):
    for name in ("onnxruntime", "onnxruntime int8"):
        monkeypatch.setitem(runtimes.RUNTIMES, name, replace(runtimes.RUNTIMES[name], modules=("not_there",)))
    report = quick(tmp_path / "out", grey.student, grey.pictures)
    assert {"student.onnx", "student-int8.onnx", "predict.py"} <= set(report.missing)
    assert not (tmp_path / "out" / "predict.py").exists() and (tmp_path / "out" / "student.safetensors").exists()
    assert "not_there is not installed" in plain(tmp_path / "out" / "card.md") and "no student.onnx: " in str(report)


def test_litert_is_tried_one_picture_at_a_time_where_its_converter_is(grey, tmp_path, monkeypatch):
    def write(model, example, calibration, folder):
        assert len(example) == 1
        torch.save(model, folder / "model.tflite")

    def read(folder, example):
        model = torch.load(folder / "model.tflite", weights_only=False)
        return lambda images: model(images) if len(images) == 1 else pytest.fail("made for one picture")

    there = replace(runtimes.RUNTIMES["litert"], write=write, read=read, lacks=lambda device: "", modules=())
    monkeypatch.setitem(runtimes.RUNTIMES, "litert", there)
    report = quick(tmp_path / "out", grey.student, grey.pictures)
    assert report.exports[2].file == "student.tflite" and report.exports[2].batches == (1,) and report.exports[2].ship
    assert report.missing == {} and (tmp_path / "out" / "student.tflite").exists()


@pytest.mark.parametrize("moment", ["export", "card", "rename"])
def test_an_interrupted_hand_over_leaves_the_older_one(grey, tmp_path, monkeypatch, moment):
    folder = tmp_path / "out"
    shutil.copytree(grey.folder, folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def stop(*_, **__):
        raise KeyboardInterrupt

    if moment == "rename":
        rename = Path.rename
        monkeypatch.setattr(Path, "rename", lambda self, to: stop() if to == folder and "older" not in self.name
                            else rename(self, to))
    else:
        monkeypatch.setattr(*{"export": (exports, "_describe"), "card": (handover.card, "pages")}[moment], stop)
    with pytest.raises(KeyboardInterrupt):
        quick(folder, *small())
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_a_disk_that_is_full_is_one_sentence(grey, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_whole", full)
    with pytest.raises(OSError, match="could not write the hand-over .*No space left.*; nothing was changed there"):
        quick(tmp_path / "out", *small())
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_left_alone(grey, tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(ValueError, match="holds thesis.tex, which is no hand-over's; name a new or an empty folder"):
        quick(tmp_path, *small())
    (tmp_path / "a file").touch()
    with pytest.raises(ValueError, match="is a file; name a folder"):
        quick(tmp_path / "a file", *small())
    with pytest.raises(OSError, match="could not write the hand-over"):
        quick(tmp_path / "a file" / "below", *small())
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    student, digits = small()
    out = tmp_path / "out"
    other = models.build("mlp-8", (3, 8, 8), 10)
    with pytest.raises(ValueError, match=r"does not take the data set's pictures, \(1, 8, 8\)"):
        quick(out, other, digits)
    with pytest.raises(ValueError, match=r"must give 10 logits, one for each class, got \(797, 7\)"):
        quick(out, models.build("mlp-8", digits.shape, 7), digits)
    with pytest.raises(ValueError, match="has none"):
        quick(out, student, replace(digits, test=digits.test.subset(slice(0))))
    with pytest.raises(ValueError, match="tolerated must be a share"):
        quick(out, student, digits, tolerated=2)
    with pytest.raises(ValueError, match=r"teacher's logits must be \(797, 10\).*got \(3, 10\)"):
        quick(out, student, digits, teacher=torch.zeros(3, 10))
    with pytest.raises(ValueError, match="color"):
        quick(out, student, digits, ground="no colour")
    with torch.no_grad():
        student[1].weight[0] = torch.nan
    with pytest.raises(ValueError, match="must be finite"):
        quick(out, student, digits)
    with pytest.raises(ValueError, match="no runtime is called 'abacus'"):
        handover.write(out, *small(), timed=["abacus"])
    assert not list(tmp_path.iterdir())


def test_the_student_and_the_data_stay_as_they_were(grey):
    student, digits = small("cnn-4")
    weights = {key: value.clone() for key, value in student.train().state_dict().items()}
    quick(grey.folder.parent / "another", student, digits)
    assert student.training and all(torch.equal(weights[key], value) for key, value in student.state_dict().items())


def test_few_test_pictures_are_enough_to_prove_seven(tmp_path):
    student, digits = small()
    few = Dataset("few", digits.train, Split(digits.test.images[:3], digits.test.labels[:3]), digits.classes)
    assert quick(tmp_path / "out", student, few).exports[0].batches == (1, 2, 7)


def test_a_runtime_whose_turn_comes_too_late_is_not_timed_and_says_so(tmp_path):
    report = handover.write(tmp_path / "out", *small(), timed=["eager", "onnxruntime"], seconds=0)
    assert [row.timing for row in report.rows] == [None, None]
    assert "Not timed: onnxruntime: the 0 seconds for timing were over." in plain(tmp_path / "out" / "card.md")
    assert all(isinstance(row, latency.Row) for row in report.rows)


def test_what_is_slow_to_build_is_timed_where_it_is_asked_for(tmp_path):
    rows = {row.variant: row for row in handover.write(tmp_path / "out", *small(), seconds=0).rows}
    assert set(rows) == set(runtimes.RUNTIMES) and "where it is asked for" in rows["aotinductor"].skipped
