"""What is to be sent, one file a letter; a letter is on the disk before anybody counts on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import time
from typing import Any

from fraisier_core import replace_file, sync_directory

LETTER = ".letter"
LAST_EVENTS = "last events"
_MOST_EVENTS = 200


@dataclass(frozen=True, slots=True)
class Letter:
    """Something to send: to one who is notified by `name`, or a ping.

    Args:
        title: the first line; of a ping, what happened.
        body: everything else.
        name: whom to notify; empty for a ping.
        place: of a ping, the fraise and the environment whose `ping:` says where to.
        run: of a ping, the id of the run.
        at: when it was put into the outbox, in seconds of the epoch.
        attempts: how often it was begun to be sent.
        refusals: how many of these failed although what was sent there before it did not.
    """

    title: str
    body: str
    name: str = ""
    place: tuple[str, str] = ("", "")
    run: str = ""
    at: float = field(default_factory=time)
    attempts: int = 0
    refusals: int = 0

    @property
    def goes_to(self) -> str:
        """What all letters to the same address have in common; a ping's has spaces, which no name has."""
        return self.name or "ping of {} {}".format(*self.place)


class Outbox:
    """The letters in a folder, in the order of their keys, and what is known of where they go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has_taken(self, event: str) -> bool:
        """Whether letters of an event were put here, one of the last."""
        return event in self.known(LAST_EVENTS).get("events", [])

    def take(self, event: str) -> None:
        """Note that letters of an event were put here."""
        events = [*self.known(LAST_EVENTS).get("events", []), event]
        self.note(LAST_EVENTS, {"events": events[-_MOST_EVENTS:]})

    def put(self, key: str, letter: Letter) -> None:
        """Keep a letter, unless one of the same key is there."""
        path = self._path(key)
        if not path.exists():
            _write(path, asdict(letter))

    def letters(self) -> Iterator[tuple[str, Letter]]:
        """Yield what is there, with its key; what cannot be read is left out."""
        for path in sorted(self._folder.glob(f"*{LETTER}")):
            with suppress(OSError, ValueError, TypeError):
                found = json.loads(path.read_text())
                yield path.name.removesuffix(LETTER), Letter(**found | {"place": tuple(found["place"])})

    def begin(self, key: str, letter: Letter, *, is_refusal: bool) -> None:
        """Note that a letter is being sent: who finds it so does not know whether it was.

        Args:
            key: of the letter.
            letter: as it was found.
            is_refusal: whether it is a refusal of this letter if that fails.
        """
        refusals = letter.refusals + is_refusal
        _write(self._path(key), asdict(replace(letter, attempts=letter.attempts + 1, refusals=refusals)))

    def remove(self, key: str) -> None:
        """Forget a letter that was sent, or is not to be."""
        self._path(key).unlink(missing_ok=True)
        sync_directory(self._folder)

    def known(self, name: str) -> Mapping[str, Any]:
        """Return what was noted of where letters go."""
        with suppress(OSError, ValueError):
            found = json.loads(self._state(name).read_text())
            return found if isinstance(found, dict) else {}
        return {}

    def note(self, name: str, known: Mapping[str, Any]) -> None:
        """Keep what is known of where letters go."""
        _write(self._state(name), known)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{LETTER}"

    def _state(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _write(path: Path, content: Mapping[str, Any]) -> None:
    replace_file(path, json.dumps(content))
