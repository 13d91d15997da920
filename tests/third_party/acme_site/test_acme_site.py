"""Test the fraise type `site`."""

from pathlib import Path

import acme_site
from fraisier_core.testing import DeployerConformance


class TestSite(DeployerConformance):
    """What every fraise type must do."""

    plugin = acme_site

    def working(self, release: Path) -> dict[str, object]:
        """Write a site, and return the section that publishes it."""
        (release / "home.html").write_text("Hello")
        return {"front_page": "home.html"}

    def failing(self, release: Path) -> dict[str, object]:
        """Write nothing."""
        return {"front_page": "home.html"}

    def failing_late(self, release: Path) -> None:
        """Say that nothing comes after activation, which could fail."""

    def running(self, release: Path, script: str) -> None:
        """Say that this type runs no commands."""
