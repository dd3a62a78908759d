"""The figures of lab 10 show what they were given, named, and hollow where an interval holds zero."""

from workbook.plots import bank


def texts(labels):
    return [label.get_text() for label in labels]


def means(ax):
    return [line for line in ax.lines if len(line.get_xdata()) == 1]


def test_what_is_paid_stands_beside_what_it_reaches():
    gaps = {"labels": (-20, -25, -15, 0), "views": (-1, -3, 1)}
    left, right = bank.paid(gaps, {"labels": 0, "views": 400, "live": 2500}, seeds=4).axes
    assert texts(left.get_yticklabels()) == ["labels", "views", "live"]
    assert [line.get_xdata()[0] for line in means(left)] == [-20, -1]
    assert [line.get_markerfacecolor() == "white" for line in means(left)] == [False, True]
    assert [bar.get_width() for bar in right.patches] == [0, 400, 2500] and texts(right.texts) == ["0", "400", "2,500"]


def test_the_loss_of_wrong_rows_stands_beside_their_accuracy():
    found = {"right": [50, 54], "wrong": [10, 8]}
    left, right = bank.misaligned({"right": [8, 1], "wrong": [7, 2, 1]}, found).axes
    assert [list(line.get_ydata()) for line in left.lines] == [[8, 1], [7, 2, 1]]
    assert left.lines[0].get_linestyle() != left.lines[1].get_linestyle()
    assert [line.get_xdata()[0] for line in means(right)] == [52, 9]
    assert texts(right.get_yticklabels()) == ["right", "wrong"]


def test_pairs_of_runs_are_named_by_both():
    (ax,) = bank.against({("moved", "alone"): (5, 3, 7, 4), ("moved", "views"): (-1, -3, 1, 1)}).axes
    assert texts(ax.get_yticklabels()) == ["moved\nagainst alone", "moved\nagainst views"]


def test_teachers_stand_in_order_of_their_accuracy():
    gains = {("best", 1.0): (-2, -7, 2), ("best", 4.0): (1, -6, 8)}
    gains |= {("worst", 1.0): (8, 2, 14), ("worst", 4.0): (11, 5, 17)}
    (ax,) = bank.lessons(gains, {"best": [98, 99], "worst": [96, 97]}).axes
    assert texts(ax.get_xticklabels()) == ["worst\nis right on 96.5 %", "best\nis right on 98.5 %"]
    assert [line.get_ydata()[0] for line in means(ax)] == [8, -2, 11, 1]
    assert texts(ax.get_legend().get_texts()) == ["T = 1", "T = 4"]


def test_storage_leaves_out_what_is_exact_among_the_errors_alone():
    sizes, gains = {"float32": 40, "top 1": 5}, {"float32": (11, 5, 17), "top 1": (0.6, -3, 4)}
    left, right = bank.storage(sizes, {"float32": 1e-20, "top 1": 0.08}, gains).axes
    assert texts(left.texts) == ["top 1"] and texts(right.texts) == ["float32", "top 1"] and left.get_yscale() == "log"
    assert [line.get_xdata()[0] for line in means(right)] == [40, 5]
