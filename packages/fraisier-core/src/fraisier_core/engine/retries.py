"""Trying a job again that failed, as its settings say."""

from __future__ import annotations

from fraisier_core.engine.after_storing import has_stored
from fraisier_core.engine.execution import Execution
from fraisier_core.engine.hooks import RecordedRun, call
from fraisier_core.errors import CancelledError, StepFailedError
from fraisier_core.release import Release


def call_with_retries(execution: Execution, hook: str, release: Release) -> RecordedRun:
    """Call a hook as `call` does and, if it is of a job and fails, again after a pause, `retries.count` times
    at most. A cancellation or an interruption ends it at any time.
    """
    retries, number = execution.retries, 1
    while True:
        try:
            return call(execution, hook, release)
        except Exception as error:
            if retries is None or retries.count == 0 or isinstance(error, CancelledError):
                raise
            if has_stored(execution.deployment):  # another try would make another backup
                raise
            message = execution.caught(error)
            if number > retries.count:
                raise StepFailedError(f"{message}, in the last of {number} tries") from error
        pause, number = retries.pause(number), number + 1
        _pause(execution, f"{message}; try {number} of {retries.count + 1}", pause)


def _pause(execution: Execution, message: str, seconds: float) -> None:
    with execution.recorder.step("retry"):
        execution.recorder.note(f"{message} in {seconds:g} s")
        execution.cancellation.wait(seconds)
