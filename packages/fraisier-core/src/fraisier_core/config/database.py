"""Where the store lies: it follows from the configuration file alone, never from who runs the command."""

from __future__ import annotations

from pathlib import Path

from pydantic import field_validator

from fraisier_core.settings import Section

SYSTEM_CONFIG = Path("/etc/fraisier")
SYSTEM_STATE = Path("/var/lib/fraisier")
DATABASE = "fraisier.db"

_FORMS = "sqlite:///absolute/path.db, or sqlite:path.db for a file beside the configuration"


class DatabaseSection(Section):
    """`database:`.

    Args:
        url: `sqlite:///absolute/path.db`, or `sqlite:path.db` for a file beside the configuration.
    """

    url: str

    @field_validator("url")
    @classmethod
    def _sqlite(cls, url: str) -> str:
        scheme, colon, rest = url.partition(":")
        if not colon or not scheme.isidentifier():
            msg = f"should be {_FORMS}"
            raise ValueError(msg)
        if scheme != "sqlite":
            msg = f'no package for "{scheme}" databases is installed (entry-point group fraisier.stores)'
            raise ValueError(msg)
        path = _path(rest)
        if not path.name or path.parent == Path("/"):
            msg = f"names no file in a folder of its own; write {_FORMS}"
            raise ValueError(msg)
        return url


def database_path(config: Path, url: str | None) -> Path:
    """Return where the database lies.

    Args:
        config: the configuration file, resolved.
        url: the `url:` of `database:`, as `DatabaseSection` accepts it.
    """
    if url is not None:
        return config.parent / _path(url.partition(":")[2])
    if config.parent == SYSTEM_CONFIG:
        return SYSTEM_STATE / DATABASE
    return config.parent / ".fraisier" / DATABASE


def _path(rest: str) -> Path:
    path = rest.removeprefix("//")
    return Path("/" + path.lstrip("/")) if path.startswith("/") else Path(path)
