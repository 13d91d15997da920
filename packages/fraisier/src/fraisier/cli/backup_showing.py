"""What `fraisier backups verify`, `restore` and `prune` do and print."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from fraisier_core.config.variables import Substituted
from fraisier_core.errors import InvalidRequestError
from fraisier_core.kept_backups import PrunedPlace, VerifiedCopy

from fraisier.cli.backup_session import BackupSession
from fraisier.exit_codes import ExitCode
from fraisier.terminal import print_json, say

LATEST = "latest"


def verify_backups(session: BackupSession, name: str | None, place: str | None, *, as_json: bool) -> None:
    """Verify copies, and exit with a failure if one is not good."""
    told = []
    with session.explaining():
        for found in session.backups.verify(_named(session, name), place):
            told.append(_told_of(session, found))
            if found.name is not None and not found.unread:
                session.marks.mark(found.name, found.place, found.destination, told[-1]["problem"])
            if not as_json:
                _say_verified(told[-1])
    if name is None:
        _forget_others(session, told)
    if as_json:
        print_json(told)
    if any(each["problem"] is not None for each in told):
        raise typer.Exit(ExitCode.FAILED)


def restore_backup(
    session: BackupSession,
    name: str | None,
    target: str,
    *,
    place: str | None,
    replace: str | None,
    as_json: bool,
) -> None:
    """Restore a backup; where what it replaced is backed up was said before."""
    session.record.require_idle()
    _require_text("NAME", name)
    chosen = None if name == LATEST else name
    with session.explaining():
        done = session.backups.restore(chosen, _target(target), place=place, replace=replace)
    if as_json:
        replaced = str(done.replaced) if done.replaced else None
        told = {"name": done.name, "place": done.place, "target": done.target, "replaced": replaced}
        print_json(told)
        return
    say(f"{done.name} is restored into {done.target}")


def prune_backups(session: BackupSession, *, dry_run: bool, as_json: bool) -> None:
    """Prune each place, or say what that would do; exit with a failure if one cannot be pruned."""
    if not dry_run:
        session.record.require_idle()
    told = []
    with session.explaining():
        for pruned in session.backups.prune(dry_run=dry_run):
            if pruned.kept and not pruned.undeleted and not dry_run:  # else it is not said what is there
                session.marks.keep_only(pruned.place, (*pruned.kept, *pruned.unreadable))
            told.append(pruned)
            if not as_json:
                _say_pruned(session, pruned, dry_run=dry_run)
    if as_json:
        print_json([_told_pruned(session, each) for each in told])
    if any(each.problem is not None or each.undeleted for each in told):
        raise typer.Exit(ExitCode.FAILED)


def _named(session: BackupSession, name: str | None) -> str | None:
    """Return the name of the newest backup for `latest`."""
    _require_text("NAME", name)
    if name != LATEST:
        return name
    now = datetime.now(UTC)
    copies = (copy for listing in session.backups.listings() for copy in listing.copies)
    past = [copy for copy in copies if copy.created_at <= now]
    return max(past, key=lambda copy: copy.created_at).name if past else None


def _target(given: str) -> str:
    """Return a target, in which `${NAME}` stands for a variable: what is secret is no argument."""
    substituted = Substituted(given, os.environ)
    if substituted.unset:
        raise InvalidRequestError(f"--to: {', '.join(substituted.unset.values())}; set it, or name another")
    target = str(substituted.value)
    _require_text("--to", target)
    return target


def _require_text(what: str, given: str | None) -> None:
    """Raise `InvalidRequestError` if a text is empty, as that of a variable is that a shell does not know."""
    if given is not None and not given.strip():
        raise InvalidRequestError(
            f"{what} is empty: name one, or look which variable of the shell is not set"
        )


def _told_of(session: BackupSession, found: VerifiedCopy) -> dict[str, Any]:
    return {"name": found.name, "place": found.place, "problem": session.redacted(found.problem)}


def _forget_others(session: BackupSession, told: Sequence[Mapping[str, Any]]) -> None:
    """Forget what was found of copies that were pruned since."""
    for place in {each["place"] for each in told}:
        names = [each["name"] for each in told if each["place"] == place]
        if None not in names:
            session.marks.keep_only(place, names)


def _say_verified(told: dict[str, Any]) -> None:
    what = told["place"] if told["name"] is None else f"{told['name']} at {told['place']}"
    if told["problem"] is None:
        say(f"{what}: good", "green")
    else:
        say(f"{what}: {told['problem']}", "red")


def _say_pruned(session: BackupSession, pruned: PrunedPlace, *, dry_run: bool) -> None:
    if pruned.problem is not None:
        problem = session.redactor.redact(pruned.problem)
        say(f"{pruned.place}: {problem if pruned.deleted else f'nothing is pruned: {problem}'}", "red")
    for name, why in sorted(pruned.unreadable.items()):
        say(f"{pruned.place}: {name} stays: {session.redactor.redact(why)}", "yellow")
    for name, reasons in pruned.kept.items():
        say(f"{pruned.place}: {name} stays: {', '.join(reasons)}")
    for name in pruned.deleted:
        say(f"{pruned.place}: {name} {'would go' if dry_run else 'is deleted'}", "yellow")
    for name, why in pruned.undeleted.items():
        say(f"{pruned.place}: {name} cannot be deleted: {session.redactor.redact(why)}", "red")


def _told_pruned(session: BackupSession, pruned: PrunedPlace) -> dict[str, Any]:
    return {
        "place": pruned.place,
        "destination": pruned.destination,
        "kept": {name: list(reasons) for name, reasons in pruned.kept.items()},
        "deleted": list(pruned.deleted),
        "undeleted": {name: session.redacted(why) for name, why in pruned.undeleted.items()},
        "unreadable": {name: session.redacted(why) for name, why in pruned.unreadable.items()},
        "problem": session.redacted(pruned.problem),
    }
