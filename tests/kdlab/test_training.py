"""The loop: what it yields, what it leaves alone, how it stops, and what it refuses."""

import os
import resource
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kdlab import bank, files as checkpoints, data, devices, models
from kdlab.data import Recipe
from kdlab.evaluation import evaluate, paired_difference, predict
from kdlab.losses import distillation_loss
from kdlab.training import Knobs, distil, finish, train, warm_cosine

FEW = torch.arange(50)


@pytest.fixture(scope="module")
def digits():
    torch.set_num_threads(1)
    return data.load("digits", seed=0)


@pytest.fixture(scope="module")
def teacher(digits):
    torch.manual_seed(0)
    model = models.build("mlp-512-512", digits.shape, 10)
    finish(train(model, digits, steps=100, batch_size=64, weight_decay=1e-2))
    return model


def student(digits, seed=0):
    torch.manual_seed(seed)
    return models.build("mlp-32", digits.shape, 10)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_loop_equals_the_same_loop_written_out(digits, teacher):
    ours, theirs = student(digits), student(digits)
    plain = dict(steps=20, indices=FEW, settings=devices.Settings())
    history = list(distil(ours, digits, Knobs(0.7, 3.0, 0.01), teacher=teacher, **plain))
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.0)
    images, labels = digits.normalize(digits.train.images[:50]), digits.train.labels[:50]
    with torch.no_grad():
        targets = teacher(images)
    for number, step in enumerate(history, 1):
        loss = distillation_loss(theirs(images), targets, labels, alpha=0.7, temperature=3.0)
        assert step.step == number and step.loss == pytest.approx(loss.item(), rel=1e-6)
        assert step.loss == pytest.approx(0.7 * step.soft + 0.3 * step.hard, rel=1e-5)
        optimizer.param_groups[0]["lr"] = 0.01 * warm_cosine(number, 20)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    assert same(weights(ours), weights(theirs))


def test_a_bank_trains_the_same_student_as_the_teacher_that_filled_it(digits, teacher):
    asked, looked_up = student(digits), student(digits)
    stored = bank.fill(teacher, digits)
    options = dict(steps=30, batch_size=32, indices=torch.arange(0, 1000, 3), seed=5)
    live = list(distil(asked, digits, Knobs(), teacher=teacher, **options))
    cached = list(distil(looked_up, digits, Knobs(), teacher=stored, **options))
    assert [s.loss for s in live] == pytest.approx([s.loss for s in cached], rel=1e-4)
    torch.testing.assert_close(predict(asked, digits), predict(looked_up, digits), rtol=1e-3, atol=1e-3)


def test_the_same_seed_repeats_bit_for_bit_and_another_does_not(digits):
    runs = []
    for seed in (1, 1, 2):
        model = student(digits)
        finish(train(model, digits, steps=20, batch_size=64, seed=seed))
        runs.append(weights(model))
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])


def test_knobs_turned_between_steps_are_used_from_the_next_step_on(digits, teacher):
    knobs = Knobs(alpha=0.2, temperature=2.0, lr=0.01)
    used = []
    for step in distil(student(digits), digits, knobs, teacher=teacher, steps=6, indices=FEW):
        used.append((step.alpha, step.temperature))
        if step.step == 3:
            knobs.alpha, knobs.temperature = 0.9, 8.0
    assert used == [(0.2, 2.0)] * 3 + [(0.9, 8.0)] * 3


def test_a_knob_out_of_range_is_refused_and_keeps_its_value():
    knobs = Knobs(alpha=0.5)
    for name, value, words in [
        ("alpha", 1.2, r"alpha must be in \[0, 1\], got 1.2"),
        ("temperature", 0, "temperature must be > 0"),
        ("lr", float("nan"), "lr must be > 0"),
    ]:
        with pytest.raises(ValueError, match=words):
            setattr(knobs, name, value)
    assert knobs == Knobs(alpha=0.5)


class Wrapped(nn.Module):
    """A student that holds its teacher: student.train() flips the teacher too."""

    def __init__(self, inner, teacher):
        super().__init__()
        self.inner, self.teacher = inner, teacher
        self.teacher.requires_grad_(False)

    def forward(self, images):
        return self.inner(images)


def test_the_teacher_stays_in_eval_mode_without_gradients_whatever_the_student_does(digits):
    torch.manual_seed(0)
    teacher = models.build("cnn-8-16", digits.shape, 10)  # batch norm would learn in training mode
    before, seen = weights(teacher), []
    teacher.register_forward_hook(lambda module, *_: seen.append((module.training, torch.is_grad_enabled())))
    model = Wrapped(student(digits), teacher)
    finish(distil(model, digits, Knobs(), teacher=teacher, steps=5, batch_size=32))
    assert seen == [(False, False)] * 5 and same(before, weights(teacher))


def test_only_the_chosen_images_are_used(digits):
    model = student(digits)
    poisoned = data.Dataset(
        "poisoned",
        data.Split(digits.train.images, torch.where(torch.arange(1000) < 50, digits.train.labels, 0)),
        digits.test, digits.classes, digits.mean, digits.std,
    )
    clean = student(digits)
    finish(train(model, poisoned, steps=10, indices=FEW))
    finish(train(clean, digits, steps=10, indices=FEW))
    assert same(weights(model), weights(clean))


def test_evaluation_happens_now_and_then_and_at_the_end(digits):
    history = list(train(student(digits), digits, steps=25, indices=FEW, evaluate_every=10))
    assert [s.step for s in history if s.accuracy is not None] == [10, 20, 25]
    assert all(0 <= s.accuracy <= 1 for s in history if s.accuracy is not None)


def test_evaluating_on_the_way_does_not_change_the_training(digits):
    watched, alone = student(digits), student(digits)
    finish(train(watched, digits, steps=12, batch_size=64, evaluate_every=1))
    finish(train(alone, digits, steps=12, batch_size=64))
    assert same(weights(watched), weights(alone))


def test_recording_less_often_yields_less_and_trains_the_same(digits):
    often, seldom = student(digits), student(digits)
    finish(train(often, digits, steps=25, indices=FEW))
    history = finish(train(seldom, digits, steps=25, indices=FEW, record_every=10))
    assert [s.step for s in history] == [10, 20, 25] and same(weights(often), weights(seldom))


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 20, 300])
def test_the_schedule_rises_for_a_tenth_and_then_falls(steps):
    shares = [warm_cosine(n, steps) for n in range(1, steps + 1)]
    top = shares.index(max(shares))
    assert max(shares) == 1 and all(0 < s <= 1 for s in shares)
    assert top + 1 == max(1, round(steps / 10))
    assert shares[: top + 1] == sorted(shares[: top + 1]) and shares[top:] == sorted(shares[top:], reverse=True)


def test_a_loss_that_is_not_finite_stops_with_step_and_knobs_and_keeps_the_last_weights(digits):
    model, kept = student(digits), []
    with pytest.raises(FloatingPointError, match=r"not finite at step \d+ with Knobs\(alpha=0.0.*lr=1e\+38"):
        for _ in train(model, digits, lr=1e38, steps=50, indices=FEW):
            kept.append(weights(model))
    assert same(weights(model), kept[-1]) and not model.training


def test_closing_the_generator_leaves_the_student_in_eval_mode(digits):
    model = student(digits)
    running = train(model, digits, steps=50, indices=FEW)
    next(running)
    assert model.training
    running.close()
    assert not model.training


FAST = {
    "what the rule chooses here": None,
    "channels last": devices.Settings(channels_last=True),
    "bfloat16": devices.Settings(autocast=torch.bfloat16),
    "fused": devices.Settings(fused=True),
}


@pytest.fixture(scope="module")
def glyphs():
    return data.load("glyphs", train=1000, test=1000)


@pytest.fixture(scope="module")
def plain(glyphs):
    return [glyph_accuracy(glyphs, seed, devices.Settings()) for seed in range(4)]


def glyph_accuracy(glyphs, seed, settings):
    torch.manual_seed(seed)
    model = models.build("cnn-8-16", glyphs.shape, 10)
    finish(train(model, glyphs, steps=90, batch_size=64, lr=1e-2, seed=seed, settings=settings))
    return evaluate(model, glyphs).accuracy


@pytest.mark.parametrize("settings", FAST.values(), ids=FAST)
def test_a_fast_setting_costs_no_accuracy_that_paired_seeds_could_show(glyphs, plain, settings):
    fast = [glyph_accuracy(glyphs, seed, settings) for seed in range(len(plain))]
    mean, low, high, _ = paired_difference(fast, plain)
    assert min(plain) > 0.5 and low - 0.005 <= 0 <= high + 0.005 and abs(mean) < 0.02, (fast, plain)


def test_a_bank_filled_in_bfloat16_teaches_as_well(digits):
    torch.manual_seed(0)
    teacher = models.build("mlp-64", digits.shape, 10)
    finish(train(teacher, digits, steps=100, batch_size=64, lr=1e-2))
    whole, rough = (bank.fill(teacher, digits, settings=settings) for settings in (devices.Settings(), FAST["bfloat16"]))
    assert 0 < (whole.logits - rough.logits).abs().max() < 0.1 * whole.logits.std()

    def accuracy(answers, seed):
        model = student(digits, seed)
        finish(distil(model, digits, Knobs(1.0, 4.0, 1e-2), teacher=answers, steps=200, indices=FEW, seed=seed))
        return evaluate(model, digits).accuracy

    pairs = [(accuracy(rough, seed), accuracy(whole, seed)) for seed in range(6)]
    mean, low, high, _ = paired_difference(*zip(*pairs))
    assert min(min(pair) for pair in pairs) > 0.6 and low - 0.005 <= 0 <= high + 0.005 and abs(mean) < 0.02, pairs


def test_a_trained_student_keeps_the_usual_memory_format(glyphs):
    model = models.build("cnn-8-16", glyphs.shape, 10)
    finish(train(model, glyphs, steps=1, batch_size=64, settings=devices.Settings(channels_last=True)))
    assert all(parameter.is_contiguous() for parameter in model.parameters())


def test_a_schedule_of_ones_keeps_the_learning_rate(digits):
    run = train(student(digits), digits, steps=5, indices=FEW, lr=1e-3, schedule=lambda step, steps: 1.0)
    assert {step.lr for step in run} == {1e-3}


class OneByOne(nn.Module):
    """A teacher that looks at one image at a time: its answers do not depend on the batch, not even in the last bit."""

    def __init__(self, teacher):
        super().__init__()
        self.teacher = teacher

    def forward(self, images):
        return torch.cat([self.teacher(image[None]) for image in images])


RECIPE = Recipe(seed=9, pad=1, flip=False)


@pytest.mark.parametrize("batch_size, steps", [(16, 11), (None, 4)])  # four epochs, the last one of 16s not whole
def test_a_bank_of_views_trains_bit_for_bit_the_student_of_the_live_teacher(digits, teacher, batch_size, steps):
    slow = OneByOne(teacher)
    few = digits.train.subset(slice(60))
    small = data.Dataset("few", few, digits.test, digits.classes, digits.mean, digits.std)
    options = dict(steps=steps, batch_size=batch_size, indices=torch.arange(2, 60), augmented=RECIPE)
    trained = []
    for source in (slow, bank.fill(slow, small, views=4, recipe=RECIPE)):
        trained.append(student(small))
        finish(distil(trained[-1], small, Knobs(0.8), teacher=source, **options))
    assert same(weights(trained[0]), weights(trained[1]))


def test_a_bank_of_views_trains_the_student_of_a_teacher_asked_in_batches(digits, teacher):
    """Not bit for bit: matrix products of other batch sizes add up in another order."""
    trained = []
    for source in (teacher, bank.fill(teacher, digits, views=2, recipe=RECIPE)):
        trained.append(student(digits))
        finish(distil(trained[-1], digits, Knobs(), teacher=source, steps=60, batch_size=32, augmented=RECIPE))
    torch.testing.assert_close(predict(trained[0], digits), predict(trained[1], digits), rtol=1e-3, atol=1e-3)


def shown_images(digits, steps, **options):
    """What a student is shown, step by step, before it is normalized."""
    shown, model = [], student(digits)
    model.register_forward_pre_hook(lambda module, args: shown.append(args[0].clone()))
    finish(distil(model, digits, Knobs(), steps=steps, **options))
    return shown


def test_epoch_e_shows_view_e_and_a_bank_goes_round(digits, teacher):
    views = [digits.normalize(data.augment(digits.train.images[:50], RECIPE, indices=FEW, view=v)) for v in range(5)]
    live = shown_images(digits, 5, indices=FEW, augmented=RECIPE, teacher=None)
    assert all(map(torch.equal, live, views))
    stored = bank.fill(teacher, digits, views=2, recipe=RECIPE)
    cached = shown_images(digits, 5, indices=FEW, augmented=RECIPE, teacher=stored)
    assert all(map(torch.equal, cached, [views[v] for v in (0, 1, 0, 1, 0)]))


def test_the_view_changes_with_the_epoch_and_not_within_it(digits):
    order = data.batches(50, 16, seed=0, device="cpu")  # three batches an epoch
    for number, images in enumerate(shown_images(digits, 7, indices=FEW, batch_size=16, augmented=RECIPE, teacher=None)):
        place = next(order)
        moved = data.augment(digits.train.images[place], RECIPE, indices=place, view=number // 3)
        assert torch.equal(images, digits.normalize(moved)), number


def test_augmented_training_shows_views_of_the_usual_recipe_and_of_its_seed(digits):
    shown = shown_images(digits, 2, indices=FEW, augmented=True, seed=4, teacher=None)
    for view, images in enumerate(shown):
        moved = data.augment(digits.train.images[:50], digits.recipe(4), indices=FEW, view=view)
        assert torch.equal(images, digits.normalize(moved)) and not torch.equal(moved, digits.train.images[:50])


@pytest.mark.parametrize(
    "views, augmented, message",
    [
        (0, True, "a bank of the plain images cannot answer for augmented ones; fill one with views, or pass the teacher"),
        (0, RECIPE, "a bank of the plain images cannot answer for augmented ones"),
        (2, False, "this bank holds the logits of augmented views; pass augmented=bank.recipe"),
        (2, True, "the bank's views were made with seed 9 in place of 0; pass augmented=bank.recipe, or fill it again"),
        (2, Recipe(9, 2, True), "made with pad 1 in place of 2, flip False in place of True; pass"),
    ],
)
def test_a_bank_of_other_images_than_the_student_is_shown_is_refused(digits, teacher, views, augmented, message):
    stored = bank.fill(teacher, digits, views=views, recipe=RECIPE if views else None)
    with pytest.raises(ValueError, match=message):
        next(distil(student(digits), digits, Knobs(), teacher=stored, steps=1, augmented=augmented))


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 5, "record_every": 0}])
def test_no_steps_are_refused(digits, options):
    with pytest.raises(ValueError, match="must be >= 1"):
        next(train(student(digits), digits, **options))


def test_ctrl_c_is_held_back_until_the_step_is_done_and_the_cell_returns(digits, capsys):
    model, states = student(digits), []

    def watched():
        for step in train(model, digits, steps=50, indices=FEW):
            states.append(weights(model))
            yield step

    calls = []

    def press_in_the_seventh_step(*_):
        calls.append(1)
        if len(calls) == 7:
            signal.raise_signal(signal.SIGINT)

    model.register_forward_hook(press_in_the_seventh_step)
    handler = signal.getsignal(signal.SIGINT)
    history = finish(watched())
    assert capsys.readouterr().out == "stopped after step 7; the model keeps that state\n"
    assert len(history) == 6 and not model.training and signal.getsignal(signal.SIGINT) is handler
    reference = student(digits)
    seventh = [weights(reference) for s in train(reference, digits, steps=50, indices=FEW) if s.step <= 7][6]
    assert same(weights(model), seventh)
    assert finish(train(model, digits, steps=3, indices=FEW))[-1].step == 3  # the next cell works


def test_a_checkpoint_comes_back_bit_for_bit(digits, teacher, tmp_path):
    checkpoints.save(teacher, tmp_path / "new folder" / "teacher.safetensors")
    other = models.build("mlp-512-512", digits.shape, 10)
    assert checkpoints.load(other, tmp_path / "new folder" / "teacher.safetensors") is other
    assert same(weights(other), weights(teacher))
    assert os.listdir(tmp_path / "new folder") == ["teacher.safetensors"]


def test_a_checkpoint_of_another_model_is_refused_and_changes_nothing(digits, teacher, tmp_path):
    checkpoints.save(teacher, tmp_path / "teacher.safetensors")
    model = student(digits)
    before = weights(model)
    with pytest.raises(ValueError, match="belongs to another model: .* tensors differ, the first is"):
        checkpoints.load(model, tmp_path / "teacher.safetensors")
    assert same(before, weights(model))


def test_a_missing_or_truncated_checkpoint_is_refused(digits, teacher, tmp_path):
    path = tmp_path / "teacher.safetensors"
    for cut in (None, 0, 100, -5):
        if cut is not None:
            checkpoints.save(teacher, path)
            path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(ValueError, match="teacher.safetensors is not a readable checkpoint"):
            checkpoints.load(models.build("mlp-512-512", digits.shape, 10), path)


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_half_written(digits, teacher, tmp_path):
    path = tmp_path / "teacher.safetensors"
    checkpoints.save(models.build("mlp-32", digits.shape, 10), path)
    before = path.read_bytes()
    script = f"""
        import resource, signal, torch
        from kdlab import files as checkpoints, models
        model = models.build("mlp-512-512", (1, 8, 8), 10)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # a file system that takes no more than this
        try:
            checkpoints.save(model, {str(path)!r})
        except OSError as error:
            print(error)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert "could not write the checkpoint" in run.stdout and "nothing was changed" in run.stdout
    assert run.stdout.count("\n") == 1
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["teacher.safetensors"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 50_000


def test_the_recipe_makes_the_distilled_student_better_on_seeds_that_nothing_was_tuned_on():
    """The lesson's main claim, on three of the seeds that it was reported on."""
    gains = []
    for seed in (20, 21, 22):
        digits = data.load("digits", seed=seed)
        torch.manual_seed(seed)
        teacher = models.build("mlp-512-512", digits.shape, 10)
        finish(train(teacher, digits, steps=200, batch_size=64, weight_decay=1e-2, seed=seed))
        accuracy = {}
        for alpha in (0.0, 1.0):
            model = student(digits, seed)
            finish(distil(model, digits, Knobs(alpha=alpha), teacher=bank.fill(teacher, digits), steps=300, indices=FEW))
            accuracy[alpha] = evaluate(model, digits).accuracy
        assert evaluate(teacher, digits).accuracy > 0.95
        gains.append(accuracy[1.0] - accuracy[0.0])
    assert all(gain > 0.02 for gain in gains) and sum(gains) / 3 > 0.05


def test_a_bank_of_the_test_split_is_refused(digits, teacher):
    answers = bank.fill(teacher, digits, split="test")
    with pytest.raises(ValueError, match="a student trains on the training split, and this bank holds the test split"):
        next(distil(student(digits), digits, Knobs(), teacher=answers, steps=2, indices=FEW))


def test_the_bar_counts_steps_that_are_not_recorded(digits, monkeypatch):
    import tqdm.auto

    bars = []

    class Bar(tqdm.auto.tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            bars.append(self)

    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    assert len(finish(train(student(digits), digits, steps=25, indices=FEW, record_every=10), total=25)) == 3
    assert [bar.n for bar in bars] == [25]
