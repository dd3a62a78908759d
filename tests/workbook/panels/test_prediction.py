"""A prediction is kept, come back to, and never asked for where nobody can answer."""

import pytest

from workbook import panels


def said(capsys, guess, right):
    guess.answer(right)
    first, _, rest = capsys.readouterr().out.partition("\n")
    assert first == " "  # what JupyterLab shows of an answer that waits
    return rest


def test_a_prediction_is_come_back_to(capsys):
    guess = panels.prediction("abc")
    assert guess.value is None and said(capsys, guess, "b") == "It is (b).\n"
    guess.value = "a"
    assert said(capsys, guess, "b") == "You predicted (a). It is (b).\n"
    guess.value = None
    assert said(capsys, guess, "c") == "It is (c).\n"


def test_one_in_words_is_written_beside_the_answer(capsys):
    guess = panels.prediction("")
    assert guess.value is None and said(capsys, guess, "Zero, Q and D.") == "Zero, Q and D.\n"
    guess.value = "Q, D"
    assert said(capsys, guess, "Zero, Q and D.") == "You predicted Q, D. Zero, Q and D.\n"


def test_its_text_is_the_same_whatever_was_chosen():
    guess = panels.prediction("abc")
    told = guess._repr_mimebundle_()[0]["text/plain"]
    guess.value = "c"
    bundle, _ = guess._repr_mimebundle_()
    assert bundle["text/plain"] == told == "Your prediction: (a) (b) (c)"
    assert "application/vnd.jupyter.widget-view+json" in bundle


@pytest.mark.parametrize("choices", ["aa", "a b", "a,b", "12"])
def test_choices_that_are_no_letters_are_refused(choices):
    with pytest.raises(ValueError, match="different letters"):
        panels.prediction(choices)


def test_an_answer_or_a_choice_that_was_not_offered_is_refused():
    guess = panels.prediction("abc")
    with pytest.raises(ValueError, match="one of a, b, c, got 'd'"):
        guess.answer("d")
    with pytest.raises(ValueError, match="the choices are a, b, c, got 'x'"):
        guess.value = "x"
    assert guess.value is None
