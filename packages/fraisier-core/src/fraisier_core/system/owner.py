"""Who may open the store: the user who owns its folder, whichever user runs the command."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Sequence
from pathlib import Path

from fraisier_core.errors import ConfigurationError, StoreError

STANDARD_LIBRARY = Path(os.__file__)


def become_owner(state_dir: Path, argv: Sequence[str], installation: Path = STANDARD_LIBRARY) -> None:
    """Make sure that this process acts as the owner of the state folder; root becomes that user.

    Call it before the store is opened or anything is written, or a deployment as root would lock the worker
    out. If there is no folder yet, the owner is the one of the folder that it will be made in. Raises
    `StoreError` for a user who is neither root nor the owner, telling how to run `argv`, and if the owner
    could not read `installation`.
    """
    place = existing_place(state_dir)
    found = place.stat()
    if found.st_uid == os.geteuid():
        return
    if os.geteuid() == 0:
        _become(found.st_uid, found.st_gid)
        if not os.access(installation, os.R_OK):
            unreadable = f"{place} belongs to {_sudo_name(found.st_uid)}, who cannot read {installation}"
            raise StoreError(f"{unreadable}: install Python and Fraisier where every user can read them")
    elif place == state_dir or not os.access(place, os.W_OK):
        command = shlex.join([Path(argv[0]).name, *argv[1:]])
        owner = shlex.quote(_sudo_name(found.st_uid))
        raise StoreError(f"{place} belongs to another user: run `sudo -u {owner} {command}`")


def existing_place(state_dir: Path) -> Path:
    """Return the state folder, else the one it will be made in. Raises `StoreError` if it is out of sight."""
    try:
        return next(path for path in (state_dir, *state_dir.parents) if path.exists())
    except PermissionError as error:
        raise StoreError(
            f"{error.filename}: {error.strerror}; run the command as its owner, or as root"
        ) from None


def require_trusted(config: Path) -> None:
    """Refuse a configuration that another user could have written; call it after `become_owner`."""
    found = config.stat()
    if found.st_uid not in {0, os.geteuid()}:
        owner, me = _sudo_name(found.st_uid), _sudo_name(os.geteuid())
        raise ConfigurationError([f"{config}: belongs to {owner}, and is not trusted to say what {me} runs"])
    if found.st_mode & stat.S_IWOTH:
        raise ConfigurationError([f"{config}: is writable for everyone; run: chmod o-w {config}"])


def _become(uid: int, gid: int) -> None:
    account = _account(uid)
    if account is None:
        os.setgroups([])
        os.setgid(gid)
    else:
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        # git and ssh look for the owner's keys and known hosts there.
        os.environ |= {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
    os.setuid(uid)


def _sudo_name(uid: int) -> str:
    account = _account(uid)
    return account.pw_name if account else f"#{uid}"


def _account(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None
