"""Sends a message through Apprise, of which nothing that may be part of the URL gets out."""

from __future__ import annotations

import logging
import os
import re
import resource
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from urllib.parse import unquote

if TYPE_CHECKING:
    from apprise import Apprise  # half a second

_SPOKEN_OF = ("apprise", "urllib3", "requests")
_PART = re.compile(r"[/:@?&=#,;\s]+")
_LONG = 6
_SERVICES = "https://github.com/caronc/apprise/wiki"
_MOST_BYTES = 256 * 2**20
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
    service = _service(url)  # loads Apprise, here, so that it is loaded once for all messages
    if isinstance(service, Problem):
        return service
    report, theirs = Pipe(duplex=False)
    pid = os.fork()
    if pid == 0:
        _notify(theirs, service, url, (title, body), seconds)
    theirs.close()
    problem: Problem | None = Problem(f"no answer within {seconds:g} s")
    started = monotonic()
    try:
        if report.poll(seconds + 1):
            problem = report.recv()
    except EOFError:
        if monotonic() - started < seconds:
            problem = Problem("the process that was to send it ended without a word")
    finally:
        report.close()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return problem


def problem_of(url: str) -> str | None:
    """Return why nothing can be sent to a URL, without the URL; None if Apprise can use it."""
    service = _service(url)
    return service.text if isinstance(service, Problem) else None


def _notify(
    report: Connection, service: Apprise, url: str, message: tuple[str, str], seconds: float
) -> NoReturn:
    """Be the process that sends a message, and report what went wrong."""
    from apprise import NotifyFormat

    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends it, also if nobody waits
        signal.setitimer(signal.ITIMER_REAL, seconds)
        most = _data_bytes() + _MOST_BYTES  # of an answer without an end
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
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


def _data_bytes() -> int:
    """Return what RLIMIT_DATA counts of this process: proc_pid_status(5), VmData."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmData:")[2].split()[0]) * 1024


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


def _service(url: str) -> Apprise | Problem:
    """Return what sends to a URL, or why nothing does."""
    with _quiet():
        try:
            return _added(url)
        except Exception as error:  # noqa: BLE001 - Apprise is a hundred plugins, and its errors name the URL
            return _raised(error)


def _added(url: str) -> Apprise | Problem:
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(
        app_id="Fraisier", app_desc="Fraisier", app_url="", async_mode=False, http_redirects=False
    )
    service = Apprise(asset=asset)
    if not service.add(url):
        return Problem(_why_unusable(url))
    if len(service) != 1:
        return Problem("its url is several: give each a name of its own")
    service[0].redirects = False  # whatever `redirect=` in the URL says
    return service


def _why_unusable(url: str) -> str:
    """Return why Apprise cannot use a URL: what it says itself may hold parts of that."""
    from apprise import NotificationManager

    scheme = url.partition("://")[0].lower()
    services = NotificationManager()  # type: ignore[no-untyped-call]
    if scheme not in services:
        return f"Apprise has no service of this scheme: see {_SERVICES}"
    if services[scheme].enabled:
        return f"Apprise cannot read it: see what {_SERVICES} says of its scheme"
    needed = services[scheme].requirements.get("packages_required") or "see its documentation"
    listed = ", ".join([needed] if isinstance(needed, str) else needed)
    return f"Apprise lacks what this scheme needs: {listed}"


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
