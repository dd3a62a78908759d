"""The benchmarks compare what they say they compare: the same loss, the same batches, turns that are fair."""

import dataclasses
import importlib.util
import json
import multiprocessing
import os
import re
import sys
from pathlib import Path

import pytest
import torch

from kdlab import bank, data, models
from kdlab.evaluation import paired_difference
from kdlab.losses import distillation_loss

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import bench  # noqa: E402
import beyond_logits  # noqa: E402
import float32_variants  # noqa: E402
import libraries  # noqa: E402
import rare_class  # noqa: E402
import training_speed  # noqa: E402
import turns  # noqa: E402
import tutorial_students  # noqa: E402
import weighted  # noqa: E402


@pytest.fixture(scope="module")
def glyphs():
    torch.set_num_threads(1)
    return data.load("glyphs", train=turns.BATCH, test=10)  # one batch, so that every loop sees the same pictures


def network(role):
    return models.build(f"article-{role}", (3, 32, 32), 10, seed=0)


def first_loss(glyphs):
    images = glyphs.normalize(glyphs.train.images)
    with torch.no_grad():
        return distillation_loss(
            student_logits=network("student")(images), teacher_logits=network("teacher")(images),
            labels=glyphs.train.labels, alpha=training_speed.ALPHA, temperature=training_speed.TEMPERATURE,
        ).item()


def test_the_tutorials_loop_starts_at_kdlabs_loss(glyphs):
    batch = (glyphs.normalize(glyphs.train.images), glyphs.train.labels)
    run = libraries.tutorial(network("teacher"), network("student"), [batch])
    assert next(run) == pytest.approx(first_loss(glyphs), rel=1e-4)


@pytest.mark.skipif(
    not importlib.util.find_spec("torchdistill"), reason="torchdistill is not installed: pip install -e .[bench]"
)
def test_torchdistill_starts_at_kdlabs_loss(glyphs):
    pictures = torch.utils.data.TensorDataset(glyphs.normalize(glyphs.train.images), glyphs.train.labels)
    run = libraries.torchdistill(network("teacher"), network("student"), pictures)
    assert next(run) == pytest.approx(first_loss(glyphs), rel=1e-4)


def test_the_usual_loop_sees_the_pictures_normalized_as_kdlab_does(glyphs):
    pictures = training_speed.Pictures(glyphs.train.images, glyphs.train.labels)
    pictures.transform = training_speed.to_tensor(glyphs)
    image, label = pictures[3]
    assert label == glyphs.train.labels[3]
    assert torch.allclose(image, glyphs.normalize(glyphs.train.images[3:4])[0], atol=1e-5)


def test_the_usual_loop_and_kdlabs_learn(glyphs):
    for run in (training_speed.usual(network("student"), glyphs), training_speed.ours(network("student"), glyphs)):
        losses = [step if isinstance(step, float) else step.loss for step, _ in zip(run, range(10))]
        run.close()
        assert losses[-1] < losses[0] < 3


def test_the_usual_loop_trains_the_published_order_of_layers_with_the_same_weights():
    model = network("student")
    usual = training_speed.published(model)
    kinds = [type(layer).__name__ for layer in usual]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d", "Conv2d", "ReLU", "MaxPool2d", "Flatten", "Linear"]
    assert all(a is b for a, b in zip(usual.parameters(), model.parameters(), strict=True))
    resnet = models.build("resnet8", (3, 32, 32), 10)
    assert training_speed.published(resnet) is resnet


def counting(first):
    assert "THP_MEM_ALLOC_ENABLE" not in os.environ and torch.get_num_threads() == 1
    yield from range(first, 3)


def test_a_loop_in_a_process_of_its_own_goes_step_by_step_without_settings_of_memory(monkeypatch):
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "1")
    torch.set_num_threads(1)
    running = training_speed.elsewhere(counting, 0)
    assert training_speed.steps(running, 3) == 3 * turns.BATCH
    with pytest.raises(EOFError):  # the loop over there has ended
        next(running)
    running = training_speed.elsewhere(counting, 0)
    next(running)
    running.close()
    assert not multiprocessing.active_children()


def test_every_variant_of_a_float32_step_and_of_filling_gives_what_kdlab_gives():
    model, images = models.build("tutorial-teacher", (3, 32, 32), 10, seed=0).eval(), torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        for change in (float32_variants.in_place, float32_variants.Blocks, float32_variants.OwnLayout,
                       float32_variants.by_winograd, training_speed.published):
            torch.testing.assert_close(change(model)(images), model(images), atol=1e-4, rtol=1e-4)


def test_every_contender_warms_up_and_takes_its_turn_first():
    calls = []
    contenders = {name: (lambda name=name: calls.append(name) or 7) for name in "abc"}
    rates = turns.in_turns(contenders, 3)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab"
    assert all(len(found) == 3 and min(found) > 0 for found in rates.values())


def test_a_ratio_is_taken_within_each_round():
    assert turns.ratio([2.0, 9.0, 4.0], [1.0, 3.0, 4.0], goal=2) == {
        "median": 2.0, "lowest": 1.0, "highest": 3.0, "unit": "times", "goal": 2}


@pytest.mark.parametrize("name", bench.NAMES)
def test_make_bench_runs_scripts_that_are_there_and_have_a_short_form(name):
    assert "--short" in (BENCHMARKS / f"{name}.py").read_text()


@pytest.fixture(scope="module")
def second_half():
    return rare_class.lab()


def test_rare_class_takes_the_labs_functions_and_runs_nothing_of_it(second_half):
    assert {"known", "enough", "rare_one", "as_soft", "lend"} <= set(second_half)
    assert second_half["kept"] == 5 and not {"recall", "gains", "devices", "pile"} & set(second_half)


@pytest.fixture(scope="module")
def two_banks(digits):
    return [bank.make(torch.randn(len(digits.train), 10, generator=torch.manual_seed(i)), digits, producer=str(i))
            for i in (0, 1)]


def test_labels_as_soft_are_as_sure_as_the_teacher_and_know_nothing_else(second_half, two_banks, digits):
    some, stored = digits.only(torch.arange(50)), two_banks[0]
    soft = (second_half["as_soft"](stored, some).logits / 4).softmax(1)
    own = digits.train.labels[:, None]
    sure = (stored.logits[:50] / 4).softmax(1).gather(1, own[:50]).mean()
    assert torch.allclose(soft.gather(1, own), sure.expand(len(own), 1), atol=1e-5)
    wrong = soft.scatter(1, own, float("nan"))
    assert torch.allclose(wrong[~wrong.isnan()], (1 - sure) / 9, atol=1e-5)


def test_a_lent_trace_changes_one_digit_on_images_of_the_others_alone(second_half, two_banks, digits):
    mine, theirs = ((b.logits / 4).log_softmax(1) for b in two_banks)
    lent = second_half["lend"](*two_banks, digits, 8).logits / 4
    others = digits.train.labels != 8
    assert torch.allclose(lent[others, 8], theirs[others, 8], atol=1e-5)
    assert torch.allclose(lent[~others], mine[~others], atol=1e-5)
    assert torch.allclose(lent[:, :8], mine[:, :8], atol=1e-5) and torch.allclose(lent[:, 9], mine[:, 9], atol=1e-5)


def test_rare_class_pairs_each_situation_with_its_control():
    names = sorted({name for pair in rare_class.CASES.values() for name in pair})
    level = {name: i / 10 for i, name in enumerate(names)}
    rare = {digit: {name: [[level[name]] * 10] * 3 for name in names} for digit in (2, 7)}
    usual = {name: [[0.5] * 9 + [low]] * 3 for low, name in
             ((0.1, "50 labels"), (0.4, "50, distilled"), (0.3, "all labels"), (0.3, "all, distilled"))}
    classes, gains = rare_class.summary(usual, rare)
    assert classes["50 labels: worst class"]["mean"] == pytest.approx(30, abs=1e-3)
    assert classes["50 labels: all classes"]["mean"] == pytest.approx(3, abs=1e-3)
    for case, (treated, control) in rare_class.CASES.items():
        for part in ("the rare digit", "all classes"):
            assert set(gains[part][case]) == {"2", "7", "mean of the digits"}
            assert gains[part][case]["2"]["mean"] == pytest.approx(100 * (level[treated] - level[control]), abs=1e-3)


def test_the_record_of_weights_names_students_by_situation_and_rule_as_json_can_write_them():
    won = {"right": paired_difference([90.0, 92.0], [80.0, 84.0])}
    space = {"splits": {3: None, 4: None}, "score": {"labels": [90.0, 91.0], ("mixed", "right"): [94.0, 95.0]},
             "gains": {kind: won for kind in weighted.HEADINGS}, "on_wrong": {}, "again": {}, "miss": [[5.0], [20.0]]}
    made = json.loads(json.dumps(weighted.record(space)))
    assert made["seeds"] == [3, 4] and made["accuracy_percent"]["mixed, right"] == [94.0, 95.0]
    assert made["gains_points"]["mixed"]["right"]["mean"] == 9.0
    assert made["errors_on_held_out_percent"] == {"good": [5.0], "weak": [20.0]}


def test_the_record_of_weights_has_a_heading_for_each_group_of_gains_in_the_notebook():
    cells = json.loads((BENCHMARKS.parent / "notebooks/24_weighted_and_important.ipynb").read_text())["cells"]
    groups = re.findall(r'^gains\["(\w+)"\]', "\n".join("".join(cell["source"]) for cell in cells), re.M)
    assert groups == list(weighted.HEADINGS)


def test_a_rate_is_chosen_on_images_that_no_student_sees_and_by_its_mean():
    labels = torch.arange(1000) // 100  # class by class, as a folder's images lie
    seen, kept = beyond_logits.part_of(labels, 50, 3, 200)
    for places in seen, kept:  # of 10 classes a random fifth or twentieth has all, and none with three times its share
        assert 0 < labels[places].bincount(minlength=10).min() <= labels[places].bincount().max() < 3 * len(places) / 10
    assert torch.equal(kept, beyond_logits.part_of(labels, 50, 4, 200)[1])
    assert len(set(seen.tolist())) == 50 and not set(seen.tolist()) & set(kept.tolist()) and len(kept) == 200
    assert torch.equal(seen, beyond_logits.part_of(labels, 50, 3, 200)[0])
    percent = {("AT", 0.1): (50, 70), ("AT", 0.3): (55, 64), ("KD", 0.1): (1, 2), ("KD", 0.3): (3, 0.5)}
    rates, means = beyond_logits.tuned(["AT", "KD"], (0.1, 0.3), (0, 1), lambda *of: percent[of[:2]][of[2]])
    assert rates == {"AT": 0.1, "KD": 0.3} and means["AT"] == {"0.1": 60, "0.3": 59.5}
    assert beyond_logits.tuned(["AT"], (0.1,), (), None) == ({"AT": 0.1}, {})


def test_the_tutorials_four_students_start_alike_and_learn_from_answers_of_before(glyphs):
    few = dataclasses.replace(glyphs, train=glyphs.train.subset(slice(turns.BATCH)))
    teacher = models.build("tutorial-teacher", (3, 32, 32), 10, seed=0).eval()
    both = tutorial_students.Both(teacher)
    with torch.no_grad():
        said = both(glyphs.normalize(glyphs.train.images[:2]))
        torch.testing.assert_close(said["logits"], teacher(glyphs.normalize(glyphs.train.images[:2])))
    assert said["maps"].shape == (2, 32, 8, 8)
    places = torch.arange(len(few.train))
    answers = {"maps": torch.zeros(len(places), 32, 8, 8), "logits": torch.zeros(len(places), 10)}
    ways = tutorial_students.methods(answers, places, seed=0)
    assert list(ways) == ["alone", "soft targets", "cosine", "regressor"] and ways["alone"] is None
    students = [tutorial_students.student(few, way, seed=0, epochs=1) for way in ways.values()]
    firsts = [next(student.parameters()) for student in students]
    assert not any(torch.equal(firsts[0], other) for other in firsts[1:])
