"""Where the record lies: it follows from the configuration file alone, never from who runs the command."""

from __future__ import annotations

from pathlib import Path

from fraisier_core.config.sections import ConfigReader
from fraisier_core.errors import PluginError
from fraisier_core.plugins import STORES, Plugins
from fraisier_core.settings import Section
from fraisier_core.text.suggestions import listing

SYSTEM_CONFIG = Path("/etc/fraisier")
SYSTEM_STATE = Path("/var/lib/fraisier")
DEFAULT_URL = "sqlite:{folder}/fraisier.db"


class DatabaseSection(Section):
    """`database:`, a url such as `sqlite:///absolute/path.db`; its scheme names an installed store."""

    url: str


def read_state_dir(reader: ConfigReader, path: Path) -> Path:
    """Return the folder of mirrors, releases and logs: `state_dir`, else the usual one for this file."""
    written = reader.value(("state_dir",))
    if written is not None and not (isinstance(written, str) and Path(written).is_absolute()):
        reader.refuse(("state_dir",), "should be an absolute path")
    elif written is not None and Path(written) == Path("/"):
        reader.refuse(("state_dir",), "should be a folder of its own")
    elif written is not None:
        return Path(written)
    return SYSTEM_STATE if path.parent == SYSTEM_CONFIG else path.parent / ".fraisier"


def read_database(reader: ConfigReader, plugins: Plugins, path: Path, state_dir: Path) -> str:
    """Return the resolved `database.url`, relative to the folder of `path`; else an SQLite file."""
    url = DEFAULT_URL.format(folder=state_dir)
    if reader.value(("database",)) is not None:
        section = reader.read(DatabaseSection, ("database",))
        url = section.url if section else url
    try:
        return plugins.store(url).resolve_url(url, path.parent)
    except PluginError as error:
        schemes = f"should begin with one of: {listing(f'{name}:' for name in plugins.names(STORES))}"
        reader.refuse(("database", "url"), str(error) if ":" in url else schemes)
    except ValueError as error:
        reader.refuse(("database", "url"), str(error))
    return url
