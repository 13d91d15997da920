"""Progress on a terminal: the steps with their times, and the end of what is printed right now."""

from __future__ import annotations

from fraisier_core.text.printable import printable
from rich.console import Console
from rich.live import Live
from rich.text import Text

from fraisier.cli.follow import Display, FollowedStep, Progress, Remark
from fraisier.cli.tables import COLOURS
from fraisier.cli.times import lasted, since
from fraisier.terminal import wrapped

TAIL_LINES = 8
_MARKS = {"success": "✓", "running": "•", "failed": "✗"}


class LiveDisplay(Display):
    """Keeps a picture of the deployment on standard output up to date."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def announce(self, message: str) -> None:
        """Print a message above the picture."""
        self._console.print(Text(printable(message)))

    def show(self, progress: Progress) -> None:
        """Draw the picture again."""
        lines = Text(no_wrap=True, overflow="ellipsis")
        for each in progress.in_order():
            if isinstance(each, Remark):
                lines.append(_wrapped(each.text, self._console.width), style="yellow")
            else:
                _append_step(lines, each)
                lines.append(_wrapped(progress.reason(each) or "", self._console.width, "    "))
        if not progress.steps:
            lines.append(f"{progress.deployment.status} ...", style="dim")
        lines.rstrip()
        self._live.update(lines, refresh=True)


def _wrapped(text: str, width: int, indent: str = "") -> str:
    lines = wrapped(printable(text), width, initial_indent=indent, subsequent_indent=indent or "  ")
    return "".join(f"{line}\n" for line in lines)


def _append_step(lines: Text, step: FollowedStep) -> None:
    record = step.record
    took = since(record.started_at) if step.is_running else record.duration
    mark = _MARKS.get(record.status, "!")
    lines.append(f"{mark} {printable(record.name):<12} ", style=COLOURS.get(record.status, ""))
    lines.append(f"{lasted(took)}\n")
    if record.status != "success":
        for line in printable(step.output).splitlines()[-TAIL_LINES:]:
            lines.append(f"    {line.expandtabs()}\n", style="dim")
