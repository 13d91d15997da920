"""The file `fraises.yaml`: found, and read as text."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fraisier_core.config.yamlfile import MAX_BYTES
from fraisier_core.errors import ConfigurationError

FILE_NAME = "fraises.yaml"
SYSTEM_CONFIG = Path("/etc/fraisier")
SYSTEM_STATE = Path("/var/lib/fraisier")


def find_config(explicit: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return `explicit`, `$FRAISIER_CONFIG`, or the first usual place. Raises `ConfigurationError`, which
    gives a user who may not read it the command for one who may.
    """
    named = explicit or environ.get("FRAISIER_CONFIG")
    if named:
        path = Path(named)
        if _is_file(path):
            return path
        source = "-c" if explicit else "FRAISIER_CONFIG"
        raise ConfigurationError([f"{path}: no such file (named by {source})"])
    return _usual(Path(FILE_NAME), SYSTEM_CONFIG / FILE_NAME)


def _usual(*places: Path) -> Path:
    """Return the first file; a place that this user may not look at counts only if there is no other."""
    hidden: ConfigurationError | None = None
    for path in places:
        try:
            if _is_file(path):
                return path
        except ConfigurationError as error:
            hidden = error
    looked = ", ".join(f"./{path}" if not path.is_absolute() else str(path) for path in places)
    nothing = f"no configuration found; looked at -c FILE, $FRAISIER_CONFIG, {looked}"
    raise hidden or ConfigurationError([nothing])


def _is_file(path: Path) -> bool:
    try:
        found = path.stat()
        path.absolute()  # fails in a directory that is gone
        return stat.S_ISREG(found.st_mode)
    except PermissionError:
        raise ConfigurationError([unreadable(path)]) from None
    except (OSError, ValueError):
        return False


def config_text(path: Path) -> str:
    """Return what a file holds, cut if it is too large to be accepted. Raises `ConfigurationError`."""
    try:
        # A pipe would be waited for.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigurationError([f"{path}: is not a regular file"])
            content = file.read(MAX_BYTES + 1)
    except PermissionError:
        raise ConfigurationError([unreadable(path)]) from None
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([f"{path}:{line}: is not UTF-8 text"]) from None


def default_state_dir(path: Path) -> Path:
    """Return the state folder of a configuration that names none."""
    return SYSTEM_STATE if path.parent == SYSTEM_CONFIG else path.parent / ".fraisier"


def unreadable(path: Path) -> str:
    """Return what a user is told who may not read a configuration."""
    from fraisier_core.system.owner import command_as

    owners = (uid for uid in _owners(path) if uid != os.geteuid())
    return f"{path}: this user may not read it; run `{command_as(next(owners, 0))}`"


def _owners(path: Path) -> Iterator[int]:
    """Yield who may be able to read a configuration: the owners of its store, of it, and of its folders."""
    place = Path(os.path.abspath(path))  # noqa: PTH100 - resolving would look at what is hidden
    candidates: Iterable[Path] = (default_state_dir(place), place, *place.parents)
    for each in candidates:
        try:
            yield each.stat().st_uid
        except OSError:
            continue
