"""Which copies of backups may go at a place, and why the others stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from fraisier_core import CommandFailedError

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_settings import BackupSettings, KeepSection
from fraisier_deployers.backup.keeping import kept
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.newest import TO_COME, newest, past
from fraisier_deployers.backup.places import Listing, Place
from fraisier_deployers.backup.restic import ResticPlace
from fraisier_deployers.backup.verified_copies import verified as verified_copy

WAYS_BACK = 5
"""So many deployments keep the backup that they asked for, as many as `keep_releases:` keeps releases of."""

_PROBLEMS = (BackupError, CommandFailedError)
_AT_ONCE = 100
_MOST_UNDELETED = 5  # a place may let nothing be deleted, and each attempt may take long


@dataclass(frozen=True, slots=True)
class Policy:
    """What is kept of the backups of one environment.

    Args:
        fraise: whose they are.
        environment: of that fraise.
        installation: that made them; those of others stay.
        keep: the configured policy, None to keep all.
        zone: in which days, weeks, months and years are meant, None for that of the host.
    """

    fraise: str
    environment: str
    installation: str
    keep: KeepSection | None
    zone: tzinfo | None = None

    @classmethod
    def of(cls, fraise: str, environment: str, settings: BackupSettings, installation: str) -> Policy:
        """Return what the settings of an environment say: days are those of its schedule's time zone."""
        zone = settings.schedule.time_zone if settings.schedule else None
        return cls(fraise, environment, installation, settings.keep, ZoneInfo(zone) if zone else None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a copy: it is deleted unless there are reasons to keep it."""

    manifest: Manifest
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pruned:
    """What pruning did at a place.

    Args:
        deleted: the names of the copies that are deleted, oldest first.
        undeleted: why others could not be, by name.
        problem: why the space of what is deleted is not free yet, None if it is.
    """

    deleted: tuple[str, ...]
    undeleted: Mapping[str, str]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What pruning would do at a place.

    Args:
        place: where.
        verdicts: of each copy, oldest first.
        refusal: why nothing is pruned at all, None if it is.
        unreadable: manifests that are left alone because they cannot be read, and why.
    """

    place: Place
    verdicts: tuple[Verdict, ...] = ()
    refusal: str | None = None
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def deleted(self) -> tuple[Manifest, ...]:
        """The copies that would go."""
        return tuple(each.manifest for each in self.verdicts if not each.reasons)

    def lines(self) -> Iterator[str]:
        """Yield what would become of each copy, and why, as people read it."""
        where = self.place.destination
        if self.refusal is not None:
            yield f"{where}: nothing is pruned: {self.refusal}"
        for name, why in sorted(self.unreadable.items()):
            yield f"{where}: {name} stays: {why}"
        for verdict in self.verdicts if self.refusal is None else ():
            fate = f"stays: {', '.join(verdict.reasons)}" if verdict.reasons else "goes"
            yield f"{where}: {verdict.manifest.name} {fate}"

    def execute(self) -> Pruned:
        """Delete what goes, oldest first. A few that cannot be deleted keep none of the others from it."""
        if isinstance(self.place, ResticPlace):
            return _forgotten(self.place, self.deleted)
        deleted: list[str] = []
        undeleted: dict[str, str] = {}
        for first in range(0, len(self.deleted), _AT_ONCE):
            done = _deleted(self.place, self.deleted[first : first + _AT_ONCE])
            deleted += done.deleted
            undeleted |= done.undeleted
            if len(undeleted) >= _MOST_UNDELETED:
                break
        return Pruned(tuple(deleted), undeleted)


def _deleted(place: Place, manifests: Sequence[Manifest]) -> Pruned:
    """Delete copies all at once, because each start of a program takes a second; one by one if that fails."""
    with suppress(*_PROBLEMS):
        place.delete(*manifests)
        return Pruned(tuple(each.name for each in manifests), {})
    deleted: list[str] = []
    undeleted: dict[str, str] = {}
    for manifest in manifests:
        try:
            place.delete(manifest)
            deleted.append(manifest.name)
        except _PROBLEMS as error:
            undeleted[manifest.name] = str(error)
        if len(undeleted) == _MOST_UNDELETED:
            break
    return Pruned(tuple(deleted), undeleted)


def _forgotten(place: ResticPlace, manifests: Sequence[Manifest]) -> Pruned:
    """Forget copies in a repository of restic all at once, because each start of restic takes a second."""
    names = tuple(each.name for each in manifests)
    if not names:
        return Pruned((), {})
    try:
        place.unlist(manifests)
    except _PROBLEMS as error:
        return Pruned((), dict.fromkeys(names[:_MOST_UNDELETED], str(error)))
    try:
        place.reclaim(manifests)
    except _PROBLEMS as error:
        return Pruned(names, {}, str(error))
    return Pruned(names, {})


def plan(
    place: Place,
    policy: Policy,
    now: datetime,
    *,
    listed: Listing | None = None,
    verified: str | None = None,
    failed: str | None = None,
) -> Plan:
    """Return what pruning a place would do: nothing, unless the newest copy there is good, and that stays.

    Args:
        place: where.
        policy: what is kept.
        now: the current time. A copy from a later time stays and counts for nothing: the clock was wrong.
        listed: what it holds if it was listed just now; else it is listed here.
        verified: the name of the newest backup if its copy was verified just now; else it is verified here.
        failed: the id of the newest run if that failed: then nothing goes.

    Raises `BackupError` if the place cannot be listed.
    """
    listing = (listed or place.manifests()).of(policy.fraise, policy.environment)
    unreadable = dict(listing.unreadable)
    refusal = (
        f"the newest run, {failed}, failed"
        if failed
        else _refusal(place, listing.by(policy.installation), now, verified)
    )
    if refusal is not None:
        return Plan(place, (), refusal, unreadable)
    reasons = _reasons(listing.manifests, policy, now, verified)
    verdicts = (Verdict(each, reasons[each.name]) for each in listing.manifests)
    return Plan(place, tuple(verdicts), None, unreadable)


def reasons_to_keep(
    manifests: tuple[Manifest, ...], policy: Policy, now: datetime
) -> dict[str, tuple[str, ...]]:
    """Return why each copy would be kept, by name; no reason if it would go. Nothing is verified.

    Args:
        manifests: of the copies at one place, oldest first.
        policy: what is kept.
        now: the current time.
    """
    return _reasons(manifests, policy, now, None, newest="the newest")


def _refusal(place: Place, listing: Listing, now: datetime, verified: str | None) -> str | None:
    try:
        found = newest(listing, now)
    except BackupError as error:
        return str(error)
    if found is None:
        return "there is no backup"
    if found.name == verified:
        return None
    problem = verified_copy(place, found).problem
    return f"the newest backup is not good: {problem}" if problem else None


def _reasons(
    manifests: tuple[Manifest, ...],
    policy: Policy,
    now: datetime,
    verified: str | None,
    *,
    newest: str = "the newest good one",
) -> dict[str, tuple[str, ...]]:
    own = [each for each in manifests if each.installation == policy.installation]
    counted = past(own, now)
    reasons: dict[str, tuple[str, ...]]
    reasons = {each.name: (f"made by another installation, on {each.host}",) for each in manifests}
    reasons |= {each.name: (TO_COME,) for each in own}
    reasons |= {each.name: names for each, names in zip(counted, _rules(counted, policy), strict=True)}
    if counted:
        reasons[counted[-1].name] += (newest,)
    if counted and verified in reasons and verified != counted[-1].name:
        reasons[verified] += ("made just now",)
    asked = {each.asked_by: each.name for each in own if each.asked_by is not None}
    for deployment, name in [*asked.items()][-WAYS_BACK:]:
        reasons[name] += (f"made for the deployment {deployment}",)
    return reasons


def _rules(manifests: Sequence[Manifest], policy: Policy) -> list[tuple[str, ...]]:
    if policy.keep is None:
        return [("no `keep` is set",)] * len(manifests)
    return kept([each.created_at.astimezone(policy.zone) for each in manifests], policy.keep)
