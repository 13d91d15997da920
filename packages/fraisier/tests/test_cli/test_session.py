from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from fraisier.cli.session import ActingSession, Session
from fraisier_core.errors import StoreError

from tests.stores import open_store
from tests.users import as_root


@as_root
def test_before_the_first_deployment_every_user_may_read(reachable_folder: Path) -> None:
    config = reachable_folder / "fraises.yaml"
    config.write_text("fraises: {my_api: {type: api, environments: {production: {}}}}\n")
    session = Session.read(config)
    if (child := os.fork()) == 0:
        os.setuid(12345)
        os._exit(0 if session.reader() is None else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(("folder_mode", "answer"), [(0o700, "[]"), (0o500, "StoreError")])
@as_root
def test_a_store_that_this_user_cannot_write_is_read_or_refused(
    reachable_folder: Path, folder_mode: int, answer: str
) -> None:
    config = reachable_folder / "fraises.yaml"
    config.write_text("fraises: {my_api: {type: api, environments: {production: {}}}}\n")
    state = reachable_folder / ".fraisier"
    open_store(state / "fraisier.db").close()
    for path in (config, state, *state.iterdir()):
        os.chown(path, 12345, 12345)
        path.chmod(folder_mode if path == state else 0o400)
    session = Session.read(config)
    if (child := os.fork()) == 0:
        os.setuid(12345)
        try:
            reader = session.reader()
            found = repr(reader.deployments()) if reader else ""
        except StoreError:
            found = "StoreError"
        os._exit(0 if found == answer else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(("behind", "user"), [({}, "root"), ({"SUDO_USER": "behind"}, "behind")])
@as_root
def test_who_asks_is_seen_through_sudo(reachable_folder: Path, behind: dict[str, str], user: str) -> None:
    """Also once the command acts as the owner of the state folder."""
    config = reachable_folder / "fraises.yaml"
    config.write_text("fraises: {my_api: {type: api, environments: {production: {}}}}\n")
    state = reachable_folder / ".fraisier"
    state.mkdir()
    os.chown(state, 12345, 12345)
    if (child := os.fork()) == 0:
        os.environ.pop("SUDO_USER", None)
        os.environ |= behind
        session = ActingSession(config)
        with suppress(StoreError):  # where this Python is, only root may look
            session.become_owner()
        os._exit(0 if (os.geteuid(), session.user) == (12345, user) else 1)
    assert os.waitpid(child, 0)[1] == 0
