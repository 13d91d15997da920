"""Whether a branch has drifted from what was decided about it in an environment, and what would be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from fraisier_core.store.protocol import DeploymentReader, Reader
from fraisier_core.store.records import BranchHead, Deployment, HealthyRelease
from fraisier_core.store.vocabulary import ENDED

Action = Literal["none", "deploy", "leave"]
_LEFT = frozenset({"failed", "rolled_back", "cancelled", "interrupted"})


class Drift(NamedTuple):
    """What there is to do about the newest commit of a branch, why, and the newest decision: on that commit
    or, if there is none, on the branch.
    """

    action: Action
    reason: str
    decided: Deployment | None = None


@dataclass(slots=True)
class Record:
    """What the store says of one environment, read once."""

    reader: Reader
    fraise_id: str
    environment: str
    last_of_refs: Mapping[str, Deployment] = field(init=False)
    healthy: list[HealthyRelease] = field(init=False)
    serving: HealthyRelease | None = field(init=False)

    def __post_init__(self) -> None:
        where = self.fraise_id, self.environment
        self.last_of_refs = self.reader.last_of_refs(*where)
        self.healthy = self.reader.healthy_releases(*where)
        self.serving = self.reader.serving(*where)

    def drifts(self, branches: Sequence[BranchHead]) -> list[Drift]:
        """Return what there is to do about each branch; only what was never requested is deployed."""
        heads = {each.head for each in branches if each.head is not None}
        decided = self.reader.last_of_commits(self.fraise_id, self.environment, heads)
        return [self._drift(each, decided.get(each.head or "")) for each in branches]

    def _drift(self, found: BranchHead, decided: Deployment | None) -> Drift:
        last = self.last_of_refs.get(found.ref)
        if found.head is None:
            return Drift("leave", found.problem or "the branch is not there", last)
        if decided is None:
            return _undecided(found, last)
        if self.serving is not None and self.serving.commit_sha == found.head:
            return Drift("none", "it serves", decided)
        return Drift(*self._decided(decided, last), decided)

    def _decided(self, decided: Deployment, last: Deployment | None) -> tuple[Action, str]:
        name = f"deployment {decided.id[-8:]}"
        if decided.status in _LEFT:
            return "leave", f"{name} ended {decided.status}"
        if any(each.rolled_back_to for each in self.healthy if each.release == decided.release):
            return "leave", f"{name} was rolled back from"
        if (newer := self._newer(decided, last)) is not None:
            return "leave", f"rewound? requested before {newer}"
        return "none", f"{name} is {decided.status}"

    def _newer(self, decided: Deployment, last: Deployment | None) -> str | None:
        """Return the commit of the same branch that was deployed in place of, or after, what was decided."""
        if decided.status == "superseded" and decided.superseded_by is not None:
            last = self.reader.deployment(decided.superseded_by)
        elif decided.status != "success":
            return None
        is_other = last is not None and last.ref == decided.ref and last.commit_sha != decided.commit_sha
        return last.commit_sha[:12] if last and is_other and last.commit_sha else None


def missed(reader: DeploymentReader, branches: Sequence[BranchHead]) -> tuple[BranchHead, ...]:
    """Return the branches of one environment whose newest commit was never requested there."""
    found = [each for each in branches if each.ref and each.head]
    if not found:
        return ()
    where = found[0].fraise_id, found[0].environment
    decided = reader.last_of_commits(*where, {each.head for each in found if each.head})
    last = reader.last_of_refs(*where)
    undecided = [each for each in found if each.head not in decided]
    return tuple(each for each in undecided if _undecided(each, last.get(each.ref)).action == "deploy")


def _undecided(found: BranchHead, last: Deployment | None) -> Drift:
    if last is None:
        return Drift("deploy", "the branch was never deployed here")
    takes_newest = last.commit_sha is None and last.status not in ENDED
    if takes_newest or last.requested_at > found.seen_at:
        return Drift("none", f"deployment {last.id[-8:]} was requested since", last)
    return Drift("deploy", "it was never requested here", last)
