"""`fraisier backups list`: the copies of the backups of some environments, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from fraisier_core.config.fraise import environments_of
from fraisier_core.errors import FraisierError, PluginError
from fraisier_core.kept_backups import BackupCopy, ListedPlace
from fraisier_core.system.host import utc_text

from fraisier.cli.backup_marks import Verification
from fraisier.cli.backup_session import BackupSession, backup_session
from fraisier.cli.session import ActingSession
from fraisier.cli.sizes import in_bytes
from fraisier.cli.tables import Cell, print_table
from fraisier.cli.times import ago
from fraisier.exit_codes import ExitCode
from fraisier.terminal import print_json, say, tell

TITLES = ("BACKUP", "AGE", "SIZE", "PLACE", "ENCRYPTED", "VERIFIED", "KEPT")
FIRST_TO_GO = ("ENCRYPTED", "VERIFIED", "SIZE")


def list_backups(fraise: str | None, environment: str | None, config: Path | None, *, as_json: bool) -> None:
    """List the copies of an environment, of a fraise or of all, newest first."""
    copies: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    sessions = list(_sessions(fraise, environment, config))
    for session in sessions:
        try:
            for listing in session.backups.listings():
                found = [(copy, _verified(session, listing, copy)) for copy in listing.copies]
                copies += [_told(session, listing, *each) for each in found]
                problems += _problems(session, listing, found)
        except FraisierError as error:
            problems.append(_problem(session, None, None, session.redacted(str(error))))
    copies.sort(key=lambda copy: (copy["fraise_id"], copy["environment"], copy["created_at"]), reverse=True)
    _show(copies, problems, as_json=as_json, is_configured=bool(sessions))
    if problems:
        raise typer.Exit(ExitCode.FAILED)


def _sessions(fraise: str | None, environment: str | None, config: Path | None) -> Iterator[BackupSession]:
    """Yield what is meant. Raises as `backup_session` does if one environment is named."""
    if fraise is not None and environment is not None:
        yield backup_session(config, fraise, environment, quiet=True)
        return
    session = ActingSession(config)
    known = session.config.fraises if fraise is None else {fraise: session.config.fraise(fraise)}
    session.become_owner()
    sessions = [BackupSession(session, each, quiet=True) for each in environments_of(known)]
    keeping = [each for each in sessions if _keeps_backups(each)]
    if fraise is not None and not keeping:
        _ = sessions[0].backups  # which says why there are none
    yield from keeping


def _keeps_backups(session: BackupSession) -> bool:
    try:
        return session.type.keeps_backups
    except PluginError:
        return False  # `fraisier plugins` says why


def _verified(session: BackupSession, listing: ListedPlace, copy: BackupCopy) -> Verification | None:
    return session.record.verified(copy.name, listing.place, listing.destination)


def _told(
    session: BackupSession, listing: ListedPlace, copy: BackupCopy, verified: Verification | None
) -> dict[str, Any]:
    return {
        "fraise_id": session.names[0],
        "environment": session.names[1],
        "name": copy.name,
        "created_at": utc_text(copy.created_at),
        "size": copy.size,
        "source": copy.source,
        "place": listing.place,
        "destination": listing.destination,
        "encrypted": copy.encrypted,
        "verified_at": verified.at if verified and verified.problem is None else None,
        "kept": list(copy.kept),
    }


def _problems(
    session: BackupSession, listing: ListedPlace, found: Iterable[tuple[BackupCopy, Verification | None]]
) -> Iterator[dict[str, Any]]:
    for copy, verified in found:
        if verified is not None and verified.problem is not None:
            yield _problem(session, listing, copy.name, verified.problem)
    for name, why in sorted(listing.unreadable.items()):
        yield _problem(session, listing, name, session.redacted(why))
    if listing.problem is not None:
        yield _problem(session, listing, None, session.redacted(listing.problem))


def _problem(
    session: BackupSession, listing: ListedPlace | None, name: str | None, problem: str | None
) -> dict[str, Any]:
    return {
        "fraise_id": session.names[0],
        "environment": session.names[1],
        "place": listing.place if listing else None,
        "destination": listing.destination if listing else None,
        "name": name,
        "problem": problem,
    }


def _show(
    copies: list[dict[str, Any]], problems: list[dict[str, Any]], *, as_json: bool, is_configured: bool
) -> None:
    if as_json:
        print_json({"copies": copies, "problems": problems})
        return
    bad = {_key(each) for each in problems}
    if copies:
        print_table(TITLES, [_row(copy, is_bad=_key(copy) in bad) for copy in copies], FIRST_TO_GO)
    elif not is_configured:
        say("nothing is backed up: configure a fraise of a type that makes backups, such as `backup`")
    elif not problems:
        say("there are no backups; `fraisier backup FRAISE ENV` makes one")
    for each in problems:
        where = f"{each['fraise_id']} {each['environment']}"
        place = f", {each['place']}" if each["place"] else ""
        tell(f"{where}{place}: {each['problem']}", "red")


def _key(told: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(told[each] for each in ("fraise_id", "environment", "place", "name"))


def _row(copy: dict[str, Any], *, is_bad: bool) -> list[Cell | str | None]:
    kept = ", ".join(copy["kept"])
    verified = ago(copy["verified_at"]) if copy["verified_at"] else Cell("never", "yellow")
    return [
        copy["name"],
        ago(copy["created_at"]),
        in_bytes(copy["size"]),
        copy["place"],
        "yes" if copy["encrypted"] else "no",
        Cell("not good", "red") if is_bad else verified,
        kept or Cell("goes at the next pruning", "yellow"),
    ]
