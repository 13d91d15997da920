"""Encrypting the copies that leave the host, by age."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fraisier_deployers.backup.age import IDENTITY_VARIABLE, identity, recipient
from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_settings import EncryptSection
from fraisier_deployers.backup.local_place import hashed_by
from fraisier_deployers.backup.manifest import AGE_SUFFIX, Manifest
from fraisier_deployers.backup.pipeline import Pipeline, Stage
from fraisier_deployers.backup.pipelines import python, run_pipeline
from fraisier_deployers.backup.places import Runner
from fraisier_deployers.backup.pump import Flowed

if TYPE_CHECKING:
    from fraisier_deployers.backup.age import Identity, Recipient

_AGE = "fraisier_deployers.backup.age"


def require_encryption(section: EncryptSection) -> None:
    """Raise `BackupError` unless copies can be encrypted as the configuration says."""
    _require_pyrage()
    from pyrage import IdentityError, RecipientError

    recipients = []
    for number, text in enumerate(section.recipients, 1):
        try:
            recipients.append(recipient(text))
        except RecipientError as error:
            raise BackupError(
                f"encrypt.recipients: number {number} is no public key of age or ssh: {error}"
            ) from None
    try:
        if section.identity is not None:
            _require_readable(recipients, identity(section.identity.get_secret_value()))
    except IdentityError:
        raise BackupError("encrypt.identity is no secret key of age or ssh without a passphrase") from None


def _require_readable(recipients: Sequence[Recipient], key: Identity) -> None:
    from pyrage import DecryptError, decrypt, encrypt

    try:
        decrypt(encrypt(b"", list(recipients)), [key])
    except DecryptError:
        raise BackupError(
            "encrypt.identity is the secret key of none of encrypt.recipients: it could not read the copies"
        ) from None


def encrypted(
    file: Path, manifest: Manifest, section: EncryptSection, folder: Path, runner: Runner
) -> tuple[Path, Manifest]:
    """Return an encrypted copy of a file, which the caller deletes, and its manifest. Raises `BackupError`,
    also if what was encrypted is not as `manifest` says.

    Args:
        file: what is encrypted.
        manifest: of the file.
        section: for whom it is encrypted.
        folder: where the copy is made.
        runner: runs what encrypts it.
    """
    require_encryption(section)
    copy = folder / f".{manifest.file}{AGE_SUFFIX}.partial"
    stage = Stage(python(_AGE, "encrypt", *section.recipients))
    flowed = run_pipeline(runner, Pipeline(str(file), after=(stage,), output=str(copy)))
    if flowed != Flowed(manifest.plain_size, manifest.plain_sha256):
        raise BackupError(f"{file.name} is damaged: it is not what was backed up, and is not copied")
    stored = hashed_by(runner, copy)
    changes = {"file": f"{manifest.file}{AGE_SUFFIX}", "encrypted": True}
    changes |= {"size": stored.size, "sha256": stored.sha256}
    return copy, Manifest.model_validate(manifest.model_dump() | changes)


def decrypted(
    file: Path, manifest: Manifest, section: EncryptSection | None, folder: Path, runner: Runner
) -> Path:
    """Return the file of an encrypted copy, as it was before it was encrypted. Raises `BackupError`.

    Args:
        file: of the copy.
        manifest: of the copy.
        section: has the secret key.
        folder: where the decrypted file is written.
        runner: runs what decrypts it.
    """
    _require_pyrage()
    if section is None or section.identity is None:
        raise BackupError(f"{manifest.file} is encrypted: set encrypt.identity, the secret key, to read it")
    plain = folder / manifest.file.removesuffix(AGE_SUFFIX)
    pipeline = Pipeline(str(file), before=(Stage(python(_AGE, "decrypt")),), output=str(plain))
    secret = {IDENTITY_VARIABLE: section.identity.get_secret_value()}
    try:
        flowed = run_pipeline(runner, pipeline, secret)
    except BackupError as error:
        raise BackupError(f"{manifest.file} cannot be decrypted: {error}") from error
    if flowed != Flowed(manifest.plain_size, manifest.plain_sha256):
        raise BackupError(f"{manifest.file} holds another file than was backed up: do not use it")
    return plain


def _require_pyrage() -> None:
    if find_spec("pyrage") is None:
        raise BackupError("encrypt needs the library pyrage: pip install pyrage")
