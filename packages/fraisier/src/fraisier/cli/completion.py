"""Completion of names from the configuration: read as it is written, so that it stays fast."""

from __future__ import annotations

import typer


def complete_fraise(ctx: typer.Context) -> list[str]:
    """Return the configured fraises; typer offers those that begin as the word does."""
    return _section(ctx)


def complete_environment(ctx: typer.Context) -> list[str]:
    """Return the environments of the fraise that is named before."""
    return _section(ctx, str(ctx.params.get("fraise")), "environments")


def _section(ctx: typer.Context, *keys: str) -> list[str]:
    """Return the keys of a section below `fraises:`; none if there is no configuration to read."""
    from fraisier_core.config import find_config
    from fraisier_core.config.yamlfile import YamlError, config_text, parse_yaml
    from fraisier_core.errors import ConfigurationError

    try:
        value = parse_yaml(config_text(find_config(ctx.obj))).value
    except (ConfigurationError, YamlError):
        return []
    for key in ("fraises", *keys):
        value = value.get(key) if isinstance(value, dict) else None
    return [str(key) for key in value] if isinstance(value, dict) else []
