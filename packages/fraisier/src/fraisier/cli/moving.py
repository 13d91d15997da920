"""`fraisier db copy`: opens the two stores that URLs name, and moves the record."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fraisier_core.config.database_secrets import without_secrets
from fraisier_core.config.variables import Substituted
from fraisier_core.errors import InvalidRequestError
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
    Move(
        source=_opened(session, whence),
        target=_opened(session, whither),
        whence=shown[0],
        whither=shown[1],
        progress=Progress(),
        wait=_wait,
    ).run()
    say(f"{shown[0]} has moved to {shown[1]}, every row is compared; set database.url and restart Fraisier")


def abort_move(session: Session, source: str | None) -> None:
    """Let a store be written again that was being moved."""
    whence = _resolved(session, source)
    abort(_opened(session, whence))
    say(f"{without_secrets(whence)} can be written again")


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


def _opened(session: Session, url: str) -> Store:
    session.become_owner()
    return session.plugins.store(url).open(url, session.host)


def _wait(running: int) -> None:
    tell(f"waiting until {running} running deployments end; none begins meanwhile")
    time.sleep(WAIT_SECONDS)
