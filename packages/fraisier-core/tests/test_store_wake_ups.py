import os
import select
from pathlib import Path

from fraisier_core.store.sqlite.wake_ups import FOLDER, NamedPipe, wake


def woken(pipe: NamedPipe) -> bool:
    return bool(select.select([pipe], [], [], 0)[0])


def test_a_worker_hears_that_there_is_work(tmp_path: Path) -> None:
    pipe = NamedPipe(tmp_path)
    assert not woken(pipe)
    wake(tmp_path)
    wake(tmp_path)
    assert woken(pipe)
    pipe.clear()
    assert not woken(pipe)
    pipe.clear()
    pipe.close()


def test_no_worker_has_to_listen(tmp_path: Path) -> None:
    wake(tmp_path)
    NamedPipe(tmp_path).close()
    wake(tmp_path)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_wake_ups_that_nothing_reads_fill_up_without_a_fault(tmp_path: Path) -> None:
    pipe = NamedPipe(tmp_path)
    with (tmp_path / FOLDER / str(os.getpid())).open("wb", buffering=0) as writer:
        os.set_blocking(writer.fileno(), False)
        while writer.write(b"!" * 4096):
            pass
    wake(tmp_path)
    assert woken(pipe)
    pipe.close()


def test_the_pipe_of_a_dead_worker_is_removed(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    os.mkfifo(tmp_path / FOLDER / "4194305")
    wake(tmp_path)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_worker_takes_the_place_of_one_that_had_its_id(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    os.mkfifo(tmp_path / FOLDER / str(os.getpid()))
    pipe = NamedPipe(tmp_path)
    wake(tmp_path)
    assert woken(pipe)
    pipe.close()
