"""`fraisier config` about jobs: hours that the clock skips, and a host without systemd."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fraisier.exit_codes import ExitCode
from fraisier_core.system.host import has_systemd

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
    command = [sys.executable, "-m", "fraisier", "-c", str(folder / "fraises.yaml"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


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


@pytest.mark.skipif(has_systemd(), reason="systemd runs this host")
@pytest.mark.parametrize(
    ("schedule", "line"),
    [
        ('"30 2 * * mon-fri"', "30 2 * * mon-fri "),
        ('{cron: "5 4 * * *", time_zone: Asia/Tokyo}', "CRON_TZ=Asia/Tokyo\n5 4 * * * "),
        ('{on_calendar: "Mon..Fri 02:30"}', "# at Mon..Fri 02:30: "),
    ],
)
def test_without_systemd_the_lines_of_a_crontab_are_told(tmp_path: Path, schedule: str, line: str) -> None:
    done = fraisier(tmp_path, schedule, "config", "install")
    assert done.returncode == ExitCode.CONFLICT
    assert line in done.stderr
    assert f"-c {tmp_path}/fraises.yaml run report production --scheduled --detach" in done.stderr
