"""The remotes that the configuration names, as places."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.places import Place, Runner
from fraisier_deployers.backup.remote_settings import RemoteSection
from fraisier_deployers.backup.remotes.noted_place import NotedPlace
from fraisier_deployers.backup.remotes.rclone import RclonePlace
from fraisier_deployers.backup.remotes.rsync import RsyncPlace


class Owner(Runner, Protocol):
    """Runs commands for an environment."""

    @property
    def fraise(self) -> str:
        """Whose copies they are."""

    @property
    def environment(self) -> str:
        """Of that fraise."""


def remote_places(settings: BackupSettings, owner: Owner, folder: Path) -> list[Place]:
    """Return the places of `remotes:`, in their order.

    Args:
        settings: the section of the environment.
        owner: the environment, which runs the commands that reach them.
        folder: the environment's own that stays between runs.
    """
    if settings.path is None:
        return []
    scratch = settings.path
    places = (_place(name, section, owner, scratch) for name, section in settings.remotes.items())
    return [NotedPlace(place, folder / "unfinished" / place.name) for place in places]


def _place(name: str, section: RemoteSection, owner: Owner, scratch: Path) -> Place:
    of = owner.fraise, owner.environment
    if section.rclone is not None:
        return RclonePlace(name, section.rclone, owner, *of, section.config)
    assert section.rsync is not None  # noqa: S101 - validated: it is one of the two
    return RsyncPlace(
        name, section.rsync, owner, *of, scratch, section.identity, section.known_hosts, section.port
    )
