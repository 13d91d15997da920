"""The fraise type that the reference shows: what every fraise type must do, with a `docker` of our own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from fraisier_core.testing import DeployerConformance

PAGE = Path(__file__).parents[1] / "docs/reference/hooks.md"


def example() -> ModuleType:
    (source,) = re.findall(
        r"^## A complete fraise type\n\n```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    module = ModuleType("compose_example")
    sys.modules[module.__name__] = module
    exec(compile(source, str(PAGE), "exec"), module.__dict__)
    return module


def docker(release: Path, script: str) -> Mapping[str, object]:
    """Write a `docker` that runs a script, and return the section that finds it."""
    (release / "docker").write_text(f"#!/bin/sh\nshift 3\n{script}\n")
    (release / "docker").chmod(0o755)
    return {"env": {"PATH": f"{release}:{os.environ['PATH']}"}}


class TestCompose(DeployerConformance):
    plugin = example()

    def working(self, release: Path) -> Mapping[str, object]:
        return docker(release, 'echo "$*"')

    def failing(self, release: Path) -> Mapping[str, object]:
        return docker(release, 'test "$1" != pull')

    def failing_late(self, release: Path) -> Mapping[str, object]:
        return docker(release, 'touch "$1"; test "$1" != up')

    def running(self, release: Path, script: str) -> Mapping[str, object]:
        return docker(release, script)
