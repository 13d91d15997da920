"""What a plugin's tests are built on; needs pytest, which only the tests install."""

import pytest

pytest.register_assert_rewrite("fraisier_core.testing.provider")

from fraisier_core.testing.provider import ProviderConformance  # noqa: E402

__all__ = ["ProviderConformance"]
