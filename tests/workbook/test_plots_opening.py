"""The first notebook's figures: the heights are those given, and what is not known has no height."""

import torch

from workbook.plots import opening


def test_the_contest_writes_each_share_on_its_bar_and_a_question_mark_where_there_is_none():
    ax = opening.contest({"alone": 0.799, "distilled": None, "teacher": 0.964}, title="t").axes[0]
    assert [text.get_text() for text in ax.texts] == ["80 %", "?", "96 %"]
    assert [round(bar.get_height(), 1) for bar in ax.patches] == [79.9, 100, 96.4]
    assert [bar.get_linestyle() for bar in ax.patches] == ["solid", "dashed", "solid"] or ax.patches[1].get_fill()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["alone", "distilled", "teacher"]
    assert ax.get_ylim()[1] > 110  # room for a number above a full bar


def test_the_answers_stand_beside_their_picture_with_their_percents():
    picture = torch.zeros(1, 8, 8, dtype=torch.uint8)
    said = {"T = 1": [0.9958, 0.004, 0.0002], "T = 4": [0.7, 0.2, 0.1]}
    shown, one, four = opening.answers(picture, said, ["I", "l", "1"], title="label: I").axes
    assert len(shown.images) == 1 and shown.get_title(loc="left") == "label: I"
    assert [text.get_text() for text in one.texts] == ["100", "0.4", ""]
    assert [round(bar.get_width(), 1) for bar in four.patches] == [70, 20, 10]
    assert one.get_title(loc="left") == "T = 1" and one.get_yticklabels()[0].get_fontfamily() == ["monospace"]
    assert one.yaxis_inverted()  # the first class on top
