"""Tests of the hooks of a deployment, called one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fraisier_core.plugins import Deployer
from fraisier_core.release import Release
from fraisier_core.testing.fake_run import FakeRun
from fraisier_core.testing.installation import SECRET
from fraisier_core.testing.skipping import not_for_this_type
from fraisier_core.testing.written_releases import (
    DeployerReleases,
    assert_serving,
    directory,
)


class HookTests(DeployerReleases):
    """The part of `DeployerConformance` about what each hook does by itself."""

    def test_a_release_is_deployed(self, deployer: Deployer, tmp_path: Path) -> None:
        run = self.run_of(deployer, tmp_path, "1")
        deployer.call("deploy", run, run.release)
        assert run.failed == []
        assert_serving(run, run.release)

    def test_the_steps_are_those_that_it_tells(self, deployer: Deployer, tmp_path: Path) -> None:
        run = self.run_of(deployer, tmp_path, "1")
        here = run.release.path
        told = deployer.steps(run.settings, {str(path.relative_to(here)) for path in here.rglob("*")})
        if told is None:
            not_for_this_type("it does not tell the steps that it would take")
        deployer.call("deploy", run, run.release)
        assert list(told) == run.steps

    def test_a_release_is_deployed_again(self, deployer: Deployer, tmp_path: Path) -> None:
        for _ in range(2):
            run = self.run_of(deployer, tmp_path, "1")
            deployer.call("deploy", run, run.release)
        assert_serving(run, run.release)

    def test_a_release_is_deployed_in_place(self, deployer: Deployer, tmp_path: Path) -> None:
        clone = tmp_path / "app"
        clone.mkdir()
        settings = deployer.settings_model.model_validate({**self.working(clone), "app_path": clone})
        run = FakeRun(settings, Release("1" * 40, clone, "1" * 40), in_place=True)
        deployer.call("deploy", run, run.release)
        assert run.failed == []

    def test_a_failing_step_raises_and_nothing_is_activated(self, deployer: Deployer, tmp_path: Path) -> None:
        run = self.run_of(deployer, tmp_path, "1", self.failing(directory(tmp_path, "1")))
        with pytest.raises(Exception, match=r"."):
            deployer.call("deploy", run, run.release)
        assert run.activations == []

    def test_activation_comes_before_any_other_change(self, deployer: Deployer, tmp_path: Path) -> None:
        section = self.failing_late(directory(tmp_path, "1"))
        run = self.run_of(deployer, tmp_path, "1", section)
        if section is None:
            deployer.call("deploy", run, run.release)
            assert run.steps[-1] == "activate"
        else:
            with pytest.raises(Exception, match=r"."):
                deployer.call("deploy", run, run.release)
            assert run.activations == [run.release]

    @pytest.mark.parametrize("program", ["true", "false"])
    def test_the_health_check_follows_the_configured_probe(
        self, deployer: Deployer, tmp_path: Path, program: str
    ) -> None:
        run = self.run_of(deployer, tmp_path, "1", health_check={"command": [program]})
        deployer.call("deploy", run, run.release)
        assert deployer.health_check(run).healthy is (program == "true")

    def test_the_health_check_is_one_probe(self, deployer: Deployer, tmp_path: Path) -> None:
        count = ["sh", "-c", f"echo probed >> {tmp_path}/probes; exit 1"]
        run = self.run_of(deployer, tmp_path, "1", health_check={"command": count})
        deployer.call("deploy", run, run.release)
        (tmp_path / "probes").unlink(missing_ok=True)
        deployer.health_check(run)
        assert (tmp_path / "probes").read_text() == "probed\n", "the engine decides how often to probe"

    def test_no_command_has_a_secret_among_its_arguments(self, deployer: Deployer, tmp_path: Path) -> None:
        section = self.working(directory(tmp_path, "1"))
        given = section.get("env")
        env = {**(given if isinstance(given, dict) else {}), "SECRET": SECRET}
        run = self.run_of(deployer, tmp_path, "1", section, env=env)
        deployer.call("deploy", run, run.release)
        assert not [each for each in run.commands if SECRET in " ".join(each)]

    def test_what_was_deployed_is_watched_and_found_running(self, deployer: Deployer, tmp_path: Path) -> None:
        run = self.run_of(deployer, tmp_path, "1")
        deployer.call("deploy", run, run.release)
        look = deployer.watch(run) or not_for_this_type("it watches nothing")
        look()

    def test_an_earlier_release_is_restored(self, deployer: Deployer, tmp_path: Path) -> None:
        earlier, newer = self.run_of(deployer, tmp_path, "1"), self.run_of(deployer, tmp_path, "2")
        deployer.call("deploy", earlier, earlier.release)
        deployer.call("deploy", newer, newer.release)
        back = FakeRun(newer.settings, earlier.release, newer.release)
        deployer.call("rollback", back, earlier.release)
        assert back.failed == []
        assert_serving(back, earlier.release)
