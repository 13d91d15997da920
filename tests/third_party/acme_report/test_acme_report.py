"""Test the fraise type `report`."""

from pathlib import Path

import acme_report
from fraisier_core.testing import DeployerConformance


class TestReport(DeployerConformance):
    """What every fraise type must do, and every job."""

    plugin = acme_report

    def working(self, release: Path) -> dict[str, object]:
        """Write a program that works."""
        return self.job(release, "echo report")

    def failing(self, release: Path) -> dict[str, object]:
        """Write no program."""
        return {"program": "missing.sh"}

    def failing_late(self, release: Path) -> None:
        """Say that nothing comes after activation, which could fail."""

    def running(self, release: Path, script: str) -> None:
        """Say that deploying runs no commands."""

    def job(self, release: Path, script: str) -> dict[str, object]:
        """Write the program that is the job."""
        (release / "report.sh").write_text(script)
        return {}
