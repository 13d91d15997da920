"""What the commands of backups work with: an environment, its backups, and what is on record of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fraisier_core.config import Environment
from fraisier_core.errors import FraisierError, StepFailedError
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


@dataclass(frozen=True)
class BackupSession:
    """An environment, for a command that acts as the owner of the state folder already.

    Args:
        session: has the configuration and the store.
        environment: whose backups are meant.
        quiet: whether nothing is said of what is under way.
    """

    session: ActingSession
    environment: Environment
    quiet: bool = False

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
            self.record.failed,
            settings=settings,
            redactor=self.redactor,
            auditing=self._audit,
            quiet=self.quiet,
        )
        return self.type.backups(settings, context)

    @cached_property
    def record(self) -> BackupRecord:
        """What is on record. Raises `StoreError`."""
        return BackupRecord(self.session.reader(), *self.names, BackupMarks(self._folder))

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

    def _audit(self, action: Changing, detail: str) -> None:
        event = AuditEvent(utc_now(), self.session.user, action, " ".join(self.names), detail, 1)
        self.session.open_store().audit(event)

    @property
    def _folder(self) -> Path:
        return folder_of_backups(self.session.place.state_dir, *self.names)


def backup_session(file: Path | None, fraise: str, environment: str, *, quiet: bool) -> BackupSession:
    """Return the session of a command for one environment. Raises what keeps that from being used."""
    session = ActingSession(file)
    found = session.config.environment(fraise, environment)
    session.become_owner()
    made = BackupSession(session, found, quiet)
    _ = made.backups  # an environment that keeps none is refused before anything is said
    return made
