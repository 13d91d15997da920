"""`fraisier config` about jobs: hours that the clock skips, and a host without systemd."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fraisier.exit_codes import ExitCode
from fraisier_core.system.host import has_systemd
from fraisier_core.testing import Forge

from tests.command import FRAISIER, run_fraisier

CONFIG = """
fraises:
  report:
    type: scheduled
    repository: https://example.com/acme/report.git
    environments:
      production:
        app_path: /srv/report/app
        command: ["true"]
        schedule: {schedule}
"""


def fraisier(folder: Path, schedule: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "fraises.yaml").write_text(CONFIG.format(schedule=schedule))
    return run_fraisier(*arguments, folder=folder, environ=os.environ)


def test_a_job_whose_hour_the_clock_skips_is_named_with_its_line(tmp_path: Path) -> None:
    done = fraisier(tmp_path, '{cron: "30 2 * * *", time_zone: Europe/Berlin}', "config", "check")
    assert done.returncode == ExitCode.SUCCESS
    assert "fraises.yaml:10: fraises.report.environments.production.schedule: does not run on" in done.stdout
    assert "choose an hour that every day has, or time_zone: UTC" in done.stdout


@pytest.mark.parametrize("schedule", ["61 * * * *", "0 0 31 2 *", "@often"])
def test_a_schedule_that_never_comes_is_refused_with_its_line(tmp_path: Path, schedule: str) -> None:
    done = fraisier(tmp_path, f'"{schedule}"', "config", "check")
    assert done.returncode == ExitCode.CONFIGURATION
    assert "fraises.yaml:10: fraises.report.environments.production.schedule" in done.stderr


SAMPLE = """
state_dir: {folder}/state
fraises:
  site:
    type: api
    repository: {url}
    environments: {{production: {{branch: main, app_path: {folder}/site, stable_for: 0}}}}
  load:
    type: etl
    repository: {url}
    environments:
      production: {{branch: main, app_path: {folder}/load, script_path: job.sh, limits: {{memory: 2G}}}}
  report:
    type: scheduled
    repository: {url}
    environments:
      tokyo:
        branch: main
        app_path: {folder}/tokyo
        command: [sh, job.sh]
        schedule: {{cron: "5 4 * * *", time_zone: Asia/Tokyo, persistent: true}}
        limits: {{tasks: 200, cpu: 50%}}
        ping: https://hc.example.com/tokyo
      nightly:
        branch: main
        app_path: {folder}/nightly
        script_path: job.sh
        env: {{TOKEN: "${{API_TOKEN}}", USER_NAME: "${{API_USER}}"}}
        schedule: "30 2 * * mon-fri"
      lima:
        branch: main
        app_path: {folder}/lima
        command: [sh, job.sh]
        schedule: {{on_calendar: [Mon 02:30, "*-*-01 7:00"], time_zone: America/Lima, random_delay: 5m}}
"""


@pytest.fixture
def without_systemd(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command on a host without systemd, which has fraises of each type."""
    if has_systemd():
        pytest.skip("systemd runs this host")
    forge = Forge.create(tmp_path / "forge")
    forge.push_files({"job.sh": "#!/bin/sh\necho reported $1\n"})
    config = tmp_path / "fraises.yaml"
    config.write_text(SAMPLE.format(folder=tmp_path, url=forge.url))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_fraisier("-c", str(config), *arguments, folder=tmp_path, environ=os.environ)

    return run


def test_without_systemd_the_lines_of_a_crontab_are_told_with_all_that_is_lost(
    tmp_path: Path, without_systemd: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = without_systemd("config", "install")
    assert done.returncode == ExitCode.CONFLICT
    told = done.stderr.replace(f"{FRAISIER} -c {tmp_path}/fraises.yaml run", "RUN")
    problem, *lines = told.splitlines()
    assert problem == (
        "this host is not run by systemd, which units are for; cron does the same with these lines at the "
        f"end of the crontab of the user who owns {tmp_path}/state:"
    )
    assert lines == [
        "# Cron sets none of the variables that runs need, as the worker's unit does: set API_TOKEN, "
        "API_USER above these lines",
        "# Only a worker notifies and pings: start `fraisier worker`, too",
        "# load production: without systemd, it has no limit of memory",
        "30 2 * * mon-fri RUN report nightly --scheduled > /dev/null",
        "# report lima: without systemd, it has no random delay",
        "# report lima: cron knows no calendar expressions; translate "
        "Mon 02:30 America/Lima and *-*-01 7:00 America/Lima:",
        "# MINUTE HOUR DAY MONTH WEEKDAY RUN report lima --scheduled > /dev/null",
        "# CRON_TZ is for all lines below it; cronie knows it, Debian's cron goes by the host's zone:",
        "CRON_TZ=Asia/Tokyo",
        "# report tokyo: without systemd, it has no run in place of one that was missed, no limit of tasks, "
        "no limit of cpu",
        "5 4 * * * RUN report tokyo --scheduled > /dev/null",
    ]


def test_without_systemd_all_but_the_installing_works(
    without_systemd: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    def run(*arguments: str) -> str:
        done = without_systemd(*arguments)
        assert done.returncode == ExitCode.SUCCESS, done.stdout + done.stderr
        return done.stdout

    run("deploy", "site", "production")
    run("deploy", "load", "production")
    run("deploy", "report", "tokyo")
    noted = run("logs", "report", "tokyo")
    assert "this host is not run by systemd, so no run starts by itself unless the crontab" in noted
    assert "run report tokyo --scheduled > /dev/null" in noted
    assert "it has no limit of memory" in run("logs", "load", "production")
    assert "reported 2026" in run("run", "load", "production", "--", "2026")
    run("run", "report", "tokyo", "--scheduled")  # as cron does
    newest = json.loads(run("history", "report", "tokyo", "--json"))[0]
    assert (newest["status"], newest["trigger"], newest["executor"]) == ("success", "schedule", "worker")
    assert len(json.loads(run("status", "--json"))) == 5
