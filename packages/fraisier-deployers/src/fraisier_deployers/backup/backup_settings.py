"""The section of an environment of type `backup`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Annotated

from fraisier_core import BackupJobSettings, RestoreTestSection, Section
from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, SecretStr, model_validator

from fraisier_deployers.backup.remote_settings import AbsolutePath, RemoteName, RemoteSection
from fraisier_deployers.backup.sources.connection_variables import DATABASE, FORM, connection_variables
from fraisier_deployers.installing import Command

LOCAL = "local"
"""The name of the place `path:`."""


def _filled(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("must not be empty")
    return secret


def _a_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _public_keys(recipients: tuple[str, ...]) -> tuple[str, ...]:
    """Return them; an error does not show what may be the secret key that belongs to one."""
    for number, text in enumerate(recipients, 1):
        if not text.startswith(("age1", "ssh-")):
            raise ValueError(f"number {number} is no public key of age or ssh: age1... or ssh-...")
    return recipients


Secret = Annotated[SecretStr, AfterValidator(_filled)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _database_url(secret: SecretStr) -> SecretStr:
    if not connection_variables(secret.get_secret_value()).get(DATABASE):
        raise ValueError(f"must name the database, as in {FORM}")
    return secret


def _with_target(argv: list[str]) -> list[str]:
    if not any(TARGET in argument for argument in argv):
        raise ValueError(f"must have an argument with {TARGET}, the name of what is restored into")
    return argv


TARGET = "{target}"
"""Stands in commands for the name of what is restored into."""
TargetCommand = Annotated[Command, AfterValidator(_with_target)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
ServerUrl = Annotated[
    SecretStr, AfterValidator(lambda secret: connection_variables(secret.get_secret_value()) and secret)
]


class SourceSection(Section):
    """What is backed up; exactly one of the first four.

    Args:
        postgresql: the URL of a database, a secret as a whole.
        sqlite: the path of a database.
        folders: paths of folders.
        command: a command that prints the backup; no shell reads it.
        restore: a command that reads what `command` printed; `{target}` stands for the name of the target.
        drop: a command that removes the `{target}` of a restore test.
        exclude: patterns of names within `folders` that are left out.
        bin: a folder with PostgreSQL's programs, beside those that are found.
    """

    postgresql: DatabaseUrl | None = None
    sqlite: AbsolutePath | None = None
    folders: Annotated[tuple[AbsolutePath, ...] | None, BeforeValidator(_a_list), Field(min_length=1)] = None
    command: Command | None = None
    restore: TargetCommand | None = None
    drop: TargetCommand | None = None
    exclude: Annotated[tuple[str, ...], BeforeValidator(_a_list)] = ()
    bin: AbsolutePath | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> SourceSection:
        if sum(each is not None for each in (self.postgresql, self.sqlite, self.folders, self.command)) != 1:
            raise ValueError("set exactly one of postgresql, sqlite, folders, command")
        for folder, other in permutations(self.folders or (), 2):
            if folder.is_relative_to(other):
                raise ValueError(f"folders: {folder} is within {other}: name {other} alone")
        return self

    @model_validator(mode="after")
    def _with_what_it_belongs_to(self) -> SourceSection:
        given: Mapping[str, bool] = {
            "restore and drop are for command alone": bool(
                (self.restore or self.drop) and self.command is None
            ),
            "exclude is for folders alone": bool(self.exclude and self.folders is None),
            "bin is for postgresql alone": bool(self.bin and self.postgresql is None),
        }
        for problem, is_so in given.items():
            if is_so:
                raise ValueError(problem)
        return self


class KeepSection(Section):
    """How many backups are kept: the newest of each day, of each week, and so on; the rest is deleted.

    Args:
        last: the newest ones, whenever they were made.
        daily: of so many days that have one.
        weekly: of so many weeks.
        monthly: of so many months.
        yearly: of so many years.
    """

    last: NonNegativeInt = 0
    daily: NonNegativeInt = 0
    weekly: NonNegativeInt = 0
    monthly: NonNegativeInt = 0
    yearly: NonNegativeInt = 0

    @model_validator(mode="after")
    def _something(self) -> KeepSection:
        if not (self.last or self.daily or self.weekly or self.monthly or self.yearly):
            raise ValueError("must keep something: set last, daily, weekly, monthly or yearly")
        return self


class EncryptSection(Section):
    """How copies are encrypted that leave the host.

    Args:
        recipients: public keys of age, `age1...`.
        identity: a secret key of age, which only `verify` and `restore` from a remote need.
    """

    recipients: Annotated[
        tuple[str, ...], BeforeValidator(_a_list), Field(min_length=1), AfterValidator(_public_keys)
    ]
    identity: Secret | None = None


class ResticSection(Section):
    """A repository of restic, instead of `path`, `remotes` and `encrypt`.

    Args:
        repository: as restic's `--repo`, a secret as a whole.
        password: of the repository.
    """

    repository: Secret
    password: Secret


class RestoreTestKeys(RestoreTestSection):
    """The restore test: restores the newest backup into a scratch target, and compares.

    Args:
        schedule: when it runs by itself.
        place: whose copy is restored; by default that of the first remote if `encrypt.identity` is set, as
            nothing else shows that it can be read, and otherwise that of this host.
        target: the URL of a PostgreSQL server to restore into, a secret as a whole; by default the source's.
        check: a command that must succeed once the backup is restored; no shell reads it.
    """

    place: RemoteName | None = None
    target: ServerUrl | None = None
    check: Command | None = None


class BackupSettings(BackupJobSettings):
    """The section of an environment of type `backup`.

    Args:
        source: what is backed up.
        path: the folder where the copies on this host lie; only backups belong in it.
        keep: which backups are kept; absent, all are.
        remotes: places elsewhere that get a copy, by name.
        encrypt: how those copies are encrypted.
        restic: a repository of restic instead.
        restore_test: when and how a backup is restored as a test.
        timeout: seconds that one command may take, such as the dump.
        silence_timeout: seconds that one command may go without printing anything, as while an index is made.
    """

    source: SourceSection
    path: AbsolutePath | None = None
    keep: KeepSection | None = None
    remotes: dict[RemoteName, RemoteSection] = Field(default_factory=dict)
    encrypt: EncryptSection | None = None
    restic: ResticSection | None = None
    restore_test: RestoreTestKeys | None = None
    timeout: Seconds = 6 * 3600.0
    silence_timeout: Seconds = 3600.0

    @property
    def tested_place(self) -> str:
        """The name of the place whose copy a restore test restores."""
        if self.restore_test and self.restore_test.place:
            return self.restore_test.place
        readable = self.encrypt is not None and self.encrypt.identity is not None
        return self._places[1 if readable else 0]

    @property
    def _places(self) -> tuple[str, ...]:
        return ("restic",) if self.restic else (LOCAL, *self.remotes)

    @model_validator(mode="after")
    def _somewhere(self) -> BackupSettings:
        if (self.path is None) == (self.restic is None):
            raise ValueError("set either path or restic")
        if self.restic and (self.remotes or self.encrypt):
            raise ValueError(
                "remotes and encrypt are for path: restic encrypts, and its repository may be remote"
            )
        if self.encrypt and not self.remotes:
            raise ValueError("encrypt is for what leaves the host: set remotes")
        place = self.restore_test.place if self.restore_test else None
        if place and place not in self._places:
            raise ValueError(f"restore_test.place: there is no {place}, only {', '.join(self._places)}")
        if LOCAL in self.remotes:
            raise ValueError(f"remotes: {LOCAL} is the name of path")
        if any(self.path.is_relative_to(folder) for folder in self.source.folders or () if self.path):
            raise ValueError(
                "path must not be within source.folders: a backup would contain all earlier ones"
            )
        return self

    @model_validator(mode="after")
    def _removable(self) -> BackupSettings:
        if self.restore_test and self.source.command and not (self.source.restore and self.source.drop):
            raise ValueError("restore_test needs source.restore and source.drop, so that it leaves nothing")
        if self.restore_test and self.restore_test.target and self.source.postgresql is None:
            raise ValueError("restore_test.target is for postgresql alone")
        return self
