"""What is configured and what is installed: `list`, `plugins`, `config`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fraisier_core.config import Config, find_config, load_config
from fraisier_core.config.fraise import Environment, Fraise
from fraisier_core.config.schema import config_schema
from fraisier_core.errors import ConfigurationError, PluginError
from fraisier_core.plugins import PROVIDERS, Plugins

from fraisier.cli.session import Session
from fraisier.cli.tables import Cell, print_table, status_cell
from fraisier.terminal import print_json, say, tell


def show_list(file: Path | None, *, as_json: bool) -> None:
    """Show every fraise and environment, and what is to be installed if something is missing."""
    session = Session.start(file)
    if missing := provider_to_install(session.config.git.default, session.plugins.names(PROVIDERS)):
        tell(missing, "yellow")
    environments = [
        (fraise, environment)
        for fraise in session.config.fraises.values()
        for environment in fraise.environments.values()
    ]
    if as_json:
        print_json([_listed(*each) for each in environments])
        return
    titles = ("FRAISE", "ENVIRONMENT", "TYPE", "NAME", "BRANCH", "DESCRIPTION")
    print_table(titles, [_row(*each) for each in environments])
    for problem in sorted({fraise.problem for fraise, _ in environments if fraise.problem}):
        tell(problem, "red")


def show_plugins(*, as_json: bool) -> None:
    """Show every installed plugin, and why one was set aside."""
    reports = Plugins.installed().report()
    if as_json:
        print_json([asdict(report) for report in reports])
        return
    titles = ("NAME", "GROUP", "PACKAGE", "VERSION", "STATUS", "REASON")
    rows = [
        (each.name, each.group, each.distribution, each.version, status_cell(each.status), each.reason)
        for each in reports
    ]
    print_table(titles, rows)


def check_config(file: Path | None, *, as_json: bool) -> None:
    """Read the whole configuration, secrets included, and show every problem.

    Raises `ConfigurationError` or `PluginError` with all of them.
    """
    path = find_config(file)
    try:
        config = load_config(path, Plugins.installed(), with_secrets=True)
        _check_usable(config)
    except (ConfigurationError, PluginError) as error:
        if as_json:
            print_json({"path": str(path), "ok": False, "problems": str(error).splitlines()})
        raise
    if as_json:
        print_json({"path": str(path), "ok": True, "problems": []})
    else:
        say(f"{config.path}: {_count(config)}, no problem found")


def print_schema() -> None:
    """Print the JSON Schema of the configuration, with what is installed."""
    print_json(config_schema(Plugins.installed()))


def _check_usable(config: Config) -> None:
    problems = [fraise.problem for fraise in config.fraises.values() if fraise.problem]
    missing = list(dict.fromkeys([*config.git.missing.values(), *problems]))
    if config.unset:
        raise ConfigurationError([*config.unset.values(), *missing])
    if missing:
        raise PluginError("\n".join(missing))


def _count(config: Config) -> str:
    environments = sum(len(fraise.environments) for fraise in config.fraises.values())
    return f"{_plural(len(config.fraises), 'fraise')} in {_plural(environments, 'environment')}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def provider_to_install(wanted: str | None, installed: Collection[str]) -> str | None:
    """Return what to install before a push can deploy anything; None if nothing is missing.

    Args:
        wanted: the provider that `git.provider` names.
        installed: the providers there are.
    """
    if wanted is not None and wanted not in installed:
        return f"git.provider: {wanted} is not installed; try: pip install fraisier-{wanted}"
    if not installed:
        return (
            "no Git provider is installed, so no push can deploy anything; install the one of your forge, "
            "for example: pip install fraisier-github, or fraisier-gitlab"
        )
    return None


def _row(fraise: Fraise, environment: Environment) -> tuple[Cell | str | None, ...]:
    kind = Cell(fraise.type, "red" if fraise.problem else None)
    name = _display_name(environment)
    return fraise.name, environment.name, kind, name, environment.branch, fraise.description


def _listed(fraise: Fraise, environment: Environment) -> dict[str, Any]:
    return {
        "fraise_id": fraise.name,
        "environment": environment.name,
        "type": fraise.type,
        "name": _display_name(environment),
        "description": fraise.description or None,
        "branch": environment.branch,
        "app_path": str(environment.app_path) if environment.app_path else None,
        "problem": fraise.problem,
    }


def _display_name(environment: Environment) -> str | None:
    return environment.settings.name if not isinstance(environment.outcome, Exception) else None
