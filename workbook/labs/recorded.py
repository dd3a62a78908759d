"""Latencies that were measured on other machines, out of the records that `python -m workbook.record` has made."""

import json
from pathlib import Path


def latencies(
    folder: str | Path, models: dict[str, str], *, variant: str = "eager", kind: str = "gpu"
) -> dict[str, dict[str, dict[int, float]]]:
    """What the records of a folder say about some models in one setting.

    Args:
        folder: where KIND-*.json lie; it may hold none, or not be there.
        models: a model's name in the records → its name here.
        variant: the setting, such as "eager"; on an accelerator "eager+copy" has the way of the pictures in it.
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
            times = {
                here: {int(batch): float(ms) for batch, ms in measured[name][variant].items()}
                for name, here in models.items()
                if measured.get(name, {}).get(variant)
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path.name} is not a record of latencies ({type(error).__name__}: {error})") from None
        label = f"{machine}: recorded"
        if times:
            found[label if label not in found else f"{label} ({path.stem})"] = times
    return found
