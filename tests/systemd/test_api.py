"""The fraise type `api` and a service that systemd really runs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fraisier_core import ActivationRefusedError, Release, StepFailedError, unit_state
from fraisier_core.settings import HealthCheck
from fraisier_core.testing import FakeRun
from fraisier_deployers import api
from fraisier_deployers.api import ApiSettings

UNIT = "my-api.service"

InstallUnit = Callable[[str, str], None]
MakeRun = Callable[..., FakeRun[ApiSettings]]


@pytest.fixture
def make_run(place: Path) -> MakeRun:
    """Return a function that makes a run of a release whose unit is `UNIT`."""

    def make(name: str = "1", **section: Any) -> FakeRun[ApiSettings]:
        path = place / "releases" / name
        path.mkdir(parents=True, exist_ok=True)
        settings = ApiSettings(app_path=place / "app", systemd_service=UNIT, **section)
        return FakeRun(settings, Release(name, path, name * 40))

    return make


@pytest.fixture
def service(place: Path, install_unit: InstallUnit) -> None:
    """A unit that runs from the target of the link at `app_path`."""
    install_unit(UNIT, f"Type=exec\nWorkingDirectory={place / 'app'}\nExecStart=/bin/sleep 1000")


def working_directory() -> Path:
    return Path(f"/proc/{unit_state(UNIT).main_pid}/cwd").readlink()


@pytest.mark.usefixtures("service")
def test_the_service_is_restarted_from_the_new_release(make_run: MakeRun) -> None:
    invocations = []
    for name in ("1", "2"):
        run = make_run(name)
        api.deploy(run)
        assert working_directory() == run.release.path
        assert "main process runs from: same" in run.output
        invocations.append(unit_state(UNIT).invocation_id)
    assert invocations[0] != invocations[1]


@pytest.mark.usefixtures("service")
def test_a_rollback_restarts_the_service_from_the_earlier_release(make_run: MakeRun) -> None:
    earlier, newer = make_run("1"), make_run("2")
    api.deploy(earlier)
    api.deploy(newer)
    invocation = unit_state(UNIT).invocation_id
    api.rollback(earlier, earlier.release)
    assert working_directory() == earlier.release.path
    assert unit_state(UNIT).invocation_id != invocation


def test_the_service_is_stopped_and_started_once_and_only_after_the_switch(
    place: Path, make_run: MakeRun, install_unit: InstallUnit
) -> None:
    log = f"/bin/sh -c 'echo {{verb}} $(basename $(readlink {place}/app)) >> {place}/log'"
    start, stop = log.format(verb="start"), log.format(verb="stop")
    install_unit(UNIT, f"Type=exec\nExecStartPre={start}\nExecStart=/bin/sleep 1000\nExecStop={stop}")
    for name in ("1", "2"):
        api.deploy(make_run(name))
    assert (place / "log").read_text().splitlines() == ["start 1", "stop 2", "start 2"]


@pytest.mark.parametrize(
    "start",
    [
        "Type=exec\nExecStart=/nonexistent",
        "Type=simple\nExecStart=/nonexistent",
        "Type=simple\nExecStart=/bin/sh -c 'sleep 0.05; exit 1'",
    ],
)
def test_a_service_that_does_not_start_fails_with_its_state_and_journal(
    make_run: MakeRun, install_unit: InstallUnit, start: str
) -> None:
    install_unit(UNIT, start)
    run = make_run()
    with pytest.raises(
        StepFailedError, match=r"my-api.service is failed \(failed, result: exit-code, status: (203|1)\)"
    ) as caught:
        api.deploy(run)
    assert not isinstance(caught.value, ActivationRefusedError)
    assert "Main process exited, code=exited" in run.output


def test_a_service_that_never_gets_ready_fails_once_the_time_is_over(
    make_run: MakeRun, install_unit: InstallUnit
) -> None:
    install_unit(UNIT, "Type=notify\nExecStart=/bin/sleep 1000")
    with pytest.raises(
        StepFailedError, match=r"timed out after 0.5 s \(timeout\): my-api.service is activating"
    ) as caught:
        api.deploy(make_run(timeout=0.5))
    assert not isinstance(caught.value, ActivationRefusedError)


def test_a_service_that_runs_from_another_release_fails(
    place: Path, make_run: MakeRun, install_unit: InstallUnit
) -> None:
    install_unit(UNIT, f"Type=exec\nWorkingDirectory={place}/releases/1\nExecStart=/bin/sleep 1000")
    api.deploy(make_run("1"))
    with pytest.raises(StepFailedError, match="runs from another release than 2"):
        api.deploy(make_run("2"))


def test_a_service_passes_if_it_is_unknown_what_it_runs_from(
    make_run: MakeRun, install_unit: InstallUnit
) -> None:
    install_unit(UNIT, "Type=exec\nExecStart=/bin/sleep 1000")
    run = make_run()
    api.deploy(run)
    assert "main process runs from: unknown" in run.output


@pytest.mark.usefixtures("service")
def test_in_place_it_does_not_matter_which_release_it_runs_from(place: Path) -> None:
    clone = place / "app"
    clone.mkdir()
    settings = ApiSettings(app_path=clone, systemd_service=UNIT)
    run = FakeRun(settings, Release("1" * 40, clone, "1" * 40), in_place=True)
    api.deploy(run)
    assert working_directory() == clone
    assert "main process runs from" not in run.output


def test_a_unit_that_is_not_there_is_a_refusal(make_run: MakeRun) -> None:
    with pytest.raises(ActivationRefusedError, match=r"my-api.service is not-found"):
        api.deploy(make_run())


@pytest.mark.usefixtures("service")
def test_a_refused_restart_leaves_the_process_alone_and_names_the_rule_that_allows_it(
    place: Path,
    make_run: MakeRun,
    outcome_as: Callable[[str, Callable[[], None]], str],
    install_rule: Callable[[Path, str], None],
) -> None:
    earlier, newer = make_run("1"), make_run("2")
    api.deploy(earlier)
    before = unit_state(UNIT)
    give_to("nobody", place)

    refusal = outcome_as("nobody", lambda: api.deploy(newer))
    assert refusal.startswith("ActivationRefusedError: systemctl")
    assert "exited with status 1; systemd left the service as it was" in refusal
    assert unit_state(UNIT) == before

    found = re.search(r"put this into (\S+):\n(.*\}\);\n)", refusal, re.DOTALL)
    assert found is not None, refusal
    install_rule(Path(found[1]), found[2])
    assert outcome_as("nobody", lambda: api.deploy(newer)) == ""
    assert working_directory() == newer.release.path


def test_a_service_that_keeps_failing_is_left_to_itself_and_the_rule_is_named(
    place: Path,
    make_run: MakeRun,
    install_unit: InstallUnit,
    outcome_as: Callable[[str, Callable[[], None]], str],
    systemctl: Callable[..., str],
) -> None:
    install_unit(UNIT, "Restart=always\nRestartSec=1ms\nStartLimitInterval=0\nExecStart=/bin/false")
    systemctl("start", UNIT)
    run = make_run()
    give_to("nobody", place)
    outcome = outcome_as("nobody", lambda: api.deploy(run))
    assert 'subject.user == "nobody"' in outcome


@pytest.mark.usefixtures("service")
def test_a_restart_that_did_not_happen_fails(place: Path, make_run: MakeRun) -> None:
    api.deploy(make_run())
    (place / "systemctl").write_text("#!/bin/sh\n")
    (place / "systemctl").chmod(0o755)
    with pytest.raises(StepFailedError, match="was not restarted"):
        api.deploy(make_run(env={"PATH": f"{place}:{os.environ['PATH']}"}))


def give_to(user: str, folder: Path) -> None:
    for path in (folder, folder / "releases"):
        shutil.chown(path, user)


@pytest.mark.usefixtures("service")
def test_a_probe_asks_for_the_state_of_the_unit(make_run: MakeRun) -> None:
    run = make_run(health_check=HealthCheck(unit=UNIT))
    assert not api.health_check(run).healthy
    api.deploy(run)
    health = api.health_check(run)
    assert health.healthy
    assert UNIT in health.detail
