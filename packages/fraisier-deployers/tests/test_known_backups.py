"""What a remote gives back is compared with what this host knows of the backup."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from fraisier_core import BackupContext, Release, VerifiedCopy
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup import fraise_type
from fraisier_deployers.backup.backup_errors import BackupError, DamagedCopyError
from fraisier_deployers.backup.backup_settings import BackupSettings, EncryptSection
from fraisier_deployers.backup.kept_copies import KeptCopies
from fraisier_deployers.backup.known_backups import KnownBackups
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.places import Runner
from fraisier_deployers.backup.remotes.rclone import RclonePlace
from pydantic import ValidationError

from tests.manifests import manifest_of, night

needs_rclone = pytest.mark.skipif(not shutil.which("rclone"), reason="rclone is not installed")
pyrage = pytest.importorskip("pyrage", reason="pyrage is not installed")
KEY = pyrage.x25519.Identity.generate()
ENCRYPT = {"recipients": str(KEY.to_public()), "identity": str(KEY)}
FORGED = b"of the remote's making"


class Known(FakeRun[BackupSettings]):
    """A run that knows what is on record, as commands do."""

    recorded: dict[str, str]

    def on_record(self, name: str) -> str | None:
        return self.recorded.get(name)

    def audit(self, action: str, detail: str) -> None:
        pass


@pytest.fixture
def known(tmp_path: Path) -> Callable[..., Known]:
    def make(recorded: Sequence[Known] = (), **section: Any) -> Known:
        source = {
            "command": ["printf", "worth keeping"],
            "restore": ["sh", "-c", f"cat > {tmp_path}/restored-{{target}}"],
            "drop": ["true", "{target}"],
        }
        remotes = {"offsite": {"rclone": str(tmp_path / "remote")}}
        keys = {"source": source, "path": tmp_path / "backups", "remotes": remotes, **section}
        newest = recorded[-1].stored[-1] if recorded else None
        run = Known(
            BackupSettings.model_validate(keys),
            Release("", tmp_path, ""),
            fraise="shop",
            newest_stored=newest,
        )
        run.recorded = {each.stored[-1].name: each.stored[-1].sha256 for each in recorded}
        return run

    return make


def forge(remote: Path) -> None:
    """Exchange the copy at a remote for one in clear that is as its own manifest says."""
    (manifest,) = LocalPlace(remote).manifests().manifests
    (remote / manifest.file).unlink()
    size, digest = len(FORGED), hashlib.sha256(FORGED).hexdigest()
    own = {"encrypted": False, "size": size, "sha256": digest, "plain_size": size, "plain_sha256": digest}
    forged = Manifest.model_validate(manifest.model_dump() | own | {"file": f"{manifest.name}.bin"})
    (remote / forged.file).write_bytes(FORGED)
    (remote / forged.manifest_file).write_text(forged.text())


def verified(run: Known) -> VerifiedCopy:
    (found,) = KeptCopies(run.settings, cast("BackupContext", run)).verify(None, "offsite")
    return found


def restore(run: Known) -> None:
    copies = KeptCopies(run.settings, cast("BackupContext", run))
    copies.restore(None, "new", place="offsite", replace=None)


@needs_rclone
def test_a_copy_of_the_remotes_own_making_is_neither_good_nor_restored(
    known: Callable[..., Known], tmp_path: Path
) -> None:
    fraise_type.back_up(made := known(encrypt=ENCRYPT))
    forge(tmp_path / "remote")
    run = known(encrypt=ENCRYPT)
    assert "is not what was backed up" in str(verified(run).problem)
    with pytest.raises(DamagedCopyError, match="is not what was backed up"):
        restore(run)
    shutil.rmtree(tmp_path / "backups")
    with pytest.raises(DamagedCopyError, match="is not what was backed up"):
        fraise_type.test_restore(known([made], encrypt=ENCRYPT))
    assert "is not encrypted, though encrypt is set" in str(verified(run).problem)
    run = known()
    assert (verified(run).problem, "is not on record here" in run.output) == (None, True)
    with pytest.raises(BackupError, match=r"is not on record here, .*: a restore test would prove nothing"):
        fraise_type.test_restore(known(restore_test={"place": "offsite"}))
    assert not list(tmp_path.glob("restored-*"))


OWN = manifest_of(b"worth keeping", night(1))
FILE = {"file": f"{OWN.name}.bin.age", "encrypted": True, "size": 9, "sha256": "9" * 64}
NOTHING: dict[str, str] = {}
FAR = RclonePlace("offsite", "far:shop", cast("Runner", None), "shop", "production")


def changed(**changes: object) -> Manifest:
    return Manifest.model_validate(OWN.model_dump() | changes)


@pytest.mark.parametrize("by", ["here", "record"])
@pytest.mark.parametrize("encrypt", [None, EncryptSection.model_validate(ENCRYPT)])
def test_a_copy_is_of_what_the_record_or_the_copy_here_says(by: str, encrypt: EncryptSection | None) -> None:
    on_record = {OWN.name: OWN.plain_sha256} if by == "record" else {}
    known = KnownBackups(on_record.get, [OWN] if by == "here" else [], encrypt)
    encrypted = changed(**FILE)
    assert known.knows(FAR, OWN)
    assert known.knows(FAR, encrypted)
    other = {"plain_sha256": "0" * 64}
    in_clear = changed(**other, sha256="0" * 64)
    for forged in (in_clear, encrypted.model_copy(update=other)):
        with pytest.raises(DamagedCopyError, match="is not what was backed up"):
            known.knows(FAR, forged)


def test_what_a_place_says_of_a_backup_is_what_the_copy_here_says() -> None:
    facts = {"kind": "sqlite", "path": "/srv/shop.db", "tables": {}}
    known = KnownBackups({OWN.name: OWN.plain_sha256}.get, [OWN], None)
    with pytest.raises(DamagedCopyError, match="is not what was backed up"):
        known.knows(FAR, changed(facts=facts))


def test_of_what_is_not_known_here_a_copy_in_clear_is_refused_if_copies_are_encrypted() -> None:
    known = KnownBackups(NOTHING.get, [], EncryptSection.model_validate(ENCRYPT))
    assert not known.knows(FAR, changed(**FILE))
    with pytest.raises(DamagedCopyError, match="is not encrypted, though encrypt is set"):
        known.knows(FAR, OWN)
    assert not KnownBackups(NOTHING.get, [], None).knows(FAR, OWN)


def test_a_copy_in_clear_has_one_checksum() -> None:
    with pytest.raises(ValidationError, match="is not encrypted, and has two checksums"):
        changed(plain_sha256="0" * 64)
