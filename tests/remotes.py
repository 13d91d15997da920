"""The sections of `remotes:` that reach the servers of tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.ssh_server import SshServer
from tests.webdav import WebDav


def require(*programs: str) -> None:
    """Skip the test if a program is not installed."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def dav_remote(dav: WebDav, folder: Path) -> dict[str, object]:
    """Return the section of a folder at a WebDAV server; the configuration of rclone is made in `folder`."""
    require("rclone")
    config = folder / "rclone.conf"
    config.write_text(f"[dav]\ntype = webdav\nurl = {dav.url}\nvendor = other\n")
    return {"rclone": "dav:backups/shop", "config": str(config)}


def ssh_remote(server: SshServer, folder: Path | str, identity: Path) -> dict[str, object]:
    """Return the section of a folder that rsync reaches over ssh."""
    require("rsync")
    return {
        "rsync": f"{server.login}:{folder}",
        "port": server.port,
        "identity": str(identity),
        "known_hosts": str(server.known_hosts),
    }
