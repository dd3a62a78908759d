"""What README shows runs, and the parts of the house that it names are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_code_runs_and_distils(capsys):
    [code] = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(code, {})
    assert 0.8 < float(capsys.readouterr().out) < 1


def test_the_tables_name_every_room_and_nothing_else():
    for package, title in (("kdlab", "Room of `kdlab`"), ("workbook", "Part of `workbook`")):
        table = README.split(title)[1].split("\n\n")[0]
        first = " ".join(line.split("|")[1] for line in table.splitlines()[2:])
        named = {name.rstrip("/") for name in re.findall(r"`(\w+/?)`", first)}
        there = [
            path for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
        ]
        inside = {path.stem for path in there}
        assert named == inside - {"__init__"}
