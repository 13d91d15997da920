"""The exit codes of the commands, and the one place where an error becomes one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import IntEnum
from functools import wraps

from fraisier_core import errors


class ExitCode(IntEnum):
    """What a command's exit status means; scripts may rely on the numbers."""

    SUCCESS = 0
    INTERNAL = 1
    USAGE = 2
    CONFIGURATION = 3
    UNKNOWN_NAME = 4
    PLUGIN = 5
    STORE = 6
    CONFLICT = 7
    REMOTE = 8
    FAILED = 10
    ROLLED_BACK = 11
    CANCELLED = 12
    INTERRUPTED = 13
    SUPERSEDED = 14
    DRIFT = 15
    KEYBOARD = 130
    READER_GONE = 141


_OF_ERRORS = {
    errors.InvalidRequestError: ExitCode.USAGE,
    errors.ConfigurationError: ExitCode.CONFIGURATION,
    errors.UnknownNameError: ExitCode.UNKNOWN_NAME,
    errors.PluginError: ExitCode.PLUGIN,
    errors.StoreError: ExitCode.STORE,
    errors.BusyError: ExitCode.CONFLICT,
    errors.ConflictError: ExitCode.CONFLICT,
    errors.RemoteError: ExitCode.REMOTE,
    errors.StepFailedError: ExitCode.FAILED,
    errors.CancelledError: ExitCode.CANCELLED,
    errors.InterruptedRunError: ExitCode.INTERRUPTED,
}


class ReaderGoneError(Exception):
    """The reader of standard output is gone."""


def code_of_error(error: errors.FraisierError) -> ExitCode:
    """Return the exit code for an error that a person can do something about."""
    return next((code for kind, code in _OF_ERRORS.items() if isinstance(error, kind)), ExitCode.INTERNAL)


def code_of_status(status: str) -> ExitCode:
    """Return the exit code for the status in which a deployment ended."""
    return ExitCode.SUCCESS if status == "skipped" else ExitCode[status.upper()]


def explain_errors(command: Callable[[], None]) -> Callable[[], None]:
    """Make an error of ours one message and an exit code; anything else is a bug with a traceback."""

    @wraps(command)
    def explained() -> None:
        try:
            command()
        except errors.FraisierError as error:
            from fraisier_core.text.printable import printable

            sys.stderr.write(f"{printable(str(error))}\n")
            sys.exit(code_of_error(error))
        except KeyboardInterrupt:
            sys.exit(ExitCode.KEYBOARD)
        except ReaderGoneError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is still to be flushed
            sys.exit(ExitCode.READER_GONE)

    return explained
