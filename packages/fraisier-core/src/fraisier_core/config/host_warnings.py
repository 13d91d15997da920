"""What is configured and cannot work on this host, as far as the plugins can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from fraisier_core.config.configuration import Config
from fraisier_core.config.yamlfile import Keys, read_document
from fraisier_core.plugins import Deployer, Observer, Plugins
from fraisier_core.text.redaction import Redactor

Found = tuple[Keys, Mapping[str, str], frozenset[str]]
"""A section, the problems by its keys, and what is redacted in them."""


def host_warnings(config: Config, plugins: Plugins, path: Path) -> list[str]:
    """Return a line for each problem, with its place in the file `path`, which everything was read from.

    Raises `PluginError`, and what keeps the settings of an environment from being known.
    """
    document = read_document(config.text, path)
    warnings: list[tuple[int, str]] = []
    for section, problems, secrets in (*_of_environments(config, plugins), *_of_observers(config, plugins)):
        redactor = Redactor(secrets)
        for key, problem in problems.items():
            keys: Keys = (*section, *filter(None, key.split(".")))
            line, where = document.line(keys), ".".join(map(str, keys))
            warnings.append((line, f"{path}:{line}: {where}: {redactor.redact(problem)}"))
    return [text for _, text in sorted(warnings, key=itemgetter(0))]


def _of_environments(config: Config, plugins: Plugins) -> Iterator[Found]:
    for each in config.environments:
        deployer = plugins.deployer(config.fraise(each.fraise).type)
        keys = "fraises", each.fraise, "environments", each.name
        yield keys, _asked(deployer, each.settings), each.secrets


def _of_observers(config: Config, plugins: Plugins) -> Iterator[Found]:
    for name, settings in config.observers.active.items():
        yield (name,), _asked(plugins.observer(name), settings), config.observers.secrets


def _asked(plugin: Deployer | Observer, settings: Any) -> Mapping[str, str]:
    """Return what a plugin warns of; that it cannot tell is a warning, because the configuration is valid."""
    try:
        return plugin.warnings(settings)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        return {"": f"{plugin.name} cannot tell what is wrong on this host: {type(error).__name__}: {error}"}
