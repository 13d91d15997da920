"""What forked processes do, and how a launcher is started that forks them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from fraisier_core.config import Config
from fraisier_core.config.source import ConfigSource
from fraisier_core.engine.trash import empty_trash
from fraisier_core.errors import FraisierError, PluginError
from fraisier_core.plugins import Plugins
from fraisier_core.system.environment import is_inherited
from fraisier_core.system.host import Host
from fraisier_core.system.owner import become_owner
from fraisier_core.system.priority import yield_to_others
from fraisier_core.system.processes import forbid_dumps
from fraisier_core.worker.assignment import receive, send
from fraisier_core.worker.launcher import Jobs, Launcher, Warmth

DEPLOYMENT, DELETE, ASK, START = "deployment", "delete", "ask", "start"
LOWEST_PRIORITY = 19


def jobs(warmth: Warmth, plugins: Plugins) -> Jobs:
    """Return what a launcher forks processes for, and load what they need: no fork has to then."""
    from fraisier_core.worker.asking import ask_repository

    for kind in warmth.types:
        with suppress(PluginError):  # a deployment of this type ends with the reason
            plugins.deployer(kind)
    with suppress(FraisierError):  # each process says so itself
        plugins.store(warmth.database).open(warmth.database, Host(warmth.host)).close()
    return {
        DEPLOYMENT: _deployment(warmth, plugins),
        DELETE: delete_old_releases,
        ASK: ask_repository,
        START: start_units,
    }


def execute_early(line: Connection) -> None:
    """Be a deployment process that is forked before the configuration is read, and told of it later."""
    import fraisier_core.worker.process  # noqa: F401

    plugins = Plugins.installed()
    if told := receive(line):
        warmth, state_dir = told
        become_owner(state_dir, sys.argv)
        forbid_dumps()  # a change of user undoes it
        _deployment(warmth, plugins)(line)


def _deployment(warmth: Warmth, plugins: Plugins) -> Callable[[Connection], None]:
    from fraisier_core.worker.process import DeploymentProcess

    return DeploymentProcess(warmth.database, Host(warmth.host), plugins, warmth.types)


def delete_old_releases(line: Connection) -> None:
    """Delete what is set aside in the state folder that is sent, and say so; end at once with the owner."""
    state_dir = receive(line)
    if state_dir is not None:
        yield_to_others(LOWEST_PRIORITY)
        threading.Thread(target=_end_with_owner, args=[line], daemon=True).start()
        empty_trash(Path(state_dir))
        send(line, "done")


def start_units(line: Connection) -> None:
    """Start the units of the runs that are sent, and say what became of each."""
    from fraisier_core.units.starting import start_missing

    waiting = receive(line)
    if waiting is not None:
        send(line, start_missing(waiting))


def _end_with_owner(line: Connection) -> None:
    receive(line)
    os._exit(0)


def warmth_of(config: Config, host: Host) -> Warmth:
    """Return what processes are to be ready for under a configuration."""
    return Warmth(config.database, host.name, sorted({fraise.type for fraise in config.fraises.values()}))


def start_launcher(warmth: Warmth, source: ConfigSource) -> Launcher:
    """Start a launcher, without the variables that the configuration needs: their values are assigned."""
    needed = set().union(*source.current().variables.values())
    environ = {name: value for name, value in os.environ.items() if is_inherited(name) or name not in needed}
    return Launcher(warmth, environ)
