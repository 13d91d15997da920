"""Sends what is in the outbox: in order, later and later after a failure, and not too often."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any

from fraisier_core import ObserverContext, TellLaterError

from fraisier_notify.messages import REPEATED
from fraisier_notify.notify_settings import NotifySettings
from fraisier_notify.outbox import Letter, Outbox
from fraisier_notify.pings import ping
from fraisier_notify.sending import send

logger = logging.getLogger(__name__)

HOUR = 3600.0
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 900.0
MOST_WAITING = 200
PING_SECONDS = 5.0
Send = Callable[[Letter, "Known"], str | None]


@dataclass(slots=True)
class Known:
    """What is known of where letters go: when some were sent, how many were left out, and what failed."""

    sent: list[float] = field(default_factory=list)
    left_out: int = 0
    failures: int = 0
    not_before: float = 0.0

    def slots(self, per_hour: int, now: float) -> int:
        """Return how many messages may be sent now."""
        self.sent = [each for each in self.sent if now - HOUR < each <= now]
        return per_hour - len(self.sent)

    def pause(self, now: float) -> float:
        """Return the seconds until the next attempt; none if the clock was set back by more than a pause."""
        left = self.not_before - now
        return left if 0 < left <= LONGEST_PAUSE else 0.0

    def failed(self, now: float) -> float:
        """Count a failure, and return the seconds until the next attempt."""
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures, 20), LONGEST_PAUSE)
        self.failures, self.not_before = self.failures + 1, now + pause
        return pause


class Delivery:
    """One delivery of everything that is due; what keeps a destination from one letter keeps it from all."""

    def __init__(self, settings: NotifySettings, context: ObserverContext) -> None:
        self._settings = settings
        self._context = context
        self._outbox = Outbox(context.folder)
        self._until = monotonic() + settings.timeout / 2
        self._problems: list[str] = []
        self._pauses: list[float] = []

    def run(self) -> float | None:
        """Send, and return the seconds until something is due again. Raises `TellLaterError` if something
        failed.
        """
        waiting: dict[str, list[tuple[str, Letter]]] = {name: [] for name in self._settings.destinations}
        for key, letter in self._outbox.letters():
            waiting.setdefault(letter.goes_to, []).append((key, letter))
        known = {name: Known(**_kept(self._outbox.known(name))) for name in waiting}
        for name in sorted(waiting, key=lambda name: known[name].not_before):
            self._serve(name, waiting[name], known[name])
        pause = min(self._pauses, default=None)
        if self._problems:
            raise TellLaterError("; ".join(self._problems), LONGEST_PAUSE if pause is None else pause)
        return pause

    def _serve(self, name: str, letters: list[tuple[str, Letter]], known: Known) -> None:
        if letters and not letters[0][1].name:
            self._serve_pings(name, letters, known)
        elif name not in self._settings.destinations:
            logger.warning("nobody is called %s any more: %d messages are not sent", name, len(letters))
            self._drop(letters)
        else:
            self._serve_messages(name, letters, known)

    def _serve_messages(self, name: str, letters: list[tuple[str, Letter]], known: Known) -> None:
        per_hour, url = self._settings.destinations[name].per_hour, self._settings.destinations[name].url
        if excess := letters[:-MOST_WAITING]:
            known.left_out += len(excess)
            self._outbox.note(name, _state(known))
            self._drop(excess)
            letters = letters[-MOST_WAITING:]

        def notify(letter: Letter) -> str | None:
            return send(url.get_secret_value(), letter.title, _body(letter, known, per_hour))

        if not letters and known.left_out and known.slots(per_hour, time()) > 0:
            letters = [("left-out", Letter("Fraisier: notifications were left out", "", name=name))]
            self._outbox.put(*letters[0])
        while letters and known.slots(per_hour, time()) > 0 and self._send(name, *letters[0], known, notify):
            known.sent.append(time())
            known.left_out = 0
            self._outbox.note(name, _state(known))
            self._outbox.remove(letters.pop(0)[0])
        if known.slots(per_hour, time()) <= 0:
            known.left_out += len(letters)
            self._outbox.note(name, _state(known))
            self._drop(letters)
            if known.left_out:
                self._pauses.append(max(1.0, known.sent[0] + HOUR - time()))

    def _serve_pings(self, name: str, letters: list[tuple[str, Letter]], known: Known) -> None:
        environment = self._context.environments.get(letters[0][1].place)
        url = environment.ping if environment else None
        stale = [each for each in letters if url is None or time() - each[1].at > HOUR]
        if stale:
            logger.warning("%s: %d pings are not sent", " ".join(letters[0][1].place), len(stale))
            self._drop(stale)
            letters = [each for each in letters if each not in stale]

        def signal(letter: Letter) -> str | None:
            return ping(url.get_secret_value(), letter, PING_SECONDS) if url else None

        while letters and self._send(name, *letters[0], known, signal):
            self._outbox.remove(letters.pop(0)[0])
        if known.failures == 0:
            self._outbox.note(name, _state(known))

    def _send(
        self, name: str, key: str, letter: Letter, known: Known, send_it: Callable[[Letter], str | None]
    ) -> bool:
        """Send a letter, and return whether it was sent; until that is known, it counts as a failure."""
        if (left := known.pause(time())) or monotonic() > self._until:
            self._pauses.append(left)
            return False
        pause = known.failed(time())
        self._outbox.note(name, _state(known))
        self._outbox.begin(key, letter)
        problem = send_it(letter)
        if problem is None:
            known.failures, known.not_before = 0, 0.0
            return True
        who = letter.name or "ping of {} {}".format(*letter.place)
        known.not_before = time() + pause
        self._outbox.note(name, _state(known))
        self._problems.append(f"{who}: {problem}")
        self._pauses.append(pause)
        return False

    def _drop(self, letters: list[tuple[str, Letter]]) -> None:
        for key, _ in letters:
            self._outbox.remove(key)


def _body(letter: Letter, known: Known, per_hour: int) -> str:
    others = f"{known.left_out} more notifications were left out: at most {per_hour} are sent in an hour."
    is_last = known.slots(per_hour, time()) == 1
    until = "This is the last one for now: what follows within the hour is counted and left out."
    parts = [letter.body, others if known.left_out else "", until if is_last else ""]
    return "\n\n".join(filter(None, [*parts, REPEATED if letter.begun else ""]))


def _state(known: Known) -> dict[str, Any]:
    return {name: getattr(known, name) for name in ("sent", "left_out", "failures", "not_before")}


def _kept(known: Any) -> dict[str, Any]:
    return {name: known[name] for name in ("sent", "left_out", "failures", "not_before") if name in known}
