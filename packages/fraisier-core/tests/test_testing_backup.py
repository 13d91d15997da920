"""A type of backups that passes `BackupConformance`."""

from __future__ import annotations

from pathlib import Path

from fraisier_core.testing import BackupConformance, FakeRun

from tests import toy_backup


class TestToyBackup(BackupConformance):
    plugin = toy_backup

    def working(self, folder: Path) -> dict[str, object]:
        (folder / "source").write_text("worth keeping")
        (folder / "target").mkdir(exist_ok=True)
        return {"source": folder / "source", "target": folder / "target", "afterwards": ["true"]}

    def failing(self, folder: Path) -> dict[str, object]:
        return {**self.working(folder), "source": folder / "missing"}


def test_a_fake_run_remembers_what_was_stored(tmp_path: Path) -> None:
    from fraisier_core import Release

    (tmp_path / "source").write_text("worth keeping")
    (tmp_path / "target").mkdir()
    section = {"source": tmp_path / "source", "target": tmp_path / "target"}
    run = FakeRun(toy_backup.ToyBackupSettings.model_validate(section), Release("", tmp_path, ""))
    toy_backup.back_up(run)
    assert run.steps == ["copy", "compare"]
    (stored,) = run.stored
    assert (stored.size, stored.destination) == (13, str(tmp_path / "target"))
    assert "FRAISIER_RELEASE" not in run.command_environment()
