from __future__ import annotations

import pytest
from fraisier.exit_codes import ExitCode, code_of_error, code_of_status, explain_errors
from fraisier_core import errors
from fraisier_core.store.vocabulary import ENDED


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigurationError(["a"]), 3),
        (errors.UnsetVariableError(["a"]), 3),
        (errors.UnknownNameError("a"), 4),
        (errors.PluginError("a"), 5),
        (errors.StoreError("a"), 6),
        (errors.FencedError("a"), 6),
        (errors.BusyError("a"), 7),
        (errors.GitUnreachableError("a"), 10),
        (errors.CancelledError("a"), 12),
        (errors.InterruptedRunError("a"), 13),
        (errors.FraisierError("a"), 1),
    ],
)
def test_each_error_has_its_exit_code(error: errors.FraisierError, code: int) -> None:
    assert code_of_error(error) == code


def test_every_status_in_which_a_deployment_ends_has_an_exit_code() -> None:
    codes = {status: int(code_of_status(status)) for status in ENDED}
    assert codes == {
        "success": 0,
        "skipped": 0,
        "failed": 10,
        "rolled_back": 11,
        "cancelled": 12,
        "interrupted": 13,
        "superseded": 14,
    }


def test_an_error_becomes_one_message_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    @explain_errors
    def command() -> None:
        raise errors.StoreError("the store\x1b[2J is full")

    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == ExitCode.STORE
    assert capsys.readouterr().err == "the store is full\n"


def test_a_bug_keeps_its_traceback() -> None:
    @explain_errors
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command()


def test_ctrl_c_has_the_exit_code_that_shells_expect() -> None:
    @explain_errors
    def command() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == 130
