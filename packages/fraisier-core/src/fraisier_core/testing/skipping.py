"""What a test does that a plugin has nothing for."""

from __future__ import annotations

from typing import NoReturn

import pytest


def not_for_this_type(why: str) -> NoReturn:
    """Skip a test that this plugin has nothing for."""
    pytest.skip(f"not for this type: {why}")
