"""Plugin packages that are installed for one test, and what tests need of the host."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packages import PackageFolder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageFolder]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield PackageFolder(folder)
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def systemd_analyze() -> None:
    """What systemd itself says of calendar expressions can be asked here; otherwise skip."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
