"""Sends a message through Apprise, of which nothing that may be part of the URL gets out."""

from __future__ import annotations

import logging
import os
import re
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from urllib.parse import unquote

if TYPE_CHECKING:
    from apprise import Apprise  # half a second

_SPOKEN_OF = ("apprise", "urllib3", "requests")
_PART = re.compile(r"[/:@?&=#,;\s]+")
_LONG = 6
MASK = "***"


class Problem(NamedTuple):
    """What went wrong, without the address; if it is final, it is of no use to try again."""

    text: str
    is_final: bool = False


class _Heard(logging.Handler):
    """Keeps what was logged, instead of anybody else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def send(url: str, title: str, body: str, seconds: float) -> Problem | None:
    """Send a message, in a process that is ended after so many seconds, and return what went wrong, without
    the URL; None if nothing did.
    """
    with _quiet():
        try:
            service = _service(url)  # loads Apprise, here, so that it is loaded once for all messages
        except Exception as error:  # noqa: BLE001 - Apprise is a hundred plugins, and its errors name the URL
            return _raised(error)
    if service is None:
        return Problem("its url is none that Apprise can use, or is several")
    report, theirs = Pipe(duplex=False)
    pid = os.fork()
    if pid == 0:
        _notify(theirs, service, url, (title, body), seconds)
    theirs.close()
    late = Problem(f"no answer within {seconds:g} s")
    try:
        problem: Problem | None = report.recv() if report.poll(seconds + 1) else late
    except EOFError:
        problem = late
    finally:
        report.close()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return problem


def _notify(
    report: Connection, service: Apprise, url: str, message: tuple[str, str], seconds: float
) -> NoReturn:
    """Be the process that sends a message, and report what went wrong."""
    from apprise import NotifyFormat

    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends it, also if nobody waits
        signal.setitimer(signal.ITIMER_REAL, seconds)
        with _quiet() as heard:
            try:
                is_sent = service.notify(title=message[0], body=message[1], body_format=NotifyFormat.TEXT)
            except Exception as error:  # noqa: BLE001 - as above
                report.send(_raised(error))
            else:
                said = without_parts(" ".join(" ".join(heard.lines).split()), url)
                why = said or "Apprise could not send it, and does not say why"
                report.send(None if is_sent else Problem(why))
    finally:
        os._exit(0)


def _raised(error: Exception) -> Problem:
    return Problem(f"Apprise raised {type(error).__name__}")


def without_parts(text: str, url: str) -> str:
    """Return a text without a URL and what it consists of, but for the scheme."""
    _, _, rest = url.partition("://")
    parts = {rest, *_PART.split(rest), *_PART.split(unquote(rest))} - {""}
    for part in sorted(parts, key=len, reverse=True):
        pattern = re.escape(part) if len(part) >= _LONG else rf"(?<!\w){re.escape(part)}(?!\w)"
        text = re.sub(pattern, MASK, text, flags=re.IGNORECASE)
    return text


def _service(url: str) -> Apprise | None:
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(
        app_id="Fraisier", app_desc="Fraisier", app_url="", async_mode=False, http_redirects=False
    )
    service = Apprise(asset=asset)
    if not service.add(url) or len(service) != 1:
        return None
    service[0].redirects = False  # whatever `redirect=` in the URL says
    return service


@contextmanager
def _quiet() -> Iterator[_Heard]:
    """Keep what Apprise and its libraries log and warn of."""
    heard = _Heard()
    loggers = [logging.getLogger(name) for name in _SPOKEN_OF]
    before = [(each.handlers[:], each.propagate) for each in loggers]
    for each in loggers:
        each.handlers[:] = [heard if each.name == "apprise" else logging.NullHandler()]
        each.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield heard
    finally:
        for each, (handlers, propagate) in zip(loggers, before, strict=True):
            each.handlers[:], each.propagate = handlers, propagate
