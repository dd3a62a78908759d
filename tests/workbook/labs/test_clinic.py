"""Every patient of the bug clinic shows the symptom that its fault must have, on each seed; the healthy one none."""

import copy
import difflib
import math

import pytest
import torch

from workbook.labs import clinic

SEEDS = (0, 20)


@pytest.fixture(scope="module")
def seen():
    """Name of a fault, or "healthy" → a record for each seed, of the same students and the same batches."""
    texts = {"healthy": clinic.HEALTHY} | {name: clinic.altered(name) for name in clinic.FAULTS}
    return {
        name: [clinic.Patient(name, text).run(seed, epochs=6) for seed in SEEDS] for name, text in texts.items()
    }


def pairs(seen, name):
    return zip(seen["healthy"], seen[name], strict=True)


def test_there_are_thirteen_patients_each_with_a_fault_of_its_own():
    texts = {clinic.admit(number).source() for number in clinic.PATIENTS}
    assert texts == {clinic.altered(name) for name in clinic.FAULTS} and len(texts) == 13
    assert clinic.HEALTHY not in texts and clinic.admit(0).source() == clinic.HEALTHY


@pytest.mark.parametrize("name", clinic.FAULTS)
def test_a_patient_differs_from_the_healthy_text_in_at_most_three_lines(name):
    healthy, sick = clinic.HEALTHY.splitlines(), clinic.altered(name).splitlines()
    blocks = difflib.SequenceMatcher(None, healthy, sick, autojunk=False).get_opcodes()
    assert 1 <= sum(max(b - a, d - c) for kind, a, b, c, d in blocks if kind != "equal") <= 3
    assert all(old in clinic.HEALTHY for old, _ in clinic.FAULTS[name].changes)
    assert len(sick) <= 18 and max(map(len, sick)) <= 90


def test_changes_are_the_lines_that_differ():
    said = clinic.Patient("one", clinic.altered("no T²")).changes()
    assert said.splitlines() == [
        '−             soft = T * T * F.kl_div(log_q, p, reduction="batchmean")',
        '+             soft = F.kl_div(log_q, p, reduction="batchmean")',
    ]


def test_the_healthy_student_learns_from_a_teacher_that_stays_as_it_was(seen):
    for record in seen["healthy"]:
        assert record.accuracy[-1] > 90 and record.agreement > 90 and min(record.soft) >= 0
        assert record.teacher_moved == 0 and record.teacher_accuracy[0] == record.teacher_accuracy[1] > 95
        assert record.statistics == len(record.soft) == 30


def test_a_mean_makes_loss_and_gradient_smaller_by_the_number_of_classes(seen):
    for well, sick in pairs(seen, "mean"):
        assert sick.soft[0] * 10 == pytest.approx(well.soft[0], rel=1e-4)
        assert sick.soft_gradient * 10 == pytest.approx(well.soft_gradient, rel=1e-4)


def test_without_t_squared_loss_and_gradient_are_64_times_smaller_at_t_8(seen):
    for well, sick in pairs(seen, "no T²"):
        assert sick.soft[0] * 64 == pytest.approx(well.soft[0], rel=1e-4)
        assert sick.soft_gradient * 64 == pytest.approx(well.soft_gradient, rel=1e-4)


def test_softmax_in_place_of_log_softmax_gives_a_negative_loss(seen):
    assert all(max(sick.soft) < -50 for sick in seen["softmax"])


def test_probabilities_with_log_target_make_a_large_loss_that_hardly_falls_and_an_unsure_student(seen):
    for well, sick in pairs(seen, "log_target"):
        assert sick.soft[0] > 50 * well.soft[0] and sick.soft[-1] > 0.9 * sick.soft[0]
        assert sick.confidence < well.confidence - 0.2


def test_swapped_gives_the_other_divergence_and_hides(seen):
    for well, sick in pairs(seen, "swapped"):
        assert abs(sick.soft[0] - well.soft[0]) > 0.05 * well.soft[0]
        assert sick.hard[0] == well.hard[0] and abs(sick.accuracy[-1] - well.accuracy[-1]) < 4


def test_logits_used_twice_make_a_student_that_does_not_depend_on_its_teacher(seen):
    other = clinic.trained(1)
    for seed, sick in zip(SEEDS, seen["twice"]):
        assert max(map(abs, sick.soft)) < 1e-3 and sick.soft_gradient == 0
        one, two = (clinic.Patient("", clinic.altered("twice")).run(seed, teacher=t, epochs=1) for t in (None, other))
        assert torch.equal(one.weights, two.weights)
        one, two = (clinic.admit(0).run(seed, teacher=t, epochs=1) for t in (None, other))
        assert not torch.equal(one.weights, two.weights)


def test_softmax_twice_holds_the_hard_loss_above_1_46(seen):
    floor = -math.log(math.e / (math.e + 9))
    for well, sick in pairs(seen, "double softmax"):
        assert min(sick.hard) > floor - 1e-5 and floor == pytest.approx(1.461, abs=1e-3) and min(well.hard) < 0.5
        assert sick.hard_gradient < 0.2 * well.hard_gradient


def test_a_teacher_in_training_mode_learns_statistics_and_answers_differently_each_time(seen):
    for well, sick in pairs(seen, "train mode"):
        assert sick.teacher_moved > 0.01 and sick.soft[0] != well.soft[0]
    one, two = (copy.deepcopy(clinic.trained(0)).train() for _ in range(2))
    images = torch.randn(40, 64)
    assert not torch.equal(one(images), one(images)) and torch.equal(two.eval()(images), two(images))


def test_a_teacher_that_learns_forgets(seen):
    for sick in seen["teacher learns"]:
        before, after = sick.teacher_accuracy
        assert sick.teacher_moved > 0.01 and after < before - 30


def test_a_cache_in_a_shuffled_order_teaches_the_wrong_pictures(seen):
    for well, sick in pairs(seen, "cache"):
        assert sick.soft[-1] > 2 * well.soft[-1] and sick.accuracy[-1] < well.accuracy[-1] - 10


def test_classes_in_another_order_take_the_student_near_chance(seen):
    for well, sick in pairs(seen, "classes"):
        assert sick.accuracy[-1] < 40 and sick.agreement < 40 and sick.soft[-1] > 1.2 * well.soft[-1]


def test_batch_norm_left_in_eval_mode_stops_looking_after_the_first_epoch(seen):
    assert all(sick.statistics == 5 for sick in seen["eval mode"])
    for well, sick in pairs(seen, "eval mode"):
        assert sick.soft[:5] == well.soft[:5] and sick.soft[6] != well.soft[6]


def test_autocast_around_the_training_moves_weights_that_the_next_step_does_not_see(seen):
    assert all(max(sick.accuracy) < 50 for sick in seen["autocast"])
    before = torch.nn.Linear(64, 10)
    images, labels = torch.randn(40, 64), torch.randint(10, (40,))
    for name, stands in (("autocast", True), (None, False)):
        patient, student = clinic.Patient("", clinic.altered(name) if name else clinic.HEALTHY), copy.deepcopy(before)
        losses = patient.fit(student, torch.nn.Linear(64, 10), images, labels, epochs=3)
        assert not torch.equal(student.weight, before.weight)
        assert (losses[2] == pytest.approx(losses[0], rel=1e-3)) is stands


def test_the_check_up_finds_every_patient_and_passes_the_healthy_one(seen):
    found = [len(clinic.rounds(clinic.checkup)(number)) for number in (0, *clinic.PATIENTS)]
    assert found[0] == 0 and min(found[1:]) > 0


def test_a_diagnosis_is_compared_without_naming_it():
    names = {n: name for n in clinic.PATIENTS for name in clinic.FAULTS if clinic.diagnose(n, name)}
    assert sorted(names.values()) == sorted(clinic.FAULTS)
    assert clinic.compared({1: names[1], 2: names[1], 3: None})() == {1: True, 2: False, 3: False}
    assert clinic.compared({1: None, 2: ...})() is None


def test_a_chart_has_a_column_for_each_record_and_a_line_for_each_figure(seen):
    lines = clinic.chart({"healthy": seen["healthy"][0], "3": seen["mean"][0], "4": seen["cache"][0]}).splitlines()
    assert lines[0].split() == ["healthy", "3", "4"] and len(lines) == 13
    assert all(len(line) == len(lines[0]) for line in lines)


def test_a_run_repeats_bit_for_bit_and_leaves_the_random_state(seen):
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    again = clinic.admit(0).run(SEEDS[0], epochs=6)
    assert torch.equal(again.weights, seen["healthy"][0].weights)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("bad, said", [
    (lambda: clinic.admit(14), "1 to 13, got 14"),
    (lambda: clinic.admit("1"), "1 to 13, got '1'"),
    (lambda: clinic.diagnose(1, "flu"), "unknown fault 'flu'; there are mean, softmax"),
    (lambda: clinic.compared({1: "flu"})(), "unknown fault 'flu'"),
    (lambda: clinic.altered("flu"), "unknown fault"),
])
def test_what_does_not_exist_is_refused_in_a_sentence(bad, said):
    with pytest.raises(ValueError, match=said):
        bad()
