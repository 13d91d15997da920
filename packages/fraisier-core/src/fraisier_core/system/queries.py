"""What a command says in answer to a question: read whole, so within a time and a size."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO, NamedTuple

_READ_BYTES = 65_536


class QueryOutput(NamedTuple):
    """A command's exit status, its output and its errors."""

    status: int
    output: bytes
    errors: bytes


class NoAnswerError(Exception):
    """A command that was ended, or could not be started; the text says why."""


def answer(
    argv: Sequence[str], *, env: Mapping[str, str], given: bytes, seconds: float, most_bytes: int
) -> QueryOutput:
    """Return what a command says that reads `given`; `env` is its whole environment. Raises `NoAnswerError`
    if it takes more than `seconds`, or says more than `most_bytes`.
    """
    until = time.monotonic() + seconds
    try:
        with _file_of(given) as file:
            process = subprocess.Popen(
                argv, env=env, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        with process:
            try:
                output, errors = _read(process, until, most_bytes)
                return QueryOutput(process.wait(max(0.0, until - time.monotonic())), output, errors)
            finally:
                process.kill()  # does nothing to one that has exited
    except subprocess.TimeoutExpired:
        raise NoAnswerError(f"it took longer than {seconds:g} s") from None
    except (OSError, ValueError) as error:
        raise NoAnswerError(str(error)) from error


def _file_of(given: bytes) -> IO[bytes]:
    """Return an open file, which, other than a pipe, need not be written while the answer is read."""
    if not given:
        return open(os.devnull, "rb")  # noqa: PTH123
    import tempfile  # few questions need it

    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(given)
    file.seek(0)
    return file


def _read(process: subprocess.Popen[bytes], until: float, most_bytes: int) -> tuple[bytes, bytes]:
    said = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe, kept in zip((process.stdout, process.stderr), said, strict=True):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, kept)
        while selector.get_map():
            left = until - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, left)
            for key, _ in selector.select(left):
                if not (data := os.read(key.fd, _READ_BYTES)):
                    selector.unregister(key.fileobj)
                key.data.extend(data)
                if len(key.data) > most_bytes:
                    raise NoAnswerError(f"it says more than {most_bytes / 2**20:g} MiB")
    return bytes(said[0]), bytes(said[1])
