"""PostgreSQL as a source: `pg_dump` in a snapshot whose rows are counted, and `pg_restore`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.dumping import Dumped, Sink
from fraisier_deployers.backup.manifest import PostgresqlFacts
from fraisier_deployers.backup.pipeline import Pipeline, Stage
from fraisier_deployers.backup.pipelines import captured, python, run_pipeline
from fraisier_deployers.backup.places import Runner
from fraisier_deployers.backup.sources.postgres_database import PostgresDatabase
from fraisier_deployers.backup.sources.snapshot import OPTIONS, SNAPSHOT

SUFFIX = ".dump"
_MODULE = "fraisier_deployers.backup.sources.snapshot"
_LOCKED_MILLISECONDS = 300_000  # a table that is being migrated, for as long
_TIMEOUT_SINCE = 17  # the version of PostgreSQL that has transaction_timeout
_OF_DATABASE = "dbname:"
_WITHOUT = {
    "--no-owner": "everything will belong to {user}",
    "--no-privileges": "nobody but {user} will be granted anything",
    "--no-tablespaces": "everything will lie in the default tablespace",
}
_TIMEOUT = "^SET transaction_timeout = 0;$"


@dataclass(frozen=True, slots=True)
class PostgresqlSource:
    """A database as what is backed up.

    Args:
        url: its URL.
        own_programs: a folder with PostgreSQL's programs, beside those that are found.
        compressed: whether the dump is compressed.
    """

    url: str
    own_programs: Path | None = None
    compressed: bool = True
    suffix: str = SUFFIX

    def database(self, runner: Runner) -> PostgresDatabase:
        """Return the database."""
        return PostgresDatabase.at(self.url, runner, self.own_programs)

    def dump(self, runner: Runner, work: Path, sink: Sink) -> Dumped:
        """Dump the database. Raises `BackupError`."""
        return dump(self.database(runner), work, sink, compressed=self.compressed)


@dataclass(frozen=True, slots=True)
class DatabaseSource:
    """A database that is known already, as what is backed up."""

    database: PostgresDatabase
    suffix: str = SUFFIX

    def dump(self, runner: Runner, work: Path, sink: Sink) -> Dumped:
        """Dump the database. Raises `BackupError`."""
        return dump(replace(self.database, runner=runner), work, sink)


def dump(database: PostgresDatabase, work: Path, sink: Sink, *, compressed: bool = True) -> Dumped:
    """Dump a database by the oldest programs that are not older than its server. Raises `BackupError`."""
    programs = database.programs_for(database.answering().version)
    database.runner.note(f"pg_dump {programs.version} of {programs.folder}")
    options = ["--format=custom", "--no-password", f"--lock-wait-timeout={_LOCKED_MILLISECONDS}"]
    options += [] if compressed else ["--compress=0"]
    dumping = Stage((programs["pg_dump"], *options, f"--snapshot={SNAPSHOT}"))
    facts_file = work / "facts"
    by = python(_MODULE, programs["psql"], str(facts_file))
    try:
        flowed = run_pipeline(database.runner, sink.fed_by(dumping), database.variables, by=by)
    except BackupError as error:
        if "row-level security" not in str(error):
            raise
        raise BackupError(f"{error}; the role reads all rows after ALTER ROLE ... BYPASSRLS") from error
    return Dumped(flowed.size, flowed.sha256, _facts(facts_file, programs.version))


def load(database: PostgresDatabase, file: Path, facts: PostgresqlFacts, *, at_once: bool = False) -> None:
    """Restore a dump into an empty database. All owners, grants or tablespaces are left out if one of them
    cannot be restored, and that is said. Raises `BackupError`, for roles too that policies name.

    Args:
        database: where to.
        file: the dump.
        facts: what it is of.
        at_once: whether all of it or nothing is restored.
    """
    answering = database.answering()
    _require_not_older(answering.version, facts)
    _require_policy_roles(database, facts)
    programs = database.programs_for(max(facts.dumped_by, answering.version))
    options = ["--exit-on-error", "--no-password", *(["--single-transaction"] if at_once else [])]
    program = (programs["pg_restore"], *options, *_left_out(database, facts, answering.user))
    if programs.version >= _TIMEOUT_SINCE > answering.version:
        pipeline = _through_psql(file, program, programs["psql"])
    else:  # through the pump, which tells how far it is
        pipeline = Pipeline(str(file), after=(Stage((*program, "--dbname=")),))
    run_pipeline(database.runner, pipeline, database.variables)


def _through_psql(file: Path, program: Sequence[str], psql: str) -> Pipeline:
    """Return a restore without the one parameter that `pg_restore` sets and older servers do not know. If the
    statements are cut short, no COMMIT comes.
    """
    printing = Stage((*program, "--file=-"))
    without = Stage(("sed", f"1,/{_TIMEOUT}/{{/{_TIMEOUT}/d;}}"))
    executing = Stage((psql, *OPTIONS, "--file=-"))
    return Pipeline(str(file), (printing,), (without, executing), os.devnull)


def unrestorable_roles(database: PostgresDatabase, facts: PostgresqlFacts) -> Mapping[str, list[str]]:
    """Return the roles for want of which owners and grants are left out, by the option that does so."""
    grantors = {*database.absent_roles(facts.grantees), *database.missing_roles(facts.grantors)}
    return {"--no-owner": database.missing_roles(facts.owners), "--no-privileges": sorted(grantors)}


def _left_out(database: PostgresDatabase, facts: PostgresqlFacts, user: str) -> list[str]:
    """Return the options that leave out what the server lacks roles or tablespaces for, and say so."""
    spaces = {"--no-tablespaces": database.missing_tablespaces(facts.tablespaces)}
    missing = {**unrestorable_roles(database, facts), **spaces}
    for option, names in missing.items():
        if names:
            why = f"{', '.join(names)} cannot be used here"
            database.runner.note(f"{_WITHOUT[option].format(user=user)}: {why}")
    return [option for option, names in missing.items() if names]


def _require_policy_roles(database: PostgresDatabase, facts: PostgresqlFacts) -> None:
    """Raise `BackupError` if policies name roles that the server lacks: no option leaves policies out."""
    if database.absent_roles(facts.policy_roles):
        roles = (*facts.owners, *facts.grantees, *facts.grantors, *facts.policy_roles)
        statements = " ".join(database.absent_roles(roles).values())
        raise BackupError(f"the server lacks roles that policies name; create them first: {statements}")


def dumped_database(database: PostgresDatabase, file: Path, facts: PostgresqlFacts) -> str:
    """Return the name of the database that a dump says to be of. Raises `BackupError`."""
    programs = database.programs_for(facts.dumped_by)
    listed = captured(database.runner, (programs["pg_restore"], "--list", str(file))).decode()
    for line in listed.splitlines():
        name, found, rest = line.partition(_OF_DATABASE)
        if found and name.strip(" ;") == "":
            return rest.strip()
    raise BackupError(f"{file.name} does not say which database it is of")


def _require_not_older(version: int, facts: PostgresqlFacts) -> None:
    """Raise `BackupError` if a server is older than the one that was dumped."""
    if version < (dumped := facts.server_major):
        raise BackupError(f"the server is PostgreSQL {version}: a dump of {dumped} needs {dumped} or newer")


def _facts(file: Path, version: int) -> PostgresqlFacts:
    keys: Mapping[str, object] = json.loads(file.read_text())
    try:
        return PostgresqlFacts.model_validate({**keys, "dumped_by": version})
    except ValidationError as error:
        raise BackupError(f"psql did not say what the snapshot is of: {error}") from None
