"""The labs' checks are tried in one file for each lab; here, that none is forgotten."""

from pathlib import Path

from workbook.exercises import labs as check_labs


def test_every_check_is_tried():
    tried = "".join(path.read_text() for path in Path(__file__).parent.glob("test_check_labs_*.py"))
    own = [name for name, f in vars(check_labs).items() if callable(f) and getattr(f, "__module__", "") == check_labs.__name__]
    assert len(own) >= 10 and not [name for name in own if f"check_labs.{name}" not in tried]
