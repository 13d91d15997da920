"""Tests of the hook `settings`: that what is wrong in a section is refused, and where."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from fraisier_core.errors import ConfigurationError
from fraisier_core.plugins import Deployer
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.testing.installation import ENVIRONMENT, Installation
from fraisier_core.testing.written_releases import DeployerReleases

WRONG: tuple[object, ...] = (None, -1, "", "\x01", [[]], {"a": {}}, [None], True)
_PLACE = re.compile(r"fraises\.yaml:(\d+)")


class SettingsTests(DeployerReleases):
    """The part of `DeployerConformance` about the environment's section."""

    def test_the_plugin_is_loaded(self, deployer: Deployer) -> None:
        assert issubclass(deployer.settings_model, EnvironmentSettings)

    def test_the_settings_take_what_every_environment_may_say(
        self, deployer: Deployer, tmp_path: Path
    ) -> None:
        common = {"name": "api.example.com", "branch": "main", "health_check": {"tcp": "localhost:80"}}
        settings = deployer.settings_model.model_validate({**self.working(tmp_path), **common})
        assert (settings.name, settings.branch) == ("api.example.com", "main")

    def test_the_settings_refuse_an_unknown_key(self, deployer: Deployer, tmp_path: Path) -> None:
        with pytest.raises(ValidationError, match="brnach"):
            deployer.settings_model.model_validate({**self.working(tmp_path), "brnach": "main"})

    def test_the_settings_are_frozen_and_show_no_value(self, deployer: Deployer, tmp_path: Path) -> None:
        section = {**self.working(tmp_path), "name": "shown nowhere"}
        settings = deployer.settings_model.model_validate(section)
        with pytest.raises(ValidationError):
            settings.name = "other"  # type: ignore[misc]
        assert "shown nowhere" not in repr(settings)

    def test_the_settings_have_a_json_schema(self, deployer: Deployer) -> None:
        assert "app_path" in deployer.settings_model.model_json_schema()["properties"]

    def test_whatever_is_wrong_is_refused_with_its_line(
        self, deployer: Deployer, installation: Installation
    ) -> None:
        section = self.working(installation.folder)
        own = deployer.settings_model.model_fields.keys() - EnvironmentSettings.model_fields.keys()
        for key in sorted(own | {"timeout"}):
            for value in WRONG:
                installation.section = {**section, key: value}
                _assert_taken_or_refused_at(installation, key, value)


def _assert_taken_or_refused_at(installation: Installation, key: str, value: object) -> None:
    """Assert that a value is taken, or refused with a line of its key, or of the section if the key only
    fails together with others.
    """
    told = f"{key}: {json.dumps(value)}"
    try:
        installation.config()
    except ConfigurationError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - anything else would end `fraisier` with a traceback
        pytest.fail(f"{told}: the settings raised {type(error).__name__}, not ValueError: {error}")
    else:
        return
    lines = {int(line) for line in _PLACE.findall(problem)}
    assert lines, f"{told}: {problem} names no line"
    assert lines <= _lines_of(installation.configuration(), key), f"{told}: {problem}"


def _lines_of(text: str, key: str) -> set[int]:
    """Return the numbers of the lines at which the value of a key stands, and that of its section."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(f'     "{key}":')]
    section = next(number for number, line in enumerate(lines) if f'"{ENVIRONMENT}": {{' in line)
    ends = starts[0] + 1
    while lines[ends].startswith("      "):
        ends += 1
    return {section + 1, *range(starts[0] + 1, ends + 1)}
