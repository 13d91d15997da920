"""Where a rollback may go to."""

from __future__ import annotations

from collections.abc import Sequence

from fraisier_core.config.fraise import Environment
from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.context import open_context
from fraisier_core.errors import UnknownNameError
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import HealthyRelease

from fraisier.cli.session import Session


def choose_release(
    session: Session, store: Store, environment: Environment, to: str | None
) -> HealthyRelease:
    """Return the release to roll back to.

    Args:
        session: what the command works with.
        store: the store.
        environment: where.
        to: the beginning of a release's name or of its commit; None for the newest healthy release that is
            older than the serving one and was not itself rolled back from.

    Raises `UnknownNameError` if there is none, or more than one; it lists those there are.
    """
    healthy = store.healthy_releases(environment.fraise, environment.name)
    serving = store.serving(environment.fraise, environment.name)
    resolved = session.config.resolved(environment.fraise, environment.name)
    context = open_context(resolved, session.plugins, CancellationToken())
    there = [each for each in healthy if context.workspace.get(each.release) is not None]
    what = f"{environment.fraise} {environment.name}"
    if to is not None:
        return _named(what, to, there)
    older = _older(healthy, serving)
    found = next((each for each in there if each in older and not each.rolled_back_from), None)
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


def _named(what: str, to: str, there: Sequence[HealthyRelease]) -> HealthyRelease:
    if not to:
        raise UnknownNameError(f"--to names no release of {what}{_listing(there)}")
    found = [each for each in there if each.release == to] or [
        each for each in there if each.release.startswith(to) or each.commit_sha.startswith(to.lower())
    ]
    if not found:
        raise UnknownNameError(f'{what} has no healthy release "{to}"{_listing(there)}')
    if len({each.commit_sha for each in found}) > 1:
        raise UnknownNameError(f'"{to}" is ambiguous: several releases of {what} match{_listing(found)}')
    return found[0]


def _listing(releases: Sequence[HealthyRelease]) -> str:
    names = dict.fromkeys(f"{each.release} (commit {each.commit_sha[:12]})" for each in releases)
    return "; there are:\n  " + "\n  ".join(names) if names else "; there is none to roll back to"
