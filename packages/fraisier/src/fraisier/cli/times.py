"""Times as people say them."""

from __future__ import annotations

from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60, 3600, 86400


def lasted(seconds: float | None) -> str:
    """Return a duration, such as `40 ms`, `1.3 s`, `2 min 5 s` or `1 h 3 min`; `-` for None."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def ago(at: str | None, now: datetime | None = None) -> str:
    """Return how long ago a stored time was, such as `5 min ago`; `-` for None."""
    if at is None:
        return "-"
    seconds = int(since(at, now))
    if seconds < 10:
        return "just now"
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def until(at: str, now: datetime | None = None) -> str:
    """Return how soon a time comes, such as `in 5 min 2 s`."""
    left = datetime.fromisoformat(at) - (now or datetime.now(UTC))
    return f"in {lasted(max(0.0, left.total_seconds()))}"


def since(at: str, now: datetime | None = None) -> float:
    """Return the seconds from a stored time until now, never fewer than none."""
    return max(0.0, ((now or datetime.now(UTC)) - datetime.fromisoformat(at)).total_seconds())
