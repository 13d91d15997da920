import os
import select
from pathlib import Path

from fraisier_core.store.sqlite.wake_ups import FOLDER, NamedPipe, wake


def rings(bell: NamedPipe) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def test_a_worker_hears_that_there_is_work(tmp_path: Path) -> None:
    bell = NamedPipe(tmp_path)
    assert not rings(bell)
    wake(tmp_path)
    wake(tmp_path)
    assert rings(bell)
    bell.clear()
    assert not rings(bell)
    bell.clear()
    bell.close()


def test_nobody_has_to_listen(tmp_path: Path) -> None:
    wake(tmp_path)
    NamedPipe(tmp_path).close()
    wake(tmp_path)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_bell_that_nobody_answers_fills_up_without_a_fault(tmp_path: Path) -> None:
    bell = NamedPipe(tmp_path)
    with (tmp_path / FOLDER / str(os.getpid())).open("wb", buffering=0) as pipe:
        os.set_blocking(pipe.fileno(), False)
        while pipe.write(b"!" * 4096):
            pass
    wake(tmp_path)
    assert rings(bell)
    bell.close()


def test_the_bell_of_a_dead_worker_is_taken_down(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    os.mkfifo(tmp_path / FOLDER / "4194305")
    wake(tmp_path)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_worker_takes_the_place_of_one_that_had_its_id(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    os.mkfifo(tmp_path / FOLDER / str(os.getpid()))
    bell = NamedPipe(tmp_path)
    wake(tmp_path)
    assert rings(bell)
    bell.close()
