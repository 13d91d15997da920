from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fraisier_deployers.backup import fraise_type
from fraisier_deployers.backup.backup_settings import BackupSettings

RESTIC = {"repository": "sftp:backup@nas:/srv", "password": "correct horse"}


def warnings(tmp_path: Path, source: dict[str, Any], **section: Any) -> dict[str, str]:
    """Return what is warned of on a host on which no program is found by its name."""
    (tmp_path / "srv").mkdir(exist_ok=True)
    places = {} if "restic" in section else {"path": tmp_path / "backups"}
    keys = {"source": source, "env": {"PATH": str(tmp_path)}, **places, **section}
    return dict(fraise_type.warnings(BackupSettings.model_validate(keys)))


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({}, {"source.folders": ["tar", "zstd"]}),
        ({"restic": RESTIC}, {"source.folders": ["tar"], "restic": ["restic", "openssh-client"]}),
        (
            {"remotes": {"nas": {"rsync": "backup@nas:/srv"}, "cloud": {"rclone": "cloud:bucket"}}},
            {
                "source.folders": ["tar", "zstd"],
                "remotes.nas": ["rsync", "openssh-client"],
                "remotes.cloud": ["rclone"],
            },
        ),
    ],
)
def test_each_missing_program_is_named_with_its_package(
    section: dict[str, Any], said: dict[str, list[str]], tmp_path: Path
) -> None:
    found = warnings(tmp_path, {"folders": [str(tmp_path / "srv")]}, **section)
    packages = {key: [each.rpartition(" ")[2] for each in text.split("; ")] for key, text in found.items()}
    assert packages == said
    assert "nas:/srv" not in str(found)


def test_what_is_installed_is_not_mentioned(tmp_path: Path) -> None:
    for name in ("tar", "zstd"):
        (tmp_path / name).touch(0o755)
    assert warnings(tmp_path, {"folders": [str(tmp_path / "srv")]}) == {}


def test_files_and_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    for name in ("tar", "zstd", "rsync", "ssh"):
        (tmp_path / name).touch(0o755)
    nas = {"rsync": "backup@nas:/srv", "identity": tmp_path / "key", "known_hosts": tmp_path / "ssh"}
    source = {"folders": [str(tmp_path / name) for name in ("uploads", "srv", "logs")]}
    assert warnings(tmp_path, source, remotes={"nas": nas}) == {
        "source.folders": f"there is no {tmp_path}/uploads; there is no {tmp_path}/logs",
        "remotes.nas.identity": f"there is no {tmp_path}/key",
    }


def test_commands_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "there.sh").touch()
    source = {
        "command": ["dump-it"],
        "restore": [str(tmp_path / "there.sh"), "{target}"],
        "drop": [str(tmp_path / "missing"), "{target}"],
    }
    assert warnings(tmp_path, source, restore_test={"check": ["./check.sh"]}) == {
        "source.command": "there is no program dump-it in PATH",
        "source.drop": f"there is no {tmp_path}/missing",
        "restore_test.check": "./check.sh is looked for in a folder that is empty: write its absolute path",
    }


def test_a_restore_test_on_the_server_of_the_source_is_warned_of(tmp_path: Path) -> None:
    source = {"postgresql": "postgresql://backup@db.internal/shop"}
    said = warnings(tmp_path, source, restore_test={})["restore_test"]
    assert "what is in a dump may run code as the role of source.postgresql" in said
    other = {"target": "postgresql://restore_test@db.internal/postgres"}
    assert "restore_test" not in warnings(tmp_path, source, restore_test=other)


def test_keys_that_cannot_encrypt_are_named(tmp_path: Path) -> None:
    (tmp_path / "rclone").touch(0o755)
    section = {"encrypt": {"recipients": "age1wrong"}, "remotes": {"cloud": {"rclone": "cloud:bucket"}}}
    found = warnings(tmp_path, {"command": ["/bin/true"]}, **section)
    assert [*found] == ["encrypt"]
    assert "number 1" in found["encrypt"] or "pyrage" in found["encrypt"]
