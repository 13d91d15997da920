"""The *Order* rule: in whatever order pushes are delivered, the newest request is heeded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fraisier_core.store.protocol import Reader
from fraisier_core.store.vocabulary import KINDS

from tests.model.record import Followed, Record


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push as its author made it, whenever it is delivered.

    Args:
        number: counts the pushes in the order they were made.
        ref: the full ref.
        before: what the ref pointed to.
        after: what it points to.
    """

    number: int
    ref: str
    before: str | None
    after: str


@dataclass(slots=True)
class Order:
    """Who asked for what, in the order the requests were accepted.

    Args:
        newest: the newest request that is not stale, by environment and kind.
        pushes: the number of the newest push, by environment and ref.
    """

    newest: dict[tuple[str, str], Followed] = field(default_factory=dict)
    pushes: dict[tuple[str, str], int] = field(default_factory=dict)

    def accept_push(self, pushed: Pushed, requested: list[Followed]) -> None:
        """Note what a push has requested, unless one of the same ref that was made later came before it."""
        for each in requested:
            key = (each.request.environment, pushed.ref)
            if pushed.number > self.pushes.get(key, 0):
                self.pushes[key] = pushed.number
                self.accept(each)

    def accept(self, requested: Followed) -> None:
        """Note a request that is not stale."""
        self.newest[requested.request.environment, requested.request.kind] = requested

    def check(self, record: Record, store: Reader) -> None:
        """Check every environment. Nothing may be pending or running."""
        for (environment, _), newest in self.newest.items():
            final = _final(newest, record)
            _check_heeded(newest, final, record, store)
            back = self.newest.get((environment, "rollback"))
            if final.status == "success" and (back is None or back.order < newest.order):
                _check_serving(final, store)


def _check_heeded(newest: Followed, final: Followed, record: Record, store: Reader) -> None:
    if final.status == "cancelled" and final is not newest:
        return  # a person cancelled what had superseded it
    assert _asks_for_the_same(final, newest), "Order: the newest request is heeded"
    if final.status == "interrupted":
        _check_interrupted(final, record, store)


def _check_serving(final: Followed, store: Reader) -> None:
    serving = store.serving(final.request.fraise_id, final.request.environment)
    assert serving is not None
    # Not the release: a replay of what was requested last makes another one of the same commit.
    assert serving.commit_sha == store.deployment(final.request.id).commit_sha, "Order: it serves"


def _check_interrupted(final: Followed, record: Record, store: Reader) -> None:
    """What nothing speaks against is requested anew; otherwise the status says that a decision is awaited."""
    found = store.deployment(final.request.id)
    later = [each for each in record.deployments.values() if _is_later(each, final)]
    others = [each for each in later if each.status == "cancelled" or each.request.ref != found.ref]
    replays = [each for each in later if each.activated and _asks_for_the_same(each, final)]
    by_user = found.cancel_requested, others
    reasons = (found.activation_started, found.unrepeatable, found.recovers, *by_user, replays)
    assert any(reasons) or found.trigger == "manual", "Order: what was interrupted is requested anew"
    if all(each.status == "superseded" for each in later):
        (status,) = store.status(found.fraise_id, found.environment)
        assert status.awaits_decision == found.id, "Order: the status says who has to decide"


def _is_later(one: Followed, other: Followed) -> bool:
    lanes = KINDS[one.request.kind].lane, KINDS[other.request.kind].lane
    return (
        one.order > other.order
        and one.request.environment == other.request.environment
        and len({*lanes}) == 1
    )


def _final(newest: Followed, record: Record) -> Followed:
    """Return the last deployment of a request: that which superseded it, or repeats it."""
    found = newest
    while (after := _next(found, record)) is not None:
        found = after
    return found


def _next(found: Followed, record: Record) -> Followed | None:
    if found.superseded_by is not None:
        return record.deployments[found.superseded_by]
    return next(_repeats(found, record), None)


def _repeats(found: Followed, record: Record) -> Iterator[Followed]:
    for each in record.deployments.values():
        if each.request.recovers == found.request.id:
            yield each


def _asks_for_the_same(one: Followed, other: Followed) -> bool:
    return all(
        getattr(one.request, name) == getattr(other.request, name) for name in ("kind", "ref", "commit_sha")
    )
