"""What the sandbox promises to the tests inside: limits that hold, a disk, boots, and nothing left."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.sandbox import Sandbox, started
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("real_systemd")

KEPT = ("/etc/kept", "/var/lib/kept", "/srv/kept", "/opt/kept")
GONE = ("/run/gone", "/tmp/gone", "/var/tmp/gone", "/dev/shm/gone")
SLEEPER = "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n"
BOOT_ID = ("cat", "/proc/sys/kernel/random/boot_id")


def cgroups_of(sandbox: Sandbox) -> list[Path]:
    """Return its folders in the machine's cgroups, while it is up."""
    return [Path(line) for line in (sandbox.folder / "state/cgroups").read_text().splitlines()]


def left_of(sandbox: Sandbox) -> list[str]:
    """Return what else of it is on the machine: mounts, in whichever process, and its state."""
    left = [str(path) for path in (sandbox.folder / "state").iterdir() if path.name != "lock"]
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            left += [str(mounts)] if str(sandbox.folder) in mounts.read_text() else []
        except OSError:  # the process has ended
            continue
    return left


def write(sandbox: Sandbox, path: str, text: str) -> None:
    """Write a file inside."""
    sandbox.succeed("sh", "-c", f"printf '{text}' > {path}")


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_nothing_of_it_is_left_on_the_machine(tmp_path: Path, end: str) -> None:
    sandbox = Sandbox(tmp_path, keeps_its_disk=True)
    sandbox.start()
    sandbox.succeed("systemd-run", "--quiet", "--property=MemoryMax=100M", "--slice=a-b", "sleep", "1000")
    folders = cgroups_of(sandbox)
    assert all(folder.is_dir() for folder in folders)
    {"stop": sandbox.stop, "kill": sandbox.kill}[end]()
    assert not [folder for folder in folders if folder.exists()]
    assert left_of(sandbox) == []
    shutil.rmtree(tmp_path / "disk")


def test_what_a_killed_script_left_goes_with_the_next_start(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    up = sandbox.writable / "up"
    call = sandbox.command("run", "sh", "-c", f"touch {up}; sleep 1000")
    with subprocess.Popen(call, env=sandbox.environment()) as script:
        wait_until(up.exists)
        folders = cgroups_of(sandbox)
        script.send_signal(signal.SIGKILL)
    wait_until(lambda: not sandbox.is_up())
    assert any(folder.exists() for folder in folders)
    assert sandbox.once("true").returncode == 0
    assert not [folder for folder in folders if folder.exists()]
    assert left_of(sandbox) == []


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_disk_is_kept_and_every_boot_is_another_one(tmp_path: Path, end: str) -> None:
    with started(tmp_path) as sandbox:
        for path in (*KEPT, *GONE):
            write(sandbox, path, "x")
        write(sandbox, "/etc/systemd/system/sleeper.service", SLEEPER.replace("\n", "\\n"))
        sandbox.succeed("systemctl", "enable", "--quiet", "sleeper.service")
        boots, machine = {sandbox.succeed(*BOOT_ID)}, sandbox.succeed("cat", "/etc/machine-id")

        {"stop": sandbox.stop, "kill": sandbox.kill}[end]()
        sandbox.start()
        assert sandbox.succeed("ls", *KEPT).split() == sorted(KEPT)
        assert all(sandbox.run("test", "-e", path).returncode for path in GONE)
        assert sandbox.succeed("systemctl", "is-active", "sleeper.service") == "active\n"
        assert sandbox.succeed("cat", "/etc/machine-id") == machine
        boots |= {sandbox.succeed(*BOOT_ID), Path("/proc/sys/kernel/random/boot_id").read_text()}
        assert len(boots) == 3


def test_without_a_folder_for_it_the_disk_is_gone(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    assert sandbox.once("touch", "/etc/kept").returncode == 0
    assert sandbox.once("test", "-e", "/etc/kept").returncode == 1
    assert not Path("/etc/kept").exists()
