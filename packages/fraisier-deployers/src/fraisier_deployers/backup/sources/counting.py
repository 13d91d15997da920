"""Counts what is in an archive that flows through: `python -m ...sources.counting FACTS FOLDER...`."""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

_BUFFER_BYTES = 2**18


class _Tee:
    """Reads an archive, and passes on what is read."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._source = source
        self._sink = sink

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self._sink.write(data)
        return data


def count(source: IO[bytes], sink: IO[bytes], folders: Iterable[str]) -> dict[str, Any]:
    """Pass on an archive, and return how many entries and bytes of files it has, and which of some folders it
    lacks. Raises `TarError`.
    """
    entries = content_bytes = 0
    missing = {*folders}
    tee = _Tee(source, sink)
    with tarfile.open(fileobj=tee, mode="r|", bufsize=_BUFFER_BYTES) as archive:  # type: ignore[call-overload]
        while (member := archive.next()) is not None:
            entries += 1
            missing.discard(member.name)
            content_bytes += member.size if member.isreg() else 0
            archive.members.clear()  # or it would remember them all
    while tee.read(_BUFFER_BYTES):
        pass
    sink.flush()
    return {"entries": entries, "content_bytes": content_bytes, "missing": sorted(missing)}


def main(facts_file: str, *folders: str) -> int:
    """Count, and return an exit status."""
    try:
        found = count(sys.stdin.buffer, sys.stdout.buffer, folders)
    except (tarfile.TarError, OSError) as error:
        print(f"the archive cannot be read: {error}", file=sys.stderr)  # noqa: T201
        return 1
    Path(facts_file).write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
