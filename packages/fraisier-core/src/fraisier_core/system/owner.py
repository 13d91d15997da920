"""Who may open the store: the user who owns its folder, whichever user runs the command."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
        raise StoreError(f"{place} belongs to another user: run `{command_as(found.st_uid, argv)}`")


def command_as(uid: int, argv: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> str:
    """Return the command line that runs `argv`, by default this command, as another user."""
    program, *arguments = argv or sys.argv
    config = environ.get("FRAISIER_CONFIG")  # which sudo does not pass on
    named = any(each.startswith(("-c", "--config")) for each in arguments)
    given = ["-c", os.path.abspath(config)] if config and not named else []  # noqa: PTH100
    return shlex.join(["sudo", "-u", _sudo_name(uid), Path(program).name, *given, *arguments])


def existing_place(state_dir: Path) -> Path:
    """Return the state folder, else the one it will be made in. Raises `StoreError` if it is out of sight."""
    for path in (state_dir, *state_dir.parents):
        try:
            path.stat()
        except PermissionError:
            raise StoreError(_out_of_sight(path)) from None
        except OSError:
            continue
        return path
    return Path("/")


def _out_of_sight(hidden: Path) -> str:
    for path in hidden.parents:
        with suppress(PermissionError):
            owner = path.stat().st_uid
            return f"{hidden}: this user may not look into {path}; run `{command_as(owner)}`"
    return f"{hidden}: this user may not look at it; run `{command_as(0)}`"


def require_trusted(config: Path, *trusted: int) -> None:
    """Refuse a configuration that another user could have written than root, this one, and those that are
    `trusted`; call it after `become_owner`. Raises `ConfigurationError`.
    """
    found = config.stat()
    if found.st_uid not in {0, os.geteuid(), *trusted}:
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
