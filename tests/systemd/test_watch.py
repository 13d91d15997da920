"""A unit that is watched after its restart, as a real systemd runs it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fraisier_core import StepFailedError, UnitWatch, unit_state

from tests.waiting import wait_until

UNIT = "my-api.service"
# It goes on until there is a file, and then comes to its end.
SERVICE = """\
Type=exec
StartLimitInterval=0
ExecStart=/bin/sh -c 'echo up; until [ -e {place}/end ]; do sleep 0.02; done; rm {place}/end; {end}'
{more}"""
# Or seen while it was.
RESTARTED = r"was restarted by systemd \(NRestarts is \d+\);|is activating \(auto-restart"

InstallUnit = Callable[[str, str], None]
Systemctl = Callable[..., str]
Watch = Callable[..., tuple[str, str]]


@pytest.fixture
def watched(place: Path, install_unit: InstallUnit, systemctl: Systemctl) -> Watch:
    """Return a function that watches a unit until its end, and returns the message and the journal."""

    def watch(end: str, more: str = "") -> tuple[str, str]:
        install_unit(UNIT, SERVICE.format(place=place, end=end, more=more))
        systemctl("restart", UNIT)
        notes: list[str] = []
        unit_watch = UnitWatch(UNIT, notes.append)
        unit_watch()
        (place / "end").touch()
        return failure(unit_watch), "\n".join(notes)

    return watch


def failure(watch: UnitWatch) -> str:
    """Watch until the unit fails, and return what is told."""

    def told() -> str:
        try:
            watch()
        except StepFailedError as error:
            return str(error)
        return ""

    return wait_until(told)


@pytest.mark.parametrize(
    ("end", "service", "told"),
    [
        ("echo >&2 no database; exit 7", "", "is failed (failed, result: exit-code, status: 7);"),
        ("kill -SEGV $$$$", "LimitCORE=0", "is failed (failed, result: signal, signal: SIGSEGV);"),
        ("exit 0", "", "is inactive (dead);"),
        ("exit 1", "Restart=always\nRestartSec=60", "(auto-restart, result: exit-code, status: 1);"),
        ("exit 1", "Restart=always\nRestartSec=1ms", RESTARTED),
        ("exit 1", "Restart=always\nRestartSec=1ms\nRestartMode=direct", RESTARTED),
        ("sleep 60", "RuntimeMaxSec=300ms", "result: timeout"),
    ],
)
def test_a_unit_that_does_not_stay_as_it_was_is_told_with_its_last_words(
    watched: Watch, end: str, service: str, told: str
) -> None:
    message, journal = watched(end, service)
    assert re.search(told if told == RESTARTED else re.escape(told), message), message
    said = "no database" if "no database" in end else "up"
    assert f"; it said last: {said}; fraisier show has the end of its journal" in message
    assert "up" in journal.splitlines()


def test_only_the_journal_of_the_invocation_that_failed_is_told(watched: Watch) -> None:
    journals = [watched(f"echo {ending}; exit 1")[1] for ending in ("first", "second")]
    assert [("first" in journal, "second" in journal) for journal in journals] == [
        (True, False),
        (False, True),
    ]


def test_a_restart_by_others_is_told(install_unit: InstallUnit, systemctl: Systemctl) -> None:
    install_unit(UNIT, "Type=exec\nExecStart=/bin/sleep 1000")
    systemctl("restart", UNIT)
    watch = UnitWatch(UNIT, print)
    systemctl("restart", UNIT)
    assert failure(watch).startswith("my-api.service was started anew")


def test_a_unit_that_has_failed_already_is_not_even_watched(
    install_unit: InstallUnit, systemctl: Systemctl
) -> None:
    install_unit(UNIT, "Type=simple\nStartLimitInterval=0\nExecStart=/bin/false")
    systemctl("restart", UNIT)
    wait_until(lambda: not unit_state(UNIT).is_alive)
    with pytest.raises(StepFailedError, match="is failed"):
        UnitWatch(UNIT, print)


def test_a_unit_goes_on_while_it_reloads_and_systemd_does(
    place: Path, install_unit: InstallUnit, systemctl: Systemctl
) -> None:
    reload = f"/bin/sh -c 'until [ -e {place}/reloaded ]; do sleep 0.02; done'"
    install_unit(UNIT, f"Type=exec\nStartLimitInterval=0\nExecStart=/bin/sleep 1000\nExecReload={reload}")
    systemctl("restart", UNIT)
    watch = UnitWatch(UNIT, print)
    systemctl("reload", "--no-block", UNIT)
    wait_until(lambda: unit_state(UNIT).active_state == "reloading")
    watch()
    (place / "reloaded").touch()
    wait_until(lambda: unit_state(UNIT).is_active)
    for verb in ("daemon-reload", "daemon-reexec"):
        watch()
        systemctl(verb)
    watch()
