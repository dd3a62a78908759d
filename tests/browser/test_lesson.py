"""The notebooks with panels, as a person opens and runs them: no error, every panel there."""

import pytest

# what a shorter run needs, and the words that open each panel
LESSONS = {
    "02_soft_targets": ({"pictures": 1000, "steps": 100}, {"explorer": "live.explorer("}),
    "03_distil_a_student": ({"seeds": 2, "steps": 100}, {"training": "steer.panel(", "missing-digit": "live.missing_class("}),
    "04_cpu_vs_gpu_latency": ({"seconds": 0.02, "batches": [1, 16, 64]}, {"latency": "live.latency_panel("}),
    "11_the_alpha_temperature_map": ({"seeds": 2, "steps": 50}, {"map": "map_panel.explore("}),
}


@pytest.mark.parametrize("name", LESSONS)
def test_the_panels_of_a_lesson_open_without_errors(lab, name):
    parameters, panels = LESSONS[name]
    notebook = lab(name, parameters=parameters, timeout=400)  # on a busy machine torch.compile alone takes minutes
    for panel, words in panels.items():
        notebook.show(words)
        notebook.page.wait_for_timeout(1500)
        notebook.photograph(f"{name}-{panel}")
