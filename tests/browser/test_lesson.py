"""The lesson with the most panels, as a person opens and runs it: no error, each panel there, whole on a projector.

The other panels are held to this in test_panels.py, notebook 02 in test_dashboard.py.
"""

import harness

NAME, PARAMETERS = "03_distil_a_student", {"seeds": 2, "steps": 100}  # what a shorter run needs
# of each panel the words that open it, and one of its parts
PANELS = {
    "training": ("panels.training(", "button.kd-start"),
    "missing-digit": ("panels.missing_class(", "button.kd-missing-go"),
}
PROJECTORS = [(1024, 768), (1280, 720)]  # pixels
BEYOND = """part => {
    const output = part.closest('.jp-OutputArea-output');
    return [output.scrollWidth - output.clientWidth, output.getBoundingClientRect().right - window.innerWidth];
}"""


def test_the_panels_of_a_lesson_open_without_errors(lab):
    notebook = lab(NAME, parameters=PARAMETERS, timeout=400)
    before = notebook.page.viewport_size
    for panel, (words, part) in PANELS.items():
        notebook.show(words)
        shown = notebook.page.locator(part).first
        shown.scroll_into_view_if_needed()
        assert shown.is_visible()
        notebook.page.wait_for_timeout(300)
        notebook.photograph(f"{NAME}-{panel}")
        for width, height in PROJECTORS:
            notebook.page.set_viewport_size({"width": width, "height": height})
            notebook.page.wait_for_timeout(300)
            harness.eventually(lambda: max(shown.evaluate(BEYOND)) <= 1, f"{panel} is cut at {width}x{height}")
            notebook.photograph(f"{NAME}-{panel}-{width}")
        notebook.page.set_viewport_size(before)
