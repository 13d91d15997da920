"""Finding pushes that were missed: repositories are asked for their branches, once for all environments."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fraisier_core.config import Config, Environment
from fraisier_core.errors import FraisierError, StepFailedError
from fraisier_core.git.access import Access
from fraisier_core.git.fetched import FetchedRepository
from fraisier_core.git.remotes import Remote
from fraisier_core.requests.drift import Drift, Record
from fraisier_core.requests.following import Followed, followed
from fraisier_core.requests.requesting import request_deployment, request_of
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import BranchHead
from fraisier_core.system.commands import Limits
from fraisier_core.system.timing import HEADS

Heads = Mapping[str, str]
"""The full refs of a repository's branches, and the newest commit of each."""


@dataclass(frozen=True, slots=True)
class Question:
    """A repository to be asked for its branches, at one address and by one way of access; in the folder
    `mirrors` a lock is held meanwhile, so that one process at a time asks, and no fetch waits for it.
    """

    url: str = field(repr=False)
    access: Access = field(repr=False)
    mirrors: Path

    def ask(self, seconds: float = HEADS, cancelled: threading.Event | None = None) -> Heads | str:
        """Return its branches or, if it does not tell them within some seconds, why."""
        event = cancelled or threading.Event()
        limits = Limits(seconds, seconds, setting="which is all it gets")
        remote = Remote.of(self.url, self.access)
        path = remote.mirror_path(self.mirrors)
        beside = path.with_name(f"{path.name}.heads")
        try:
            return FetchedRepository(beside, remote, event, limits=limits, retry_seconds=()).heads()
        except StepFailedError as error:
            return str(error)


@dataclass(frozen=True, slots=True)
class Finding:
    """A branch that an environment follows, and how it has drifted."""

    environment: Environment
    branch: Followed
    drift: Drift


@dataclass(frozen=True, slots=True)
class Questions:
    """What is to be asked for some environments: `asked` has those that each question is for, `problems` why
    the configuration of one is not complete.
    """

    asked: Mapping[Question, list[Environment]]
    problems: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, config: Config, environments: Iterable[Environment]) -> Questions:
        """Return each question once."""
        asked: dict[Question, list[Environment]] = {}
        problems: dict[tuple[str, str], str] = {}
        for each in environments:
            try:
                found = config.resolved(each.fraise, each.name)
            except FraisierError as error:
                problems[each.fraise, each.name] = str(error)
            else:
                question = Question(found.repository, found.access, found.mirrors)
                asked.setdefault(question, []).append(each)
        return cls(asked, problems)


def record_heads(
    store: Store, config: Config, environment: Environment, heads: Heads, seen_at: str
) -> list[Finding]:
    """Record the branches that an environment follows, and return how they have drifted.

    Args:
        store: knows what was requested.
        config: decides which branches those are.
        environment: that is compared.
        heads: of its repository.
        seen_at: from before it was asked: what was requested later may be newer.
    """
    names = environment.fraise, environment.name
    record = Record(store, *names)
    branches = followed(config, environment, heads, record.last_of_refs.keys())
    rows = {each: _row(environment, each, seen_at) for each in branches}
    store.record_heads(*names, [row for each, row in rows.items() if not each.by_hand])
    drifts = record.drifts(list(rows.values()))
    return [
        Finding(environment, each, _allowed(each, drift)) for each, drift in zip(rows, drifts, strict=True)
    ]


def request_missed(store: Store, finding: Finding, requested_by: str) -> str:
    """Request the newest commit of a branch that was missed, and return the id of the deployment."""
    branch = finding.branch
    request = request_of(branch.target, branch.ref, branch.head, "reconcile", requested_by)
    deployment_id, _ = request_deployment(store, request)
    return deployment_id


def _row(environment: Environment, branch: Followed, seen_at: str) -> BranchHead:
    problem = None if branch.head else "the repository has no such branch"
    return BranchHead(environment.fraise, environment.name, branch.ref, branch.head, seen_at, problem)


def _allowed(branch: Followed, drift: Drift) -> Drift:
    if branch.by_hand and drift.action == "deploy":
        return drift._replace(action="leave", reason="pushes are not deployed here")
    return drift
