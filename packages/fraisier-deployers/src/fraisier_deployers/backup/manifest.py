"""The manifest of a backup: what it is of, and what its file must be like."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    ValidationError,
    model_validator,
)

from fraisier_deployers.backup.backup_errors import BackupError

SUFFIX = ".json"
"""Of the file of a manifest, which is called as its backup is."""
AGE_SUFFIX = ".age"
MOST_BYTES = 8 * 2**20
"""More than any manifest has: a larger file is none."""
_NAME = r"[a-z0-9][a-z0-9_-]{0,200}-[0-9]{8}T[0-9]{6}Z-[0-9a-z]{4,32}"
_FILE_SUFFIX = r"(?:\.[a-z0-9]{1,16}){1,3}"


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("should be in the years of the calendar") from None


Name = Annotated[str, Field(pattern=f"^{_NAME}$")]
Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Rows = dict[str, NonNegativeInt]


class _Recorded(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class PostgresqlFacts(_Recorded):
    """What was dumped, read in the same snapshot as the dump.

    Args:
        database: its name.
        system_identifier: of its cluster, which no other has.
        server_version: as the server says it, such as `16.4`.
        server_major: the first number of that.
        dumped_by: the major version of `pg_dump`, which `pg_restore` must not be older than.
        encoding: of its text.
        lc_collate: how its text is sorted.
        lc_ctype: which characters are letters.
        locale_provider: what knows that: `c` is the operating system, `i` ICU, `b` PostgreSQL itself.
        locale: the name of it there, for the latter two.
        owners: the roles that own something in it.
        grantees: the roles that were granted something in it.
        grantors: the roles whose default privileges were altered.
        policy_roles: the roles that its policies of row security name.
        tablespaces: those in which something of it lies, other than its own.
        objects: how many there are of each kind, such as `views`, beside tables.
        tables: the number of rows of each `schema.table`, quoted as in SQL.
        sequences: how far each `schema.sequence` had come at least.
    """

    kind: Literal["postgresql"] = "postgresql"
    database: str
    system_identifier: str
    server_version: str
    server_major: int
    dumped_by: int
    encoding: str
    lc_collate: str
    lc_ctype: str
    locale_provider: str = "c"
    locale: str = ""
    owners: tuple[str, ...] = ()
    grantees: tuple[str, ...] = ()
    grantors: tuple[str, ...] = ()
    policy_roles: tuple[str, ...] = ()
    tablespaces: tuple[str, ...] = ()
    objects: dict[str, NonNegativeInt] = {}
    tables: Rows
    sequences: dict[str, int] = {}

    @property
    def has_content(self) -> bool:
        """Whether a table has rows."""
        return any(self.tables.values())

    @property
    def compared(self) -> str:
        """What was found to be the same after a restore."""
        return _same_rows(self.tables)


class SqliteFacts(_Recorded):
    """What was copied, read from the copy.

    Args:
        path: of the database.
        mode: the permissions of its file.
        tables: the number of rows of each table.
    """

    kind: Literal["sqlite"] = "sqlite"
    path: str
    mode: Annotated[int, Field(ge=0, le=0o777)] = 0o600
    tables: Rows

    @property
    def has_content(self) -> bool:
        """Whether a table has rows."""
        return any(self.tables.values())

    @property
    def compared(self) -> str:
        """What was found to be the same after a restore."""
        return _same_rows(self.tables)


class FolderFacts(_Recorded):
    """What was archived, as the archive was written.

    Args:
        paths: the folders.
        entries: how many files, folders and links there are in the archive.
        content_bytes: how many bytes the files have together.
    """

    kind: Literal["folders"] = "folders"
    paths: tuple[Annotated[str, Field(pattern=r"^/([^/\x00][^\x00]*)?$")], ...]
    entries: NonNegativeInt
    content_bytes: NonNegativeInt

    @property
    def has_content(self) -> bool:
        """Whether there is anything in the folders."""
        return self.entries > len(self.paths)

    @property
    def compared(self) -> str:
        """What was found to be the same after a restore."""
        return f"as backed up: entries {self.entries}, bytes {self.content_bytes}"

    @model_validator(mode="after")
    def _inside(self) -> FolderFacts:
        if any(".." in path.split("/") for path in self.paths):
            raise ValueError("has a path with ..")
        return self


class CommandFacts(_Recorded):
    """What a command of the user's printed: nothing is known of it."""

    kind: Literal["command"] = "command"
    has_content: ClassVar[bool] = True
    compared: ClassVar[str] = "nothing is compared: what a command prints, its `check` alone knows"


def _same_rows(tables: Rows) -> str:
    return f"as backed up: tables {len(tables)}, rows {sum(tables.values())}"


Facts = Annotated[PostgresqlFacts | SqliteFacts | FolderFacts | CommandFacts, Field(discriminator="kind")]


class Manifest(_Recorded):
    """What is known of one copy of a backup. It is stored after the copy's file: without it, there is none.

    Args:
        name: of the backup, which all of its copies have: `FRAISE-ENVIRONMENT-TIME-ID`.
        fraise: whose backup it is.
        environment: of that fraise.
        host: where it was made.
        installation: that made it, empty if not known; hosts may be called alike, or differently today.
        created_at: when it was begun.
        deployment_id: of the run that made it.
        asked_by: the deployment that it was made for, None if it was made by hand or by a timer.
        file: the name of the copy's file.
        size: of that file, in bytes.
        sha256: of that file.
        plain_size: of the file before it was encrypted, in bytes.
        plain_sha256: of the file before it was encrypted.
        encrypted: whether the file is encrypted by age.
        facts: what it is of.
    """

    name: Name
    fraise: str
    environment: str
    host: str
    installation: str = ""
    created_at: Time
    deployment_id: str
    asked_by: str | None = None
    file: str
    size: NonNegativeInt
    sha256: Digest
    plain_size: NonNegativeInt
    plain_sha256: Digest
    encrypted: bool = False
    facts: Facts

    @model_validator(mode="after")
    def _own_file(self) -> Manifest:
        if (
            not re.fullmatch(re.escape(self.name) + _FILE_SUFFIX, self.file)
            or self.file == self.manifest_file
        ):
            raise ValueError("its file has the name of another backup")
        return self

    @model_validator(mode="after")
    def _time_of_its_name(self) -> Manifest:
        if f"-{_time_in_name(self.created_at)}-" not in self.name:
            raise ValueError("created_at is another time than its name has")
        return self

    @model_validator(mode="after")
    def _one_checksum(self) -> Manifest:
        stored, plain = (self.size, self.sha256), (self.plain_size, self.plain_sha256)
        if not self.encrypted and stored != plain:
            raise ValueError("its file is not encrypted, and has two checksums or sizes")
        return self

    @property
    def source(self) -> str:
        """What kind of source it is of, such as `postgresql`."""
        return self.facts.kind

    @property
    def manifest_file(self) -> str:
        """The name of the file that holds this manifest."""
        return f"{self.name}{SUFFIX}"

    def is_copy_of(self, other: Manifest) -> bool:
        """Whether it is of the same backup as another, of which all but the file is alike."""
        of_file = {"file": other.file, "size": other.size, "sha256": other.sha256}
        return self.model_copy(update={**of_file, "encrypted": other.encrypted}) == other

    def text(self) -> str:
        """Return the JSON of this manifest, its keys sorted."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, text: str | bytes, file_name: str) -> Manifest:
        """Return the manifest that a file of this name holds. Raises `BackupError`, which names the file."""
        try:
            manifest = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BackupError(f"{file_name} is no manifest: {where or 'the text'}: {first['msg']}") from None
        if manifest.manifest_file != file_name:
            raise BackupError(f"{file_name} is the manifest of another backup, {manifest.name}")
        return manifest


def backup_of(file_name: str) -> str | None:
    """Return the name of the backup that a file belongs to by its own name, None if it belongs to none."""
    found = re.fullmatch(f"({_NAME}){_FILE_SUFFIX}", file_name)
    return found[1] if found else None


def is_of(name: str, fraise: str, environment: str) -> bool:
    """Whether a name begins as those of the backups of an environment do."""
    return re.match(f"{re.escape(f'{fraise}-{environment}-')}[0-9]{{8}}T[0-9]{{6}}Z-", name) is not None


def backup_name(fraise: str, environment: str, created_at: datetime, deployment_id: str) -> str:
    """Return the name of a new backup: names of one environment sort by time."""
    return f"{fraise}-{environment}-{_time_in_name(created_at)}-{deployment_id[-4:].lower()}"


def _time_in_name(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
