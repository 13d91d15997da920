"""Why restic failed, as it is found in what it printed."""

from __future__ import annotations

import re

from fraisier_deployers.backup.discreet_restic import ABSENT, REASONS


def reason(text: str) -> str:
    """Return why restic failed: a reason that is known, or its last words."""
    known = (said for said in REASONS.values() if said != ABSENT and f"({said})" in text)
    return next(known, None) or _last_words(text) + (f" ({ABSENT})" if f"({ABSENT})" in text else "")


def _last_words(text: str) -> str:
    lines = [line.strip() for line in re.split(r"\n|; ", text) if line.strip()]
    fatal = [line.partition("Fatal: ")[2] for line in lines if "Fatal: " in line]
    return (fatal or lines or [""])[-1]
