"""What a command works with: the configuration, and the store that it names."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fraisier_core.errors import OutdatedStoreError, UnknownNameError

if TYPE_CHECKING:
    from fraisier_core.config import Config, ConfigSource
    from fraisier_core.plugins import Plugins
    from fraisier_core.store.protocol import Reader, Store
    from fraisier_core.system.host import Host


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
    host: Host

    @classmethod
    def start(cls, file: Path | None) -> Session:
        """Read the configuration; what that needs is imported here, so that completion stays fast.

        Args:
            file: what `--config` says.

        Raises `ConfigurationError`.
        """
        from fraisier_core.config import ConfigSource, find_config
        from fraisier_core.plugins import Plugins
        from fraisier_core.system.host import Host

        plugins = Plugins.installed()
        source = ConfigSource(find_config(file), plugins)
        return cls(source.current(), source, plugins, _user(), Host())

    def providers(self) -> Collection[str]:
        """Return the names of the installed providers."""
        from fraisier_core.plugins import PROVIDERS

        return self.plugins.names(PROVIDERS)

    def become_owner(self) -> None:
        """Act as the owner of the store from now on. Raises `StoreError` if this user may not."""
        from fraisier_core.system.owner import become_owner, require_trusted

        become_owner(self.config.state_dir, sys.argv)
        require_trusted(self.config.path)

    def reader(self) -> Reader | None:
        """Return the read side, None if there is no store yet: reading creates and changes nothing.

        Raises `StoreError`: `OutdatedStoreError` if an older version made the store.
        """
        from fraisier_core.system.owner import existing_place

        if existing_place(self.config.state_dir) != self.config.state_dir:
            return None
        self.become_owner()
        scheme = self.config.database.partition(":")[0]
        return self.plugins.store(scheme).open_for_reading(self.config.database, self.host)

    def found(self, id_part: str) -> tuple[Reader, str]:
        """Return the read side, and the id of the deployment that a part of an id means.

        Raises `UnknownNameError` unless there is exactly one.
        """
        reader = self.reader()
        if reader is None:
            raise UnknownNameError(f"there is no deployment {id_part!r}: nothing was ever deployed")
        return reader, reader.find(id_part)

    def open_store(self) -> Store:
        """Open the store for writing, creating and migrating it as needed. Raises `StoreError`."""
        self.become_owner()
        return self.plugins.open_store(self.config.database, self.host)

    def existing_store(self) -> Store:
        """Open the store for writing, migrating it as needed. Raises `UnknownNameError` if there is none."""
        with suppress(OutdatedStoreError):
            reader = self.reader()
            if reader is None:
                raise UnknownNameError(
                    f"there is no store at {self.config.database}: nothing was ever deployed"
                )
            reader.close()
        return self.open_store()


def _user() -> str:
    """Return who runs the command, seen through sudo."""
    if os.geteuid() == 0 and (behind := os.environ.get("SUDO_USER")):
        return behind
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
