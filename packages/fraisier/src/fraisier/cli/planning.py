"""Plans of `fraisier deploy`: shown by `--dry-run`, confirmed by `--plan`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from fraisier_core.errors import ConflictError

from fraisier.cli.session import ActingSession
from fraisier.cli.tables import Cell, print_facts, short_commit, short_id
from fraisier.exit_codes import ExitCode
from fraisier.terminal import print_json, tell

if TYPE_CHECKING:
    from fraisier_core.engine.plan import Plan
    from fraisier_core.store.records import Request


def make_plan(session: ActingSession, request: Request) -> Plan:
    """Return what a request would do now; it fetches the mirror and changes nothing else."""
    from fraisier_core.engine.plan import plan

    resolved = session.config.resolved(request.fraise_id, request.environment)
    reader = session.reader()
    session.become_owner()
    return plan(resolved, session.plugins, reader, request)


def show_plan(plan: Plan, *, as_json: bool) -> ExitCode:
    """Print a plan, and return the exit code: a conflict if it would be refused."""
    if as_json:
        print_json({"hash": plan.hash, **asdict(plan)})
    else:
        _print(plan)
    return ExitCode.CONFLICT if plan.refused else ExitCode.SUCCESS


def confirmed(plan: Plan, wanted: str) -> str | None:
    """Return the commit of a plan. Raises `ConflictError` unless it is the wanted one and not refused."""
    what = f"{plan.fraise_id} {plan.environment}"
    if plan.hash != wanted:
        changed = f"plan {wanted} of {what} is outdated: the plan is {plan.hash} now"
        raise ConflictError(f"{changed}; see it with --dry-run")
    if plan.refused:
        raise ConflictError(f"plan {wanted} of {what} would be refused: {plan.refused}")
    return plan.commit_sha


def _print(plan: Plan) -> None:
    serving = short_commit(plan.serving_commit_sha) or "nothing"
    steps = "as its type decides" if plan.steps is None else ", ".join(plan.steps)
    print_facts(
        f"plan {plan.hash} of {plan.fraise_id} {plan.environment}",
        [
            ("commit", plan.commit_sha),
            ("ref", plan.ref),
            ("mode", plan.mode),
            ("serving", f"{serving} (release {plan.serving_release})" if plan.serving_release else serving),
            ("steps", None if plan.commit_sha is None else steps),
            ("waits for", short_id(plan.waits_for) if plan.waits_for else None),
            ("supersedes", short_id(plan.supersedes) if plan.supersedes else None),
            ("refused", Cell(plan.refused, "red")),
        ],
    )
    if not plan.refused:
        tell("nothing was changed; deploy with `--plan HASH` to refuse if this plan is outdated by then")
