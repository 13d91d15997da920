"""Scripts of a release as jobs."""

from __future__ import annotations

from typing import Any

from fraisier_core import Run, StepFailedError


def require_script(run: Run[Any], script_path: str) -> None:
    """Raise `StepFailedError` unless the release has that script: better now than in the night it is run."""
    if not (run.release.path / script_path).is_file():
        raise StepFailedError(
            f"the release has no file {script_path}: correct script_path, or add the script and push again"
        )


def script_command(script_path: str) -> list[str]:
    """Return how to start a script of the release."""
    return [f"./{script_path.removesuffix('/')}"]
