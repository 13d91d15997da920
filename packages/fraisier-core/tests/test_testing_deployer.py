"""A deployer that passes `DeployerConformance`, one for each mistake that must not, and the fake run."""

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest
from fraisier_core import CommandFailedError, EnvironmentSettings, Release, StepFailedError
from fraisier_core.settings import HealthCheck
from fraisier_core.testing import DeployerConformance, FakeRun

DEPLOYER = """
import os
import subprocess

from fraisier_core import JobSettings, Release, hookimpl

class ScriptSettings(JobSettings):
    script: str

@hookimpl
def settings():
    return ScriptSettings

@hookimpl
def deploy(run):
    with run.step("install"):
        run.command(["sh", run.settings.script])
    run.activate()
    with run.step("start"):
        run.command(["sh", "start.sh"])

@hookimpl
def steps(settings, files):
    return ["install", "activate", "start"]

@hookimpl
def rollback(run, to):
    run.activate(to)

@hookimpl
def health_check(run):
    return run.probe()

@hookimpl
def run_job(run):
    run.command(["sh", "job.sh", *run.arguments])
"""

TESTS = """
import DEPLOYER as deployer
from fraisier_core.testing import DeployerConformance

class TestDeployer(DeployerConformance):
    plugin = deployer
    lasting = LASTING

    def working(self, release):
        return self.running(release, "true")

    def failing(self, release):
        return self.running(release, "exit 1")

    def failing_late(self, release):
        section = self.working(release)
        (release / "start.sh").write_text("touch started; exit 1")
        return section

    def running(self, release, script):
        (release / "install.sh").write_text(script)
        (release / "start.sh").write_text("true")
        return {"script": "install.sh"}

    def job(self, release, script):
        (release / "job.sh").write_text(script)
        return self.working(release)
"""

# A mistaken deployer runs the test that is named for its mistake alone: they take a while.
CONFTEST = """
def pytest_collection_modifyitems(items):
    items[:] = [each for each in items if each.path.stem in {"test_correct", each.originalname}]
"""
PATIENT, HASTY = "10.0", "0.5"

START = '    with run.step("start"):\n        run.command(["sh", "start.sh"])\n'
SETTINGS = "class ScriptSettings(JobSettings):"
INSTALL = '    with run.step("install"):\n        run.command(["sh", run.settings.script])\n'
COMMAND = 'run.command(["sh", run.settings.script])'
BACK = "    run.activate(to)\n"
LOCK = "(run.settings.app_path.parent / 'lock')"

JOB = '    run.command(["sh", "job.sh", *run.arguments])'
SHELL = "subprocess.run(['sh', {}], cwd=run.release.path, check=True)"

MISTAKES = {
    "the_plugin_is_loaded": ("def deploy(run)", "def deploy(release)"),
    "the_settings_take_what_every_environment_may_say": (SETTINGS, f"{SETTINGS}\n    branch: int"),
    "the_settings_refuse_an_unknown_key": (SETTINGS, 'class ScriptSettings(JobSettings, extra="ignore"):'),
    "the_settings_are_frozen_and_show_no_value": (
        SETTINGS,
        "class ScriptSettings(JobSettings, frozen=False):",
    ),
    "the_settings_have_a_json_schema": (
        SETTINGS,
        "class Thing: pass\n\nclass ScriptSettings(JobSettings, arbitrary_types_allowed=True):\n"
        "    thing: Thing | None = None",
    ),
    "whatever_is_wrong_is_refused_with_its_line": (
        "    script: str\n",
        "    script: str\n\n    def model_post_init(self, context):\n        self.script[0]\n",
    ),
    "a_release_is_deployed": ("run.activate()", "run.activate(run.previous or run.release.parent)"),
    "the_steps_are_those_that_it_tells": ('["install", "activate", "start"]', '["activate", "start"]'),
    "a_release_is_deployed_again": ("run.command([", "(run.release.path / 'made').mkdir(); run.command(["),
    "a_release_is_deployed_in_place": (
        "    run.activate()\n",
        "    run.activate()\n    run.settings.app_path.readlink()\n",
    ),
    "a_failing_step_raises_and_nothing_is_activated": (
        INSTALL,
        "    try:\n        run.command(['sh', run.settings.script])\n    except Exception:\n        pass\n",
    ),
    "activation_comes_before_any_other_change": (
        f"    run.activate()\n{START}",
        f"{START}    run.activate()\n",
    ),
    "the_health_check_follows_the_configured_probe": (
        "return run.probe()",
        "return type(run.probe())(True, 'always')",
    ),
    "the_health_check_is_one_probe": ("return run.probe()", "run.probe()\n    return run.probe()"),
    "no_command_has_a_secret_among_its_arguments": (
        COMMAND,
        'run.command(["sh", run.settings.script, run.settings.env.get("SECRET", "")])',
    ),
    "what_was_deployed_is_watched_and_found_running": (
        "@hookimpl\ndef rollback",
        "@hookimpl\ndef watch(run):\n    return (run.release.path / 'pid').stat\n\n@hookimpl\ndef rollback",
    ),
    "an_earlier_release_is_restored": ("run.activate(to)", "run.activate(run.previous)"),
    "a_failing_step_fails_the_deployment_and_the_old_one_serves": (
        INSTALL,
        f"    try:\n        {COMMAND}\n    except Exception:\n"
        "        run.settings.app_path.unlink(missing_ok=True)\n        raise\n",
    ),
    "a_commit_is_deployed_twice": (COMMAND, f"{LOCK}.mkdir()"),
    "cancel_ends_all_that_a_step_started": (COMMAND, SHELL.format("run.settings.script")),
    "no_secret_leaves_it_unredacted": (COMMAND, f"{COMMAND}\n        print(run.settings.env, flush=True)"),
    "a_rollback_returns_to_the_release_it_was_given": (
        BACK,
        "    there = [each for each in to.path.parent.iterdir() if each.is_dir()]\n"
        "    path = sorted(there, key=lambda each: each.stat().st_ctime_ns)[-2]\n"
        "    run.activate(Release(path.name, path, to.commit_sha))\n",
    ),
    "an_unhealthy_release_is_rolled_back": (
        BACK,
        f"    run.previous.path.joinpath('healthy').read_text()\n{BACK}",
    ),
    "killed_at_each_failpoint_it_ends_and_can_be_deployed_again": (
        *(COMMAND, f"{LOCK}.mkdir(); {COMMAND}"),
        *(START, f"{START}    {LOCK}.rmdir()\n"),
    ),
    "killed_during_a_rollback_it_is_rolled_back_all_the_same": (
        *(START, f"{START}    os.environ['STARTED'] = 'yes'\n"),
        *(BACK, f"    os.environ['STARTED']\n{BACK}"),
    ),
    "a_job_is_run_with_its_arguments": (", *run.arguments", ""),
    "a_job_that_fails_raises": ("*run.arguments]", "*run.arguments], check=False"),
    "a_run_is_recorded_and_changes_nothing_that_serves": ("*run.arguments", "*run.arguments[:2]"),
    "a_job_that_fails_fails_its_run_and_the_release_stays": (
        JOB,
        f"    try:\n    {JOB}\n    except Exception:\n        pass",
    ),
    "cancel_ends_all_that_a_job_started": (JOB, "    " + SHELL.format("'job.sh', *run.arguments")),
    "no_secret_leaves_a_job_unredacted": (JOB, f"{JOB}\n    print(run.settings.env, flush=True)"),
    "a_job_that_fails_is_tried_again": (JOB, f"    {LOCK}.mkdir()\n{JOB}"),
    "a_job_that_exceeds_its_time_is_ended": (JOB, "    " + SHELL.format("'job.sh', *run.arguments")),
    "a_run_that_is_killed_is_interrupted_and_the_next_succeeds": (
        JOB,
        f"    {LOCK}.mkdir()\n{JOB}\n    {LOCK}.rmdir()",
    ),
}


@pytest.fixture(scope="module")
def unsuccessful(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """The tests that fail or cannot run, for each deployer; all run once, in a pytest of their own."""
    folder = tmp_path_factory.mktemp("deployers")
    (folder / "conftest.py").write_text(CONFTEST)
    write_deployer(folder, "correct", DEPLOYER, PATIENT)
    for mistake in MISTAKES:
        write_deployer(folder, mistake, mistaken(mistake), HASTY)
    return run_tests(folder)


def mistaken(mistake: str) -> str:
    """Return the source of a deployer with some texts replaced."""
    source, texts = DEPLOYER, MISTAKES[mistake]
    for right, wrong in zip(texts[::2], texts[1::2], strict=True):
        assert right in source
        source = source.replace(right, wrong)
    return source


def write_deployer(folder: Path, name: str, source: str, lasting: str) -> None:
    (folder / f"{name}.py").write_text(source)
    (folder / f"test_{name}.py").write_text(TESTS.replace("DEPLOYER", name).replace("LASTING", lasting))


def run_tests(folder: Path) -> Mapping[str, set[str]]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=no", "-qrA"]
    output = subprocess.run(
        [*command, folder], cwd=folder, capture_output=True, text=True, check=False
    ).stdout
    tests: dict[str, set[str]] = defaultdict(set)
    line = r"^(\w+) test_(\w+)\.py::TestDeployer::test_(\w+)"
    for outcome, name, test in re.findall(line, output, re.MULTILINE):
        tests[name] |= {test} if outcome != "PASSED" else set()
    return tests


def test_a_correct_deployer_conforms(unsuccessful: Mapping[str, set[str]]) -> None:
    assert unsuccessful["correct"] == set()
    assert set(unsuccessful) == {"correct", *MISTAKES}


def test_for_each_test_there_is_a_mistaken_deployer() -> None:
    assert set(MISTAKES) == {
        name.removeprefix("test_") for name in dir(DeployerConformance) if name.startswith("test_")
    }


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistaken_deployer_fails_the_test_that_is_named_for_it(
    unsuccessful: Mapping[str, set[str]], mistake: str
) -> None:
    assert unsuccessful[mistake] == {mistake}


@pytest.fixture
def fake_run(tmp_path: Path) -> FakeRun[EnvironmentSettings]:
    path = tmp_path / "releases" / "1"
    path.mkdir(parents=True)
    settings = EnvironmentSettings(app_path=tmp_path / "app", env={"GREETING": "hello"})
    return FakeRun(settings, Release("1", path, "1" * 40))


def test_a_command_really_runs_in_the_release(fake_run: FakeRun[EnvironmentSettings]) -> None:
    fake_run.command(["sh", "-c", "echo $GREETING $FRAISIER_RELEASE $MORE > made"], env={"MORE": "more"})
    assert (fake_run.release.path / "made").read_text() == "hello 1 more\n"


def test_a_command_outside_of_a_step_is_one_of_its_own(fake_run: FakeRun[EnvironmentSettings]) -> None:
    fake_run.command([Path("/bin/echo"), "word"])
    assert (fake_run.steps, fake_run.commands) == (["echo"], [("/bin/echo", "word")])
    assert fake_run.output == "word\n"


def test_a_step_that_raises_is_remembered_as_failed(fake_run: FakeRun[EnvironmentSettings]) -> None:
    with pytest.raises(CommandFailedError, match="status 3"), fake_run.step("build"):
        fake_run.command(["sh", "-c", "exit 3"])
    assert (fake_run.steps, fake_run.failed) == (["build"], ["build"])


def test_the_names_of_the_engines_steps_are_refused(fake_run: FakeRun[EnvironmentSettings]) -> None:
    with pytest.raises(StepFailedError, match="'verify' is a step of the engine"):
        fake_run.step("verify")


def test_steps_do_not_nest(fake_run: FakeRun[EnvironmentSettings]) -> None:
    with pytest.raises(StepFailedError, match="nest"), fake_run.step("build"):
        fake_run.activate()
    with fake_run.step("the next one"):
        fake_run.note("works")
    assert fake_run.output == "works\n"


def test_activating_switches_the_link(fake_run: FakeRun[EnvironmentSettings]) -> None:
    other = Release("2", fake_run.release.path.parent / "2", "2" * 40)
    fake_run.activate()
    fake_run.activate(other)
    assert fake_run.activations == [fake_run.release, other]
    assert (fake_run.settings.app_path or Path()).readlink() == other.path


def test_activating_in_place_changes_nothing(tmp_path: Path) -> None:
    run = FakeRun(EnvironmentSettings(app_path=tmp_path), Release("1", tmp_path, "1" * 40), in_place=True)
    run.activate()
    assert (run.activations, run.steps) == ([], [])
    assert not tmp_path.is_symlink()


def test_activating_without_app_path_switches_nothing(tmp_path: Path) -> None:
    run = FakeRun(EnvironmentSettings(), Release("1", tmp_path / "1", "1" * 40))
    run.activate()
    assert (run.activations, list(tmp_path.iterdir())) == ([run.release], [])


def test_a_probe_is_really_made(fake_run: FakeRun[EnvironmentSettings]) -> None:
    assert fake_run.probe().healthy
    settings = EnvironmentSettings(health_check=HealthCheck(command=["test", "-e", "made"]))
    run = FakeRun(settings, fake_run.release)
    assert not run.probe().healthy
    (run.release.path / "made").touch()
    assert run.probe().healthy
