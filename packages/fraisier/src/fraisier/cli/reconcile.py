"""`fraisier reconcile`: compare branches with what was requested of them, and deploy what was missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fraisier.cli.parameters import AnyEnvironment, AnyFraise, ConfigFile, Json, command_app
from fraisier.cli.session import ActingSession
from fraisier.cli.tables import Cell, print_table, short_commit, short_id, status_cell
from fraisier.cli.times import ago
from fraisier.exit_codes import ExitCode
from fraisier.terminal import print_json, say, tell

if TYPE_CHECKING:
    from fraisier_core.config import Environment
    from fraisier_core.requests.reconciling import Finding
    from fraisier_core.store.protocol import Store

TITLES = ("FRAISE", "ENVIRONMENT", "BRANCH", "HEAD", "LAST", "WHEN", "NEXT", "MESSAGE")
FIRST_TO_GO = ("WHEN", "LAST", "HEAD")
DECIDED = ("id", "commit_sha", "status", "requested_at")
app = command_app()


@dataclass(frozen=True, slots=True)
class Row:
    """What is shown of a branch; the id of the deployment that was requested for it, if one was."""

    found: Finding
    requested: str | None = None

    @property
    def is_drift(self) -> bool:
        """Whether there is something left to do."""
        return self.requested is None and self.found.drift.action != "none"

    @property
    def next(self) -> Cell:
        """What happens, or that a user decides."""
        if self.requested:
            return Cell("requested", "cyan")
        return Cell("missed" if self.found.drift.action == "deploy" else "left to you", "yellow")

    @property
    def message(self) -> str:
        """Why, and what was requested."""
        reason = self.found.drift.reason
        return f"deployment {short_id(self.requested)}: {reason}" if self.requested else reason


@dataclass(slots=True)
class Comparison:
    """What was found, and of which environments the repository could not be asked, and why."""

    rows: list[Row] = field(default_factory=list)
    problems: dict[tuple[str, str], str] = field(default_factory=dict)


@app.command()
def reconcile(
    fraise: AnyFraise = None,
    environment: AnyEnvironment = None,
    deploy: Annotated[bool, typer.Option("--deploy", help="Request what was missed.")] = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show which pushes were missed, and deploy them."""
    session = ActingSession(config)
    from fraisier.cli.reporting import warn_without_worker

    environments = list(_environments(session, fraise, environment))
    store = session.configured_store()
    compared = _compare(session, store, environments)
    if deploy:
        compared.rows = [_requested(store, each, session.user) for each in compared.rows]
    if as_json:
        print_json([*map(_as_json, compared.rows), *_problems_as_json(compared.problems)])
    else:
        _print(compared, len(environments))
    if any(each.requested for each in compared.rows):
        warn_without_worker(store)
    raise typer.Exit(_code(compared))


def _environments(
    session: ActingSession, fraise: str | None, environment: str | None
) -> Iterator[Environment]:
    """Yield the environments that may follow a branch, of all, of those of a fraise, or of one."""
    from fraisier_core.requests.following import follows

    config = session.config
    names = [fraise] if fraise is not None else list(config.fraises)
    for name in names:
        known = config.fraise(name).environments
        one = [config.environment(name, environment)] if environment is not None else known.values()
        yield from (each for each in one if follows(config, each))


def _compare(session: ActingSession, store: Store, environments: list[Environment]) -> Comparison:
    """Ask each repository once, and compare its branches with what was requested."""
    from fraisier_core.requests.reconciling import Questions, record_heads
    from fraisier_core.system.host import utc_now

    questions = Questions.of(session.config, environments)
    compared = Comparison(problems=dict(questions.problems))
    for question, those in questions.asked.items():
        seen_at = utc_now()
        heads = question.ask()
        for each in those:
            if isinstance(heads, str):
                compared.problems[each.fraise, each.name] = heads
            else:
                found = record_heads(store, session.config, each, heads, seen_at)
                compared.rows += map(Row, found)
    for names, problem in compared.problems.items():
        store.record_no_heads(*names, problem)
    return compared


def _requested(store: Store, row: Row, user: str) -> Row:
    from fraisier_core.requests.reconciling import request_missed

    missed = row.found.drift.action == "deploy"
    return Row(row.found, request_missed(store, row.found, user)) if missed else row


def _code(compared: Comparison) -> ExitCode:
    if compared.problems:
        return ExitCode.FAILED
    return ExitCode.DRIFT if any(each.is_drift for each in compared.rows) else ExitCode.SUCCESS


def _print(compared: Comparison, environments: int) -> None:
    shown = [each for each in compared.rows if each.requested or each.is_drift]
    if shown:
        print_table(TITLES, [_cells(each) for each in shown], FIRST_TO_GO)
    elif not environments:
        say("nothing here follows a branch: no rule of branch_mapping, and no `branch:`")
    elif not compared.problems:
        say(f"no drift: {_count(len(compared.rows), 'branch', 'branches')} as requested")
    for names, problem in compared.problems.items():
        tell(f"{' '.join(names)}: {problem}", "red")


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _cells(row: Row) -> list[Cell | str | None]:
    from fraisier_core.push import spoken_ref

    found, decided = row.found, row.found.drift.decided
    return [
        found.environment.fraise,
        found.environment.name,
        spoken_ref(found.branch.ref),
        short_commit(found.branch.head),
        status_cell(decided.status if decided else None),
        ago(decided.requested_at if decided else None),
        row.next,
        row.message,
    ]


def _as_json(row: Row) -> dict[str, Any]:
    found, decided = row.found, row.found.drift.decided
    return {
        "fraise_id": found.environment.fraise,
        "environment": found.environment.name,
        "ref": found.branch.ref,
        "head": found.branch.head,
        "action": found.drift.action,
        "reason": found.drift.reason,
        "decided": decided and {name: getattr(decided, name) for name in DECIDED},
        "deployment_id": row.requested,
        "problem": None,
    }


def _problems_as_json(problems: Mapping[tuple[str, str], str]) -> Iterator[dict[str, Any]]:
    keys = ("ref", "head", "action", "reason", "decided", "deployment_id")
    for (fraise, environment), problem in problems.items():
        nothing = dict.fromkeys(keys)
        yield {"fraise_id": fraise, "environment": environment, **nothing, "problem": problem}
