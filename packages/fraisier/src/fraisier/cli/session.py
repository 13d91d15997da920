"""What a command works with: the configuration, the store that it names, and a process for a deployment."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from fraisier_core.errors import ConfigurationError, OutdatedStoreError, UnknownNameError

from fraisier.cli.any_session import AnySession
from fraisier.terminal import tell

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from fraisier_core.config import Config, Environment, StorePlace
    from fraisier_core.plugins import Plugins
    from fraisier_core.store.events import ObserverProblem
    from fraisier_core.store.protocol import DeploymentReader, Reader, Store
    from fraisier_core.store.records import Deployment
    from fraisier_core.units.timers import Key, TimerFacts

    from fraisier.cli.follow import Polling


class Session(AnySession):
    """What a command works with that needs only the store: where that is, and the configuration if it can be
    used, without the secrets of webhooks.
    """

    def __init__(self, place: StorePlace, plugins: Plugins, configured: Config | None = None) -> None:
        from fraisier_core.system.host import Host

        self.place = place
        self.plugins = plugins
        self.configured = configured
        self.host = Host()
        gc.freeze()  # look for garbage from now on, but not among what is imported
        gc.enable()

    @staticmethod
    def read(file: Path | None) -> Session:
        """Read the configuration that `--config` names; say what is wrong with it, if the place of the store
        can be read from it nevertheless. Raises `ConfigurationError`.
        """
        from fraisier_core.config import find_config, load_config
        from fraisier_core.plugins import Plugins

        plugins, path = Plugins.installed(), find_config(file)
        try:
            config = load_config(path, plugins, types=False)
        except ConfigurationError as error:
            place = _place_despite(error, path, plugins)
            tell(f"{error}\n{path} cannot be used; what follows is as the store has it", "yellow")
            return Session(place, plugins)
        return Session(config.place, plugins, config)

    @cached_property
    def user(self) -> str:
        """Who runs the command, seen through sudo."""
        return _user()

    def become_owner(self) -> None:
        """Act as the owner of the store from now on. Raises `StoreError` if this user may not."""
        from fraisier_core.system.owner import become_owner, require_trusted

        _ = self.user  # root is another user from here on
        become_owner(self.place.state_dir, sys.argv)
        require_trusted(self.place.path)

    def reader(self) -> Reader | None:
        """Return the read side, None if there is no store yet: reading creates nothing. Raises `StoreError`:
        `OutdatedStoreError` if an older version made the store.
        """
        from fraisier_core.system.owner import existing_place

        if existing_place(self.place.state_dir) == self.place.state_dir:
            self.become_owner()  # nothing is here otherwise, but the store may be on a server
        return self.plugins.store(self.place.database).open_for_reading(self.place.database, self.host)

    def require_store(self) -> None:
        """Raise `UnknownNameError` if there is no store, and `StoreError` as `reader` does."""
        self.existing_reader().close()

    def existing_reader(self) -> Reader:
        """Return the read side. Raises `UnknownNameError` if there is no store, `StoreError` as `reader`."""
        reader = self.reader()
        if reader is None:
            raise UnknownNameError(f"there is no store at {self.place.shown}: nothing was ever deployed")
        return reader

    def open_store(self) -> Store:
        """Open the store for writing, creating and migrating it as needed. Raises `StoreError`."""
        self.become_owner()
        return self.plugins.store(self.place.database).open(self.place.database, self.host)

    def existing_store(self) -> Store:
        """Open the store for writing, migrating it as needed. Raises `UnknownNameError` if there is none."""
        with suppress(OutdatedStoreError):
            self.require_store()
        return self.open_store()

    def found_delivery(self, id_part: str) -> tuple[Reader, str]:
        """Return the read side, and the id of a delivery. Raises `UnknownNameError` as `find_delivery`."""
        reader = self.reader()
        if reader is None:
            raise UnknownNameError(f"there is no delivery {id_part!r}: nothing was ever delivered")
        return reader, reader.find_delivery(id_part)

    def names(self, reader: DeploymentReader | None) -> dict[str, list[str]]:
        """Return the environments of each fraise, as configured now, else as the store was told last."""
        if self.configured is not None:
            return {name: list(fraise.environments) for name, fraise in self.configured.fraises.items()}
        found: dict[str, list[str]] = {}
        for each in reader.status() if reader else ():
            found.setdefault(each.fraise_id, []).append(each.environment)
        return found

    def undeletable(self, fraise: str, environment: str) -> dict[str, str]:
        """Return the old releases that cannot be deleted, and why."""
        from fraisier_core.engine.trash import undeletable

        return undeletable(self.place.state_dir, fraise, environment)

    def timers(
        self,
        names: Collection[tuple[str, str]],
        fired: Mapping[Key, str],
        deployed: Mapping[tuple[str, str], str | None],
    ) -> dict[Key, TimerFacts]:
        """Return what there is to say of the schedules of some environments."""
        keys = {"schedule", "restore_test"}
        configured = self.configured
        if configured is None or not any(keys & each.section.keys() for each in configured.environments):
            return {}
        from fraisier.cli.schedules import timers_of

        return timers_of(configured, names, fired, deployed)

    def backup_problems(self, made: Deployment, tested: Deployment | None = None) -> list[str]:
        """Return what `backups verify` found to be wrong with the copies of a backup, and no test since."""
        from fraisier_core.kept_backups import folder_of_backups

        from fraisier.cli.backup_marks import BackupMarks

        folder = folder_of_backups(self.place.state_dir, made.fraise_id, made.environment)
        found = BackupMarks(folder).problems(made.stored_name or "")
        if tested is not None and tested.stored_name == made.stored_name:
            since, where = tested.completed_at or "", tested.stored_at
            found = (each for each in found if each.destination != where or each.at > since)
        return [each.problem for each in found if each.problem]

    def observer_problems(self, reader: DeploymentReader | None) -> list[ObserverProblem]:
        """Return the last problem of each observer that ever had one."""
        return cast("Reader", reader).observer_problems() if reader else []

    def request_cancel(self, id_part: str) -> Deployment:
        """Request the cancellation of a deployment; return it as it is then. Raises `UnknownNameError`."""
        from fraisier_core.units.starting import start_next

        store = self.existing_store()
        found = store.request_cancel(store.find(id_part), self.user)
        start_next(store, found.fraise_id, found.environment)  # those that waited for it
        return found

    def changes(self, deployment_id: str) -> Polling:  # noqa: ARG002 - of whichever
        """Return what says to look often: the store is near."""
        from fraisier.cli.follow import Polling

        return Polling()


class ActingSession(Session):
    """What a command that acts works with: it follows the configuration, as `ConfigSource` does."""

    def __init__(
        self,
        file: Path | None,
        *,
        parts: Collection[str] = (),
        needs: Sequence[Sequence[str]] = (),
        last_good: bool = False,
    ) -> None:
        from fraisier_core.config import find_config
        from fraisier_core.config.source import ConfigSource
        from fraisier_core.plugins import Plugins

        plugins = Plugins.installed()
        path = find_config(file)
        self.source = ConfigSource(path, plugins, parts=parts, needs=needs, last_good=last_good)
        self.config = self.source.current()
        if self.source.problem is not None:
            tell(
                f"{self.source.problem}\n{path} cannot be used; its last good text is used instead", "yellow"
            )
        super().__init__(self.config.place, plugins, self.config)

    def configured_store(self) -> Store:
        """Open the store for writing as `open_store` does, and tell it what is configured on this host."""
        from fraisier_core.requests.requesting import configure_store

        store = self.open_store()
        configure_store(store, self.config, executes=True)
        return store

    def usable_environment(self, fraise: str, name: str) -> Environment:
        """Return an environment whose configuration is complete, before anything is requested."""
        from fraisier_core.engine.manual import usable_environment

        return usable_environment(self.config, fraise, name)


def _place_despite(problem: ConfigurationError, path: Path, plugins: Plugins) -> StorePlace:
    """Return where the store is, or raise the problem if there is none, or that cannot be told either."""
    from fraisier_core.config import place_of_store
    from fraisier_core.system.owner import existing_place

    try:
        place = place_of_store(path, plugins)
    except ConfigurationError:
        raise problem from None
    if existing_place(place.state_dir) != place.state_dir:
        raise problem
    return place


def fork_early() -> Connection:
    """Fork the process of a deployment, and return the line to it; `Foreground` tells it the rest."""
    import logging

    import fraisier_core.config.source  # noqa: F401 - what both need
    from fraisier_core.system.processes import forbid_dumps
    from fraisier_core.worker.jobs import execute_early
    from fraisier_core.worker.launcher import fork

    if os.environ.get("FRAISIER_DEBUG"):
        logging.basicConfig(level=logging.INFO)
    else:
        logging.getLogger().addHandler(logging.NullHandler())
    forbid_dumps()
    return fork("deployment process", execute_early)


def _user() -> str:
    """Return who runs the command, seen through sudo."""
    if os.geteuid() == 0 and (behind := os.environ.get("SUDO_USER")):
        return behind
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
