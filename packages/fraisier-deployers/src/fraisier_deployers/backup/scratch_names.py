"""The names of what restore tests make: whose they are can be told from them, whatever else is lost."""

from __future__ import annotations

import re
from uuid import uuid4

PREFIX = "fraisier_restore_test_"
_ID_LENGTH = 12


def scratch_name(installation: str) -> str:
    """Return a new name for what an installation makes."""
    return f"{PREFIX}{installation[:_ID_LENGTH]}_{uuid4().hex[:8]}"


def is_scratch_of(installation: str, name: str) -> bool:
    """Whether a name is one that `scratch_name` gave the installation."""
    return re.fullmatch(f"{PREFIX}{re.escape(installation[:_ID_LENGTH])}_[0-9a-f]{{8}}", name) is not None
