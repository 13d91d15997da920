"""Units let their owner see what they need, and are written whole or not at all."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from fraisier_core.errors import ConfigurationError, StepFailedError
from fraisier_core.job_settings import LimitsSection
from fraisier_core.units.installed_units import left_timers
from fraisier_core.units.job import Job
from fraisier_core.units.place import require_shares
from fraisier_core.units.unit_plan import Change, Plan, apply, file_changes
from fraisier_core.units.unit_texts import MARK, UnitPlace, unit_texts


def test_a_file_is_replaced_whole_and_readable_for_everyone(tmp_path: Path) -> None:
    path = tmp_path / "a.service"
    path.write_text("old")
    apply(Plan((), (Change(path, "old", "new"), Change(tmp_path / "b.timer", None, "b")), ()))
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        "a.service": "new",
        "b.timer": "b",
    }
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", ["a" * 300, "folder", "file/b.timer"])
def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder" / "full").mkdir(parents=True)
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StepFailedError, match="cannot be written: "):
        apply(Plan((), (Change(tmp_path / name, None, "text"),), ()))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_that_is_gone_already_needs_no_deleting(tmp_path: Path) -> None:
    apply(Plan((), (Change(tmp_path / "a.timer", "text", None),), ()))
    with pytest.raises(StepFailedError, match="cannot be deleted: Is a directory"):
        apply(Plan((), (Change(tmp_path, "text", None),), ()))


PLACE = UnitPlace("/usr/bin/fraisier", Path("/etc/fraises.yaml"), "fraisier", Path("/srv/state"))


@pytest.mark.parametrize(
    "place",
    [
        replace(PLACE, program="/home/ada/bin/fraisier"),
        replace(PLACE, state_dir=Path("/root/state")),
        replace(PLACE, writable=("/srv/a", "/home/ada/sites")),
    ],
)
def test_homes_are_hidden_unless_something_is_there(place: UnitPlace) -> None:
    job = Job("report", "production", (), LimitsSection(tasks=50))
    assert "\nProtectHome=no\n" in "".join(unit_texts(job, place).values())
    assert "\nProtectHome=yes\n" in "".join(unit_texts(job, PLACE).values())


def job(name: str) -> Job:
    """Return a job with units."""
    return Job(name, "production", (), LimitsSection(tasks=50))


@pytest.mark.parametrize(
    ("installed", "wanted"),
    [(["a"], []), ([], ["a", "b"]), (["a", "b"], ["b"]), (["a"], ["a", "b"]), (["a", "b"], ["b", "c"])],
)
@pytest.mark.parametrize("lost", [0, 1])
def test_the_rule_never_names_a_unit_that_is_not_there(
    tmp_path: Path, installed: list[str], wanted: list[str], lost: int
) -> None:
    units, rules = tmp_path / "system", tmp_path / "rules.d"
    units.mkdir()
    rules.mkdir()
    apply(Plan((), file_changes([*map(job, installed)], PLACE, units, rules), ()))
    for path in [*units.iterdir()][:lost]:
        path.unlink()
    for each in file_changes([*map(job, wanted)], PLACE, units, rules):
        apply(Plan((), (each,), ()))
        said = "".join(rule.read_text() for rule in rules.iterdir())
        named = set(re.findall(r"fraisier-run-\w+\.production@\.service", said))
        assert named <= {unit.name for unit in units.iterdir()}
    assert not file_changes([*map(job, wanted)], PLACE, units, rules)
    assert len(list(rules.iterdir())) == bool(wanted)


def test_a_share_of_too_little_memory_is_refused() -> None:
    def require(share: str, gigabytes: int) -> None:
        limited = Job("report", "production", (), LimitsSection(memory=share))
        require_shares([job("other"), limited], Path("fraises.yaml"), gigabytes << 30)

    for share, gigabytes in ("0%", 64), ("1%", 4), ("7%", 1):
        with pytest.raises(
            ConfigurationError, match=r"production: limits.memory: .*%.* and must be 80M at least"
        ):
            require(share, gigabytes)
    require("1%", 8)
    require("512M", 1)


def test_timers_of_environments_that_are_gone_are_told_and_no_others(tmp_path: Path) -> None:
    config = Path("/srv/fraises.yaml")
    for name, mark in (
        ("a.eu", config),
        ("a.old", config),
        ("b.eu", "/srv/fraises.yaml.other"),
        ("c.eu", ""),
    ):
        text = f"# {MARK}{mark}\n[Timer]\n" if mark else "[Timer]\n"
        (tmp_path / f"fraisier-run-{name}.timer").write_text(text)
    assert left_timers(config, [("a", "eu-test"), ("a", "eu")], tmp_path) == ["fraisier-run-a.old.timer"]
    gone = ["fraisier-run-a.eu.timer", "fraisier-run-a.old.timer"]
    assert left_timers(config, [("a", "eu-test")], tmp_path) == gone
