"""What the commands of backups work with: an environment, its backups, and what is on record of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fraisier_core.config import Environment
from fraisier_core.errors import FraisierError, StepFailedError, StoreError
from fraisier_core.kept_backups import Changing, KeptBackups, folder_of_backups
from fraisier_core.plugins import Deployer
from fraisier_core.store.tokens import AuditEvent
from fraisier_core.system.host import utc_now
from fraisier_core.text.redaction import Redactor

from fraisier.cli.backup_commands import BackupCommands
from fraisier.cli.backup_marks import BackupMarks
from fraisier.cli.backup_record import BackupRecord
from fraisier.cli.session import ActingSession
from fraisier.exit_codes import ExitCode, code_of_error
from fraisier.terminal import tell


@dataclass(frozen=True)
class BackupSession:
    """An environment, for a command that acts as the owner of the state folder already.

    Args:
        session: has the configuration and the store.
        environment: whose backups are meant.
        quiet: whether nothing is said of what is under way.
        needs_record: whether nothing is done if the record cannot be read or written; else that is said.
    """

    session: ActingSession
    environment: Environment
    quiet: bool = False
    needs_record: bool = False

    @property
    def names(self) -> tuple[str, str]:
        """The names of the fraise and of the environment."""
        return self.environment.fraise, self.environment.name

    @property
    def type(self) -> Deployer:
        """The fraise type. Raises `PluginError`."""
        kind = self.session.config.fraises[self.environment.fraise].type
        return self.session.plugins.deployer(kind)

    @cached_property
    def backups(self) -> KeptBackups:
        """The backups. Raises `InvalidRequestError` if the type keeps none, and as `settings` does."""
        settings = self.environment.settings
        context = BackupCommands(
            *self.names,
            self._folder,
            settings=settings,
            redactor=self.redactor,
            failing=lambda: self.record.failed,
            recorded=self._recorded,
            auditing=self._audit,
            quiet=self.quiet,
        )
        return self.type.backups(settings, context)

    @cached_property
    def record(self) -> BackupRecord:
        """What is on record. Raises `StoreError` if that is needed."""
        reader = None
        with self._saying("the record cannot be read"):
            reader = self.session.reader()
        return BackupRecord(reader, *self.names, self.marks)

    @property
    def marks(self) -> BackupMarks:
        """What commands found of the copies."""
        return BackupMarks(self._folder)

    @cached_property
    def redactor(self) -> Redactor:
        """Hides the secrets of the environment."""
        return Redactor(self.session.config.resolved(*self.names).secrets)

    def redacted(self, text: str | None) -> str | None:
        """Return a text without secrets."""
        return None if text is None else self.redactor.redact(text)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Say what a fraise type raises in a block without secrets; what has no exit code is a failure."""
        try:
            yield
        except FraisierError as error:
            text = self.redactor.redact(str(error))
            if code_of_error(error) is ExitCode.INTERNAL:
                raise StepFailedError(text) from error
            error.args = (text,)
            raise

    def _recorded(self, name: str) -> str | None:
        return self.record.stored.get(name)

    def _audit(self, action: Changing, detail: str) -> None:
        event = AuditEvent(utc_now(), self.session.user, action, " ".join(self.names), detail, 1)
        with self._saying("this is not in the audit"), closing(self.session.open_store()) as store:
            store.audit(event)

    @contextmanager
    def _saying(self, what: str) -> Iterator[None]:
        """Say that the record is away, unless it is needed."""
        try:
            yield
        except StoreError as error:
            if self.needs_record:
                raise
            tell(f"{what}: {error}", "yellow")

    @property
    def _folder(self) -> Path:
        return folder_of_backups(self.session.place.state_dir, *self.names)


def backup_session(
    file: Path | None, fraise: str, environment: str, *, quiet: bool, needs_record: bool = False
) -> BackupSession:
    """Return the session of a command for one environment. Raises what keeps that from being used."""
    session = ActingSession(file)
    found = session.config.environment(fraise, environment)
    session.become_owner()
    made = BackupSession(session, found, quiet, needs_record)
    _ = made.backups  # an environment that keeps none is refused before anything is said
    return made
