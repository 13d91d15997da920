import hashlib
import json
import subprocess
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.held_folder import held, is_held
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.manifest import MOST_BYTES, FolderFacts, Manifest
from fraisier_deployers.backup.places import Place, StoredFile

from tests import manifests
from tests.manifests import manifest_of, night

CONTENT = b"what was dumped"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return LocalPlace(tmp_path / "backups")


def put(place: Place, folder: Path, day: int = 1) -> Manifest:
    return manifests.put(place, folder, CONTENT, night(day))


def test_a_manifest_is_read_as_it_was_written() -> None:
    manifest = manifest_of(CONTENT, night(1), asked_by="DEPLOYMENT")
    assert manifest.name == "shop-production-20261101T023000Z-abcd"
    assert Manifest.parse(manifest.text(), f"{manifest.name}.json") == manifest


def test_a_manifest_of_an_older_version_can_be_read() -> None:
    manifest = manifest_of(CONTENT, night(1))
    keys = json.loads(manifest.text())
    del keys["installation"]
    assert not Manifest.parse(json.dumps(keys), f"{manifest.name}.json").installation


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../../etc/passwd"},
        {"file": "shop-production-20261102T023000Z-abcd.bin"},
        {"name": "../escaped"},
        {"sha256": "short"},
        {"created_at": datetime(2026, 1, 1)},
        {"facts": {"kind": "unknown"}},
        {"facts": {"kind": "sqlite", "path": "/srv/shop.db", "mode": 0o4755, "tables": {}}},
    ],
)
def test_a_manifest_that_says_what_none_does_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes)) + "|another backup"):
        manifest_of(CONTENT, night(1), **changes)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-23:59", "2026-11-02T02:30:00Z"])
def test_a_manifest_of_another_time_than_its_name_has_is_refused(time: str) -> None:
    manifest = manifest_of(CONTENT, night(1))
    keys = json.loads(manifest.text()) | {"created_at": time}
    with pytest.raises(BackupError, match=r"is no manifest: .*created_at"):
        Manifest.parse(json.dumps(keys), manifest.manifest_file)


def test_a_manifest_under_the_name_of_another_is_refused() -> None:
    with pytest.raises(BackupError, match=r"^other\.json is the manifest of another backup, shop-"):
        Manifest.parse(manifest_of(CONTENT, night(1)).text(), "other.json")


def test_copies_are_listed_by_age_and_readable_by_their_owner_alone(place: Place, tmp_path: Path) -> None:
    newer, older = put(place, tmp_path, 2), put(place, tmp_path, 1)
    assert place.manifests().manifests == (older, newer)
    folder = Path(place.destination)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_what_is_stored_is_read_there(place: Place, tmp_path: Path) -> None:
    manifest = put(place, tmp_path)
    assert place.stored(manifest) == StoredFile(len(CONTENT), DIGEST)
    place.fetch(manifest, tmp_path).write_bytes(b"damaged")
    assert place.stored(manifest) == StoredFile(7, hashlib.sha256(b"damaged").hexdigest())


def read_from_disk() -> int:
    """Return how many bytes this process had the disk read."""
    return int(
        dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())["read_bytes"]
    )


def test_what_is_verified_is_read_from_the_disk_and_not_from_memory(place: Place, tmp_path: Path) -> None:
    if subprocess.check_output(["stat", "-f", "-c", "%T", tmp_path], text=True) == "tmpfs\n":
        pytest.skip("the folder for temporary files is in memory")
    manifest, before = put(place, tmp_path), read_from_disk()
    place.stored(manifest)
    assert read_from_disk() > before


def test_a_copy_without_its_manifest_is_none(place: Place, tmp_path: Path) -> None:
    manifest = put(place, tmp_path)
    (Path(place.destination) / manifest.manifest_file).unlink()
    assert place.manifests().manifests == ()


def test_a_manifest_that_cannot_be_read_is_named(place: Place, tmp_path: Path) -> None:
    manifest = put(place, tmp_path)
    (Path(place.destination) / "broken.json").write_text("{")
    listing = place.manifests()
    assert listing.manifests == (manifest,)
    assert "broken.json is no manifest" in listing.unreadable["broken.json"]


def test_a_deleted_copy_is_gone_and_may_be_deleted_again(place: Place, tmp_path: Path) -> None:
    manifest = put(place, tmp_path)
    for _ in range(2):
        place.delete(manifest)
    assert list(Path(place.destination).iterdir()) == []
    with pytest.raises(BackupError, match="No such file"):
        place.stored(manifest)


def test_what_was_stored_or_deleted_in_part_is_removed_and_nothing_else(tmp_path: Path) -> None:
    place = LocalPlace(tmp_path / "backups")
    good, unlisted, brought = (put(place, tmp_path, day) for day in (1, 2, 3))
    marked = place.folder / unlisted.manifest_file
    marked.rename(place.folder / f".{marked.name}.partial")  # as by a process that is killed in put or delete
    (place.folder / brought.manifest_file).unlink()
    (place.folder / "db-20240101T000000Z-full.sql.gz").write_text("of the user's")
    (place.folder / f".{good.manifest_file}.partial").write_text("")
    (place.folder / f"..{good.manifest_file}.partial.0a1b2c3d").write_text("")
    stays = put(place, tmp_path, 4)
    (place.folder / stays.manifest_file).rename(place.folder / f".{stays.manifest_file}.partial")
    (place.folder / stays.file).unlink()
    (place.folder / stays.file).mkdir()  # which cannot be unlinked, as what is immutable cannot
    (used := place.folder / f".{stays.name}-1a2b.partial").mkdir()
    with held(used):
        place.remove_unfinished("shop", "production")
        assert used.exists()
    (place.folder / stays.file).rmdir()
    place.remove_unfinished("shop", "production")
    users = {brought.file, "db-20240101T000000Z-full.sql.gz"}
    assert {path.name for path in place.folder.iterdir()} == users | {good.file, good.manifest_file}
    assert set(place.orphans()) == users


def test_whether_a_folder_is_held_is_asked_without_keeping_others_from_holding_it(tmp_path: Path) -> None:
    """Who asks holds it for a moment: whoever comes then waits."""
    holding = threading.Event()

    def hold() -> None:
        with held(tmp_path):
            holding.set()

    waiting = threading.Thread(target=hold)
    with held(tmp_path):
        assert is_held(tmp_path)
        waiting.start()
        assert not holding.wait(0.1)
    assert holding.wait(60)
    waiting.join()
    assert not is_held(tmp_path)


def test_nothing_lies_in_a_folder_that_is_not_there(place: Place) -> None:
    assert place.manifests().manifests == ()


def test_a_manifest_that_could_not_be_read_is_not_stored(tmp_path: Path) -> None:
    place = LocalPlace(tmp_path / "backups")
    facts = FolderFacts(paths=(f"/{'a' * MOST_BYTES}",), entries=1, content_bytes=1)
    with pytest.raises(
        BackupError, match=r"\.json would be larger than 8\.4 MB, .*: its source has too many"
    ):
        manifests.put(place, tmp_path, CONTENT, night(1), facts=facts)
    assert not place.folder.exists()
