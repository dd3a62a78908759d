"""Models that also answer with features; the names of the methods; and every method on the unchanged loop."""

import functools
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import workbook.methods
from kdlab import bank, data, devices, evaluate, models
from kdlab.training import Batch, Knobs, distil, finish, save_state
from workbook.methods import FROM_FEATURES, FROM_LOGITS, WITH_PARAMETERS, tap
from workbook.methods.base import shapes
from workbook.methods.per_sample import PerSample
from workbook.methods.reviewkd import Review
from workbook.methods.similarity_preserving import similarity

FOLDER = Path(workbook.methods.__file__).parent
SHAPE = (3, 32, 32)
LAYERS = ("3", "7")  # what the first and the second block give


@pytest.fixture(scope="module")
def glyphs():
    return data.load("glyphs", train=96, test=40)


@pytest.fixture(scope="module")
def wise(glyphs):
    model = models.build("cnn-8-16", SHAPE, 10, seed=1)
    finish(distil(model, glyphs, Knobs(alpha=0.0, lr=1e-2), steps=15, batch_size=32, settings=devices.Settings()))
    return model


def pupil():
    return models.build("cnn-4-8", SHAPE, 10, seed=2)


def test_a_tapped_model_gives_the_same_logits_and_shares_its_weights():
    residual = {"resnet8": ("blocks.0", "blocks.2"), "resnet18": ("layer1", "layer2")}
    for name, layers in (residual | {"cnn-4-8": LAYERS}).items():
        model, images = models.build(name, SHAPE, 10, seed=0).eval(), torch.randn(2, *SHAPE)
        tapped = tap(model, *layers)
        answer = tapped.eval()(images)
        assert list(answer) == [*layers, "logits"]
        assert torch.equal(answer["logits"], model(images))
        assert {id(p) for p in tapped.parameters()} == {id(p) for p in model.parameters()}


def test_a_layer_that_is_not_there_is_answered_with_those_that_are():
    model = models.build("cnn-4-8", SHAPE, 10)
    with pytest.raises(ValueError, match="there is no layer 'layer9'; Sequential has, before its logits: 0, 1, 2, 3"):
        tap(model, "layer9")
    with pytest.raises(ValueError, match="no layer '9'"):  # the logits themselves
        tap(model, "9")
    with pytest.raises(ValueError, match="name a layer whose output is wanted; Sequential has"):
        tap(model)
    for wrong in (("7", "3"), ("3", "3")):
        with pytest.raises(ValueError, match=f"once, in the network's order, got {', '.join(wrong)}; Sequential has"):
            tap(model, *wrong)
    with pytest.raises(ValueError, match="no layer 'block'; ResNet has, .*blocks.0.conv1"):
        tap(models.build("resnet8", SHAPE, 10), "block")


def test_the_shapes_of_pairs_of_layers_leave_the_models_mode_alone(wise):
    student, teacher = tap(pupil(), *LAYERS[:1]).train(), tap(wise, *LAYERS[:1])
    assert shapes(student, teacher, SHAPE) == [((4, 16, 16), (8, 16, 16))]
    assert student.training and not teacher.training


METHODS = {**FROM_LOGITS, "per sample": PerSample(temperatures=torch.linspace(1, 8, 1000))}


@pytest.mark.parametrize("name", METHODS)
def test_what_learns_from_logits_learns_on_the_unchanged_loop(name, digits, known):
    student, few = models.build("mlp-16", (1, 8, 8), 10, seed=2), digits.only(torch.arange(100))
    steps = finish(distil(student, few, Knobs(alpha=0.9, lr=2e-2), teacher=known, steps=30, method=METHODS[name]))
    assert steps[-1].soft < 0.5 * steps[0].soft
    assert steps[0].loss == pytest.approx(0.9 * steps[0].soft + 0.1 * steps[0].hard, rel=1e-5)
    assert evaluate(student, digits).accuracy > 0.6


def made(name, student, teacher):
    if name in FROM_FEATURES:
        return FROM_FEATURES[name]
    options = {"CRD": dict(images=96, size=16), "ReviewKD": dict(width=8)}.get(name, {})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return WITH_PARAMETERS[name](student, teacher, SHAPE, **options)


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
@pytest.mark.parametrize("name", [*FROM_FEATURES, *WITH_PARAMETERS])
def test_what_learns_from_features_learns_on_the_unchanged_loop(name, autocast, glyphs, wise):
    plain, before = pupil(), [p.clone() for p in wise.parameters()]
    student, teacher = tap(plain, *LAYERS[:1]), tap(wise, *LAYERS[:1])
    method = made(name, student, teacher)
    own = [p.clone() for p in method.parameters()] if isinstance(method, nn.Module) else []
    settings = devices.Settings(autocast=autocast)
    options = dict(teacher=teacher, steps=10, batch_size=24, method=method, settings=settings)
    steps = finish(distil(student, glyphs, Knobs(alpha=0.5, lr=1e-2), **options))
    losses = [step.loss for step in steps]
    assert sum(losses[-3:]) < 0.95 * sum(losses[:3])
    assert all(not torch.equal(a, b) for a, b in zip(own, method.parameters() if own else ()))
    assert all(torch.equal(a, b) for a, b in zip(before, wise.parameters()))
    assert evaluate(plain, glyphs).accuracy == evaluate(student, glyphs).accuracy  # the student itself was trained


def test_two_pairs_of_layers_are_summed(glyphs, wise):
    first = {}
    for layers in (LAYERS[:1], ("7",), ("3", "7")):
        student, teacher = tap(pupil(), *layers), tap(wise, *layers)
        options = dict(teacher=teacher, steps=1, method=FROM_FEATURES["SP"], settings=devices.Settings())
        first[layers] = finish(distil(student, glyphs, **options))[0].soft
    assert first["3", "7"] == pytest.approx(first[("3",)] + first[("7",)], rel=1e-5)


def test_a_run_with_a_method_that_has_parameters_is_saved_and_resumed(glyphs, wise, tmp_path):
    def run(**options):
        plain = pupil()
        student, teacher = tap(plain, "3"), tap(wise, "3")
        options |= dict(teacher=teacher, steps=4, batch_size=24, method=made("FitNets", student, teacher))
        for step in distil(student, glyphs, settings=devices.Settings(), **options):
            if step.step == 2 and "resume" not in options:
                save_state(step, tmp_path / "state")
        return [*plain.parameters(), *options["method"].parameters()]

    assert all(torch.equal(a, b) for a, b in zip(run(), run(resume=tmp_path / "state")))


def first_step(glyphs, method, student, teacher):
    return next(distil(student, glyphs, teacher=teacher, steps=1, batch_size=8, method=method))


def test_what_a_method_does_not_get_is_said_in_a_sentence(glyphs, wise):
    sp, dkd = FROM_FEATURES["SP"], FROM_LOGITS["DKD"]
    known = bank.fill(wise, glyphs)
    for student, teacher, method, words in (
        (tap(pupil(), "3"), None, sp, "this method learns from a teacher; pass teacher=…"),
        (pupil(), None, dkd, "this method learns from a teacher"),
        (tap(pupil(), "3"), known, sp, "the teacher answers with logits alone; pass workbook.methods.tap"),
        (pupil(), tap(wise, "3"), sp, "the student answers with logits alone"),
        (tap(pupil(), "3"), tap(wise, "3", "7"), sp, "as many layers of the student as of the teacher, got 1 and 2"),
        (pupil(), models.build("cnn-4", SHAPE, 12), dkd, "the student tells 10 classes apart and the teacher 12"),
        (tap(pupil(), "0"), tap(wise, "3"), FROM_FEATURES["AT"], "equal height and width"),
    ):
        with pytest.raises(ValueError, match=words):
            first_step(glyphs, method, student, teacher)
    with pytest.raises(ValueError, match="no regressor maps features"):
        made("FitNets", tap(pupil(), "3"), tap(wise, "0"))
    with pytest.raises(ValueError, match="knowledge review wants layers of maps"):
        made("ReviewKD", tap(pupil(), "8"), tap(wise, "8"))


@pytest.mark.parametrize("enabled", [False, True])
def test_autocast_does_not_reach_into_a_loss(enabled):
    features, targets = ({"3": torch.randn(6, 4, 5, 5), "logits": torch.randn(6, 10)} for _ in range(2))
    batch = Batch(torch.zeros(6, *SHAPE), torch.arange(6), torch.arange(6))
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        parts = FROM_FEATURES["SP"](lambda images: features, batch, targets, Knobs())
    exact = 3000 * similarity(student_features=features["3"].double(), teacher_features=targets["3"].double())
    assert parts["soft"].item() == pytest.approx(exact.item(), rel=1e-5)


def test_knowledge_review_goes_from_the_last_layer_to_the_first_as_far_as_its_attention_lets_it(wise):
    student, teacher = tap(pupil(), *LAYERS), tap(wise, *LAYERS)
    method = Review(student, teacher, SHAPE, width=8).eval()
    mine = [torch.randn(2, 4, 16, 16, requires_grad=True), torch.randn(2, 8, 8, 8, requires_grad=True)]
    his = [torch.randn(2, 8, 16, 16), torch.randn(2, 16, 8, 8)]

    def reached(level):  # which of the student's layers this layer of the teacher teaches: what moving it changes
        moved = [x + (i == level) for i, x in enumerate(his)]
        both = [method.loss(student_features=mine, teacher_features=each) for each in (his, moved)]
        return [bool(g.abs().max() > 1e-6) for g in torch.autograd.grad(both[1] - both[0], mine)]

    assert reached(0) == [True, True] and reached(1) == [False, True]
    for bias, layers in (([50.0, -50.0], [True, False]), ([-50.0, 50.0], [False, True])):  # of here, of above
        method.attend[0].bias.data = torch.tensor(bias)
        assert reached(0) == layers


def test_a_batch_without_any_weight_teaches_nothing_and_a_masked_image_never(glyphs, wise):
    weights = torch.zeros(96)
    weights[:8] = 1
    student, known = pupil(), bank.fill(wise, glyphs)
    only = dict(teacher=known, steps=1, method=PerSample(weights=weights), settings=devices.Settings())
    assert finish(distil(student, glyphs.only(torch.arange(8, 16)), **only))[0].soft == 0
    assert finish(distil(student, glyphs.only(torch.arange(16)), **only))[0].soft > 0


def test_temperatures_are_those_of_the_images_in_the_batch(glyphs, wise):
    heat, known, part = torch.ones(96), bank.fill(wise, glyphs), glyphs.only(torch.arange(40, 48))
    heat[40:48] = 5
    options = dict(teacher=known, steps=1, settings=devices.Settings())
    own = finish(distil(pupil(), part, Knobs(temperature=1.0), **options, method=PerSample(temperatures=heat)))
    plain = finish(distil(pupil(), part, Knobs(temperature=5.0), **options))
    assert own[0].soft == pytest.approx(plain[0].soft, rel=1e-6)


def test_constants_are_set_with_partial(glyphs, wise):
    known, soft = bank.fill(wise, glyphs), {}
    for weight in (1.0, 3.0):
        method = functools.partial(FROM_LOGITS["logit MSE"], weight=weight)
        soft[weight] = first_step(glyphs, method, pupil(), known).soft
    assert soft[3.0] == pytest.approx(3 * soft[1.0], rel=1e-6)


def test_a_method_is_a_file_of_at_most_50_lines_that_names_its_paper():
    files = {path.stem: path.read_text() for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "base")}
    assert len(files) == 18
    for name, text in files.items():
        assert sum(bool(line.strip()) for line in text.splitlines()) <= 50, name
        assert re.search(r"Source: .*?(arXiv:\d{4}\.\d{4,5}|doi:)", text, re.S), name


def test_the_list_by_papers_names_holds_every_file_and_nothing_else():
    rows = re.findall(r"^ {4}.{20}.{25,}? (\w+) +[A-Z][a-z]+[ ,]", workbook.methods.__doc__, re.M)
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "base"}
    assert set(rows) - {"losses"} == files
