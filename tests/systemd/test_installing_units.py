"""Units of jobs are installed, compared and removed, and their owner may start runs and nothing else."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from fraisier_core.errors import ConflictError, StepFailedError
from fraisier_core.job_settings import settings_of_requests
from fraisier_core.units.installed_units import UNITS, differences
from fraisier_core.units.job import Job, executor_of
from fraisier_core.units.place import require_usable, unit_place
from fraisier_core.units.polkit import RULES, rule_name
from fraisier_core.units.starting import Waiting, at_work, start_all
from fraisier_core.units.unit_plan import apply, plan, verify
from fraisier_core.units.unit_texts import UnitPlace

from tests.waiting import wait_until

USER = "games"
Systemctl = Callable[..., str]


def job(fraise: str = "report", **section: object) -> Job:
    settings = settings_of_requests({"schedule": "30 2 * * *"} | section, None)
    found = Job.by(fraise, "production", settings)
    assert found is not None
    return found


def home_in(folder: Path) -> UnitPlace:
    """Return where units run: a command that writes its arguments down, as another user than root."""
    program = folder / "fraisier"
    state = folder / "state"
    called = f'printf "%s\\n" "$*" >> {shlex.quote(str(state))}/called'
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] || {called}\n')
    program.chmod(0o755)
    (folder / "fraises.yaml").touch()
    state.mkdir()
    shutil.chown(state, USER)
    return unit_place(str(program), folder / "fraises.yaml", state)


@pytest.fixture
def unit_home(place: Path) -> Iterator[UnitPlace]:
    found = home_in(place)
    yield found
    apply(plan([], found))


def installed(jobs: list[Job], home: UnitPlace) -> None:
    require_usable(home)
    verify(jobs, home)
    apply(plan(jobs, home))


def called(home: UnitPlace) -> list[str]:
    path = home.state_dir / "called"
    return path.read_text().splitlines() if path.exists() else []


def test_what_is_installed_is_enabled_and_a_second_time_nothing_is_left_to_do(
    unit_home: UnitPlace, systemctl: Systemctl
) -> None:
    jobs = [job(), job("books", schedule=None, limits={"memory": "128M", "tasks": 20, "cpu": "50%"})]
    installed(jobs, unit_home)
    assert systemctl("is-enabled", "fraisier-run-report.production.timer") == "enabled"
    assert systemctl("is-active", "fraisier-run-report.production.timer") == "active"
    shown = systemctl("show", "--property=MemoryMax,TasksMax", "fraisier-run-books.production@1.service")
    assert shown.splitlines() == ["MemoryMax=134217728", "TasksMax=20"]
    assert plan(jobs, unit_home).is_empty


def test_what_is_no_longer_configured_is_removed_and_nothing_else(
    unit_home: UnitPlace, systemctl: Systemctl
) -> None:
    foreign = UNITS / "fraisier-run-other.production.timer"
    foreign.write_text("[Timer]\nOnCalendar=daily\n")
    installed([job(), job("books")], unit_home)
    apply(plan([job("books")], unit_home))
    names = sorted(path.name for path in UNITS.rglob("fraisier-run-*"))
    foreign.unlink()
    assert names == [
        "fraisier-run-books.production.service",
        "fraisier-run-books.production.timer",
        "fraisier-run-books.production.timer",  # the link that enables it
        "fraisier-run-books.production@.service",
        "fraisier-run-other.production.timer",
    ]
    assert systemctl("show", "-P", "LoadState", "fraisier-run-report.production.timer") == "not-found"


def test_another_time_is_what_the_timer_waits_for(unit_home: UnitPlace, systemctl: Systemctl) -> None:
    installed([job()], unit_home)
    moved = [job(schedule={"cron": "45 3 * * *", "time_zone": "UTC"})]
    planned = plan(moved, unit_home)
    assert "-OnCalendar=*-*-* 02:30:00\n+OnCalendar=*-*-* 03:45:00 UTC\n" in planned.changes[0].diff()
    apply(planned)
    assert "03:45:00" in systemctl("show", "-P", "NextElapseUSecRealtime", job().timers[0].name)


@pytest.mark.parametrize(
    ("section", "changed"),
    [
        ({"schedule": "45 3 * * *"}, ".timer"),
        ({"limits": {"memory": "300M"}}, "@.service"),
        ({"schedule": {"cron": "45 3 * * *", "time_zone": "UTC"}, "limits": {"memory": "300M"}}, ".timer"),
    ],
)
def test_an_installation_that_was_killed_before_systemd_read_the_units_goes_on(
    unit_home: UnitPlace, systemctl: Systemctl, section: dict[str, object], changed: str
) -> None:
    installed([job(limits={"memory": "400M"})], unit_home)
    wanted = job("report", **{"limits": {"memory": "400M"}} | section)
    apply(replace(plan([wanted], unit_home), commands=()))
    found = differences(("report", "production"), wanted, unit_home.config, unit_home.state_dir)
    if changed == ".timer":
        assert found == [f"systemd has not read {job().timers[0].name} since it was written"]
    apply(plan([wanted], unit_home))
    assert plan([wanted], unit_home).is_empty
    if changed == ".timer":
        assert "03:45:00" in systemctl("show", "-P", "NextElapseUSecRealtime", job().timers[0].name)
    memory = systemctl("show", "-P", "MemoryMax", executor_of("report", "production", "1"))
    assert int(memory) == (300 if wanted.limits.memory == "300M" else 400) * 2**20


@pytest.mark.parametrize("suffix", [".timer", ".service", "@.service"])
def test_a_unit_that_is_not_ours_is_not_replaced(unit_home: UnitPlace, suffix: str) -> None:
    path = UNITS / f"{job().unit}{suffix}"
    path.write_text("# mine\n")
    with pytest.raises(ConflictError, match="not written by `fraisier config install`, and nothing"):
        plan([job()], unit_home)
    assert path.read_text() == "# mine\n"
    path.unlink()


def test_a_unit_that_the_administrator_has_masked_stays_masked(unit_home: UnitPlace) -> None:
    path = UNITS / job().timers[0].name
    path.symlink_to("/dev/null")
    with pytest.raises(ConflictError, match=f"{path}: not written by"):
        plan([job()], unit_home)
    path.unlink()


def test_what_a_loss_of_power_has_left_empty_is_written_again(unit_home: UnitPlace) -> None:
    installed([job()], unit_home)
    text = (UNITS / job().timers[0].name).read_text()
    (UNITS / job().timers[0].name).write_text("")
    installed([job()], unit_home)
    assert (UNITS / job().timers[0].name).read_text() == text


def rule_of(home: UnitPlace) -> Path:
    return RULES / rule_name(home)


def test_two_configurations_of_one_owner_do_not_touch_each_other(unit_home: UnitPlace, place: Path) -> None:
    (place / "other").mkdir()
    other = home_in(place / "other")
    installed([job()], unit_home)
    installed([job("books")], other)
    try:
        with pytest.raises(ConflictError, match=f"installed from {other.config}, and nothing is changed"):
            plan([job(), job("books")], unit_home)
        assert plan([job()], unit_home).is_empty
        assert plan([job("books")], other).is_empty
        assert "report" not in rule_of(other).read_text()
    finally:
        apply(plan([], other))
    assert not rule_of(other).exists()
    assert plan([job()], unit_home).is_empty


@pytest.mark.parametrize("owner", ["daemon", "mail", "root"])
def test_a_former_owner_keeps_no_permission(unit_home: UnitPlace, owner: str) -> None:
    installed([job()], unit_home)
    shutil.copy(rule_of(unit_home), RULES / "50-fraisier-run-copied.rules")
    shutil.chown(unit_home.state_dir, owner)
    installed([job()], unit_place(unit_home.program, unit_home.config, unit_home.state_dir))
    rules = [path.read_text() for path in RULES.glob("*fraisier-run-*")]
    assert len(rules) == (owner != "root")
    assert not [text for text in rules if f'"{USER}"' in text]


def test_without_polkit_nothing_is_changed(unit_home: UnitPlace, systemctl: Systemctl) -> None:
    installed([job()], unit_home)
    with pytest.raises(ConflictError, match=r"and there is no .*absent: install it"):
        plan([job("books")], unit_home, rules=unit_home.state_dir / "absent")
    systemctl("mask", "--runtime", "polkit.service")
    with pytest.raises(ConflictError, match=r"need polkit, .*, and polkit.service is masked"):
        plan([job("books")], unit_home)
    systemctl("unmask", "--runtime", "polkit.service")
    assert systemctl("is-enabled", job().timers[0].name) == "enabled"


@pytest.mark.parametrize("expression", ["*-*-* 25:00", "Foo *-*-* 02:00", "2026-02-30..x 1:00"])
def test_a_time_that_systemd_does_not_know_is_refused_before_anything_is_written(
    unit_home: UnitPlace, expression: str
) -> None:
    with pytest.raises(StepFailedError, match="Failed to parse calendar specification"):
        verify([job(schedule={"on_calendar": expression})], unit_home)


def test_a_job_of_the_start_of_the_host_does_not_run_when_it_is_installed(
    unit_home: UnitPlace, systemctl: Systemctl
) -> None:
    jobs = [job(schedule="@reboot")]
    installed(jobs, unit_home)
    assert plan(jobs, unit_home).is_empty
    assert systemctl("is-enabled", job().timers[0].name) == "enabled"
    assert not called(unit_home)
    systemctl("start", job().timers[0].name)  # as a start of the host does
    wait_until(lambda: called(unit_home))


def test_a_deployment_finds_what_differs_from_the_settings(
    unit_home: UnitPlace, systemctl: Systemctl
) -> None:
    home = ("report", "production"), unit_home.config, unit_home.state_dir

    def found(wanted: Job | None) -> list[str]:
        return differences(home[0], wanted, *home[1:])

    assert "fraisier-run-report.production.timer is not installed" in found(job())
    installed([job()], unit_home)
    assert not found(job())
    assert found(job(schedule="0 4 * * *")) == [f"{job().timers[0].name} differs"]
    assert found(job(limits={"memory": "1G"})) == [f"{job().unit}@.service differs"]
    assert len(found(None)) == 3
    systemctl("stop", job().timers[0].name)
    assert found(job()) == [f"{job().timers[0].name} is not active"]
    systemctl("disable", job().timers[0].name)
    assert found(job()) == [f"{job().timers[0].name} is not enabled"]


def test_a_timer_calls_the_command_as_the_owner(unit_home: UnitPlace) -> None:
    installed([job(schedule={"on_calendar": "*-*-* *:*:*"})], unit_home)
    wait_until(lambda: called(unit_home))
    assert called(unit_home)[0] == f"-c {unit_home.config} run report production --scheduled --detach"
    assert (unit_home.state_dir / "called").owner() == USER


def test_the_owner_may_start_and_stop_runs_and_do_nothing_else(
    unit_home: UnitPlace, systemctl: Systemctl, outcome_as: Callable[[str, Callable[[], None]], str]
) -> None:
    installed([job()], unit_home)
    systemctl("restart", "polkit")  # it reads the rule by itself, but at an unknown time

    def allowed(*argv: str) -> bool:
        def run() -> None:
            subprocess.run(argv, check=True, capture_output=True)

        return not outcome_as(USER, run)

    run_id = str(UUID(int=190))
    executor = executor_of("report", "production", run_id)
    assert allowed("systemctl", "--no-ask-password", "start", executor)
    wait_until(lambda: called(unit_home))
    assert called(unit_home)[-1].endswith(f"run report production --claim {run_id}")
    assert allowed("systemctl", "--no-ask-password", "stop", executor)
    for refused in (
        ("start", "systemd-tmpfiles-clean.service"),
        ("start", job().timers[0].name),
        ("start", executor_of("report", "production", "1")),
        ("restart", executor),
        ("enable", job().timers[0].name),
        ("link", "/dev/null"),
        ("set-property", executor, "MemoryMax=1G"),
        ("daemon-reload",),
    ):
        assert not allowed("systemctl", "--no-ask-password", *refused), refused
    assert not allowed("systemd-run", "--no-ask-password", "--unit=fraisier-run-x.y@1", "true")


def test_of_several_units_each_is_told_what_keeps_it_from_starting(
    unit_home: UnitPlace, systemctl: Systemctl, outcome_as: Callable[[str, Callable[[], None]], str]
) -> None:
    installed([job()], unit_home)
    systemctl("restart", "polkit")
    runs = [Waiting(name, "production", str(UUID(int=191))) for name in ("absent", "report")]

    def told() -> None:
        raise StepFailedError("; ".join(f"{each.outcome} {each.problem}" for each in start_all(runs)))

    said = outcome_as(USER, told)
    assert "not installed cannot start units: Failed to start fraisier-run-absent." in said
    assert said.endswith("it is not installed: run `sudo fraisier config install`; started ")
    wait_until(lambda: called(unit_home))
    assert called(unit_home)[-1].endswith(f"run report production --claim {UUID(int=191)}")
    systemctl("stop", runs[1].unit)
    refused = outcome_as("daemon", told)
    assert "refused" in refused
    assert "the polkit rule is missing: run `sudo fraisier config install`" in refused
    assert not at_work([runs[1].unit])


@pytest.mark.parametrize("name", ["a b", "$HOME ${PATH}", "100%h %%", "one ; two", "$$; %i"])
def test_a_path_stands_in_units_as_it_is(place: Path, systemctl: Systemctl, name: str) -> None:
    (place / name).mkdir()
    home = home_in(place / name)
    try:
        installed([job()], home)
        executor = executor_of("report", "production", str(UUID(int=1)))
        systemctl("start", executor)
        wait_until(lambda: called(home))  # so the folder could be written to
        assert called(home) == [f"-c {home.config} run report production --claim {UUID(int=1)}"]
        assert not differences(("report", "production"), job(), home.config, home.state_dir)
    finally:
        apply(plan([], home))


@pytest.mark.parametrize("name", ['say "so"', "back\\slash", "one; 'two'"])
def test_the_paths_of_the_worker_are_those_of_the_units(
    unit_home: UnitPlace, install_unit: Callable[[str, str], None], systemctl: Systemctl, name: str
) -> None:
    folder = unit_home.state_dir.parent / name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    lines = f'ReadWritePaths="{folder.parent}/{escaped}"\nEnvironmentFile=-{folder.parent}/50%%/$x'
    install_unit("fraisier-worker.service", f"User={USER}\nExecStart=/bin/true\n{lines}")
    home = unit_place(unit_home.program, unit_home.config, unit_home.state_dir)
    assert home.writable == (str(folder),)
    installed([job()], home)
    names = ("fraisier-worker.service", f"{job().unit}.service")
    worker, unit = (systemctl("show", "--property=ReadWritePaths,EnvironmentFiles", each) for each in names)
    assert unit == worker.replace("ReadWritePaths=", f"ReadWritePaths={home.state_dir} ")


@pytest.mark.parametrize("name", ["a\nUser=root", "b\rc", "\x7f"])
def test_a_path_that_could_begin_another_line_is_refused(place: Path, name: str) -> None:
    (place / name).mkdir()
    with pytest.raises(StepFailedError, match="has a character that no unit can name"):
        home_in(place / name)


@pytest.mark.parametrize("moved", ["program", "config", "state_dir"])
def test_what_lies_in_the_tmp_that_units_do_not_see_is_named(
    unit_home: UnitPlace, tmp_path: Path, moved: str
) -> None:
    paths = {name: Path(getattr(unit_home, name)) for name in ("program", "config", "state_dir")}
    paths[moved] = tmp_path
    warnings = unit_place(str(paths["program"]), paths["config"], paths["state_dir"]).warnings
    assert not unit_home.warnings
    assert warnings[0].startswith(f"{tmp_path}: the jobs have a /tmp of their own")
