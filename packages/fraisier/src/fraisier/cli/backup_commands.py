"""What commands of backups give a fraise type: it runs programs, and says what they are at."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fraisier_core.kept_backups import BackupContext, Changing
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.system.commands import CommandResult, Limits, run_command
from fraisier_core.system.environment import clean_environment
from fraisier_core.text.redaction import Redactor

from fraisier.terminal import clean_line, tell, wants_live

_WIDTH = 100


class LiveLine:
    """The last line that a command printed, on a terminal; elsewhere nothing of it is shown."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._is_live = wants_live(sys.stderr)
        self._is_shown = False
        self._text = ""

    def __call__(self, data: bytes) -> None:
        """Show the last whole line of what a command prints."""
        if not self._is_live:
            return
        self._text += data.decode(errors="replace")
        *lines, self._text = self._text.splitlines() if self._text.endswith("\n") else [self._text]
        if whole := [line for line in [*lines, self._text] if line.strip()]:
            self._text = ""
            self._write(clean_line(self._redactor.redact(whole[-1]))[:_WIDTH])

    def clear(self) -> None:
        """Show it no more."""
        if self._is_shown:
            self._is_shown = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _write(self, text: str) -> None:
        self._is_shown = True
        sys.stderr.write(f"\r\x1b[K  {text}")
        sys.stderr.flush()


@dataclass(eq=False, repr=False)
class BackupCommands(BackupContext):
    """Runs commands for one environment, from this command.

    Args:
        settings: of the environment.
        redactor: hides its secrets in what is shown.
        failing: returns the id of the newest backup's run, if that did not succeed.
        recorded: returns the checksum of what a backup stored, by its name, None if it is not on record.
        auditing: writes into the audit.
        quiet: whether nothing is said of what is under way.
    """

    settings: EnvironmentSettings = field(kw_only=True)
    redactor: Redactor = field(kw_only=True)
    failing: Callable[[], str | None] = field(kw_only=True)
    recorded: Callable[[str], str | None] = field(kw_only=True)
    auditing: Callable[[Changing, str], None] = field(kw_only=True)
    quiet: bool = field(default=False, kw_only=True)

    @property
    def failed(self) -> str | None:
        """The id of the newest backup's run, if that did not succeed."""
        return self.failing()

    def on_record(self, name: str) -> str | None:
        """Return the checksum of what a backup stored, None if none of that name is on record."""
        return self.recorded(name)

    def command(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> CommandResult:
        """Run a command in the environment's own folder, by default."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = {"FRAISIER_FRAISE": self.fraise, "FRAISIER_ENVIRONMENT": self.environment}
        line = LiveLine(self.redactor)
        try:
            return run_command(
                argv,
                cwd=cwd or self.folder,
                env=clean_environment(self.settings.env | facts | dict(env or {})),
                limits=Limits(wall=self.settings.timeout, silence=self.settings.silence_timeout),
                on_output=line,
                cancelled=threading.Event(),
                check=check,
            )
        finally:
            line.clear()

    def audit(self, action: Changing, detail: str) -> None:
        """Write that into the audit."""
        self.auditing(action, self.redactor.redact(detail))

    def note(self, text: str) -> None:
        """Say a line beside what was asked for."""
        if not self.quiet:
            tell(self.redactor.redact(text))
