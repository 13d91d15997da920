"""What `fraisier status` knows of each environment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from fraisier_core.config import Config
    from fraisier_core.store.holds import Hold
    from fraisier_core.store.protocol import DeploymentReader
    from fraisier_core.store.records import BranchHead, Deployment, EnvironmentStatus
    from fraisier_core.units.timers import TimerFacts

    from fraisier.cli.any_session import AnySession

Names = tuple[str, str]
Placed = TypeVar("Placed", "Deployment", "EnvironmentStatus", "Hold")
TEST = "restore_test"
RUN_KEYS = (
    "id",
    "status",
    "trigger",
    "requested_by",
    "arguments",
    "release",
    "requested_at",
    "started_at",
    "completed_at",
    "duration",
    "error_message",
)
BACKUP_KEYS = (
    "id",
    "stored_name",
    "stored_size",
    "stored_sha256",
    "stored_at",
    "stored_problem",
    "completed_at",
    "requested_for",
)


class Runs(NamedTuple):
    """Of a job the newest run that began, that waits, that its schedule requested, and that succeeded."""

    begun: Deployment | None = None
    waiting: Deployment | None = None
    fired: Deployment | None = None
    done: Deployment | None = None

    @property
    def last(self) -> Deployment | None:
        """The newest run that began, else one that waits or was skipped."""
        return self.begun or self.waiting or self.fired

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands of which a user runs one, if the last run was interrupted and none follows it."""
        if self.begun is None or self.begun.status != "interrupted" or self.waiting is not None:
            return ()
        from fraisier_core.engine.decision import commands

        return commands(self.begun, serving_unknown=False)


class Shown(NamedTuple):
    """What is shown of an environment; a user runs one of `commands` if it waits for a decision. `ahead` is
    the newest push that does not serve, `missed` are the branch heads that were never requested, when it was
    reconciled last; `unasked` says why the repository could not be asked, `timer` when a run is requested
    next. `tests` are restore tests, and `test_timer` says when one is requested; `hold` is what pushes there
    wait for, and `damage` what was found to be wrong with copies of the newest backup.
    """

    status: EnvironmentStatus
    commands: tuple[str, ...]
    undeletable: dict[str, str]
    ahead: Deployment | None
    runs: Runs
    missed: tuple[BranchHead, ...]
    unasked: BranchHead | None
    timer: TimerFacts | None
    tests: Runs = Runs()
    test_timer: TimerFacts | None = None
    hold: Hold | None = None
    damage: str | None = None

    @property
    def backup(self) -> Deployment | None:
        """The newest backup that succeeded."""
        done = self.runs.done
        return done if done is not None and done.stored_name is not None else None

    @property
    def doubt(self) -> str | None:
        """What is to be looked at: what speaks against being able to restore that, or what it left to do;
        None if nothing is known.
        """
        last = self.tests.begun
        if self.damage is not None:
            return self.damage
        if self.test_timer and self.test_timer.problem:
            return self.test_timer.problem
        if self.test_timer and self.tests.done is None:
            return "no restore test has succeeded yet"
        if last is not None and last.status in {"failed", "interrupted"}:
            return f"its last restore test {last.status}: {last.error_message}"
        return self.backup and self.backup.stored_problem

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        ahead, run, waiting = self.ahead, self.runs.last, self.runs.waiting
        return self.status._asdict() | {
            "commands": self.commands,
            "undeletable": self.undeletable,
            "ahead": ahead and {key: getattr(ahead, key) for key in ("id", "ref", "commit_sha", "status")},
            "run": run and {key: getattr(run, key) for key in RUN_KEYS} | {"commands": self.runs.commands},
            "waiting_run": waiting and waiting.id,
            "missed": [
                {key: getattr(each, key) for key in ("ref", "head", "seen_at")} for each in self.missed
            ],
            "unasked": self.unasked and self.unasked.problem,
            "timer": self.timer and self.timer._asdict(),
            "backup": self.backup and {key: getattr(self.backup, key) for key in BACKUP_KEYS},
            "restore_test": self.tests.last and {key: getattr(self.tests.last, key) for key in RUN_KEYS},
            "restore_test_timer": self.test_timer and self.test_timer._asdict(),
            "doubt": self.doubt,
            "hold": self.hold and self.hold._asdict(),
        }


def gather(
    session: AnySession, reader: DeploymentReader | None, fraise: str | None, environment: str | None
) -> list[Shown]:
    """Return what is known of all environments, of a fraise's, or of one. Raises `UnknownNameError`."""
    wanted = _environments(session, reader, fraise, environment)
    where = fraise, environment and wanted[0][1]
    known = _by_names(reader.status(*where) if reader else ())
    ahead = _by_names(reader.pushes_ahead(*where) if reader else ())
    holds = _by_names(reader.holds(*where) if reader else ())
    newest = reader.newest_runs(*where) if reader else []
    runs = _by_job(each for each in newest if each.kind != TEST)
    tests = _by_job(each for each in newest if each.kind == TEST)
    of_runs, of_tests = _timers(session, wanted, known, runs, tests)
    return [
        Shown(
            status,
            _decision(reader, status),
            session.undeletable(*names),
            ahead.get(names),
            runs.get(names, Runs()),
            *_missed(session, reader, *names),
            of_runs.get(names),
            tests.get(names, Runs()),
            of_tests.get(names),
            holds.get(names),
            _damage(session, runs.get(names, Runs()).done, tests.get(names, Runs()).done),
        )
        for names in wanted
        for status in [known.get(names) or _never_deployed(session, *names)]
    ]


def _by_names(found: Iterable[Placed]) -> dict[Names, Placed]:
    return {(each.fraise_id, each.environment): each for each in found}


def _timers(
    session: AnySession,
    wanted: list[Names],
    known: dict[Names, EnvironmentStatus],
    runs: dict[Names, Runs],
    tests: dict[Names, Runs],
) -> tuple[dict[Names, TimerFacts], dict[Names, TimerFacts]]:
    """Return what the timers of jobs say, and what those of restore tests do."""
    jobs = [(names, found.fired) for names, found in (*runs.items(), *tests.items())]
    fired = {(*names, last.kind): last.requested_at for names, last in jobs if last}
    timers = session.timers(wanted, fired, {names: each.last_deployed for names, each in known.items()})
    of_runs = {key[:2]: facts for key, facts in timers.items() if key[2] != TEST}
    of_tests = {key[:2]: facts for key, facts in timers.items() if key[2] == TEST}
    return of_runs, of_tests


def _environments(
    session: AnySession, reader: DeploymentReader | None, fraise: str | None, environment: str | None
) -> list[Names]:
    names = session.names(reader)
    if fraise is None:
        return [(name, each) for name, known in names.items() for each in known]
    one = session.environment(reader, fraise, environment)
    return [(fraise, each) for each in ([one] if one is not None else names[fraise])]


def _by_job(newest: Iterable[Deployment]) -> dict[Names, Runs]:
    """Return the runs of each environment from all of them, newest first."""
    found: dict[Names, Runs] = {}
    for each in newest:
        names = each.fraise_id, each.environment
        known = found.get(names, Runs())
        begun = each if each.status not in {"pending", "skipped"} else None
        waiting = each if each.status == "pending" else None
        fired = each if each.trigger == "schedule" else None
        done = each if each.status == "success" else None
        found[names] = Runs(
            known.begun or begun, known.waiting or waiting, known.fired or fired, known.done or done
        )
    return found


def _never_deployed(session: AnySession, fraise: str, environment: str) -> EnvironmentStatus:
    from fraisier_core.store.records import EnvironmentStatus

    assert session.configured is not None  # noqa: S101 - else the store named it
    found = session.configured.fraise(fraise)
    return EnvironmentStatus(fraise, environment, found.type, found.description)


def _damage(session: AnySession, done: Deployment | None, tested: Deployment | None) -> str | None:
    if done is None or done.stored_name is None:
        return None
    return "; ".join(session.backup_problems(done, tested)) or None


def _decision(reader: DeploymentReader | None, status: EnvironmentStatus) -> tuple[str, ...]:
    """Return the commands of which a user runs one; none if the environment awaits no decision."""
    if reader is None or status.awaits_decision is None:
        return ()
    from fraisier_core.engine.decision import commands

    return commands(reader.deployment(status.awaits_decision), serving_unknown=status.serving_unknown)


def _missed(
    session: AnySession, reader: DeploymentReader | None, fraise: str, environment: str
) -> tuple[tuple[BranchHead, ...], BranchHead | None]:
    """Return what was missed, by what the repository said last, and why it could not be asked since."""
    heads = reader.branch_heads(fraise, environment) if reader else []
    if reader is None or not heads or not _follows(session.configured, fraise, environment):
        return (), None
    from fraisier_core.requests.drift import missed

    return missed(reader, heads), next((each for each in heads if not each.ref), None)


def _follows(configured: Config | None, fraise: str, environment: str) -> bool:
    """Whether an environment may follow a branch, so that reconciling would renew what is recorded of it."""
    if configured is None:
        return True
    from fraisier_core.requests.following import follows

    return follows(configured, configured.environment(fraise, environment))
