"""`fraisier db copy`: opens the two stores that URLs name, and moves the record."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fraisier_core.config.database_secrets import without_secrets
from fraisier_core.config.variables import Substituted
from fraisier_core.errors import InvalidRequestError, UnknownNameError
from fraisier_core.store.copying import Move, abort

from fraisier.cli.progress import Progress
from fraisier.cli.session import Session
from fraisier.terminal import say, tell

if TYPE_CHECKING:
    from fraisier_core.store.protocol import Store

WAIT_SECONDS = 0.2


def move(session: Session, source: str | None, target: str) -> None:
    """Move a record to the store at a URL, by default that of the configuration."""
    whence, whither = _resolved(session, source), _resolved(session, target)
    if whence == whither:
        raise InvalidRequestError("the record is there already; name another database with --to")
    shown = without_secrets(whence), without_secrets(whither)
    with _ended_as_by_ctrl_c():
        store = _existing(session, whence)
        is_new = Move(
            source=store,
            target=lambda: _opened(session, whither),
            whence=shown[0],
            whither=shown[1],
            progress=Progress(),
            wait=_Waiting(store),
        ).run()
    what = "has moved to" if is_new else "had moved before to"
    compared = ", every row is compared" if is_new else ""
    say(f"{shown[0]} {what} {shown[1]}{compared}; set database.url and restart Fraisier")


def abort_move(session: Session, source: str | None) -> None:
    """Let a store be written again that was being moved."""
    whence = _resolved(session, source)
    abort(_existing(session, whence))
    say(f"{without_secrets(whence)} can be written again")


class _Waiting:
    """Waits a moment for what runs, and says so whenever that changes."""

    def __init__(self, source: Store) -> None:
        self._source = source
        self._said = ""

    def __call__(self, running: int) -> None:
        text = f"waiting until what runs has ended, {running} in all; nothing begins meanwhile"
        if not self._source.live_workers():
            text += ", and no worker lives: start one, or press Ctrl-C"
        if text != self._said:
            tell(text)
            self._said = text
        time.sleep(WAIT_SECONDS)


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Have SIGTERM, and a terminal that hangs up unless that is ignored, end what they would leave closed."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _resolved(session: Session, url: str | None) -> str:
    if url is None:
        return session.place.database
    given = Substituted(url, os.environ)
    if given.unset:
        raise InvalidRequestError(f"{', '.join(given.unset.values())}; set it, or name another URL")
    try:
        return session.plugins.store(url).resolve_url(str(given.value), Path.cwd())
    except ValueError as error:
        raise InvalidRequestError(f"the URL on the command line: {error}") from error


def _existing(session: Session, url: str) -> Store:
    """Open a store that this version has made. Raises `UnknownNameError` if there is none, `StoreError`:
    `OutdatedStoreError` if an older version made it.
    """
    session.become_owner()
    reader = session.plugins.store(url).open_for_reading(url, session.host)
    if reader is None:
        raise UnknownNameError(f"there is no store at {without_secrets(url)}; name another URL with --from")
    reader.close()
    return _opened(session, url)


def _opened(session: Session, url: str) -> Store:
    session.become_owner()
    return session.plugins.store(url).open(url, session.host)
