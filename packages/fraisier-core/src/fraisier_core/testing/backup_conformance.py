"""What every fraise type that makes backups must do, as tests that its own tests inherit."""

from __future__ import annotations

from pathlib import Path

import pytest

from fraisier_core.store.records import Deployment
from fraisier_core.testing.configuring import SettingsTests
from fraisier_core.testing.in_engine import assert_no_secret_shown
from fraisier_core.testing.installation import Installation
from fraisier_core.testing.skipping import not_for_this_type
from fraisier_core.testing.written_releases import DeployerReleases, Section


class BackupTests(DeployerReleases):
    """The part of `BackupConformance` about backups in the real engine."""

    @pytest.fixture
    def backups(self, tmp_path: Path) -> Installation:
        """An environment whose backups succeed, of which none was made."""
        made = Installation(tmp_path, self.plugin.__name__)
        made.section = self.working(self._folder(tmp_path))
        return made

    def test_a_backup_says_what_it_stored(self, backups: Installation) -> None:
        first, second = self._backed_up(backups), self._backed_up(backups)
        assert first.stored_name != second.stored_name, "backups have names of their own"
        assert (first.release, first.activation_started) == (None, False)

    def test_a_backup_that_fails_is_none(self, tmp_path: Path) -> None:
        made = Installation(tmp_path, self.plugin.__name__)
        made.section = self.failing(self._folder(tmp_path))
        done = made.execute(kind="backup")
        assert (done.status, done.stored_name) == ("failed", None), done.error_message

    def test_killed_at_each_step_it_ends_as_it_stored_or_not_and_the_next_succeeds(
        self, backups: Installation
    ) -> None:
        self._backed_up(backups)
        for name in list(dict.fromkeys(backups.last_steps)):
            killed = backups.execute(kind="backup", killed_at=f"step_{name}")
            expected = "success" if killed.stored_name else "interrupted"
            assert killed.status == expected, f"killed at {name}: {killed.error_message}"
            self._backed_up(backups)

    def test_no_secret_leaves_a_backup_unredacted(self, backups: Installation) -> None:
        assert_no_secret_shown(backups, backups.execute(kind="backup"))

    def test_what_was_backed_up_is_restored_as_a_test(self, backups: Installation) -> None:
        if not hasattr(self.plugin, "test_restore"):
            not_for_this_type("it tests no restores")
        failed = backups.execute(kind="restore_test")
        assert failed.status == "failed", "there is no backup yet"
        self._backed_up(backups)
        done = backups.execute(kind="restore_test")
        assert done.status == "success", done.error_message

    def _backed_up(self, backups: Installation) -> Deployment:
        """Make a backup, which must succeed."""
        done = backups.execute(kind="backup")
        assert done.status == "success", done.error_message
        return done

    def _folder(self, folder: Path) -> Path:
        made = folder / "backed_up"
        made.mkdir()
        return made


class BackupConformance(SettingsTests, BackupTests):
    """Base of the tests of a fraise type that makes backups and deploys nothing: subclass it, say the
    following, and pytest runs the rest::

        class TestMyType(BackupConformance):
            plugin = fraisier_mytype

            def working(self, folder):
                (folder / "source").write_text("worth keeping")
                return {"source": folder / "source", "path": folder / "backups"}

            def failing(self, folder):
                return {"source": folder / "missing", "path": folder / "backups"}

    Args:
        plugin: the module that holds the hooks.
    """

    def working(self, folder: Path) -> Section:
        """Write what can be backed up into a folder, and return the environment's section.

        Args:
            folder: an empty folder of the test's own.
        """
        raise NotImplementedError

    def failing(self, folder: Path) -> Section:
        """Return the section of an environment whose backups fail.

        Args:
            folder: as in `working`.
        """
        raise NotImplementedError
