from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from fraisier_core.errors import ConfigurationError, StoreError
from fraisier_core.system.owner import become_owner, require_trusted

from tests.users import as_root

NOBODY = pwd.getpwnam("nobody")
ARGV = ["/opt/venv/bin/fraisier", "status", "my api"]


def in_a_child(state_dir: Path, uid: int, installation: Path = Path("/")) -> dict[str, Any]:
    """Return who a process of user `uid` is after `become_owner`, or what it was told."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        answer: dict[str, Any]
        try:
            if uid != 0:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
            become_owner(state_dir, ARGV, installation)
            answer = {"uid": os.getuid(), "groups": os.getgroups(), "home": os.environ["HOME"]}
        except StoreError as error:
            answer = {"refused": str(error)}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        found: dict[str, Any] = json.load(answers)
    os.wait()
    return found


def test_the_owner_stays_who_it_is(tmp_path: Path) -> None:
    assert in_a_child(tmp_path, os.getuid())["uid"] == os.getuid()


@as_root
def test_root_becomes_the_owner_of_the_state_folder(reachable_folder: Path) -> None:
    os.chown(reachable_folder, NOBODY.pw_uid, NOBODY.pw_gid)
    became = in_a_child(reachable_folder, 0)
    assert became == {"uid": NOBODY.pw_uid, "groups": [NOBODY.pw_gid], "home": NOBODY.pw_dir}


@as_root
def test_root_becomes_the_owner_of_the_folder_that_it_will_be_made_in(reachable_folder: Path) -> None:
    os.chown(reachable_folder, NOBODY.pw_uid, NOBODY.pw_gid)
    assert in_a_child(reachable_folder / "not" / "yet", 0)["uid"] == NOBODY.pw_uid


@as_root
def test_root_becomes_an_owner_without_an_account(reachable_folder: Path) -> None:
    os.chown(reachable_folder, 54321, 54321)
    assert in_a_child(reachable_folder, 0)["uid"] == 54321


@as_root
def test_another_user_is_told_how_to_run_the_command(reachable_folder: Path) -> None:
    os.chown(reachable_folder, NOBODY.pw_uid, NOBODY.pw_gid)
    told = in_a_child(reachable_folder, 12345)["refused"]
    assert (
        told == f"{reachable_folder} belongs to another user: run `sudo -u nobody fraisier status 'my api'`"
    )


@as_root
def test_another_user_is_told_where_the_folder_cannot_be_made(reachable_folder: Path) -> None:
    assert "`sudo -u root fraisier" in in_a_child(reachable_folder / "state", 12345)["refused"]


@as_root
def test_whoever_can_make_the_folder_will_be_its_owner(reachable_folder: Path) -> None:
    reachable_folder.chmod(0o777)
    assert in_a_child(reachable_folder / "state", 12345)["uid"] == 12345


@as_root
def test_an_owner_who_cannot_read_the_installation_is_told(reachable_folder: Path) -> None:
    os.chown(reachable_folder, NOBODY.pw_uid, NOBODY.pw_gid)
    private = reachable_folder / "private"
    private.touch(mode=0o600)
    told = in_a_child(reachable_folder, 0, private)["refused"]
    assert told.startswith(f"{reachable_folder} belongs to nobody, who cannot read {private}: install Python")


def test_a_configuration_of_ones_own_is_trusted(tmp_path: Path) -> None:
    config = tmp_path / "fraises.yaml"
    config.write_text("fraises: {}")
    require_trusted(config)


def test_a_configuration_that_everyone_may_write_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "fraises.yaml"
    config.write_text("fraises: {}")
    config.chmod(0o666)
    with pytest.raises(ConfigurationError, match="chmod o-w"):
        require_trusted(config)


@as_root
def test_a_configuration_of_another_user_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "fraises.yaml"
    config.write_text("fraises: {}")
    os.chown(config, NOBODY.pw_uid, NOBODY.pw_gid)
    with pytest.raises(ConfigurationError, match="belongs to nobody, and is not trusted"):
        require_trusted(config)
