"""What `fraisier backups verify` found of each copy: no run's record has that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fraisier_core.system.disk import replace_file
from fraisier_core.system.host import utc_text


class Verification(NamedTuple):
    """When a copy was last verified, what was wrong with it, None if it was good, and where it lies."""

    at: str
    problem: str | None = None
    destination: str = ""


@dataclass(frozen=True, slots=True)
class BackupMarks:
    """A file for each copy that a command has verified, of that time: where it lies, and what was wrong.

    Args:
        folder: of the environment's own.
    """

    folder: Path

    def mark(self, name: str, place: str, destination: str, problem: str | None) -> None:
        """Remember what was found of a copy, without secrets."""
        file = self._file(name, place)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(file, f"{destination}\n{problem or ''}")

    def keep_only(self, place: str, listed: Iterable[str]) -> None:
        """Forget the copies that a place does not list any more.

        Args:
            place: what the configuration calls it.
            listed: the names of its copies, or of the files of those that cannot be read.
        """
        names = [self._file(each, place).name for each in listed]
        for file in self._file("", place).parent.glob(f"{self._file('', place).name}*"):
            if not any(name.startswith(file.name) for name in names):
                file.unlink(missing_ok=True)

    def found(self, name: str, place: str, destination: str) -> Verification | None:
        """Return what was found of a copy last, None if no command has verified it."""
        found = _read(self._file(name, place))
        return found if found and found.destination == destination else None

    def problems(self, name: str) -> Iterator[Verification]:
        """Yield what is wrong with the copies of a backup."""
        for file in sorted(self._file(name, "").parent.glob("*")):
            if file.name.endswith(f":{name}") and (found := _read(file)) and found.problem:
                yield found

    def _file(self, name: str, place: str) -> Path:
        return self.folder / "verified" / f"{place}:{name}".replace("/", "_")


def _read(file: Path) -> Verification | None:
    with suppress(OSError):
        at = utc_text(datetime.fromtimestamp(file.stat().st_mtime, UTC))
        destination, _, problem = file.read_text().partition("\n")
        return Verification(at, problem or None, destination)
    return None
