"""What commands get of this process's own environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR")


def is_inherited(name: str) -> bool:
    """Whether commands get this environment variable of ours."""
    return name in INHERITED or name.startswith("LC_")


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a command: what is harmless of this process's own, and `extra` over it."""
    inherited = {name: value for name, value in os.environ.items() if is_inherited(name)}
    return {**inherited, **extra}
