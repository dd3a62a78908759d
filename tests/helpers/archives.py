"""Archives for tests, made of names and contents."""

import io
import tarfile


def packed(path, files):
    """Writes a tar archive, packed by xz, with these files: name → bytes."""
    with tarfile.open(path, "w:xz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
