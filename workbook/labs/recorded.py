"""Latencies that were measured on other machines, out of the records that `python -m workbook.record` has made.

    python -m workbook.labs.recorded        draws those in results/ into .github/machines.svg, for README
"""

import json
from pathlib import Path

from workbook.plots.base import write_svg
from workbook.plots.latency import machines

PAIR = {"tutorial-teacher": "the teacher", "tutorial-student": "the student"}


def latencies(
    folder: str | Path, models: dict[str, str], *, variant: str | None = "eager", kind: str = "gpu"
) -> dict[str, dict[str, dict[int, float]]]:
    """What the records of a folder say about some models in one setting.

    Args:
        folder: where KIND-*.json lie; it may hold none, or not be there.
        models: a model's name in the records → its name here.
        variant: the setting, such as "eager"; on an accelerator "eager+copy" has the way of the pictures in it. None
            takes the fastest at each batch of those without that way, on the CPU with one thread.
        kind: "gpu" or "cpu", how the records' names begin.

    Returns:
        "MACHINE: recorded" → name → batch → milliseconds for the whole batch. A record without a latency of these
        models in this setting is left out: it may have been stopped before that section. Of two records of one machine
        the second has its file's name behind it. ValueError: a file that is no record.
    """
    found = {}
    for path in sorted(Path(folder).glob(f"{kind}-*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            origin, measured = record["provenance"], record.get("latency", {}).get("ms", {})
            machine = origin.get("device") or origin["machine"]
            times = {here: _of(measured[name], variant) for name, here in models.items() if name in measured}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path.name} is not a record of latencies ({type(error).__name__}: {error})") from None
        times = {name: ms for name, ms in times.items() if ms}
        label = f"{machine}: recorded"
        if times:
            found[label if label not in found else f"{label} ({path.stem})"] = times
    return found


def _of(ways: dict[str, dict[str, float]], variant: str | None) -> dict[int, float]:
    names = [variant] if variant else [way for way in ways if "+copy" not in way and "threads" not in way]
    fastest: dict[int, float] = {}
    for batch, ms in ((int(batch), float(ms)) for name in names for batch, ms in ways.get(name, {}).items()):
        fastest[batch] = min(ms, fastest.get(batch, ms))
    return dict(sorted(fastest.items()))


def write(root: Path) -> Path:
    """Draws all records in results/ into .github/machines.svg below the repository's root, the same bytes each time."""
    lines = {}
    for kind in ("cpu", "gpu"):
        for variant, said in (("eager", "eager"), (None, "fastest setting")):
            for machine, times in latencies(root / "results", PAIR, variant=variant, kind=kind).items():
                lines[machine.replace(": recorded", ""), said] = times
    return write_svg(machines(lines), root / ".github" / "machines.svg")


if __name__ == "__main__":
    print(write(Path(__file__).parents[2]))
