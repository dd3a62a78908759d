"""Whether two data sets are the same, and which files a folder holds."""

from pathlib import Path

from kdlab.data import Dataset


def same(one: Dataset, other: Dataset) -> bool:
    return one.classes == other.classes and all(
        one.fingerprint(split) == other.fingerprint(split) for split in ("train", "test")
    )


def files_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))
