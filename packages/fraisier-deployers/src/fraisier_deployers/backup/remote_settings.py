"""What the configuration says of a place elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from fraisier_core import Section
from pydantic import AfterValidator, Field, model_validator

_RCLONE_REMOTE = re.compile(r"(?!-)(?:/|:?[A-Za-z0-9_][A-Za-z0-9_.+@ -]*:)[^\x00-\x1f]*")
_RSYNC_REMOTE = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?(?:[A-Za-z0-9][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\]):"
    r"[A-Za-z0-9_./+=@][A-Za-z0-9_./+=@-]*"
)


def _absolute(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError("must be an absolute path, without ..")
    return Path("/", *path.parts[1:])  # as two slashes in front stay, and nothing is relative to these


def _rclone_remote(remote: str) -> str:
    if not _RCLONE_REMOTE.fullmatch(remote):
        raise ValueError(
            "should be remote:path or an absolute path, without options:"
            " everybody could read them; write them to the configuration of rclone"
        )
    return remote


def _rsync_remote(remote: str) -> str:
    if not _RSYNC_REMOTE.fullmatch(remote):
        raise ValueError("should be user@host:/path, without spaces or other characters that shells read")
    return remote


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
RemoteName = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$")]


class RemoteSection(Section):
    """A place elsewhere where copies lie; exactly one of the first two.

    Args:
        rclone: a remote of rclone's and a path in it, as `remote:bucket/path`.
        rsync: a folder on another host, as `user@host:/path`, over ssh.
        config: the configuration file of rclone.
        identity: the private key of ssh.
        known_hosts: the host keys that ssh accepts.
        port: of ssh.
    """

    rclone: Annotated[str, AfterValidator(_rclone_remote)] | None = None
    rsync: Annotated[str, AfterValidator(_rsync_remote)] | None = None
    config: AbsolutePath | None = None
    identity: AbsolutePath | None = None
    known_hosts: AbsolutePath | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> RemoteSection:
        if (self.rclone is None) == (self.rsync is None):
            raise ValueError("set either rclone or rsync")
        if self.rsync is not None and self.config is not None:
            raise ValueError("config is for rclone alone")
        if self.rclone is not None and (self.identity or self.known_hosts or self.port):
            raise ValueError("identity, known_hosts and port are for rsync alone")
        return self
