"""Which environments systemd runs jobs of."""

from __future__ import annotations

from pathlib import Path

import pytest
from fraisier_core.config import Environment, parse_config
from fraisier_core.errors import PluginError, UnsetVariableError
from fraisier_core.units.job import Job

from tests.packages import DEPLOYER, PackageFolder

CONFIG = """
fraises:
  site:
    type: {type}
    environments:
      production: {section}
"""
WITH_JOB = """
from fraisier_core import Health, JobSettings, hookimpl

@hookimpl
def settings():
    return JobSettings

@hookimpl
def deploy(run):
    pass

@hookimpl
def health_check(run):
    return Health(True, __name__)

@hookimpl
def run_job(run):
    pass
"""
WITH_A_KEY_OF_ITS_OWN = DEPLOYER.replace("systemd_service: str | None", "schedule: str | None")


@pytest.fixture
def types(site: PackageFolder) -> PackageFolder:
    site.deployer("job", WITH_JOB)
    site.deployer("clock", WITH_A_KEY_OF_ITS_OWN)
    return site


def environment(types: PackageFolder, kind: str, section: str) -> Environment:
    text = CONFIG.format(type=kind, section=section)
    return parse_config(text, Path("/etc/fraises.yaml"), types.plugins(), {}).environment(
        "site", "production"
    )


@pytest.mark.parametrize(
    "section",
    [
        "{}",
        "{limits: {}}",
        "{limits: {memory: null}}",
        "{limits: {memory: null, tasks: null, cpu: null}}",
        "{schedule: null}",
        "{schedule: null, overlap: skip, env: {A: '${NOT_SET}'}}",
    ],
)
def test_what_limits_and_schedules_nothing_needs_no_unit(types: PackageFolder, section: str) -> None:
    found = environment(types, "job", section)
    assert Job.of(found) is None
    assert found.job is not None
    assert not found.job.needs_unit


@pytest.mark.parametrize(
    "section",
    [
        "{schedule: '@daily'}",
        "{limits: {tasks: 64}, env: {A: '${NOT_SET}'}}",
        "{schedule: '@daily', timeout: '${NOT_SET}'}",
        "{schedule: '@daily', retries: {count: '${NOT_SET}'}}",
    ],
)
def test_a_job_is_known_without_the_variables_of_its_commands(types: PackageFolder, section: str) -> None:
    found = Job.of(environment(types, "job", section))
    assert found is not None
    assert found.executor == "fraisier-run-site.production@.service"


@pytest.mark.parametrize("section", ["{schedule: '${NOT_SET}'}", "{limits: {memory: '${NOT_SET}'}}"])
def test_a_job_whose_units_need_a_variable_says_which(types: PackageFolder, section: str) -> None:
    with pytest.raises(UnsetVariableError, match="NOT_SET"):
        Job.of(environment(types, "job", section))


@pytest.mark.parametrize("section", ["{schedule: '@daily'}", "{schedule: nightly, branch: '${NOT_SET}'}"])
def test_a_type_without_jobs_may_have_a_key_of_that_name(types: PackageFolder, section: str) -> None:
    found = environment(types, "clock", section)
    assert (found.job, Job.of(found)) == (None, None)


def test_a_job_of_a_type_that_is_gone_keeps_its_units(types: PackageFolder) -> None:
    assert Job.of(environment(types, "gone", "{schedule: '@daily', command: [x]}")) is not None
    assert Job.of(environment(types, "gone", "{command: [x]}")) is None
    with pytest.raises(PluginError):
        Job.of(environment(types, "gone", "{schedule: soon}"))
