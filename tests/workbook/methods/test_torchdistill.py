"""The methods against torchdistill's own values for the same tensors, in float64.

They were computed once with torchdistill 1.1.5; where it is installed they are computed again.
"""

import importlib.util
import math

import pytest
import torch
from torch.nn.functional import normalize
from waves import wave

from workbook.methods.attention_transfer import attention
from workbook.methods.dist import relations
from workbook.methods.logit_standardization import standardized_loss
from workbook.methods.reviewkd import hierarchical_context
from workbook.methods.rkd import angle, distance, relational
from workbook.methods.similarity_preserving import similarity

LOGITS = wave(6, 5, phase=0.0), wave(6, 5, phase=0.7)
MAPS = wave(6, 4, 3, 3, phase=0.2), wave(6, 4, 3, 3, phase=0.5)
LARGE = wave(2, 3, 6, 6, phase=0.2), wave(2, 3, 6, 6, phase=0.5)
UNBIASED = math.sqrt(5 / 4)  # torchdistill divides the variance of five logits by four: a higher temperature
GOLDEN = {
    "DIST": (relations, LOGITS, dict(temperature=4.0, inter=2.0, intra=0.5), 41.96142343832852),
    "logit standardization": (standardized_loss, LOGITS, dict(temperature=2 * UNBIASED), 0.20844698660823954),
    "AT": (attention, MAPS, {}, 0.3509572725953663),
    "RKD distance": (distance, MAPS, {}, 0.10789581149233267),
    "RKD angle": (angle, MAPS, {}, 0.14842152077911203),
    "RKD": (relational, MAPS, dict(distances=25.0, angles=50.0), 10.118471326263919),
    "ReviewKD": (hierarchical_context, LARGE, {}, 4.989063921887297),
}
PATHS = ("x", "output", "x", "output")
AT = {"pair": {"student": {"io": "output", "path": "x"}, "teacher": {"io": "output", "path": "x"}}}
THEIRS = {
    "DIST": ("DISTLoss", PATHS, dict(beta=2.0, gamma=0.5, tau=4.0)),
    "logit standardization": ("LogitStdKDLoss", PATHS, dict(temperature=2.0, alpha=0.0, beta=1.0)),
    "AT": ("ATLoss", (AT,), dict(mode="paper")),
    "RKD distance": ("RKDLoss", ("x", "x"), dict(dist_factor=1.0, angle_factor=0.0, reduction="mean")),
    "RKD angle": ("RKDLoss", ("x", "x"), dict(dist_factor=0.0, angle_factor=1.0, reduction="mean")),
    "RKD": ("RKDLoss", ("x", "x"), dict(dist_factor=25.0, angle_factor=50.0, reduction="mean")),
    "ReviewKD": ("HierarchicalContextLoss", PATHS, {}),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_value_is_torchdistills(name):
    loss, (student, teacher), constants, value = GOLDEN[name]
    kind = "logits" if student.dim() == 2 else "features"
    found = loss(**{f"student_{kind}": student, f"teacher_{kind}": teacher}, **constants).item()
    if name == "logit standardization":
        found = found / (2 * UNBIASED) ** 2  # it leaves T² out where alpha is 0
    assert found == pytest.approx(value, rel=1e-5 if name == "logit standardization" else 1e-9)


@pytest.mark.parametrize("name", GOLDEN)
def test_torchdistill_still_says_so(name):
    theirs = pytest.importorskip("torchdistill.losses.mid_level")
    kind, places, constants = THEIRS[name]
    _, (student, teacher), _, value = GOLDEN[name]
    student = (student, None) if name == "ReviewKD" else student  # its student answers with two things
    said = getattr(theirs, kind)(*places, **constants)({"x": {"output": student}}, {"x": {"output": teacher}})
    assert torch.as_tensor(said).item() == pytest.approx(value, rel=1e-9)


def test_similarity_differs_from_torchdistills_in_its_rows_length_alone():
    """The paper scales each row to the length 1; torchdistill passes the 1 as p, and so scales it to the sum 1."""
    theirs, rows = 0.04264541883837053, [x.flatten(1) @ x.flatten(1).T for x in MAPS]
    summed, scaled = (((normalize(rows[0], p=p) - normalize(rows[1], p=p)) ** 2).mean().item() for p in (1, 2))
    assert summed == pytest.approx(theirs, rel=1e-9)
    assert similarity(student_features=MAPS[0], teacher_features=MAPS[1]).item() == pytest.approx(scaled, rel=1e-9)
    if found := importlib.util.find_spec("torchdistill"):
        loss = importlib.import_module(f"{found.name}.losses.mid_level").SPKDLoss("x", "x", reduction="batchmean")
        said = loss(*({"x": {"output": x}} for x in MAPS))
        assert said.item() == pytest.approx(theirs, rel=1e-9)
