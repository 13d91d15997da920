"""The units of backups and of restore tests: two timers, of which each requests its own kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from fraisier_core.config import Config, parse_config
from fraisier_core.units.crontab import crontab
from fraisier_core.units.installed_units import left_timers
from fraisier_core.units.job import Job
from fraisier_core.units.unit_texts import UnitPlace, unit_texts

from tests import toy_backup
from tests.packages import PackageFolder

CONFIG = """
fraises:
  kept:
    type: copied
    environments:
      production:
        source: {source}
        target: /var/backups/kept
        schedule: "30 2 * * *"
        restore_test: {{schedule: {{cron: "30 2 * * sun", time_zone: Europe/Berlin}}}}
"""
PLACE = UnitPlace(
    "/usr/bin/fraisier", Path("/etc/fraisier/fraises.yaml"), "fraisier", Path("/var/lib/fraisier")
)
UNIT = "fraisier-run-kept.production"


def configured(site: PackageFolder, source: str = "/srv/source", parts: tuple[str, ...] = ()) -> Config:
    site.deployer("copied", Path(toy_backup.__file__).read_text())
    text = CONFIG.format(source=source)
    return parse_config(text, Path("/etc/fraisier/fraises.yaml"), site.plugins(), {}, parts=parts)


@pytest.mark.parametrize("source", ["/srv/source", "'${NOT_SET}'"])
def test_each_kind_has_a_timer_that_requests_it(site: PackageFolder, source: str) -> None:
    (environment,) = configured(site, source).environments
    job = Job.of(environment)
    assert job is not None
    texts = unit_texts(job, PLACE)
    asked = {name: line for name, text in texts.items() for line in text.splitlines() if "ExecStart=" in line}
    command = "ExecStart=:/usr/bin/fraisier -c /etc/fraisier/fraises.yaml"
    assert asked == {
        f"{UNIT}@.service": f"{command} run kept production --claim %i",
        f"{UNIT}.service": f"{command} backup kept production --scheduled --detach",
        f"{UNIT}.restore_test.service": f"{command} backups test kept production --scheduled --detach",
    }
    assert "OnCalendar=*-*-* 02:30:00\n" in texts[f"{UNIT}.timer"]
    assert "OnCalendar=Sun *-*-* 02:30:00 Europe/Berlin\n" in texts[f"{UNIT}.restore_test.timer"]
    assert "ProtectSystem=full\n" in texts[f"{UNIT}@.service"]
    assert "ProtectSystem=strict\n" in texts[f"{UNIT}.service"]


def test_a_crontab_requests_both(site: PackageFolder) -> None:
    (environment,) = configured(site).environments
    job = Job.of(environment)
    assert job is not None
    lines = "\n".join(crontab([job], "fraisier", Path("fraises.yaml")))
    assert "30 2 * * * fraisier -c fraises.yaml backup kept production --scheduled" in lines
    assert "30 2 * * sun fraisier -c fraises.yaml backups test kept production --scheduled" in lines


def test_the_timer_of_a_restore_test_is_not_left_while_its_environment_is_there(
    site: PackageFolder, tmp_path: Path
) -> None:
    config = configured(site).path
    (tmp_path / f"{UNIT}.restore_test.timer").write_text(
        f"# Written by `fraisier config install`, from {config}\n"
    )
    assert left_timers(config, [("kept", "production")], tmp_path) == []
    assert left_timers(config, [("kept", "staging")], tmp_path) == [f"{UNIT}.restore_test.timer"]


def test_a_restore_test_whose_hour_is_skipped_is_told_of_with_its_line(site: PackageFolder) -> None:
    (warning,) = [each for each in configured(site, parts=("git",)).warnings if "skips its hour" in each]
    assert "production.restore_test.schedule" in warning
