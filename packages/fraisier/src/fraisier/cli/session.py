"""What a command works with: the configuration, and the store that it names."""

from __future__ import annotations

import os
import pwd
import sys
from dataclasses import dataclass, field
from pathlib import Path

from fraisier_core.config import Config, ConfigSource, find_config
from fraisier_core.errors import UnknownNameError
from fraisier_core.plugins import Plugins
from fraisier_core.store.protocol import Reader, Store
from fraisier_core.system.host import Host
from fraisier_core.system.owner import become_owner, require_trusted


@dataclass(frozen=True, slots=True)
class Session:
    """The configuration of one command, read without the secrets of webhooks.

    Args:
        config: the configuration.
        source: where it comes from, for processes that run for longer.
        plugins: what is installed.
        user: who runs the command.
        host: this host.
    """

    config: Config
    source: ConfigSource
    plugins: Plugins
    user: str
    host: Host = field(default_factory=Host)

    @classmethod
    def start(cls, file: Path | None) -> Session:
        """Read the configuration.

        Args:
            file: what `--config` says.

        Raises `ConfigurationError`.
        """
        plugins = Plugins.installed()
        source = ConfigSource(find_config(file), plugins)
        return cls(source.current(), source, plugins, _user())

    def become_owner(self) -> None:
        """Act as the owner of the store from now on. Raises `StoreError` if this user may not."""
        become_owner(self.config.state_dir, sys.argv)
        require_trusted(self.config.path)

    def open_store(self) -> Store:
        """Open the store for writing, creating and migrating it as needed. Raises `StoreError`."""
        self.become_owner()
        return self.plugins.open_store(self.config.database, self.host)

    def reader(self) -> Reader | None:
        """Return the read side, None if there is no store yet: reading creates and changes nothing."""
        if not self.config.state_dir.exists():
            return None
        self.become_owner()
        scheme = self.config.database.partition(":")[0]
        return self.plugins.store(scheme).open_for_reading(self.config.database, self.host)

    def existing(self, id_part: str) -> tuple[Store, str]:
        """Return the store, and the id of the deployment that a part of an id means.

        Raises `UnknownNameError` unless there is exactly one.
        """
        reader = self.reader()
        if reader is None:
            raise UnknownNameError(f"there is no deployment {id_part}: nothing was ever deployed")
        found = reader.find(id_part)
        reader.close()
        return self.open_store(), found


def _user() -> str:
    """Return who runs the command, seen through sudo."""
    if os.geteuid() == 0 and (behind := os.environ.get("SUDO_USER")):
        return behind
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
