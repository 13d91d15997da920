"""What a command works with: the configuration, and the store that it names."""

from __future__ import annotations

import os
import pwd
import sys
from dataclasses import dataclass
from pathlib import Path

from fraisier_core.config import Config, ConfigSource, find_config
from fraisier_core.errors import UnknownNameError
from fraisier_core.plugins import Plugins
from fraisier_core.store import Database, Deployments, History
from fraisier_core.system.owner import become_owner, require_trusted


@dataclass(frozen=True, slots=True)
class Session:
    """The configuration of one command, read without the secrets of webhooks.

    Args:
        config: the configuration.
        source: where it comes from, for processes that run for longer.
        plugins: what is installed.
        user: who runs the command.
    """

    config: Config
    source: ConfigSource
    plugins: Plugins
    user: str

    @classmethod
    def start(cls, file: Path | None) -> Session:
        """Read the configuration.

        Args:
            file: what `--config` says.

        Raises `ConfigurationError`.
        """
        plugins = Plugins.installed()
        source = ConfigSource(find_config(file), plugins, with_secrets=False)
        return cls(source.current(), source, plugins, _user())

    def become_owner(self) -> None:
        """Act as the owner of the store from now on. Raises `StoreError` where this user may not."""
        become_owner(self.config.state_dir, sys.argv)
        require_trusted(self.config.path)

    def history(self) -> History | None:
        """Return what happened so far, None where there is no store yet: a reader creates none."""
        database = self.existing_database()
        return History(database) if database else None

    def existing_database(self) -> Database | None:
        """Open the store, or return None where there is none yet."""
        if not self.config.state_dir.exists():
            return None
        self.become_owner()
        return Database.open_existing(self.config.database)

    def deployment(self, id_part: str) -> tuple[Deployments, str]:
        """Return the write side, and the id of the deployment that a part of an id means.

        Raises `UnknownNameError` unless there is exactly one.
        """
        database = self.existing_database()
        if database is None:
            raise UnknownNameError(f"there is no deployment {id_part}: nothing was ever deployed")
        return Deployments(database), History(database).find(id_part)


def _user() -> str:
    """Return who runs the command, seen through sudo."""
    if os.geteuid() == 0 and (behind := os.environ.get("SUDO_USER")):
        return behind
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
