"""The chart of the ward draws each patient beside the healthy curve."""

from workbook.plots import clinic


def test_a_ward_has_a_panel_for_each_patient_with_the_healthy_curve_behind():
    figure = clinic.ward({"one": [1, 2, 3], "two": [3, 2, 1]}, [1, 1, 1], title="t", xlabel="x", ylabel="y", columns=3)
    first, second, empty = figure.axes
    assert [ax.get_title(loc="left") for ax in (first, second)] == ["one", "two"] and not empty.axison
    for ax, values in ((first, [1, 2, 3]), (second, [3, 2, 1])):
        healthy, patient = ax.lines
        assert list(healthy.get_ydata()) == [1, 1, 1] and list(patient.get_ydata()) == values
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["healthy", "patient"]
