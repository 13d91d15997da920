"""A PostgreSQL database as a target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from fraisier_deployers.backup.backup_errors import BackupError, BackupRefusedError
from fraisier_deployers.backup.dumping import BackupSource
from fraisier_deployers.backup.manifest import Manifest, PostgresqlFacts
from fraisier_deployers.backup.sources.postgres_database import RESTORING, PostgresDatabase
from fraisier_deployers.backup.sources.postgresql import (
    DatabaseSource,
    dumped_database,
    load,
    unrestorable_roles,
)
from fraisier_deployers.backup.targets import row_differences


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """A database, which need not exist.

    Args:
        database: the database.
        scratch: what is said of it if it is that of a restore test, whose name is ours from the beginning.
    """

    database: PostgresDatabase
    scratch: str = ""

    @property
    def name(self) -> str:
        """The name of the database."""
        return self.database.name

    def is_vacant(self) -> bool:
        """Whether there is no such database, or nobody has made anything in it."""
        if not self.database.exists():
            return True
        self.database.reopen()
        return self.database.is_empty()

    def source(self) -> BackupSource:
        """Return it as a source."""
        return DatabaseSource(self.database)

    def leftovers(self) -> list[str]:
        """Return the databases of the server that restores left, and those that they replaced."""
        return self.database.leftovers()

    def require_replaceable(self, manifest: Manifest) -> None:
        """Raise `BackupRefusedError` if owners or grants would be left out, as its applications would be."""
        if self.is_vacant():
            return
        facts, answering = _facts(manifest), self.database.answering()
        roles = {*self.database.missing_roles([answering.owner])}
        roles.update(*unrestorable_roles(self.database, facts).values())
        if roles:
            whose = f"what {', '.join(sorted(roles))} own or may use"
            absent = " ".join(self.database.absent_roles(sorted(roles)).values())
            first = f"; create what the server lacks first: {absent}" if absent else ""
            why = f"{answering.user} cannot restore {whose} so that they still can"
            raise BackupRefusedError(
                f"{self.name} was left as it is: {why}. Name it by the URL of a superuser{first}"
            )

    def restore(self, file: Path, manifest: Manifest, work: Path) -> None:  # noqa: ARG002 - it needs no folder
        """Restore a dump: into an empty database all at once, else into a new one, which gets its name once
        it is whole.
        """
        facts = _facts(manifest)
        if self.database.exists():
            load(self.database, file, facts, at_once=True)
        elif self.scratch:
            with _restored(self.database, file, facts, self.scratch):
                pass
        else:
            with _restored(self._beside, file, facts) as new:
                pass
            new.rename(self.name)

    def replace(self, file: Path, manifest: Manifest, work: Path) -> None:  # noqa: ARG002 - as above
        """Restore a dump into a new database, which takes the place of this one once it is whole."""
        with _restored(self._beside, file, _facts(manifest)) as new:
            self._require_same(PostgresTarget(new), manifest)
            self.database.replace_by(new.name)

    @property
    def _beside(self) -> PostgresDatabase:
        return self.database.named(f"{RESTORING}{uuid4().hex[:8]}")

    def differences(self, manifest: Manifest) -> list[str]:
        """Return of which tables and kinds of objects there is more or less than in the dump, and which
        sequences would repeat numbers.
        """
        facts = _facts(manifest)
        objects = object_differences(facts.objects, self.database.objects())
        sequences = sequence_differences(facts.sequences, self.database.sequences())
        return [*row_differences(facts.tables, self.database.rows()), *objects, *sequences]

    def variables(self) -> Mapping[str, str]:
        """Return the variables by which the programs of PostgreSQL connect to it."""
        return self.database.variables

    def remove(self) -> None:
        """Drop the database."""
        self.database.drop()

    def _require_same(self, new: PostgresTarget, manifest: Manifest) -> None:
        if differences := new.differences(manifest):
            raise BackupError(
                f"{self.name} was left as it is: what was restored differs: {'; '.join(differences)}"
            )


@contextmanager
def _restored(
    new: PostgresDatabase, file: Path, facts: PostgresqlFacts, comment: str = ""
) -> Iterator[PostgresDatabase]:
    """Create a database, restore a dump into it, and yield it; it is dropped if anything then fails."""
    new.create(facts, comment)
    with ExitStack() as undoing:
        undoing.callback(_drop, new)
        load(new, file, facts)
        yield new
        undoing.pop_all()


def _drop(database: PostgresDatabase) -> None:
    """Drop it if that is possible: what failed before is what matters."""
    with suppress(BackupError):
        database.drop()


def object_differences(expected: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """Return of which kinds of objects there are not as many as were dumped."""
    kinds = (kind for kind in sorted(expected) if found.get(kind, 0) != expected[kind])
    return [f"it has {found.get(kind, 0)} {kind}, not {expected[kind]}" for kind in kinds]


def sequence_differences(expected: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """Return which sequences have not come as far as when the dump began."""
    return [
        f"the sequence {name} is at {found.get(name, 'its beginning')}, not at {expected[name]}"
        for name in sorted(expected)
        if name not in found or found[name] < expected[name]
    ]


def origin_differences(source: PostgresDatabase, file: Path, manifest: Manifest) -> list[str]:
    """Return in what a dump is not of a database: by its manifest, and by the dump itself."""
    facts, answering = _facts(manifest), source.answering()
    pairs = {
        "its manifest says that it is of database {}, not of {}": (facts.database, answering.database),
        "the file is a dump of database {}, not of {}": (
            dumped_database(source, file, facts),
            facts.database,
        ),
        "it is from the cluster with the system identifier {}, not {}": (
            facts.system_identifier,
            answering.system_identifier,
        ),
    }
    return [text.format(found, expected) for text, (found, expected) in pairs.items() if found != expected]


def _facts(manifest: Manifest) -> PostgresqlFacts:
    if not isinstance(manifest.facts, PostgresqlFacts):
        raise BackupError(f"{manifest.name} is of {manifest.source}, not of PostgreSQL")
    return manifest.facts
