"""Commands of users who may not read everything, in folders that they may not read."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.command import FRAISIER
from tests.users import as_root

NOBODY = pwd.getpwnam("nobody")
STRANGER = 12345
CONFIG = "fraises: {my_api: {type: api, environments: {production: {}}}}\n"
READING = [["status"], ["history"], ["show", "abcd"], ["logs", "my_api"], ["list"], ["cancel", "abcd"]]

pytestmark = as_root


@pytest.fixture
def folder(reachable_folder: Path) -> Path:
    """A folder with a configuration."""
    (reachable_folder / "fraises.yaml").write_text(CONFIG)
    return reachable_folder


def as_stranger(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", FRAISIER, *arguments],
        cwd=cwd,
        env={"PATH": os.defpath, "LANG": "C.UTF-8"} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_configuration_that_may_not_be_read_is_told_in_one_sentence(
    folder: Path, command: list[str]
) -> None:
    config = folder / "fraises.yaml"
    config.chmod(0o600)
    os.chown(config, NOBODY.pw_uid, NOBODY.pw_gid)
    line = " ".join(command)
    done = as_stranger(*command, cwd=folder)
    told = f"fraises.yaml: this user may not read it; run `sudo -u nobody fraisier {line}`\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", told)
    done = as_stranger(*command, cwd=Path("/"), FRAISIER_CONFIG=str(config))
    told = f"{config}: this user may not read it; run `sudo -u nobody fraisier -c {config} {line}`\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", told)


def test_whoever_owns_the_store_is_named_before_the_owner_of_the_file(folder: Path) -> None:
    (folder / "fraises.yaml").chmod(0o600)
    (folder / ".fraisier").mkdir()
    os.chown(folder / ".fraisier", NOBODY.pw_uid, NOBODY.pw_gid)
    assert "`sudo -u nobody fraisier status`" in as_stranger("status", cwd=folder).stderr


def test_a_configuration_in_a_folder_that_may_not_be_searched_is_told(folder: Path) -> None:
    hidden = folder / "hidden"
    hidden.mkdir(mode=0o700)
    shutil.copy(folder / "fraises.yaml", hidden)
    for cwd, given in (
        (hidden, []),
        (folder, ["-c", "hidden/fraises.yaml"]),
        (hidden, ["-c", "fraises.yaml"]),
    ):
        done = as_stranger("status", *given, cwd=cwd)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.endswith(f"run `sudo -u root fraisier {' '.join(['status', *given])}`\n")
    assert as_stranger("-c", str(folder / "fraises.yaml"), "status", cwd=hidden).returncode == 0


def test_a_state_folder_that_is_out_of_sight_is_told(folder: Path) -> None:
    hidden = folder / "hidden"
    hidden.mkdir(mode=0o700)
    os.chown(hidden, NOBODY.pw_uid, NOBODY.pw_gid)
    (folder / "fraises.yaml").write_text(f"{CONFIG}state_dir: {hidden}/state\n")
    done = as_stranger("status", cwd=folder)
    told = f"{hidden}/state: this user may not look into {hidden}; run `sudo -u nobody fraisier status`\n"
    assert (done.returncode, done.stdout, done.stderr) == (6, "", told)


@pytest.mark.parametrize("given", [[], ["-c", "fraises.yaml"], ["-c", "../fraises.yaml"]])
def test_in_a_folder_that_is_gone_no_configuration_is_found(folder: Path, given: list[str]) -> None:
    gone = folder / "gone"
    gone.mkdir()
    shell = f"rmdir {gone}; exec {FRAISIER} {' '.join(given)} status"
    done = subprocess.run(["sh", "-c", shell], cwd=gone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Traceback" not in done.stderr
