from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_settings import BackupSettings, KeepSection
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.pruning import WAYS_BACK, Plan, Policy, plan
from fraisier_deployers.backup.verified_copies import verify

from tests import manifests

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CONTENT = b"what was dumped"
LAST = Policy("shop", "production", "here", KeepSection(last=1))


@pytest.fixture
def place(tmp_path: Path) -> LocalPlace:
    return LocalPlace(tmp_path / "backups")


def put(place: LocalPlace, begun: datetime, **changes: object) -> Manifest:
    return manifests.put(place, place.folder.parent, CONTENT, begun, **changes)


def put_days(place: LocalPlace, count: int) -> list[Manifest]:
    """Store one backup of each day, oldest first; the newest is of yesterday."""
    return [put(place, NOW - timedelta(days=days)) for days in range(count, 0, -1)]


def names(made: Plan) -> list[str]:
    return [manifest.name for manifest in made.deleted]


def listed(place: LocalPlace) -> list[str]:
    return [manifest.name for manifest in place.manifests().manifests]


def test_what_no_rule_keeps_is_deleted_file_and_manifest(place: LocalPlace) -> None:
    old, older, newest = put_days(place, 3)
    made = plan(place, LAST, NOW)
    assert names(made) == [old.name, older.name]
    made.execute()
    assert {file.name for file in place.folder.iterdir()} == {newest.file, newest.manifest_file}


def test_a_plan_deletes_nothing_and_says_why_each_stays(place: LocalPlace) -> None:
    old, middle, newest = put_days(place, 3)
    lines = list(plan(place, Policy("shop", "production", "here", KeepSection(last=2)), NOW).lines())
    assert lines == [
        f"{place.destination}: {old.name} goes",
        f"{place.destination}: {middle.name} stays: last",
        f"{place.destination}: {newest.name} stays: last, the newest good one",
    ]
    assert len(listed(place)) == 3


def test_without_a_policy_all_stay(place: LocalPlace) -> None:
    put_days(place, 3)
    made = plan(place, Policy("shop", "production", "here", None), NOW)
    assert names(made) == []
    assert "no `keep` is set" in next(made.lines())


def test_nothing_goes_if_the_newest_run_failed(place: LocalPlace) -> None:
    put_days(place, 3)
    made = plan(place, LAST, NOW, failed="0123")
    assert names(made) == []
    assert list(made.lines()) == [f"{place.destination}: nothing is pruned: the newest run, 0123, failed"]


def damage(place: LocalPlace, manifest: Manifest) -> None:
    (place.folder / manifest.file).write_bytes(b"X" + CONTENT[1:])


def cut_off(place: LocalPlace, manifest: Manifest) -> None:
    (place.folder / manifest.file).write_bytes(CONTENT[:-1])


def lose(place: LocalPlace, manifest: Manifest) -> None:
    (place.folder / manifest.file).unlink()


@pytest.mark.parametrize(
    ("harm", "why"), [(damage, "is damaged"), (cut_off, "has 14 bytes"), (lose, "No such")]
)
def test_nothing_goes_if_the_newest_copy_is_not_good(place: LocalPlace, harm: object, why: str) -> None:
    assert callable(harm)
    newest = put_days(place, 3)[-1]
    harm(place, newest)
    made = plan(place, LAST, NOW)
    assert names(made) == []
    assert made.refusal is not None
    assert newest.file in made.refusal
    assert why in made.refusal


def test_nothing_goes_if_the_newest_manifest_cannot_be_read(place: LocalPlace) -> None:
    newest = put_days(place, 3)[-1]
    (place.folder / newest.manifest_file).write_text("{")
    assert f"the newest manifest, {newest.manifest_file}, cannot be read" in next(
        plan(place, LAST, NOW).lines()
    )


def test_an_older_manifest_that_cannot_be_read_stays_and_is_named(place: LocalPlace) -> None:
    oldest, middle, _ = put_days(place, 3)
    (place.folder / oldest.manifest_file).write_text("{")
    made = plan(place, LAST, NOW)
    assert names(made) == [middle.name]
    assert f"{oldest.manifest_file} stays: {oldest.manifest_file} is no manifest" in next(made.lines())


def test_what_the_last_deployments_asked_for_stays(place: LocalPlace) -> None:
    asked = [put(place, NOW - timedelta(days=9 - n), asked_by=f"000{n}") for n in range(WAYS_BACK + 1)]
    put_days(place, 1)
    made = plan(place, LAST, NOW)
    assert names(made) == [asked[0].name]
    assert f"{asked[1].name} stays: made for the deployment 0001" in "\n".join(made.lines())


def test_copies_that_the_host_made_under_another_name_count_too(place: LocalPlace) -> None:
    old, older = (put(place, NOW - timedelta(days=days), host="db0") for days in (3, 2))
    put(place, NOW - timedelta(days=1))
    assert names(plan(place, Policy("shop", "production", "here", KeepSection(last=2)), NOW)) == [old.name]
    assert older.name in listed(place)


def test_copies_of_another_installation_stay_and_count_for_nothing(place: LocalPlace) -> None:
    theirs = [put(place, NOW - timedelta(hours=hours), installation="there") for hours in (80, 1)]
    old, _ = put_days(place, 2)
    damage(place, theirs[1])
    made = plan(place, LAST, NOW)
    assert names(made) == [old.name]
    assert f"{theirs[1].name} stays: made by another installation, on db1" in "\n".join(made.lines())


def test_a_copy_from_the_future_stays_and_takes_no_place_of_another(place: LocalPlace) -> None:
    future = put(place, NOW + timedelta(days=700))
    old, newest = put_days(place, 2)
    made = plan(place, LAST, NOW)
    assert names(made) == [old.name]
    assert {future.name, newest.name}.isdisjoint(names(made))


def test_what_was_made_just_now_stays_though_the_clock_was_set_back(place: LocalPlace) -> None:
    made_now = put(place, NOW - timedelta(days=9), deployment_id="00000001")
    put_days(place, 2)
    assert made_now.name not in names(plan(place, LAST, NOW, verified=made_now.name))


def test_copies_of_other_environments_are_left_alone(place: LocalPlace) -> None:
    put(place, NOW - timedelta(days=30), environment="staging")
    old, _ = put_days(place, 2)
    assert names(plan(place, LAST, NOW)) == [old.name]


def daily(zone: str) -> Policy:
    """Return the policy of a schedule in a time zone."""
    schedule = {"cron": "0 3 * * *", "time_zone": zone}
    section = {"source": {"command": ["true"]}, "path": "/srv", "keep": {"daily": 2}, "schedule": schedule}
    return Policy.of("shop", "production", BackupSettings.model_validate(section), "here")


def test_days_are_meant_in_the_zone_of_the_schedule(place: LocalPlace) -> None:
    evening, morning = (
        put(place, datetime(2026, 11, day, hour, tzinfo=UTC)) for day, hour in ((18, 23), (19, 1))
    )
    put(place, datetime(2026, 11, 19, 15, tzinfo=UTC))
    assert names(plan(place, daily("UTC"), NOW)) == [morning.name]
    # in Berlin all three are of one day, and the oldest is kept
    assert names(plan(place, daily("Europe/Berlin"), NOW)) == [morning.name]
    assert names(plan(place, daily("America/Noronha"), NOW)) == [evening.name]


def test_a_copy_that_is_not_listed_is_not_verified(place: LocalPlace) -> None:
    manifest = put(place, NOW)
    verify(place, manifest)
    (place.folder / manifest.manifest_file).unlink()
    with pytest.raises(BackupError, match="does not list"):
        verify(place, manifest)


def test_a_copy_under_another_manifest_is_not_verified(place: LocalPlace) -> None:
    manifest = put(place, NOW)
    with pytest.raises(BackupError, match="another manifest"):
        verify(place, manifest.model_copy(update={"host": "another"}))
