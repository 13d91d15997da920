"""Sends what is in the outbox: the oldest first, later and later after a failure, and not too often."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from time import monotonic, time
from typing import Any

from fraisier_core import ObserverContext, TellLaterError

from fraisier_notify.messages import REPEATED
from fraisier_notify.notify_settings import NotifySettings
from fraisier_notify.outbox import Letter, Outbox
from fraisier_notify.pings import PING_SECONDS, ping
from fraisier_notify.sending import Problem, send

logger = logging.getLogger(__name__)

HOUR = 3600.0
LONGEST_WAIT = 24 * HOUR
LONGEST_WAIT_OF_A_PING = HOUR
MOST_REFUSALS = 16
"""How often a letter is tried while others arrive; if none does, its destination is away, and it waits."""
MOST_TITLES = 5
"""So many of the titles that were left out are named, the rarest."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 900.0
BEGUN_WITHIN, LONGEST_SEND = 0.5, 0.4
"""Which parts of the timeout of the whole there are to begin to send a letter, and to send one."""
Letters = list[tuple[str, Letter]]
Send = Callable[[Letter], Problem | None]


@dataclass(slots=True)
class Known:
    """What is known of where letters go: when it was tried, what arrived when, how many of which titles were
    left out, how often it failed since, and why.
    """

    tried: list[float] = field(default_factory=list)
    arrived: list[tuple[float, str]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    failures: int = 0
    not_before: float = 0.0
    problem: str = ""

    def forget(self, now: float) -> None:
        """Forget what is older than an hour; what is of the future, by a clock that was wrong, is of now."""
        self.tried = [min(each, now) for each in self.tried if now - HOUR < each]
        self.arrived = [(min(at, now), title) for at, title in self.arrived if now - HOUR < at]

    def chosen(self, letters: Letters, per_hour: int) -> Letters:
        """Return the letters that are not left out, the newest first: half of what arrives in an hour is for
        titles that did not arrive within it, so that no flood of one silences another.

        Args:
            letters: all that there are, oldest first.
            per_hour: the most messages in an hour.
        """
        slots = per_hour - len(self.arrived)
        known = {title for _, title in self.arrived}
        news: Letters = []
        repeated: Letters = []
        for each in reversed(letters):
            (repeated if each[1].title in known else news).append(each)
            known.add(each[1].title)
        news = news[: max(0, slots)]
        return news + repeated[: max(0, slots - _reserved(per_hour) - len(news))]

    def waits(self, per_hour: int, now: float) -> list[float]:
        """Return the seconds until another letter may be tried, and until it may be told what was left out;
        nothing if either may be now.
        """
        usable = per_hour - _reserved(per_hour)
        full = [self.tried[-per_hour]] if len(self.tried) >= per_hour else []
        if self.left_out and len(self.arrived) >= usable:
            full.append(self.arrived[-usable][0])
        return [max(1.0, at + HOUR - now) for at in full]

    def pause(self, now: float) -> float:
        """Return the seconds until the next attempt; none if the clock was set back by more than a pause."""
        left = self.not_before - now
        return left if 0 < left <= LONGEST_PAUSE else 0.0

    def problems(self, *, has_letters: bool) -> Iterator[str]:
        """Yield what should be known of this destination, of which letters wait or do not."""
        if self.failures and has_letters:
            yield self.problem
        if self.left_out:
            yield f"{sum(self.left_out.values())} notifications were left out"

    def leave_out(self, letters: Letters) -> None:
        """Count letters that are not sent."""
        self.left_out = dict(Counter(self.left_out) + Counter(letter.title for _, letter in letters))

    def failed(self, now: float) -> float:
        """Count a failure, and return the seconds until the next attempt."""
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures, 20), LONGEST_PAUSE)
        self.failures, self.not_before = self.failures + 1, now + pause
        return pause


class Delivery:
    """One delivery of everything that is due."""

    def __init__(self, settings: NotifySettings, context: ObserverContext) -> None:
        self._settings = settings
        self._context = context
        self._outbox = Outbox(context.folder)
        self._until = monotonic() + settings.timeout * BEGUN_WITHIN
        self._problems: list[str] = []
        self._has_news = False
        self._pauses: list[float] = []

    def run(self) -> float | None:
        """Send, and return the seconds until something is due again. Raises `TellLaterError` if something
        failed or was left out now, with all that is wrong.
        """
        waiting: dict[str, Letters] = {name: [] for name in self._settings.destinations}
        for key, letter in self._outbox.letters():
            waiting.setdefault(letter.goes_to, []).append((key, letter))
        known = {name: Known(**_kept(self._outbox.known(name))) for name in waiting}
        for name in sorted(waiting, key=lambda name: known[name].not_before):
            self._serve(name, waiting[name], known[name])
        pause = min(self._pauses, default=None)
        if self._has_news:
            left = {letter.goes_to for _, letter in self._outbox.letters()}
            for name, each in known.items():
                self._problems += [
                    f"{name}: {problem}" for problem in each.problems(has_letters=name in left)
                ]
        if self._problems:
            raise TellLaterError("; ".join(self._problems), LONGEST_PAUSE if pause is None else pause)
        return pause

    def _serve(self, name: str, letters: Letters, known: Known) -> None:
        if letters and not letters[0][1].name:
            self._serve_pings(name, letters, known)
        elif name not in self._settings.destinations:
            self._drop(letters, f"nobody is called {name} any more")
        else:
            self._serve_messages(name, letters, known)

    def _serve_messages(self, name: str, letters: Letters, known: Known) -> None:
        said = self._settings.destinations[name]
        letters = self._wanted(name, letters, known, said.per_hour)
        seconds = self._settings.timeout * LONGEST_SEND

        def notify(letter: Letter) -> Problem | None:
            body = _body(letter, known, said.per_hour)
            known.tried.append(time())
            return send(said.url.get_secret_value(), letter.title, body, seconds)

        for key, letter in letters:
            if len(known.tried) >= said.per_hour or not self._send(name, key, letter, known, notify):
                break
            known.arrived.append((time(), letter.title))
            known.left_out = {}
            self._outbox.note(name, _state(known))
            self._outbox.remove(key)
        if self._is_owed(name, known):
            self._pauses += known.waits(said.per_hour, time())

    def _is_owed(self, name: str, known: Known) -> bool:
        return bool(known.left_out) or any(letter.name == name for _, letter in self._outbox.letters())

    def _wanted(self, name: str, letters: Letters, known: Known, per_hour: int) -> Letters:
        """Drop and count what is too old, was tried too often, or is more than may be sent; return the rest,
        what was refused before at the end.
        """
        known.forget(time())
        counted = _left_out(name)[0]
        useless = [each for each in letters if _is_useless(each[1], LONGEST_WAIT)]
        letters = sorted((each for each in letters if each not in useless), key=lambda each: each[1].at)
        others = [each for each in letters if each[0] != counted]
        kept = known.chosen(others, per_hour)
        excess = [each for each in others if each not in kept]
        if dropped := [each for each in useless + excess if each[0] != counted]:
            known.leave_out(dropped)
            self._has_news = True
        elif useless:
            known.left_out = {}
        self._outbox.note(name, _state(known))
        self._drop(useless, f"{name}: too old, or refused too often")
        self._drop(excess, f"{name}: more than {per_hour} an hour")
        if others:
            self._outbox.remove(counted)
        elif letters:
            kept = letters
        elif known.left_out and not known.waits(per_hour, time()):
            kept = [_left_out(name)]
            self._outbox.put(*kept[0])
        return sorted(kept, key=lambda each: (each[1].attempts, each[1].at))

    def _serve_pings(self, name: str, letters: Letters, known: Known) -> None:
        place = letters[0][1].place
        environment = self._context.environments.get(place)
        url = environment.ping if environment else None
        newest = {letter.run: key for key, letter in letters}
        useless = [
            (key, letter)
            for key, letter in letters
            if url is None
            or _is_useless(letter, LONGEST_WAIT_OF_A_PING)
            or (letter.attempts and newest[letter.run] != key)
        ]
        self._drop(useless, f"ping of {' '.join(place)}: too old, or nobody is to hear it")

        def signal(letter: Letter) -> Problem | None:
            return ping(url.get_secret_value(), letter, PING_SECONDS) if url else None

        for key, letter in letters:
            if (key, letter) in useless:
                continue
            if not self._send(name, key, letter, known, signal):
                break
            self._outbox.remove(key)
        if known.failures == 0:
            self._outbox.note(name, _state(known))

    def _send(self, name: str, key: str, letter: Letter, known: Known, send_it: Send) -> bool:
        """Send a letter, and return whether it is done with; until that is known, it counts as a failure."""
        if (left := known.pause(time())) or monotonic() > self._until:
            self._pauses.append(left)
            return False
        was_reached = known.failures == 0
        pause, known.problem = known.failed(time()), "sending was cut off"
        self._outbox.note(name, _state(known))
        self._outbox.begin(key, letter, is_refusal=was_reached)
        problem = send_it(letter)
        if problem is None or problem.is_final:
            known.failures, known.not_before = 0, 0.0
            self._problems += [f"{name}: {problem.text}"] if problem else []
            return True
        known.not_before, known.problem = time() + pause, problem.text
        self._has_news = True
        self._outbox.note(name, _state(known))
        self._pauses.append(pause)
        return False

    def _drop(self, letters: Letters, why: str) -> None:
        if letters:
            logger.warning("%s: %d not sent", why, len(letters))
        for key, _ in letters:
            self._outbox.remove(key)


def _is_useless(letter: Letter, longest_wait: float) -> bool:
    return letter.refusals >= MOST_REFUSALS or time() - letter.at > longest_wait


def _left_out(name: str) -> tuple[str, Letter]:
    return f"left-out-{name}", Letter(
        "Fraisier: notifications were left out", "See `fraisier history`.", name=name
    )


def _reserved(per_hour: int) -> int:
    return per_hour // 2


def _body(letter: Letter, known: Known, per_hour: int) -> str:
    parts = [letter.body, _others(known, per_hour), _until(known, per_hour)]
    return "\n\n".join(filter(None, [*parts, REPEATED if letter.attempts else ""]))


def _others(known: Known, per_hour: int) -> str:
    """Say what was left out."""
    if not known.left_out:
        return ""
    why = f"more than {per_hour} in an hour, half of them repeated, too old, or refused too often"
    titles = sorted(known.left_out.items(), key=lambda each: each[1])
    named = [f"- {title} ({count})" for title, count in titles[:MOST_TITLES]]
    more = ["- ..."] if len(titles) > MOST_TITLES else []
    count = sum(known.left_out.values())
    return "\n".join([f"{count} more notifications were left out: {why}.", *named, *more])


def _until(known: Known, per_hour: int) -> str:
    """Say if this message is the last one for now."""
    slots = per_hour - len(known.arrived)
    if slots == 1:
        return "This is the last one for now: what follows within the hour is counted and left out."
    if slots == 1 + _reserved(per_hour):
        return "What was told within the hour is from now on counted and left out if it happens again."
    return ""


def _state(known: Known) -> dict[str, Any]:
    return asdict(known)


def _kept(known: Any) -> dict[str, Any]:
    """Return what of a state that was read is as it is written today."""
    of_today = {each.name: getattr(Known(), each.name) for each in fields(Known)}
    return {name: known[name] for name, new in of_today.items() if isinstance(known.get(name), type(new))}
