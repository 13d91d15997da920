"""A command that the kernel kills for memory is told apart from one that is killed by anything else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from fraisier_core.system.memory_kills import memory_kills

RUN = """
import sys, threading
from pathlib import Path
from fraisier_core.errors import CommandFailedError
from fraisier_core.system.commands import Limits, run_command

try:
    run_command(sys.argv[1:], cwd=Path("/"), env={"PATH": "/usr/bin:/bin"}, limits=Limits(60, 60),
                on_output=lambda _: None, cancelled=threading.Event())
except CommandFailedError as error:
    print(str(error).rpartition("' ")[2])
else:
    print("did not fail")
"""
HOG = f"exec {sys.executable} -c 'b = bytearray(200_000_000)'"


def said(script: str, name: str = "fraisier-run-report.production@1") -> str:
    """Return how a command ends in a unit that may take 100 MB, and that outlives what is killed of it."""
    limits = ("--property=MemoryMax=100M", "--property=MemorySwapMax=0", "--property=OOMPolicy=continue")
    unit = ["systemd-run", "--quiet", "--wait", "--pipe", f"--unit={name}", *limits]
    command = [sys.executable, "-c", RUN, "sh", "-c", script]
    done = subprocess.run([*unit, *command], check=True, capture_output=True, text=True)
    return done.stdout.strip()


SIGNALLED = "was killed by signal {}: memory ran out, and the kernel killed {}"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (HOG, SIGNALLED.format("9 (Killed)", "it")),
        (
            f"({HOG}); exit 3",
            "exited with status 3: memory ran out, and the kernel killed a process of its cgroup",
        ),
        (
            f"({HOG}); kill -TERM 0; sleep 60",
            SIGNALLED.format("15 (Terminated)", "a process of its cgroup"),
        ),
        ("kill -9 0", "was killed by signal 9 (Killed)"),
        ("exit 137", "exited with status 137"),
        (f"({HOG}); true", "did not fail"),
    ],
)
def test_a_command_says_that_memory_ran_out_only_if_it_did(script: str, message: str) -> None:
    assert said(script) == message


def test_a_cgroup_that_others_share_does_not_say_which_of_them_was_killed() -> None:
    shared = "memory ran out while it ran, and the kernel killed a process of the same cgroup"
    assert said(f"({HOG}); exit 3", "fraisier-somewhere") == f"exited with status 3: {shared}"


def test_what_happens_in_another_unit_is_not_counted() -> None:
    before = memory_kills()
    said(HOG)
    assert memory_kills() == before
