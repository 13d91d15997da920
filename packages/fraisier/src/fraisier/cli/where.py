"""Whether a command works on the host or from afar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from fraisier_core.errors import RemoteError

if TYPE_CHECKING:
    from fraisier.cli.any_session import AnySession
    from fraisier.cli.remote_session import RemoteSession


def session_of(ctx: typer.Context, file: Path | None) -> AnySession:
    """Return what a command reads with: the Fraisier that `--url` names, else the configuration. Raises
    `RemoteError` and `ConfigurationError`.
    """
    if (remote := remote_session(ctx, file)) is not None:
        return remote
    from fraisier.cli.session import Session

    return Session.read(file)


def require_host(ctx: typer.Context, file: Path | None) -> None:
    """Raise `RemoteError` if `--url` is given: a command works on the host alone."""
    if remote_session(ctx, file) is not None:
        name = ctx.command_path.partition(" ")[2]
        raise RemoteError(f"`fraisier {name}` works on the host alone: run it there, without --url")


def remote_session(ctx: typer.Context, file: Path | None) -> RemoteSession | None:
    """Return what a command works with from afar, None on the host. Raises `RemoteError`."""
    given = ctx.find_root().params
    url, token_file = given.get("_url"), given.get("_token_file")
    if url is None:
        return None
    if file is not None:
        raise RemoteError("give --config for this host or --url for another machine, not both")
    from fraisier.cli.remote_session import RemoteSession
    from fraisier.remote.remote_place import RemotePlace

    return RemoteSession(RemotePlace.of(url, token_file))
