"""The fraise type `site`: a static site, published if its front page exists."""

from pathlib import Path

from fraisier_core import EnvironmentSettings, Health, Run, StepFailedError, hookimpl


class SiteSettings(EnvironmentSettings):
    """The section of an environment of type `site`."""

    front_page: Path = Path("index.html")


@hookimpl
def settings() -> type[SiteSettings]:
    """Return the model of the environment's section."""
    return SiteSettings


@hookimpl
def deploy(run: Run[SiteSettings]) -> None:
    """Look for the front page, then publish."""
    with run.step("look"):
        if not (run.release.path / run.settings.front_page).is_file():
            raise StepFailedError(f"{run.settings.front_page} is missing")
    run.activate()


@hookimpl
def health_check(run: Run[SiteSettings]) -> Health:
    """Run the configured probe."""
    return run.probe()
