"""The kernel's count of processes killed for memory is found wherever a host has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fraisier_core.system.memory_kills import is_of_one_run, memory_kills

V1 = "31 23 0:32 {root} {place} rw,relatime shared:9 - cgroup cgroup rw,memory"
V2 = "41 31 0:38 {root} {place} rw,relatime - cgroup2 cgroup2 rw,nsdelegate"
OTHER = "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct"
EVENTS = "low 0\nhigh 4\nmax 9\noom 3\noom_kill {}\noom_group_kill 7\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"


def proc(tmp_path: Path, cgroups: str, *mounts: str) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "cgroup").write_text(cgroups)
    (folder / "mountinfo").write_text("\n".join([OTHER, *mounts, ""]))
    return folder


def counter(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def mount(line: str, place: Path, root: str = "/") -> str:
    return line.format(root=root, place=str(place).replace(" ", r"\040"))


def test_version_2_counts_in_memory_events(tmp_path: Path) -> None:
    folder = proc(tmp_path, "0::/system.slice/a.service\n", mount(V2, tmp_path / "two"))
    path = tmp_path / "two/system.slice/a.service/memory.events"
    counter(path, EVENTS.format(2))
    assert memory_kills(folder) == 2
    counter(path, EVENTS.format(5))
    assert memory_kills(folder) == 5


def test_version_1_counts_in_memory_oom_control(tmp_path: Path) -> None:
    cgroups = "8:pids:/\n4:memory:/system.slice/a.service\n0::/init.scope\n"
    folder = proc(tmp_path, cgroups, mount(V2, tmp_path / "two"), mount(V1, tmp_path / "one"))
    counter(tmp_path / "one/system.slice/a.service/memory.oom_control", CONTROL.format(3))
    assert memory_kills(folder) == 3


@pytest.mark.parametrize(
    ("root", "own"), [("/box", "."), ("/", "box/a b"), (r"/box/a\040b", "."), ("/box", "a b")]
)
def test_what_of_a_hierarchy_is_mounted_and_where_makes_no_difference(
    tmp_path: Path, root: str, own: str
) -> None:
    cgroup = "/box" if (root, own) == ("/box", ".") else "/box/a b"
    folder = proc(tmp_path, f"0::{cgroup}\n", mount(V2, tmp_path / "in a place", root))
    counter(tmp_path / "in a place" / own / "memory.events", EVENTS.format(1))
    assert memory_kills(folder) == 1


@pytest.mark.parametrize("cgroups", ["0::/\n", "0::/a\n", "4:memory:/elsewhere\n0::/\n", "", "no cgroups"])
def test_a_host_that_does_not_count_says_nothing(tmp_path: Path, cgroups: str) -> None:
    folder = proc(tmp_path, cgroups, mount(V2, tmp_path / "two"), mount(V1, tmp_path / "one", "/box"))
    counter(tmp_path / "one/memory.oom_control", CONTROL.format(8))
    counter(tmp_path / "two/a/memory.events", "low 0\noom_kill many\n")
    assert memory_kills(folder) is None


@pytest.mark.parametrize(
    ("unit", "is_one"),
    [
        ("fraisier-run-report.production@01a226ed-a547.service", True),
        ("fraisier-worker.service", False),
        ("fraisier-run-report.production.service", False),
        ("session-1.scope", False),
    ],
)
def test_the_unit_of_a_run_has_a_cgroup_of_its_own(tmp_path: Path, unit: str, is_one: bool) -> None:
    assert is_of_one_run(proc(tmp_path, f"4:memory:/a.slice/b.slice/{unit}\n0::/\n")) is is_one


def test_a_process_without_proc_says_nothing(tmp_path: Path) -> None:
    assert memory_kills(tmp_path / "nowhere") is None
