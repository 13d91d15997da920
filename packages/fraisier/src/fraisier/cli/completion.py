"""What the shell offers for an argument: names from the configuration, ids and releases from the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from fraisier_core.kept_backups import KeptBackups
    from fraisier_core.store.protocol import Reader

OFFERED = 50


def fraises(ctx: typer.Context, incomplete: str) -> list[str]:  # noqa: ARG001 - as all of them
    """Return the configured fraises."""
    return _section(ctx)


def environments(ctx: typer.Context, incomplete: str) -> list[str]:  # noqa: ARG001 - as all of them
    """Return the environments of the fraise that is named before."""
    return _section(ctx, str(ctx.params.get("fraise")), "environments")


def providers(ctx: typer.Context, incomplete: str) -> list[str]:  # noqa: ARG001 - as all of them
    """Return the sections of the configured providers."""
    return [name for name in _keys(ctx, "git") if name != "provider"]


def notified(ctx: typer.Context, incomplete: str) -> list[str]:  # noqa: ARG001 - as all of them
    """Return the names of those who are notified."""
    return [name for name in _keys(ctx, "notify") if name != "timeout"]


def deployments(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the newest deployments, by the end of their ids or, if the word begins it, the whole."""
    found = reader.deployments(limit=OFFERED) if (reader := _reader(ctx)) else []
    told = {each.id: f"{each.kind} of {each.fraise_id} {each.environment}: {each.status}" for each in found}
    return _ids(told, incomplete)


def deliveries(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the newest deliveries, as `deployments` does."""
    found = reader.deliveries(limit=OFFERED) if (reader := _reader(ctx)) else []
    return _ids({each.id: f"{each.provider} {each.ref or ''}: {each.verdict}" for each in found}, incomplete)


def tokens(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:  # noqa: ARG001 - as all of them
    """Return the tokens that are not revoked, by their names."""
    found = reader.tokens() if (reader := _reader(ctx)) else []
    return [(each.name, f"{each.prefix}...") for each in found if each.revoked_at is None]


def fraises_and_deployments(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the configured fraises and the newest deployments."""
    return [*((name, "its newest deployment") for name in _section(ctx)), *deployments(ctx, incomplete)]


def releases(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the releases that the environment named before can be rolled back to, and their commits if the
    word begins one.
    """
    fraise, begun, *_ = [
        *ctx.args,
        "",
        "",
    ]  # where an option without its value leaves them
    known = _section(ctx, fraise, "environments")
    names = [each for each in known if each == begun] or [each for each in known if each.startswith(begun)]
    reader = _reader(ctx)
    found = reader.healthy_releases(fraise, names[0]) if reader and len(names) == 1 else []
    offered = {each.release: f"commit {each.commit_sha[:12]}" for each in found}
    commits = {each.commit_sha: f"release {each.release}" for each in found} if incomplete else {}
    return list((offered | commits).items())


def backup_names(ctx: typer.Context, incomplete: str) -> list[str]:  # noqa: ARG001 - as all of them
    """Return the backups of the environment named before that lie on this host, and `latest`."""
    kept = _kept_backups(ctx)
    return ["latest", *kept.names()[:OFFERED]] if kept else []


def backup_places(ctx: typer.Context, incomplete: str) -> list[str]:  # noqa: ARG001 - as all of them
    """Return the places of the environment named before."""
    kept = _kept_backups(ctx)
    return list(kept.places()) if kept else []


def _kept_backups(ctx: typer.Context) -> KeptBackups | None:
    """Return the backups of the environment named before, None if they cannot be looked at."""
    from fraisier_core.errors import FraisierError

    from fraisier.cli.backup_session import backup_session

    given: list[str] = [value for name in ("fraise", "environment") if (value := ctx.params.get(name))]
    fraise, environment, *_ = [*given, *ctx.args, "", ""]  # where an option without its value leaves them
    try:
        return backup_session(ctx.obj, fraise, environment, quiet=True).backups
    except FraisierError:
        return None


def _ids(told: Mapping[str, str], incomplete: str) -> list[tuple[str, str]]:
    """Return the end of each id or, if the word begins it, the whole, each with what it is."""
    from fraisier.cli.tables import short_id

    ends = [(short_id(each), what) for each, what in told.items()]
    return [*ends, *told.items()] if incomplete else ends


def _reader(ctx: typer.Context) -> Reader | None:
    """Return the read side, None if there is none that this user may read: the shell is told no reason."""
    from fraisier_core.config import find_config, place_of_store
    from fraisier_core.errors import FraisierError
    from fraisier_core.plugins import Plugins

    from fraisier.cli.session import Session

    plugins = Plugins.installed()
    try:
        return Session(place_of_store(find_config(ctx.obj), plugins), plugins).reader()
    except FraisierError:
        return None


def _section(ctx: typer.Context, *keys: str) -> list[str]:
    """Return the keys of a section below `fraises:`."""
    return _keys(ctx, "fraises", *keys)


def _keys(ctx: typer.Context, *keys: str) -> list[str]:
    """Return the keys of a section, read as it is written: completion has to be fast."""
    from fraisier_core.config import find_config
    from fraisier_core.config.finding import config_text
    from fraisier_core.config.yamlfile import YamlError, parse_yaml
    from fraisier_core.errors import ConfigurationError

    try:
        value = parse_yaml(config_text(find_config(ctx.obj))).value
    except (ConfigurationError, YamlError):
        return []
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return [str(key) for key in value] if isinstance(value, dict) else []
