import os
import subprocess
import threading
from pathlib import Path

import pytest
from fraisier_core.errors import CancelledError, StepFailedError
from fraisier_core.system.locks import locked


@pytest.fixture
def cancelled() -> threading.Event:
    return threading.Event()


def test_one_holder_at_a_time(tmp_path: Path, cancelled: threading.Event) -> None:
    with (
        locked(tmp_path / "lock", seconds=1, cancelled=cancelled),
        pytest.raises(StepFailedError, match=r"locked for 0\.1 s"),
        locked(tmp_path / "lock", seconds=0.1, cancelled=cancelled),
    ):
        pass
    with locked(tmp_path / "lock", seconds=0, cancelled=cancelled):
        pass


def test_waiting_is_cancelled(tmp_path: Path, cancelled: threading.Event) -> None:
    with locked(tmp_path / "lock", seconds=1, cancelled=cancelled):
        threading.Timer(0.05, cancelled.set).start()
        with (
            pytest.raises(CancelledError, match="waiting for"),
            locked(tmp_path / "lock", seconds=60, cancelled=cancelled),
        ):
            pass


def test_a_child_that_inherited_the_lock_goes_on_holding_it(
    tmp_path: Path, cancelled: threading.Event
) -> None:
    with locked(tmp_path / "lock", seconds=1, cancelled=cancelled) as descriptor:
        orphan = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(descriptor,))
    with pytest.raises(StepFailedError), locked(tmp_path / "lock", seconds=0, cancelled=cancelled):
        pass
    orphan.communicate()
    with locked(tmp_path / "lock", seconds=0, cancelled=cancelled) as descriptor:
        assert not os.get_inheritable(descriptor)
