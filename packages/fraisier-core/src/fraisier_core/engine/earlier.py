"""Which releases a rollback may choose by itself."""

from __future__ import annotations

from collections.abc import Sequence

from fraisier_core.store.records import HealthyRelease


def earlier_releases(
    healthy: Sequence[HealthyRelease], serving: HealthyRelease | None
) -> list[HealthyRelease]:
    """Return the healthy releases that are older than the serving one and were not themselves rolled back
    from, newest first.
    """
    return [each for each in _older(healthy, serving) if not _was_given_up(each, healthy)]


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
