"""A PostgreSQL database, asked and changed through psql."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from fraisier_core import CommandFailedError, FraisierError

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.manifest import PostgresqlFacts, Rows
from fraisier_deployers.backup.pipelines import captured, run_tool
from fraisier_deployers.backup.places import Runner
from fraisier_deployers.backup.sources.connection_variables import (
    DATABASE,
    connection_variables,
    with_database,
)
from fraisier_deployers.backup.sources.postgres_programs import (
    Programs,
    installed_programs,
    newest,
    not_older,
)
from fraisier_deployers.backup.sources.snapshot import OPTIONS, PREAMBLE, SQL
from fraisier_deployers.backup.targets import LEFT, LEFT_ALONE

RESTORING = "fraisier_restoring_"
"""How the name of a database begins that is restored, until it is whole."""
_ASIDE = "fraisier_replaced_"
_RANDOM = "[0-9a-f]{8}"
MAINTENANCE = "postgres"
"""The database to which one connects to create or drop another."""


@dataclass(frozen=True, slots=True)
class Answering:
    """What answers at an address.

    Args:
        version: the server's major version.
        database: the name of the database.
        system_identifier: of the cluster.
        owner: of the database.
        user: as whom one is connected.
    """

    version: int
    database: str
    system_identifier: str
    owner: str
    user: str


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """A database, which need not exist.

    Args:
        runner: runs the programs.
        variables: how to connect.
        programs: what is installed.
    """

    runner: Runner
    variables: Mapping[str, str]
    programs: Sequence[Programs]

    @classmethod
    def at(cls, url: str, runner: Runner, own_programs: Path | None) -> PostgresDatabase:
        """Return the database at a URL. Raises `BackupError`."""
        try:
            variables = connection_variables(url)
        except ValueError as error:
            raise BackupError(f"the URL of the database {error}") from None
        return cls(runner, variables, installed_programs(own_programs))

    @property
    def name(self) -> str:
        """Its name."""
        return self.variables.get(DATABASE, MAINTENANCE)

    def named(self, name: str) -> PostgresDatabase:
        """Return another database of the same server."""
        return replace(self, variables=with_database(self.variables, name))

    @property
    def maintenance(self) -> PostgresDatabase:
        """The database of the same server that is always there."""
        return self.named(MAINTENANCE)

    @property
    def psql(self) -> str:
        """The program to ask it with."""
        return newest(self.programs)["psql"]

    def programs_for(self, version: int) -> Programs:
        """Return the oldest programs that can dump from a server of a version."""
        return not_older(self.programs, version)

    def ask(self, file: str, **values: str) -> list[Any]:
        """Return what the statements of a file print, a line of JSON each. Raises `BackupError`."""
        printed = captured(self.runner, self._argv(file, values), self.variables)
        return [json.loads(line) for line in printed.splitlines()]

    def change(self, file: str, **values: str) -> None:
        """Execute the statements of a file. Raises `BackupError`."""
        run_tool(self.runner, self._argv(file, values), self.variables)

    def answering(self) -> Answering:
        """Return what answers. Raises `BackupError`."""
        (found,) = self.ask("server.sql")
        return Answering(**found)

    def exists(self) -> bool:
        """Whether the server has it."""
        return self.name in self.descriptions()

    def descriptions(self) -> Mapping[str, str | None]:
        """Return the databases of the server, and the comment on each."""
        return dict(self.maintenance.ask("databases.sql"))

    def is_empty(self) -> bool:
        """Whether nobody has made anything in it."""
        return self.ask("contents.sql") == [0]

    def rows(self) -> Rows:
        """Return the number of rows of each table."""
        return dict(self.ask("rows.sql"))

    def objects(self) -> Mapping[str, int]:
        """Return how many objects of each kind it has beside tables."""
        (counts,) = self.ask("objects.sql")
        return dict(counts)

    def sequences(self) -> Mapping[str, int]:
        """Return how far each sequence has come that only grows."""
        (found,) = self.ask("sequences.sql")
        return dict(found)

    def create(self, facts: PostgresqlFacts, comment: str = "") -> None:
        """Create it as the database was that facts tell of."""
        names = ("encoding", "lc_collate", "lc_ctype", "locale_provider", "locale")
        keys = {name: getattr(facts, name) for name in names}
        try:
            self.maintenance.change("create.sql", name=self.name, comment=comment, **keys)
        except BackupError as error:
            how = "let the role (ALTER ROLE ... CREATEDB), or restore into an empty database that you create"
            raise BackupError(f"{error}; {how}") from error

    def drop(self) -> None:
        """Drop it; all are disconnected from it. Raises `BackupError`."""
        self.maintenance.change("drop.sql", name=self.name)

    def rename(self, name: str) -> None:
        """Give it another name, which is not taken; all are disconnected from it. Raises `BackupError`."""
        try:
            self.maintenance.change("rename.sql", restored=self.name, name=name)
        except (BackupError, CommandFailedError) as error:
            renaming = f"ALTER DATABASE {_identifier(self.name)} RENAME TO {_identifier(name)}"
            raise BackupError(
                f"what was restored is whole, and is kept as the database {self.name}, as it could not be "
                f"renamed: {error}. Once it can be: {renaming}"
            ) from error

    def replace_by(self, restored: str) -> None:
        """Put another database of the same server in its place, with its owner, grants and settings. It is
        kept under another name, without connections. Raises `BackupError`.
        """
        aside = f"{_ASIDE}{uuid4().hex[:8]}"
        with ExitStack() as undoing:
            undoing.callback(self._reconnect)
            try:
                self.maintenance.change("properties.sql", replaced=self.name, restored=restored)
                self.maintenance.change("replace.sql", replaced=self.name, restored=restored, aside=aside)
            except (BackupError, CommandFailedError) as error:
                self._require_replaced(aside, error)
            undoing.pop_all()
        dropping = f"DROP DATABASE {aside}"
        self.runner.note(f"what was in {self.name} is kept as the database {aside}, until you {dropping}")

    def _reconnect(self) -> None:
        with suppress(FraisierError):
            self.maintenance.change("reconnect.sql", name=self.name)

    def _require_replaced(self, aside: str, failure: FraisierError) -> None:
        """Raise `BackupError` unless it was replaced, though that was said to fail: the connection may have
        been lost at the COMMIT.
        """
        try:
            replaced = aside in self.descriptions()
        except FraisierError as error:
            raise BackupError(
                f"{failure}; whether {self.name} was replaced is not known, as the server cannot be asked: "
                f"{error}. It was if there is a database {aside}, which has what was in it; if there is none,"
                f" nothing changed: ALTER DATABASE {_identifier(self.name)} ALLOW_CONNECTIONS true"
            ) from failure
        if not replaced:
            raise BackupError(
                f"{self.name} could not be replaced, and was left as it was: {failure}"
            ) from failure
        self.runner.note(f"{self.name} was replaced before the connection was lost: {failure}")

    def reopen(self) -> None:
        """Let it be connected to again, if a restore that was killed had it refuse all."""
        self.maintenance.change("reopen.sql", name=self.name, restoring=f"^{RESTORING}{_RANDOM}$")

    def leftovers(self) -> list[str]:
        """Return the databases of the server that restores left, and those that they replaced. Whoever may
        create databases may give one any name, and none but ours is printed.
        """
        texts = {RESTORING: LEFT, _ASIDE: LEFT_ALONE}
        names = sorted(self.descriptions())
        return [
            text.format(f"the database {name}", f"DROP DATABASE {name}")
            for prefix, text in texts.items()
            for name in names
            if re.fullmatch(prefix + _RANDOM, name)
        ]

    def missing_roles(self, roles: Sequence[str]) -> list[str]:
        """Return those of some roles that the user cannot make the owner of anything."""
        (missing,) = self.ask("missing_roles.sql", roles=_array(roles))
        return sorted(missing)

    def absent_roles(self, roles: Sequence[str]) -> Mapping[str, str]:
        """Return those of some roles that the server lacks, and the statement that creates each."""
        (statements,) = self.ask("absent_roles.sql", roles=_array(roles))
        return dict(statements)

    def missing_tablespaces(self, tablespaces: Sequence[str]) -> list[str]:
        """Return those of some tablespaces that the server lacks."""
        (missing,) = self.ask("missing_tablespaces.sql", tablespaces=_array(tablespaces))
        return list(missing)

    def _argv(self, file: str, values: Mapping[str, str]) -> tuple[str, ...]:
        variables = (f"--set={name}={value}" for name, value in values.items())
        files = (f"--file={SQL / each}" for each in (PREAMBLE, file))
        return (self.psql, *OPTIONS, *variables, *files)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _array(texts: Sequence[str]) -> str:
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"
