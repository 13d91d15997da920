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
from fraisier_core.testing import FakeRun

DEPLOYER = """
from fraisier_core import EnvironmentSettings, hookimpl

class ScriptSettings(EnvironmentSettings):
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
def rollback(run, to):
    run.activate(to)

@hookimpl
def health_check(run):
    return run.probe()
"""

TESTS = """
import DEPLOYER as deployer
from fraisier_core.testing import DeployerConformance

class TestDeployer(DeployerConformance):
    plugin = deployer

    def working(self, release):
        (release / "install.sh").write_text("true")
        (release / "start.sh").write_text("true")
        return {"script": "install.sh"}

    def failing(self, release):
        (release / "install.sh").write_text("exit 1")
        return {"script": "install.sh"}

    def failing_late(self, release):
        section = self.working(release)
        (release / "start.sh").write_text("touch started; exit 1")
        return section
"""

START = '    with run.step("start"):\n        run.command(["sh", "start.sh"])\n'
SETTINGS = "class ScriptSettings(EnvironmentSettings):"
INSTALL = '    with run.step("install"):\n        run.command(["sh", run.settings.script])\n'

MISTAKES = {
    "the_plugin_is_loaded": ("def deploy(run)", "def deploy(release)"),
    "the_settings_take_what": (SETTINGS, f"{SETTINGS}\n    branch: int"),
    "the_settings_refuse_an_unknown": (
        SETTINGS,
        'class ScriptSettings(EnvironmentSettings, extra="ignore"):',
    ),
    "the_settings_are_frozen": (SETTINGS, "class ScriptSettings(EnvironmentSettings, frozen=False):"),
    "the_settings_have_a_json_schema": (
        SETTINGS,
        "class Thing: pass\n\nclass ScriptSettings(EnvironmentSettings, arbitrary_types_allowed=True):\n"
        "    thing: Thing | None = None",
    ),
    "a_release_is_deployed": ("run.activate()", "run.activate(run.previous or run.release.parent)"),
    "a_release_is_deployed_again": ("run.command([", "(run.release.path / 'made').mkdir(); run.command(["),
    "a_release_is_deployed_in_place": (
        "    run.activate()\n",
        "    run.activate()\n    run.settings.app_path.readlink()\n",
    ),
    "a_failing_step": (
        INSTALL,
        "    try:\n        run.command(['sh', run.settings.script])\n    except Exception:\n        pass\n",
    ),
    "activation_comes_before": (f"    run.activate()\n{START}", f"{START}    run.activate()\n"),
    "the_health_check_follows": ("return run.probe()", "return type(run.probe())(True, 'always')"),
    "what_was_deployed_is_watched": (
        "@hookimpl\ndef rollback",
        "@hookimpl\ndef watch(run):\n    return (run.release.path / 'pid').stat\n\n@hookimpl\ndef rollback",
    ),
    "an_earlier_release": ("run.activate(to)", "run.activate(run.previous)"),
}


@pytest.fixture(scope="module")
def unsuccessful(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """The tests that fail or cannot run, for each deployer; all run once, in a pytest of their own."""
    folder = tmp_path_factory.mktemp("deployers")
    write_deployer(folder, "correct", DEPLOYER)
    for mistake, (right, wrong) in MISTAKES.items():
        write_deployer(folder, mistake, DEPLOYER.replace(right, wrong))
    return run_tests(folder)


def write_deployer(folder: Path, name: str, source: str) -> None:
    (folder / f"{name}.py").write_text(source)
    (folder / f"test_{name}.py").write_text(TESTS.replace("DEPLOYER", name))


def run_tests(folder: Path) -> Mapping[str, set[str]]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=no", "-qrfEp"]
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


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistaken_deployer_fails_the_test_that_is_named_for_it(
    unsuccessful: Mapping[str, set[str]], mistake: str
) -> None:
    assert MISTAKES[mistake][0] in DEPLOYER
    assert any(test.startswith(mistake) for test in unsuccessful[mistake])


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
