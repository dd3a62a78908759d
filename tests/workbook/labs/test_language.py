"""The language models of lab 27: text as windows, sampling with and without a cache, and what is refused."""

import copy

import pytest
import torch

from kdlab import Knobs, distil, finish
from workbook.labs import language
from workbook.methods.token_level import tokens_loss

WORDS = language.read("the student reads what the teacher wrote; " * 60, rare=1)
WINDOWS = language.windows(WORDS, 16)


@pytest.fixture(scope="module")
def reader():
    return language.build(len(WORDS.characters), width=16, layers=1, context=32, seed=1)


def test_windows_are_the_text_and_come_back_as_they_were():
    ids = language.tokens(WINDOWS.normalize(WINDOWS.train.images))
    assert torch.equal(ids.flatten(), WORDS.ids[: ids.numel()].long())
    assert WORDS.decode(ids[0]) == "the student reads"


def test_rare_characters_become_question_marks_and_the_hash_is_the_texts():
    text = language.read("aaaab", rare=2)
    assert text.characters == "?a" and text.decode(text.ids) == "aaaa?"
    assert text.digest != language.read("aaaac", rare=2).digest


def test_the_text_of_python_is_there():
    text = language.read(language.topics())
    assert len(text.ids) > 100_000 and len(text.characters) <= 256 and "for" in text.decode(text.ids[:50_000])


def test_a_seed_makes_the_same_model_and_leaves_torchs_generator_alone(reader):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    again = language.build(len(WORDS.characters), width=16, layers=1, context=32, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, reader.parameters(), again.parameters()))


def test_a_cache_changes_no_sample(reader):
    prompts = language.tokens(WINDOWS.normalize(WINDOWS.test.images[:5]))[:, :4]
    made = [language.sample(reader, prompts, 12, generator=torch.Generator().manual_seed(3), cache=cache)
            for cache in (True, False)]
    assert torch.equal(*made) and torch.equal(made[0][:, :4], prompts) and made[0].shape == (5, 16)


def test_a_student_learns_from_the_text_from_a_teacher_and_from_what_it_writes(reader):
    for method, alpha in (
        (language.by_token(tokens_loss), 0.0), (language.by_token(tokens_loss), 1.0),
        (language.by_token(tokens_loss, language.answers(reader, WINDOWS).__getitem__), 1.0),
        (language.on_policy(reader, tokens_loss, prompt=4), 1.0),
    ):
        student = language.build(len(WORDS.characters), width=8, layers=1, heads=2, context=32, seed=2)
        before = copy.deepcopy(student)
        teacher = reader if alpha else None
        finish(distil(student, WINDOWS, Knobs(alpha, 1.0), teacher=teacher, steps=6, batch_size=8, method=method))
        new, old = (language.held_out(net, WINDOWS, reader) for net in (student, before))
        key = "kl" if alpha else "loss"
        assert new[key] < old[key]


def test_a_model_judges_its_own_samples_by_their_entropy_on_average(reader):
    prompts = language.tokens(WINDOWS.normalize(WINDOWS.test.images[:1]))[:, :4].repeat(256, 1)
    written = language.sample(reader, prompts, 12, generator=torch.Generator().manual_seed(0))
    surprise, entropy = language.judge(reader, written, 4)
    assert surprise == pytest.approx(entropy, abs=0.1)


def test_held_out_has_no_kl_to_itself(reader):
    assert language.held_out(reader, WINDOWS, reader)["kl"] == pytest.approx(0, abs=1e-6)


def test_a_text_that_is_too_short_and_one_of_too_many_characters_are_refused():
    with pytest.raises(ValueError, match="the text has 20 characters, of which 2 are for testing; a context of 64"):
        language.windows(language.read("a" * 20, rare=1), 64)
    with pytest.raises(ValueError, match="must fit into a byte.*; raise rare above 1"):
        language.read("".join(map(chr, range(1000, 1400))), rare=1)


def test_snippets_of_testing_are_other_ones_and_every_topic_is_in_both():
    train, test = language.snippets()
    assert len(train.ids) > 2 * len(test.ids) and train.ids.shape[1] == 32 and train.ids.max() < 2000
    assert {*train.labels.tolist()} == {*test.labels.tolist()} == {*range(len(language.FAMILIES))}


def test_a_checkpoint_comes_back_and_one_that_does_not_fit_is_refused(tmp_path):
    model, ids = language.classifier(width=8, layers=1), language.snippets()[1].ids[:3]
    model.save_pretrained(tmp_path)
    assert torch.equal(language.from_folder(tmp_path)(ids).logits, model(ids).logits)
    with pytest.raises(ValueError, match="has 2000 words and 6 classes, and the snippets have 400 and 6"):
        language.from_folder(tmp_path, vocabulary=400)
    with pytest.raises(ValueError, match="no config.json"):
        language.from_folder(tmp_path / "gone")
