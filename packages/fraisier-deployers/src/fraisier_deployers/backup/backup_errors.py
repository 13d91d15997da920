"""What can go wrong with backups in a way that a person can do something about."""

from __future__ import annotations

from fraisier_core import ConflictError, FraisierError


class BackupError(FraisierError):
    """A backup cannot be made, read, verified or restored; nothing that was there before has been lost."""


class UnusableCopyError(BackupError):
    """What a place lists is not there, or cannot be what was stored there."""


class DamagedCopyError(UnusableCopyError):
    """What lies at a place was read, and is not what was stored there."""


class BackupRefusedError(BackupError, ConflictError):
    """What was asked for is refused as things are now; nothing was changed."""
