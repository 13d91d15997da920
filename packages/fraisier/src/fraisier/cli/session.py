"""What a command works with: the configuration, and the store that it names."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fraisier_core.errors import OutdatedStoreError, UnknownNameError

if TYPE_CHECKING:
    from fraisier_core.config import Config
    from fraisier_core.config.source import ConfigSource
    from fraisier_core.plugins import Plugins
    from fraisier_core.store.protocol import Reader, Store


class Session:
    """What a command works with that only reads: the configuration, without the secrets of webhooks.

    Args:
        config: the configuration.
        plugins: what is installed.
    """

    def __init__(self, config: Config, plugins: Plugins) -> None:
        from fraisier_core.system.host import Host

        self.config = config
        self.plugins = plugins
        self.host = Host()

    @classmethod
    def start(cls, file: Path | None, *, types: bool = False) -> Self:
        """Read the configuration; what that needs is imported here, so that completion stays fast.

        Args:
            file: what `--config` says.
            types: whether fraise types are loaded, and validate their own keys.

        Raises `ConfigurationError`.
        """
        from fraisier_core.config import find_config, load_config
        from fraisier_core.plugins import Plugins

        plugins = Plugins.installed()
        config = load_config(find_config(file), plugins, types=types)
        _collect_garbage()
        return cls(config, plugins)

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


class ActingSession(Session):
    """What a command works with that changes something.

    Args:
        source: the configuration, followed while the command runs.
        plugins: what is installed.
    """

    def __init__(self, source: ConfigSource, plugins: Plugins) -> None:
        super().__init__(source.current(), plugins)
        self.source = source
        self.user = _user()

    @classmethod
    def start(cls, file: Path | None, *, types: bool = True) -> Self:  # noqa: ARG003 - acting takes them all
        """Read the configuration, as `Session.start` does."""
        from fraisier_core.config import find_config
        from fraisier_core.config.source import ConfigSource
        from fraisier_core.plugins import Plugins

        plugins = Plugins.installed()
        source = ConfigSource(find_config(file), plugins)
        _collect_garbage()
        return cls(source, plugins)

    def open_store(self) -> Store:
        """Open the store for writing, creating and migrating it as needed. Raises `StoreError`."""
        self.become_owner()
        return self.plugins.open_store(self.config.database, self.host)

    def existing_store(self) -> Store:
        """Open the store for writing, migrating it as needed. Raises `UnknownNameError` if there is none."""
        with suppress(OutdatedStoreError):
            reader = self.reader()
            if reader is None:
                where = self.config.database
                raise UnknownNameError(f"there is no store at {where}: nothing was ever deployed")
            reader.close()
        return self.open_store()


def _collect_garbage() -> None:
    """Look for garbage from now on, but not among what is imported."""
    gc.freeze()
    gc.enable()


def _user() -> str:
    """Return who runs the command, seen through sudo."""
    if os.geteuid() == 0 and (behind := os.environ.get("SUDO_USER")):
        return behind
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
