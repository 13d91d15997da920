"""`fraisier config`: whether the configuration can be used, its JSON Schema, and the units of its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from fraisier_core.errors import ConfigurationError, PluginError

from fraisier.cli.parameters import ConfigFile, Json, command_app
from fraisier.terminal import print_json, say

if TYPE_CHECKING:
    from fraisier_core.config import Config

app = command_app(groups="Check the configuration, and install the units of its jobs.")


@app.command()
def check(config: ConfigFile = None, as_json: Json = False) -> None:
    """Validate all of it, secrets included, and show every problem."""
    from fraisier_core.config import PARTS, find_config, load_config
    from fraisier_core.config.host_warnings import host_warnings
    from fraisier_core.plugins import Plugins

    path, plugins = find_config(config), Plugins.installed()
    try:
        loaded = load_config(path, plugins, parts=PARTS)
        _require_usable(loaded)
        warnings = [*loaded.warnings, *host_warnings(loaded, plugins, path), *_left_units(loaded)]
    except (ConfigurationError, PluginError) as error:
        if as_json:
            print_json({"path": str(path), "ok": False, "problems": str(error).splitlines(), "warnings": []})
        raise
    if as_json:
        print_json({"path": str(path), "ok": True, "problems": [], "warnings": warnings})
    else:
        for warning in warnings:
            say(f"warning: {warning}")
        environments = sum(len(fraise.environments) for fraise in loaded.fraises.values())
        found = f"{_plural(len(loaded.fraises), 'fraise')} in {_plural(environments, 'environment')}"
        outcome = _plural(len(warnings), "warning") if warnings else "no problem found"
        say(f"{loaded.path}: {found}, {outcome}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from fraisier_core.config.schema import config_schema
    from fraisier_core.plugins import Plugins

    print_json(config_schema(Plugins.installed()))


@app.command()
def install(
    config: ConfigFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show it, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Install the units of jobs, and remove those of others; as root."""
    from fraisier_core.config import find_config, load_config
    from fraisier_core.plugins import Plugins

    from fraisier.cli.config_install import install_units, require_trusted_by_root, tell_store

    path, plugins = find_config(config), Plugins.installed()
    require_trusted_by_root(path, plugins)
    loaded = load_config(path, plugins)
    install_units(loaded, dry_run=dry_run, as_json=as_json)
    if not dry_run:
        tell_store(loaded, plugins)


def _require_usable(config: Config) -> None:
    problems = [fraise.problem for fraise in config.fraises.values() if fraise.problem]
    absent = *config.git.missing.values(), *config.observers.missing.values(), *config.mounts.missing.values()
    missing = list(dict.fromkeys([*absent, *problems]))
    if config.unset:
        raise ConfigurationError([*config.unset.values(), *missing])
    if missing:
        raise PluginError("\n".join(missing))


def _left_units(config: Config) -> list[str]:
    from fraisier_core.units.installed_units import left_timers

    names = [(each.fraise, each.name) for each in config.environments]
    remedy = "is installed for an environment that is gone: run `sudo fraisier config install`"
    return [f"{each} {remedy}" for each in left_timers(config.path, names)]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
