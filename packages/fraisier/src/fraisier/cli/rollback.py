"""`fraisier rollback`: return to an earlier release, and follow that to its end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from fraisier_core.errors import BusyError, UnknownNameError

from fraisier.cli.parameters import ConfigFile, Detach, Environment, Fraise, Json, command_app, offered
from fraisier.cli.session import ActingSession, fork_early
from fraisier.cli.tables import short_id

if TYPE_CHECKING:
    from fraisier_core.config import Environment as ConfiguredEnvironment
    from fraisier_core.store.protocol import Store
    from fraisier_core.store.records import HealthyRelease, Request

app = command_app()


@app.command()
def rollback(
    fraise: Fraise,
    environment: Environment,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="RELEASE",
            help="A release or commit, or a part of it; else the previous one.",
            autocompletion=offered("releases"),
        ),
    ] = None,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Roll back to an earlier release that was healthy."""
    process = None if detach else fork_early()
    session = ActingSession(config, last_good=True)
    from fraisier.cli.executing import execute

    found = session.usable_environment(fraise, environment)
    execute(session, found, partial(_request, session, found, to), process=process, as_json=as_json)


def _request(
    session: ActingSession, environment: ConfiguredEnvironment, to: str | None, store: Store
) -> Request:
    from fraisier_core.store.records import Request

    names = environment.fraise, environment.name
    if to is None and (running := store.running(*names, "rollback")):
        what = f"deployment {short_id(running)} of {' '.join(names)} is running"
        raise BusyError(f"{what}: cancel it, or name the release to roll back to with --to")
    target = _chosen(session, environment, to, store)
    commit, release = target.commit_sha, target.release
    return Request(*names, "rollback", "manual", session.user, commit_sha=commit, release=release)


def _chosen(
    session: ActingSession, environment: ConfiguredEnvironment, to: str | None, store: Store
) -> HealthyRelease:
    """Return the release to roll back to: the one whose name or commit `to` is a part of. If `to` is None,
    that is the newest healthy one that is older than the serving one and was not itself rolled back from.
    Raises `UnknownNameError` if there is none, or more than one; it lists those there are.
    """
    from fraisier_core.engine.cancellation import CancellationToken
    from fraisier_core.engine.execution import open_context

    names = environment.fraise, environment.name
    healthy, serving = store.healthy_releases(*names), store.serving(*names)
    resolved = session.config.resolved(*names)
    workspace = open_context(resolved, session.plugins, CancellationToken()).workspace
    there = [each for each in healthy if workspace.get(each.release) is not None]
    what = " ".join(names)
    if to is not None:
        return _named(what, to, there)
    kept = [each for each in _older(healthy, serving) if not _was_given_up(each, healthy)]
    found = next((each for each in there if each in kept), None)
    if found is None:
        raise UnknownNameError(f"{what} has no healthy release older than the serving one{_listing(there)}")
    return found


def _older(healthy: Sequence[HealthyRelease], serving: HealthyRelease | None) -> Sequence[HealthyRelease]:
    """Return the releases older than the serving one; all of them if it is unknown."""
    if serving is None:
        return healthy
    names = [each.release for each in healthy]
    before = names.index(serving.release) + 1 if serving.release in names else 0
    return [each for each in healthy[before:] if each.commit_sha != serving.commit_sha]


def _was_given_up(release: HealthyRelease, healthy: Sequence[HealthyRelease]) -> bool:
    """Whether it was rolled back from: left for an older one, and not for one that is newer."""
    newer = [each.release for each in healthy[: healthy.index(release)]]
    return release.rolled_back_to is not None and release.rolled_back_to not in newer


def _named(what: str, to: str, there: Sequence[HealthyRelease]) -> HealthyRelease:
    if not to:
        raise UnknownNameError(f"--to names no release of {what}{_listing(there)}")
    found = (
        [each for each in there if each.release == to]
        or [each for each in there if each.release.startswith(to) or each.commit_sha.startswith(to.lower())]
        or [each for each in there if to in each.release or to.lower() in each.commit_sha]
    )
    if not found:
        raise UnknownNameError(f'{what} has no healthy release "{to}"{_listing(there)}')
    if len({each.commit_sha for each in found}) > 1:
        raise UnknownNameError(f'"{to}" is ambiguous: several releases of {what} match{_listing(found)}')
    return found[0]


def _listing(releases: Sequence[HealthyRelease]) -> str:
    names = dict.fromkeys(f"{each.release} (commit {each.commit_sha[:12]})" for each in releases)
    return "; there are:\n  " + "\n  ".join(names) if names else "; there is none to roll back to"
