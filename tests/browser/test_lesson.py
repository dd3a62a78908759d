"""The notebooks with panels, as a person opens and runs them: no error, every panel there, whole at a projector's size."""

import pytest

# what a shorter run needs; of each panel the words that open it, and one of its parts
LESSONS = {
    "02_soft_targets": ({"pictures": 1000, "steps": 100}, {"explorer": ("live.explorer(", ".kd-explorer-temperature")}),
    "03_distil_a_student": (
        {"seeds": 2, "steps": 100},
        {"training": ("steer.panel(", "button.kd-start"), "missing-digit": ("missing.panel(", "button.kd-missing-go")},
    ),
    "04_cpu_vs_gpu_latency": (
        {"seconds": 0.02, "batches": [1, 16, 64]}, {"latency": ("live.latency_panel(", "button.kd-latency-measure")}
    ),
    "11_the_alpha_temperature_map": ({"seeds": 2, "steps": 50}, {"map": ("map_panel.explore(", ".kd-map")}),
}
PROJECTORS = [(1024, 768), (1280, 720)]  # pixels
BEYOND = """part => {
    const output = part.closest('.jp-OutputArea-output');
    return [output.scrollWidth - output.clientWidth, output.getBoundingClientRect().right - window.innerWidth];
}"""


@pytest.mark.parametrize("name", LESSONS)
def test_the_panels_of_a_lesson_open_without_errors(lab, name):
    parameters, panels = LESSONS[name]
    notebook = lab(name, parameters=parameters, timeout=400)  # on a busy machine torch.compile alone takes minutes
    before = notebook.page.viewport_size
    for panel, (words, part) in panels.items():
        notebook.show(words)
        shown = notebook.page.locator(part).first
        shown.scroll_into_view_if_needed()
        assert shown.is_visible()
        notebook.page.wait_for_timeout(1500)
        notebook.photograph(f"{name}-{panel}")
        for width, height in PROJECTORS:
            notebook.page.set_viewport_size({"width": width, "height": height})
            notebook.page.wait_for_timeout(500)
            assert max(shown.evaluate(BEYOND)) <= 1, f"{panel} is cut at {width}x{height}"
            notebook.photograph(f"{name}-{panel}-{width}")
        notebook.page.set_viewport_size(before)
