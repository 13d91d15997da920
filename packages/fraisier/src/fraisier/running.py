"""Running a typer app so that only a broken pipe of its standard output, not of a helper, ends it quietly."""

from __future__ import annotations

import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING, Any

import typer

from fraisier.exit_codes import ReaderGoneError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def run(app: typer.Typer, name: str) -> None:
    """Run an app under its name. Raises `ReaderGoneError`, and what a command raises as it is."""
    _prepare_streams()
    command: Any = typer.main.get_command(app)
    invoke = command.invoke

    def invoked(context: Any) -> Any:
        try:
            return invoke(context)
        except BrokenPipeError as error:
            raise RuntimeError("a process or connection that the command needs is gone") from error

    command.invoke = invoked
    command(prog_name=name)


class _StandardOutput(FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise ReaderGoneError from None


def _prepare_streams() -> None:
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdout, TextIOWrapper):
        raw = _StandardOutput(sys.stdout.fileno(), "w", closefd=False)
        sys.stdout = TextIOWrapper(
            BufferedWriter(raw), sys.stdout.encoding, "backslashreplace", line_buffering=raw.isatty()
        )
