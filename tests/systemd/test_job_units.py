"""A job whose units are systemd's: deployed only if they are installed as configured."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fraisier.cli.config_install import install_units
from fraisier.exit_codes import ExitCode
from fraisier_core.config import load_config
from fraisier_core.engine.job_requests import job_request
from fraisier_core.plugins import Plugins
from fraisier_core.testing import Forge
from fraisier_core.units.installed_units import UNITS
from fraisier_core.units.polkit import RULE_NAMES, RULES

from tests.stores import open_store
from tests.waiting import wait_until

CONFIG = """
state_dir: {folder}/state
fraises:
  report:
    type: scheduled
    repository: {url}
    environments:
      production:
        branch: main
        app_path: {folder}/app
        command: [sh, report.sh]
        stable_for: 0
        schedule: "30 2 * * *"
        env: {{PASSWORD: "${{REPORT_PASSWORD}}"}}
"""
TIMER = "fraisier-run-report.production.timer"
REQUESTER = "fraisier-run-report.production.service"
PASSWORD = "correct-horse-battery"


@dataclass(frozen=True, slots=True)
class JobHost:
    """A machine with a scheduled fraise."""

    folder: Path
    forge: Forge

    def fraisier(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fraisier", "-c", str(self.folder / "fraises.yaml"), *arguments]
        env = os.environ | variables
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)

    def install(self, *options: str) -> dict[str, Any]:
        done = self.fraisier("config", "install", "--json", *options)
        assert done.returncode == ExitCode.SUCCESS, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def install_by(self, program: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """Install units that call a program."""
        argv = [str(program), "config", "install", "-c", str(self.folder / "fraises.yaml"), *options]
        call = f"import sys; sys.argv = {argv!r}; from fraisier.cli import main; main()"
        command = [sys.executable, "-c", call]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def refused(self, program: Path) -> str:
        """Return why no units are installed."""
        done = self.install_by(program)
        assert done.returncode == ExitCode.FAILED
        assert not [path for path in UNITS.glob("fraisier-run-*") if path.is_file()]
        return done.stderr

    def deploy(self) -> subprocess.CompletedProcess[str]:
        return self.fraisier("deploy", "report", "production", REPORT_PASSWORD=PASSWORD)

    def request(self) -> None:
        """Request a run and start nothing, as a client of GraphQL may."""
        config = load_config(self.folder / "fraises.yaml", Plugins.installed())
        found = config.environment("report", "production")
        with closing(open_store(config.database)) as store:
            store.request_all([job_request(config, store, found, "run", requested_by="ada")])

    def ended(self) -> list[dict[str, Any]]:
        """Return the runs that have ended, newest first."""
        with closing(open_store(self.folder / "state/fraisier.db")) as store:
            runs = [each for each in store.deployments("report", "production") if each.kind == "run"]
        return [each._asdict() for each in runs if each.status not in {"pending", "running"}]

    def ended_run(self) -> dict[str, Any] | None:
        """Return the run, once it has ended."""
        return next(iter(self.ended()), None)

    def journal(self) -> str:
        said = ["journalctl", "--no-pager", "--output=cat", "--lines=60", "--unit=fraisier-run-*"]
        return subprocess.run(said, check=False, capture_output=True, text=True).stdout

    @contextmanager
    def store_away(self) -> Iterator[None]:
        """Put something else where the store is."""
        database = self.folder / "state" / "fraisier.db"
        database.rename(database.with_name("kept"))
        database.mkdir()
        try:
            yield
        finally:
            database.rmdir()
            database.with_name("kept").rename(database)

    @contextmanager
    def refusing(self, systemctl: Callable[..., str]) -> Iterator[None]:
        """Have systemd refuse to start the unit of a run."""
        folder = UNITS / "fraisier-run-report.production@.service.d"
        folder.mkdir()
        (folder / "broken.conf").write_text("[Service]\nExecStart=\n")
        systemctl("daemon-reload")
        try:
            yield
        finally:
            shutil.rmtree(folder)
            systemctl("daemon-reload")

    @contextmanager
    def worker(self) -> Iterator[None]:
        command = [sys.executable, "-m", "fraisier", "-c", str(self.folder / "fraises.yaml"), "worker"]
        process = subprocess.Popen(command, cwd=self.folder)
        try:
            yield
        finally:
            process.terminate()
            process.wait()

    def configure(self, old: str, new: str) -> None:
        path = self.folder / "fraises.yaml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


def written_program(path: Path, text: str = "") -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def host(place: Path) -> Iterator[JobHost]:
    forge = Forge.create(place / "forge")
    forge.push_files({"report.sh": "echo reported"})
    (place / "state").mkdir()
    (place / "fraises.yaml").write_text(CONFIG.format(folder=place, url=forge.url))
    found = JobHost(place, forge)
    yield found
    installed = [*UNITS.glob("fraisier-run-*.*"), *RULES.glob(RULE_NAMES)]
    if timers := [path.name for path in installed if path.suffix == ".timer"]:
        subprocess.run(["systemctl", "disable", "--quiet", "--now", *timers], check=True)
    for path in installed:
        path.unlink()
    subprocess.run(["systemctl", "daemon-reload"], check=True)


def test_a_deployment_fails_before_activation_until_the_units_are_installed(host: JobHost) -> None:
    refused = host.deploy()
    assert refused.returncode == ExitCode.FAILED
    assert "is not installed" in refused.stdout + refused.stderr
    assert "run `sudo fraisier config install`, then deploy again" in refused.stdout + refused.stderr
    assert not (host.folder / "app").exists()
    host.install()
    done = host.deploy()
    assert done.returncode == ExitCode.SUCCESS, done.stdout + done.stderr
    host.configure("30 2 * * *", "30 3 * * *")
    assert "fraisier-run-report.production.timer differs" in host.deploy().stderr
    scheduled = (host.folder / "fraises.yaml").read_text()
    host.configure("type: scheduled", "type: api")
    host.configure("command: [sh, report.sh]\n", "\n")
    host.configure('schedule: "30 3 * * *"\n', "\n")
    assert "fraisier-run-report.production.timer is no longer configured" in host.deploy().stderr
    (host.folder / "fraises.yaml").write_text(scheduled)


def test_trying_changes_nothing_and_a_second_time_there_is_nothing_to_do(host: JobHost) -> None:
    tried = host.install("--dry-run")
    assert not list((host.folder / "state").iterdir())
    assert not list(UNITS.glob("fraisier-run-*"))
    assert host.install() == tried | {"applied": True}
    assert [Path(each["path"]).name for each in tried["changes"]] == [
        "fraisier-run-report.production.service",
        "fraisier-run-report.production.timer",
        "fraisier-run-report.production@.service",
    ]
    written = {path: path.stat().st_mtime_ns for path in UNITS.glob("fraisier-run-*")}
    unchanged = host.install()
    assert [unchanged[name] for name in ("changes", "commands", "applied")] == [[], [], True]
    assert {path: path.stat().st_mtime_ns for path in UNITS.glob("fraisier-run-*")} == written
    assert "nothing to do" in host.fraisier("config", "install").stdout


def test_no_unit_has_a_value_of_env(host: JobHost) -> None:
    done = host.fraisier("config", "install", REPORT_PASSWORD=PASSWORD)
    assert PASSWORD not in done.stdout + done.stderr
    assert not [path for path in UNITS.glob("fraisier-run-*") if PASSWORD in path.read_text()]


WORKER = """\
ExecStart=/bin/true
EnvironmentFile=-/etc/a.env
EnvironmentFile=/etc/b.env
Environment="PGPASSFILE=/etc/pg pass" FRAISIER_CONFIG=/etc/f.yaml
SupplementaryGroups=mail news
ReadWritePaths=/srv
"""


def test_units_get_what_the_worker_gets_and_what_they_do_not_get_is_named(
    host: JobHost, install_unit: Callable[[str, str], None]
) -> None:
    install_unit("fraisier-worker.service", f"{WORKER}Group=games")
    program = written_program(host.folder / "fraisier")
    warnings = json.loads(host.install_by(program, "--json").stdout)["warnings"]
    lines = (UNITS / "fraisier-run-report.production@.service").read_text().splitlines()
    assert [line for line in lines if line.startswith(("Environment", "ReadWrite", "Group", "Supp"))] == [
        "Group=games",
        "SupplementaryGroups=mail news",
        "EnvironmentFile=-/etc/a.env",
        "EnvironmentFile=/etc/b.env",
        f"ReadWritePaths={host.folder}/state /srv",
    ]
    assert "the jobs run as root" in warnings[0]
    assert "sets PGPASSFILE by Environment=, which runs do not get" in warnings[1]
    assert "/etc/pg" not in "".join(warnings)


@pytest.mark.parametrize("user", ["games", "5", "daemon"])
def test_what_is_for_the_worker_of_another_user_is_not_for_the_units(
    host: JobHost, install_unit: Callable[[str, str], None], user: str
) -> None:
    shutil.chown(host.folder / "state", "mail")
    install_unit("fraisier-worker.service", f"{WORKER}User={user}")
    done = host.install_by(written_program(host.folder / "fraisier"), "--json")
    assert not json.loads(done.stdout)["warnings"]
    text = (UNITS / "fraisier-run-report.production@.service").read_text()
    assert "User=mail\n" in text
    assert "/etc/a.env" not in text


@pytest.mark.parametrize(("config", "state"), [("games", "root"), ("games", "mail"), ("daemon", "games")])
def test_root_does_not_trust_the_configuration_of_just_any_user(
    host: JobHost, config: str, state: str
) -> None:
    shutil.chown(host.folder / "fraises.yaml", config)
    shutil.chown(host.folder / "state", state)
    refused = host.fraisier("config", "install", "--dry-run")
    assert refused.returncode == ExitCode.CONFIGURATION
    assert f"belongs to {config}, and is not trusted to say what root runs" in refused.stderr
    shutil.chown(host.folder / "state", config)
    program = written_program(host.folder / "fraisier")
    assert host.install_by(program, "--dry-run").returncode == ExitCode.SUCCESS


def test_the_status_tells_when_a_run_is_requested_next_and_what_keeps_it_from_that(
    host: JobHost, systemctl: Callable[..., str]
) -> None:
    def told() -> dict[str, Any]:
        (found,) = json.loads(host.fraisier("status", "--json").stdout)
        timer: dict[str, Any] = found["timer"]
        return timer

    assert "is not installed: run `sudo fraisier config install`" in told()["problem"]
    host.install()
    assert told()["problem"] is None
    assert ":30:00" in told()["next"]
    assert "next run" in host.fraisier("status", "report", "production").stdout
    os.utime(UNITS / TIMER)
    assert f"systemd has not read {TIMER} since it was written" in told()["problem"]
    systemctl("daemon-reload")
    systemctl("stop", TIMER)
    assert "is not active" in told()["problem"]
    assert "is not active" in host.fraisier("status").stdout
    systemctl("disable", TIMER)
    assert "is not enabled" in told()["problem"]


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [('"*/5 * * * *"', 1), ('{on_calendar: ["*:00/5:00", "*-*-* 03:10"]}', 1), ('"@reboot"', None)],
)
def test_a_time_at_which_nothing_was_requested_is_told_until_the_timer_is_enabled_anew(
    host: JobHost, systemctl: Callable[..., str], schedule: str, hours: float | None
) -> None:
    def problem() -> str | None:
        (found,) = json.loads(host.fraisier("status", "--json").stdout)
        told: str | None = found["timer"]["problem"]
        return told

    host.configure('"30 2 * * *"', schedule)
    host.install()
    assert problem() is None
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    long_ago = time.time() - (hours * 3600 if hours else since_boot + 60)
    for each in (UNITS / TIMER, UNITS / "timers.target.wants" / TIMER):
        os.utime(each, (long_ago, long_ago), follow_symlinks=False)
    assert re.search(r"a run was due at \S+ \S+ UTC, and none was requested", problem() or "")
    systemctl("disable", TIMER)
    systemctl("enable", TIMER)
    assert problem() is None


@pytest.mark.usefixtures("unhidden")
def test_a_fire_is_recorded_and_executed_by_a_unit_while_no_worker_runs(
    host: JobHost, systemctl: Callable[..., str]
) -> None:
    host.configure('env: {PASSWORD: "${REPORT_PASSWORD}"}', "limits: {memory: 80M, tasks: 16}")
    host.install()
    assert host.deploy().returncode == ExitCode.SUCCESS
    with host.store_away():
        systemctl("start", "--no-block", REQUESTER)  # as its timer does
        wait_until(lambda: int(systemctl("show", "-P", "NRestarts", REQUESTER)) > 0, host.journal)
    run = wait_until(host.ended_run, host.journal)
    assert (run["status"], run["trigger"], run["executor"]) == ("success", "schedule", "unit"), host.journal()
    assert "reported" in host.fraisier("logs", run["id"]).stdout
    with host.refusing(systemctl):
        systemctl("start", "--no-block", REQUESTER)
        wait_until(lambda: "bad unit file setting" in host.journal(), host.journal)
    wait_until(lambda: [each["status"] for each in host.ended()] == ["success"] * 2, host.journal)
    run = host.ended()[0]
    host.configure("limits: {memory: 80M, tasks: 16}", 'env: {PASSWORD: "${REPORT_PASSWORD}"}')
    host.install()
    systemctl("start", REQUESTER)
    failed = wait_until(lambda: None if (last := host.ended_run()) == run else last, host.journal)
    assert (failed["status"], failed["trigger"], failed["executor"]) == ("failed", "schedule", "unit")
    assert "REPORT_PASSWORD" in failed["error_message"]


def test_a_request_that_takes_too_long_is_ended_and_not_repeated(
    host: JobHost, systemctl: Callable[..., str], unhidden: Path
) -> None:
    host.install()
    hanging = unhidden / "hanging.conf"
    hanging.write_text("[Service]\nExecStart=\nExecStart=/bin/sleep 600\nTimeoutStartSec=1\n")
    systemctl("daemon-reload")
    systemctl("start", "--no-block", REQUESTER)
    ended = {"failed", "auto-restart"}
    state = wait_until(lambda: ended & {systemctl("show", "-P", "SubState", REQUESTER).strip()}, host.journal)
    assert state == {"failed"}, "it may have been recorded"


@pytest.mark.usefixtures("unhidden")
def test_a_unit_that_is_stopped_ends_its_job_in_order_and_does_not_run_it_again(
    host: JobHost, systemctl: Callable[..., str]
) -> None:
    began, ended = host.folder / "began", host.folder / "ended"
    host.forge.push_files({"report.sh": f"trap 'touch {ended}; exit' TERM; touch {began}; sleep 600 & wait"})
    host.configure('env: {PASSWORD: "${REPORT_PASSWORD}"}', "retries: 1")
    host.install()
    assert host.deploy().returncode == ExitCode.SUCCESS
    systemctl("start", REQUESTER)
    wait_until(began.exists, host.journal)
    systemctl("stop", "fraisier-run-report.production@*")
    assert ended.exists()
    run, _ = json.loads(host.fraisier("history", "--json").stdout)
    assert (run["status"], run["error_message"]) == ("cancelled", "cancelled by systemd"), host.journal()


@pytest.mark.usefixtures("unhidden")
def test_runs_that_wait_have_no_unit_until_it_is_their_turn_though_the_one_before_dies(
    host: JobHost, systemctl: Callable[..., str]
) -> None:
    began = host.folder / "began"
    host.forge.push_files({"report.sh": f'[ "$1" != stay ] || {{ touch {began}; sleep 600; }}'})
    host.configure('env: {PASSWORD: "${REPORT_PASSWORD}"}', "limits: {tasks: 50}")
    host.install()
    assert host.deploy().returncode == ExitCode.SUCCESS
    run = ("run", "report", "production", "--detach", "--")
    ids = [host.fraisier(*run, word).stdout.strip() for word in ("stay", "first", "second")]
    wait_until(began.exists, host.journal)

    def units() -> list[str]:
        listed = systemctl("list-units", "--plain", "--no-legend", "fraisier-run-report.production@*")
        return [line.split()[0] for line in listed.splitlines()]

    assert units() == [f"fraisier-run-report.production@{ids[0]}.service"]
    systemctl("kill", "--signal=KILL", *units())
    systemctl("start", REQUESTER)  # whose unit recovers what the dead one left
    wait_until(lambda: len(host.ended()) == 4 and not units(), host.journal)
    ended = sorted(host.ended(), key=lambda each: str(each["completed_at"]))
    assert [each["status"] for each in ended] == ["interrupted", *["success"] * 3]
    assert [each["id"] for each in ended[:3]] == ids
    killed = [line for line in host.journal().splitlines() if "Killing process" in line]
    assert all(ids[0] in line for line in killed), "no unit ends before its processes do"


def test_who_follows_a_run_whose_unit_ends_before_its_claim_is_told_how_to_find_out_why(
    host: JobHost, systemctl: Callable[..., str], unhidden: Path
) -> None:
    host.configure('env: {PASSWORD: "${REPORT_PASSWORD}"}', "limits: {tasks: 50}\n        run: on_deploy")
    host.install()
    deployed = host.deploy()
    run = wait_until(host.ended_run, host.journal)
    assert (run["status"], run["trigger"], run["executor"]) == ("success", "on_deploy", "unit"), (
        host.journal()
    )
    assert f"run {run['id']} is requested" in deployed.stdout
    assert "no worker is running" not in deployed.stderr
    broken = unhidden / "broken.conf"
    broken.write_text("[Service]\nExecStartPre=/bin/false\n")
    systemctl("daemon-reload")
    done = host.fraisier("run", "report", "production")
    assert done.returncode == ExitCode.FAILED
    assert "ended before it claimed it, and no worker is running" in done.stderr
    assert "see `journalctl --unit fraisier-run-report.production@" in done.stderr
    broken.unlink()
    systemctl("daemon-reload")
    assert host.fraisier("run", "report", "production").returncode == ExitCode.SUCCESS
    assert [each["status"] for each in host.ended()] == ["success"] * 3, "what waited was executed before"


@pytest.mark.usefixtures("unhidden")
def test_the_worker_starts_the_unit_of_a_run_that_nothing_else_started(host: JobHost) -> None:
    host.configure('env: {PASSWORD: "${REPORT_PASSWORD}"}', "limits: {tasks: 50}")
    host.install()
    assert host.deploy().returncode == ExitCode.SUCCESS
    with closing(sqlite3.connect(host.folder / "state" / "fraisier.db")) as store, store:
        store.execute("UPDATE tb_environments SET executor = 'worker'")
    host.install()  # which tells the store who executes runs
    host.request()
    with host.worker():
        run = wait_until(host.ended_run, host.journal)
    assert (run["status"], run["executor"]) == ("success", "unit"), host.journal()


def test_a_run_whose_unit_is_not_installed_fails_with_the_command(host: JobHost) -> None:
    host.install()
    assert host.deploy().returncode == ExitCode.SUCCESS
    for path in UNITS.glob("fraisier-run-*"):
        path.unlink()
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert host.fraisier("run", "report", "production", "--detach").returncode == ExitCode.SUCCESS
    with host.worker():
        run = wait_until(host.ended_run)
    assert run["status"] == "failed"
    assert "run `sudo fraisier config install`" in run["error_message"]


def test_what_the_owner_may_not_read_or_run_is_told_before_anything_is_installed(
    host: JobHost, tmp_path: Path
) -> None:
    shutil.chown(host.folder / "state", "games")
    program = host.folder / "fraisier"
    (host.folder / "fraises.yaml").chmod(0o640)
    assert f"games, as whom the jobs run, cannot read {host.folder}/fraises.yaml" in host.refused(program)
    (host.folder / "fraises.yaml").chmod(0o644)
    tmp_path.chmod(0o700)
    hidden = written_program(tmp_path / "fraisier")
    assert f"cannot run {hidden}, and nothing is changed: " in host.refused(hidden)
    written_program(program, "echo no Python here >&2; exit 1")
    assert f"cannot run {program}, and nothing is changed: no Python here" in host.refused(program)


def test_what_was_to_be_changed_is_told_though_it_failed(host: JobHost) -> None:
    program = written_program(host.folder / "fraisier")
    wants = UNITS / "timers.target.wants"
    shutil.rmtree(wants, ignore_errors=True)  # of tests before this
    wants.touch()
    done = host.install_by(program, "--json")
    wants.unlink()
    assert done.returncode == ExitCode.FAILED, done.stderr
    assert json.loads(done.stdout)["applied"] is False
    assert len(json.loads(done.stdout)["changes"]) == 3
    commands = json.loads(host.install_by(program, "--json").stdout)["commands"]
    assert [" ".join(each) for each in commands] == [
        f"systemctl enable --quiet {TIMER}",
        f"systemctl restart {TIMER}",
    ]


def test_only_root_installs_units(
    host: JobHost, outcome_as: Callable[[str, Callable[[], None]], str]
) -> None:
    config = load_config(host.folder / "fraises.yaml", Plugins.installed())
    refusal = outcome_as("games", lambda: install_units(config, dry_run=True, as_json=False))
    assert "only root may install units: run `sudo -u root " in refusal
