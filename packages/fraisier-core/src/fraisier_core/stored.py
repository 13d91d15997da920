"""What a backup stored."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Stored:
    """A backup that was stored, and whose copies were verified.

    Args:
        name: of the backup, which tells it apart from every other.
        size: of what is stored, in bytes.
        sha256: of what is stored, as 64 hexadecimal digits.
        destination: where it lies, as people read it, without secrets; several places are joined by ", ".
        problem: what could not be done besides, and should be looked at, such as to prune a place; None if
            nothing is left to do.

    Raises `ValueError` if it is none.
    """

    name: str
    size: int
    sha256: str
    destination: str
    problem: str | None = None

    def __post_init__(self) -> None:
        if not (self.name and self.destination and self.size >= 0 and _SHA256.fullmatch(self.sha256)):
            raise ValueError(f"{self} is nothing that was stored")
