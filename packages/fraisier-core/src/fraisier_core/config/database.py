"""Where the record lies: it follows from the configuration file alone, never from who runs the command."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fraisier_core.config.database_secrets import without_secrets
from fraisier_core.config.finding import config_text, default_state_dir
from fraisier_core.config.sections import ConfigReader
from fraisier_core.config.variables import Substituted
from fraisier_core.config.yamlfile import Document, read_document
from fraisier_core.errors import ConfigurationError, PluginError, UnsetVariableError
from fraisier_core.plugins import STORES, Plugins
from fraisier_core.settings import Section
from fraisier_core.text.suggestions import listing

SECTIONS = ("database", "state_dir")
_SECTION = re.compile(r"""( *)["']?([\w.-]+)["']?\s*:(?=\s|$)""")
DEFAULT_URL = "sqlite:{folder}/fraisier.db"


class DatabaseSection(Section):
    """`database:`, a url such as `sqlite:///absolute/path.db`; its scheme names an installed store."""

    url: str


class StorePlace(NamedTuple):
    """Where the store of a configuration is.

    `path` is the file, absolute and resolved, `state_dir` the state folder, `database` the resolved url of
    the store, `shown` the same without secrets.
    """

    path: Path
    state_dir: Path
    database: str
    shown: str

    def __repr__(self) -> str:
        return f"StorePlace({self.path})"


def place_of_store(path: Path, plugins: Plugins, environ: Mapping[str, str] = os.environ) -> StorePlace:
    """Return where the store is, whatever else the file says. Raises `ConfigurationError`."""
    document = _document(config_text(path), path).only(SECTIONS)
    reader = ConfigReader(str(path), document, Substituted(document.value, environ))
    place = read_place(reader, plugins, path.resolve())
    reader.finish()
    if unset := [message for section in SECTIONS for message in reader.unset_under((section,))]:
        raise UnsetVariableError(unset)
    return place


def read_place(reader: ConfigReader, plugins: Plugins, path: Path) -> StorePlace:
    """Return where the store is; refuse what is wrong with that."""
    state_dir = _read_state_dir(reader, path)
    url = _read_database(reader, plugins, path, state_dir)
    written = reader.public(("database", "url"), None)
    return StorePlace(path, state_dir, url, without_secrets(written or url))


def _document(text: str, path: Path) -> Document:
    """Return what a text says; if it is not YAML, what its sections for the store say by themselves."""
    try:
        return read_document(text, path)
    except ConfigurationError:
        alone = _sections_alone(text.splitlines())
        if alone is None:
            raise
        return read_document(alone, path)


def _sections_alone(lines: Sequence[str]) -> str | None:
    """Return the lines of the sections for the store alone, each where it is; None if the text is no mapping
    in block style, whose sections can be told apart.
    """
    begin = next(filter(None, map(_SECTION.match, lines)), None)
    if begin is None:
        return None
    kept, keep = [], False
    for line in lines:
        if line.strip() and line.startswith(begin[1]) and line[len(begin[1])] not in " \t#":
            section = _SECTION.match(line)
            keep = section is not None and section[2] in SECTIONS
        kept.append(line if keep else "")
    return "\n".join(kept)


def _read_state_dir(reader: ConfigReader, path: Path) -> Path:
    """Return `state_dir`, else the usual state folder for this file."""
    written = reader.value(("state_dir",))
    if written is None or reader.unset_under(("state_dir",)):
        return default_state_dir(path)
    if not (isinstance(written, str) and Path(written).is_absolute()):
        reader.refuse(("state_dir",), "should be an absolute path")
    elif Path(written) == Path("/"):
        reader.refuse(("state_dir",), "should be a folder of its own")
    else:
        return Path(written)
    return default_state_dir(path)


def _read_database(reader: ConfigReader, plugins: Plugins, path: Path, state_dir: Path) -> str:
    """Return the resolved `database.url`, relative to the folder of `path`; else an SQLite file."""
    url = DEFAULT_URL.format(folder=state_dir)
    if reader.value(("database",)) is not None:
        section = reader.read(DatabaseSection, ("database",), secret=True)
        url = section.url if section else url
    try:
        return plugins.store(url).resolve_url(url, path.parent)
    except PluginError as error:
        schemes = f"should begin with one of: {listing(f'{name}:' for name in plugins.names(STORES))}"
        reader.refuse(("database", "url"), str(error) if ":" in url else schemes)
    except ValueError as error:
        reader.refuse(("database", "url"), str(error))
    return url
