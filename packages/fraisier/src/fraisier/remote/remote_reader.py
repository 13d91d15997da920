"""The read side of a store on another machine: each method asks as few documents as it can."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fraisier_core.errors import UnreachableServerError
from fraisier_core.store.events import DeploymentEvent, Untold
from fraisier_core.store.holds import Hold
from fraisier_core.store.ids import PART, WHOLE, only, unknown_id
from fraisier_core.store.protocol import DeploymentReader
from fraisier_core.store.records import BranchHead, Deployment, EnvironmentStatus, LogChunk, Step
from fraisier_core.store.vocabulary import KINDS

from fraisier.remote import remote_documents as documents
from fraisier.remote.remote_documents import record_of
from fraisier.remote.remote_endpoint import RemoteEndpoint

PAGE = 200
PARTS = 4
NEWEST = OF_REF = 20
AT_ONCE = 20
PATIENCE = 60.0
PAUSE = 1.0
_JOBS = [kind.name for kind in KINDS.values() if kind.job]
_STORED = [kind.name for kind in KINDS.values() if kind.source == "nothing"]
_COMMITS = [kind.name for kind in KINDS.values() if kind.source == "commit"]


class RemoteReader(DeploymentReader):
    """Implements `protocol.DeploymentReader`. What it read of a deployment it keeps until `forget`."""

    def __init__(self, endpoint: RemoteEndpoint) -> None:
        self._endpoint = endpoint
        self._heads: dict[tuple[str, str], list[BranchHead]] = {}
        self._serving: dict[tuple[str, str], str | None] = {}
        self._kept: dict[str, dict[str, Any]] = {}
        self._stale: set[str] = set()

    def close(self) -> None:
        """Close nothing: each document has a connection of its own."""

    def fraises(self) -> list[dict[str, Any]]:
        """Return the configured fraises with their environments, in their order."""
        return list(self._endpoint.ask(documents.FRAISES)["fraises"])

    def status(self, fraise_id: str | None = None, environment: str | None = None) -> list[EnvironmentStatus]:
        """Return what `Reader.status` does; the heads of its branches come along."""
        data = self._endpoint.ask(documents.STATUS, fraise=fraise_id, environment=environment)
        found = []
        for row in data["fraiseStatus"]:
            one = record_of(EnvironmentStatus, row)
            names = {"fraise_id": one.fraise_id, "environment": one.environment}
            heads = [record_of(BranchHead, head, **names) for head in row["branchHeads"]]
            self._heads[one.fraise_id, one.environment] = heads
            self._serving[one.fraise_id, one.environment] = one.serving_commit_sha
            found.append(one)
        return found

    def deployments(
        self, fraise_id: str | None = None, environment: str | None = None, limit: int = 20
    ) -> list[Deployment]:
        """Return what `Reader.deployments` does, page by page."""
        found: list[Deployment] = []
        while len(found) < limit:
            page = self._page(fraise_id, environment, min(PAGE, limit - len(found)), found)
            found += page
            if len(page) < PAGE:
                break
        return found

    def newest_runs(self, fraise_id: str | None = None, environment: str | None = None) -> list[Deployment]:
        """Return what `Reader.newest_runs` does where the status was read, as far as the newest runs tell."""
        found: list[Deployment] = []
        for runs in self._newest_of_kinds(_JOBS, fraise_id, environment).values():
            begun = (each for each in runs if each.status not in {"pending", "skipped"})
            waiting = (each for each in runs if each.status == "pending")
            fired = (each for each in runs if each.trigger == "schedule")
            done = (each for each in runs if each.status == "success" and each.kind in _STORED)
            chosen = (next(some, None) for some in (begun, waiting, fired, done))
            found += dict.fromkeys(filter(None, chosen))
        return sorted(found, key=lambda each: each.id, reverse=True)

    def pushes_ahead(self, fraise_id: str | None = None, environment: str | None = None) -> list[Deployment]:
        """Return what `Reader.pushes_ahead` does where the status was read, of the newest deployments."""
        found = []
        for where, deployments in self._newest_of_kinds(_COMMITS, fraise_id, environment).items():
            serving = self._serving[where]
            for each in deployments:
                of_note = each.status not in {"superseded", "skipped"}
                if of_note and (each.trigger != "manual" or each.commit_sha == serving):
                    found += [each] if serving not in {None, each.commit_sha} else []
                    break
        return found

    def _newest_of_kinds(
        self, kinds: Sequence[str], fraise: str | None, environment: str | None
    ) -> dict[tuple[str, str], list[Deployment]]:
        """Return the newest deployments of some kinds of each environment whose status was read."""
        places = [
            where for where in self._serving if fraise in {None, where[0]} and environment in {None, where[1]}
        ]
        asked = [(where, kind) for where in places for kind in kinds]
        found: dict[tuple[str, str], list[Deployment]] = {where: [] for where in places}
        for begin in range(0, len(asked), AT_ONCE):
            some = asked[begin : begin + AT_ONCE]
            chosen = [{"fraiseId": one, "environment": other, "kind": kind} for (one, other), kind in some]
            for (where, _), rows in zip(some, self._each(chosen, NEWEST), strict=True):
                found[where] += rows
        for rows in found.values():
            rows.sort(key=lambda each: each.id, reverse=True)
        return found

    def _each(self, places: Sequence[Mapping[str, str]], limit: int) -> list[list[Deployment]]:
        """Return the newest deployments that each of some arguments choose."""
        document, variables = documents.histories(places, limit)
        data = self._endpoint.ask(document, **variables)
        return [[record_of(Deployment, row) for row in data[f"of{number}"]] for number in range(len(places))]

    def _page(
        self, fraise: str | None, environment: str | None, limit: int, before: Sequence[Deployment]
    ) -> list[Deployment]:
        cursor = before[-1].id if before else None
        names = {"fraise": fraise, "environment": environment}
        rows = self._endpoint.ask(documents.HISTORY, **names, limit=limit, cursor=cursor)
        return [record_of(Deployment, row) for row in rows["deploymentHistory"]]

    def find(self, id_part: str) -> str:
        """Return what `Reader.find` does."""
        part = id_part.strip().lower()
        if not PART.fullmatch(part):
            raise unknown_id("deployment", id_part)
        rows = self._endpoint.ask(documents.FIND, part=part, limit=PAGE)["deploymentHistory"]
        ids = [str(row["id"]) for row in rows]
        found = (
            sorted(each for each in ids if each.startswith(part))
            or [each for each in ids if each.endswith(part)]
            or ids
        )
        return only("deployment", id_part, found[:PARTS])

    def deployment(self, deployment_id: str) -> Deployment:
        """Return what `Reader.deployment` does."""
        if deployment_id in self._kept:
            return record_of(Deployment, self._progress(deployment_id))
        return record_of(Deployment, self._asked(documents.ONE, deployment_id))

    def steps(self, deployment_id: str) -> list[Step]:
        """Return what `Reader.steps` does."""
        return [record_of(Step, row) for row in self._progress(deployment_id)["steps"]]

    def log(self, deployment_id: str, after: int = 0) -> list[LogChunk]:
        """Return what `Reader.log` does."""
        rows = self._progress(deployment_id)["output"]
        return [record_of(LogChunk, row) for row in rows if row["sequence"] > after]

    def untold(self, deployment_id: str) -> list[Untold]:
        """Return what `Reader.untold` does."""
        return [record_of(Untold, row) for row in self._progress(deployment_id)["untold"]]

    def events(
        self, after: int = 0, limit: int = 1000, deployment_id: str | None = None
    ) -> list[DeploymentEvent]:
        """Return what `Reader.events` does of one deployment."""
        assert deployment_id is not None  # noqa: S101 - commands follow one
        rows = [row for row in self._progress(deployment_id)["events"] if row["sequence"] > after]
        return [record_of(DeploymentEvent, row, deployment_id=deployment_id) for row in rows[:limit]]

    def add_output(self, deployment_id: str, row: dict[str, Any]) -> None:
        """Add a chunk of output that was heard of to what is known."""
        output = self._progress(deployment_id)["output"]
        if not output or output[-1]["sequence"] < row["sequence"]:
            output.append(row)

    def forget(self, deployment_id: str) -> None:
        """Read a deployment anew when it is asked for."""
        self._stale.add(deployment_id)

    def _progress(self, deployment_id: str) -> dict[str, Any]:
        """Return a deployment with its steps, events and output; one that was read before is waited for, if
        the server is away.
        """
        until = time.monotonic() + (PATIENCE if deployment_id in self._kept else 0)
        while deployment_id not in self._kept or deployment_id in self._stale:
            try:
                self._kept[deployment_id] = self._asked(documents.PROGRESS, deployment_id)
                self._stale.discard(deployment_id)
            except UnreachableServerError:
                if time.monotonic() > until:
                    raise
                time.sleep(PAUSE)
        return self._kept[deployment_id]

    def _asked(self, document: str, deployment_id: str) -> dict[str, Any]:
        row = None
        if WHOLE.fullmatch(deployment_id):
            row = self._endpoint.ask(document, id=deployment_id)["deployment"]
        if row is None:
            raise unknown_id("deployment", deployment_id)
        return dict(row)

    def awaited(self, deployment: Deployment) -> str | None:
        """Return what `DeploymentReader.awaited` does."""
        if deployment.status != "pending" or deployment.lane is None:
            return None
        names = {"fraise": deployment.fraise_id, "environment": deployment.environment}
        found = self._endpoint.ask(documents.AHEAD, **names)
        running, pending = (
            [row for row in found[status] if row["lane"] == deployment.lane]
            for status in ("running", "pending")
        )
        ahead = [] if KINDS[deployment.kind].supersedes else _ahead(pending[::-1], deployment)
        return next((row["id"] for row in [*running, *ahead]), None)

    def branch_heads(self, fraise_id: str, environment: str) -> list[BranchHead]:
        """Return what `Reader.branch_heads` does, as the status said it last."""
        return self._heads.get((fraise_id, environment), [])

    def last_of_refs(self, fraise_id: str, environment: str) -> dict[str, Deployment]:
        """Return what `Reader.last_of_refs` does of the branches that the environment follows."""
        refs = [each.ref for each in self.branch_heads(fraise_id, environment) if each.ref]
        asked = self._newest(fraise_id, environment, "ref", refs, OF_REF)
        found = {}
        for ref, deployments in asked.items():
            decided = [each for each in deployments if each.status not in {"superseded", "skipped"}]
            if deployments:
                found[ref] = (decided or deployments)[0]
        return found

    def last_of_commits(
        self, fraise_id: str, environment: str, commits: Collection[str]
    ) -> dict[str, Deployment]:
        """Return what `Reader.last_of_commits` does."""
        asked = self._newest(fraise_id, environment, "commitSha", list(commits), OF_REF)
        return {commit: found[0] for commit, found in asked.items() if found}

    def _newest(
        self, fraise: str, environment: str, by: str, values: list[str], limit: int
    ) -> dict[str, list[Deployment]]:
        """Return the newest deployments for each value; neither rollbacks nor what may be a replay."""
        names = {"fraiseId": fraise, "environment": environment}
        found: dict[str, list[Deployment]] = {}
        for begin in range(0, len(values), AT_ONCE):
            some = values[begin : begin + AT_ONCE]
            found |= dict(zip(some, self._each([names | {by: each} for each in some], limit), strict=True))
        return {value: [each for each in rows if _counts(each)] for value, rows in found.items()}

    def holds(self, fraise_id: str | None = None, environment: str | None = None) -> list[Hold]:
        """Return what `Reader.holds` does."""
        rows = self._endpoint.ask(documents.HOLDS, fraise=fraise_id, environment=environment)["fraiseStatus"]
        return [
            record_of(Hold, row["hold"], fraise_id=row["fraiseId"], environment=row["environment"])
            for row in rows
            if row["hold"]
        ]

    def live_workers(self) -> int:
        """Return 1 if a worker lives there, else 0."""
        return int(self._endpoint.has_worker())


def _counts(deployment: Deployment) -> bool:
    kind = KINDS.get(deployment.kind)
    is_commit = kind is not None and kind.source == "commit"
    return is_commit and (deployment.repeats is None or deployment.release is not None)


def _ahead(pending: Sequence[Mapping[str, Any]], deployment: Deployment) -> list[Mapping[str, Any]]:
    """Return what comes before a deployment, of what waits with it, oldest first; the first of them first."""
    found, own, is_older = [], KINDS[deployment.kind].priority, True
    for row in pending:
        is_older = is_older and row["id"] != deployment.id
        if row["hold"] is not None:
            continue
        counts = is_older and (row["executor"] == "unit" or deployment.executor != "unit")
        if (priority := KINDS[row["kind"]].priority) > own or (counts and priority == own):
            found.append(row)
    return sorted(found, key=lambda row: -KINDS[row["kind"]].priority)
