"""`fraisier rollback --restore`: the backup from before a deployment, and how it is restored."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from fraisier_core.errors import FraisierError, RemoteError, UnknownNameError
from fraisier_core.store.vocabulary import KINDS

from fraisier.cli.backup_session import BackupSession
from fraisier.cli.session import ActingSession, Session
from fraisier.cli.sizes import stored_in_words
from fraisier.cli.tables import Cell, print_facts, short_commit, short_id
from fraisier.cli.times import ago
from fraisier.cli.where import remote_session
from fraisier.terminal import print_json, say

if TYPE_CHECKING:
    from fraisier_core.store.protocol import Reader
    from fraisier_core.store.records import Deployment

LOOKED_AT = 100


class WayBack(NamedTuple):
    """A deployment, and the backup that it had made before it changed anything."""

    deployment: Deployment
    backup: Deployment
    origin: str | None = None
    doubt: str | None = None

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that lead back: to the release if there was one, and to what was stored."""
        own, made = self.deployment, self.backup
        restore = (
            f"fraisier backups restore {made.fraise_id} {made.environment} {made.stored_name} {self._into}"
        )
        if own.previous_release is None:
            return (restore,)
        return (f"fraisier rollback {own.fraise_id} {own.environment} --to {own.previous_release}", restore)

    @property
    def _into(self) -> str:
        target = quote(self.origin) if self.origin else "TARGET"
        return f"--to {target} --replace {target}"

    @property
    def lost(self) -> str:
        """What restoring the backup would lose."""
        at = self.backup.started_at or self.backup.requested_at
        return f"everything that was written since {at[:19].replace('T', ' ')} UTC, {ago(at)}"


def print_way_back(
    ctx: typer.Context, fraise: str, begun_as: str, config: Path | None, *, as_json: bool
) -> None:
    """Print which backup was made before the last deployment, and the commands that restore it; restores
    nothing. Raises `UnknownNameError` if there is none, `RemoteError` from afar.
    """
    if remote_session(ctx, config) is not None:
        raise RemoteError("--restore works on the host alone: run it there, without --url")
    session = Session.read(config)
    reader = session.existing_reader()
    environment = session.environment(reader, fraise, begun_as)
    assert environment is not None  # noqa: S101 - a word was given
    found = _looked_up(_found(reader, fraise, environment), config)
    if as_json:
        facts: dict[str, Any] = {"deployment": found.deployment.id, "backup": found.backup._asdict()}
        facts |= {"lost": found.lost, "doubt": found.doubt}
        print_json(facts | {"commands": found.commands})
        return
    _print(found)


def _found(reader: Reader, fraise: str, environment: str) -> WayBack:
    """Return the newest deployment with a backup before it."""
    for each in reader.deployments(fraise, environment, limit=LOOKED_AT):
        if KINDS[each.kind].source == "commit":
            for made in reader.requested_for(each.id):
                if made.trigger == "before_deploy" and made.status == "success":
                    return WayBack(each, made)
    what = f"{fraise} {environment}"
    remedy = "the next one has, if `backup_before:` is set"
    raise UnknownNameError(f"no deployment of {what} had a backup made first: {remedy}")


def _looked_up(found: WayBack, config: Path | None) -> WayBack:
    """Return it with where the backup came from, and why it may not be there any more."""
    made = found.backup
    try:
        session = ActingSession(config)
        environment = session.config.environment(made.fraise_id, made.environment)
        backups = BackupSession(session, environment, quiet=True).backups
        origin, listings = backups.origin(), list(backups.listings())
        bad = session.backup_problems(made)
    except FraisierError as error:
        return found._replace(doubt=f"it was not looked whether it is still there: {error}")
    if any(copy.name == made.stored_name for listing in listings for copy in listing.copies):
        return found._replace(origin=origin, doubt="; ".join(bad) or None)
    problems = [listing.problem for listing in listings if listing.problem]
    doubt = f"no place lists it: {'; '.join(problems) or 'it has been pruned'}"
    return found._replace(origin=origin, doubt=doubt)


def _print(found: WayBack) -> None:
    own, made = found.deployment, found.backup
    print_facts(
        f"{own.fraise_id} {own.environment}",
        [
            ("deployment", f"{short_id(own.id)} of {short_commit(own.commit_sha)}, {own.status}"),
            ("backup", f"{made.fraise_id} {made.environment}: {stored_in_words(made)}"),
            ("made", f"{ago(made.completed_at)} ({short_id(made.id)})"),
            ("SHA-256", made.stored_sha256),
            ("lost", Cell(found.lost, "yellow")),
        ],
    )
    if found.doubt is not None:
        say(found.doubt, "red")
    say("nothing is restored; to go all the way, run:")
    for command in found.commands:
        say(f"  {command}")
