"""The last good text of a configuration: kept in the state folder as it was written, only for its owner."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from fraisier_core.config.configuration import Config
from fraisier_core.config.database import StorePlace
from fraisier_core.errors import ConfigurationError


def keep(config: Config) -> None:
    """Keep the text of a configuration, unless something in it cannot be used. It is called by the owner of
    the state folder; a full disk is logged.
    """
    if unusable(config) or kept_text(config.place) == config.text:
        return
    place = _place(config.place)
    try:
        _write(place, config.text)
    except OSError as error:
        import logging  # commands start faster without it

        logging.getLogger(__name__).warning("the configuration could not be kept as %s: %s", place, error)


def kept_text(place: StorePlace) -> str | None:
    """Return the text that was kept of a configuration; None if this user may read none, or it is damaged."""
    kept = _place(place)
    with suppress(OSError, UnicodeDecodeError):
        return kept.read_bytes().decode() if _is_ours(kept) else None
    return None


def unusable(config: Config, before: Config | None = None) -> ConfigurationError | None:
    """Return which fraise types of a valid configuration cannot be used; None if none, or none
    that could be used `before`.
    """
    known = {name for name, fraise in before.fraises.items() if fraise.problem} if before else set()
    found = [each for each in config.fraises.values() if each.problem and each.name not in known]
    problems = [f"{config.path}: fraises.{each.name}.type: {each.problem}" for each in found]
    return ConfigurationError(problems) if problems else None


def _place(place: StorePlace) -> Path:
    """Return where the text is: several configurations may have one state folder."""
    digest = sha256(os.fsencode(place.path)).hexdigest()[:12]
    return place.state_dir / f"last-good-{digest}.yaml"


def _is_ours(place: Path) -> bool:
    """Whether a text can only have been written by the owner of the state folder."""
    found, folder = place.lstat(), place.parent.stat()
    return stat.S_ISREG(found.st_mode) and found.st_uid == folder.st_uid and not found.st_mode & 0o077


def _write(place: Path, text: str) -> None:
    # What only reads the configuration does without them.
    from fraisier_core.system.disk import make_folder, replace_file

    make_folder(place.parent, 0o751)
    replace_file(place, text)
