import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fraisier_core.engine.forward import execute
from fraisier_core.errors import CancelledError
from fraisier_core.settings import HealthCheck
from fraisier_core.store.records import Deployment
from fraisier_core.testing.forge import Forge

from tests.installation import Installation
from tests.packages import PackageFolder
from tests.waiting import wait_until

pytest_plugins = ["fraisier_core.testing.forge"]

# Answers each probe as the next word of the release's file `answers` says; the last word stands.
DEPLOYER = """
from pathlib import Path

from fraisier_core import Health, StepFailedError, hookimpl

@hookimpl
def deploy(run):
    Path(run.settings.env["PROBES"]).write_text("")
    run.activate()

@hookimpl
def health_check(run):
    probes, answers = Path(run.settings.env["PROBES"]), (run.release.path / "answers").read_text().split()
    done = probes.read_text()
    probes.write_text(done + ".")
    word = answers[min(len(done), len(answers) - 1)]
    if word == "raise":
        raise RuntimeError("it broke")
    if word == "configured":
        return run.probe()
    if word == "concealing":
        try:
            return run.probe()
        except Exception:
            return Health(True, "never mind")
    return Health(word in {"good", "best"}, f"seen to be {word}", final=word in {"best", "worst"})

@hookimpl
def watch(run):
    failing = run.release.path / "failing"

    def look():
        if failing.exists():
            text = failing.read_text()
            failing.unlink()  # it says so once
            raise StepFailedError(text)

    return look if (run.release.path / "watched").exists() else None
"""
CONFIGURATION = """\
fraises:
  site:
    type: static
    repository: {{repository}}
    environments:
      production:
        branch: main
        app_path: {{folder}}/app
        health_check: {check}
        stable_for: {stable_for}
        env: {{{{PROBES: {{folder}}/probes}}}}
"""
CHECK = '{{command: ["true"], retries: 5, interval: 0.02}}'

Install = Callable[..., Installation]


@pytest.fixture
def install(tmp_path: Path, forge: Forge, site: PackageFolder) -> Install:
    """Return a function that makes an environment with this `stable_for` and this `health_check`."""

    def make(stable_for: float = 0.2, check: str = CHECK) -> Installation:
        text = CONFIGURATION.format(stable_for=stable_for, check=check)
        return Installation(tmp_path, forge, site, DEPLOYER, text)

    return make


def deploy(installation: Installation, answers: str) -> Deployment:
    return installation.execute(installation.forge.push_files({"answers": answers}))


def probes(installation: Installation) -> int:
    return len((installation.folder / "probes").read_text())


def healthy_releases(installation: Installation) -> list[str]:
    return [each.release for each in installation.store.healthy_releases("site", "production")]


def test_a_release_that_stays_healthy_is_a_success_and_the_message_says_for_how_long(
    install: Install,
) -> None:
    installation = install()
    done = deploy(installation, "bad bad good")
    assert done.status == "success"
    ended = installation.database.all("SELECT message FROM tb_deployment_events WHERE event = 'success'")
    assert ended[0]["message"] == "seen to be good, and it stayed healthy for 0.2 s"
    assert probes(installation) > 4
    assert healthy_releases(installation) == [done.release]


@pytest.mark.parametrize("later", ["good bad good", "bad good good raise good", "good good worst"])
def test_one_unhealthy_probe_in_the_time_fails_the_deployment(install: Install, later: str) -> None:
    installation = install()
    first = deploy(installation, "good")
    done = deploy(installation, later)
    assert done.status == "rolled_back"
    assert "was healthy, then 0." in (done.error_message or "")
    assert "(stable_for is 0.2)" in (done.error_message or "")
    assert healthy_releases(installation) == [first.release]
    assert installation.current == first.release


def test_a_rollback_is_verified_in_the_same_way(install: Install) -> None:
    installation = install()
    first = deploy(installation, "good")
    path = installation.folder / "app"
    (path / "answers").write_text("good bad")
    done = deploy(installation, "worst")
    assert (done.status, installation.serving) == ("failed", None)
    assert f"Rollback to {first.release} also failed: was healthy, then" in (done.error_message or "")


def test_the_time_is_over_only_after_a_last_probe(install: Install) -> None:
    installation = install(check='{{command: ["true"], interval: 60}}')
    done = deploy(installation, "good bad")
    assert "was healthy, then 0.2 s later: seen to be bad" in (done.error_message or "")


def test_without_time_to_stay_healthy_one_healthy_probe_is_enough(install: Install) -> None:
    installation = install(stable_for=0)
    done = deploy(installation, "good bad")
    assert (done.status, probes(installation)) == ("success", 1)


@pytest.mark.parametrize(("answer", "status"), [("best", "success"), ("worst", "failed")])
def test_after_a_final_answer_there_are_no_more_probes(install: Install, answer: str, status: str) -> None:
    installation = install(stable_for=60)
    done = deploy(installation, answer)
    assert (done.status, probes(installation)) == (status, 1)
    assert "retries" not in str(done.error_message)


def test_without_a_health_check_there_is_nothing_to_wait_for(install: Install) -> None:
    installation = install(stable_for=60, check="null")
    assert deploy(installation, "configured").status == "success"


def test_a_type_that_can_tell_by_itself_needs_no_health_check(install: Install) -> None:
    installation = install(stable_for=0.2, check="null")
    assert "was healthy, then" in (deploy(installation, "good worst").error_message or "")


def test_probes_that_take_long_end_sooner_than_their_number(install: Install) -> None:
    installation = install(check='{{command: [sleep, "60"], retries: 50, interval: 0.01, timeout: 0.2}}')
    done = deploy(installation, "configured")
    assert probes(installation) < 5
    assert "(health_check.retries, .interval and .timeout give it longer)" in (done.error_message or "")


@pytest.mark.parametrize("probe", [{"url": "http://127.0.0.1/"}, {"tcp": "127.0.0.1:80"}, {"unit": "api"}])
def test_by_default_what_never_answers_is_unhealthy_within_fifteen_seconds(probe: dict[str, str]) -> None:
    check = HealthCheck.model_validate(probe)
    assert check.probing_seconds + check.timeout < 15


def test_cancelling_ends_the_wait_at_once(install: Install) -> None:
    installation = install(stable_for=600, check='{{command: ["true"], interval: 300}}')
    lease = installation.claim(installation.forge.push_files({"answers": "good"}))
    execution = installation.execution(lease)

    def cancel() -> None:
        deployment = installation.deployment(lease)
        wait_until(lambda: ("verify", "running") in installation.steps(deployment))
        installation.stop.cancel(CancelledError("cancelled by ada"))

    thread = threading.Thread(target=cancel)
    thread.start()
    execute(execution)
    thread.join()
    assert "cancelled by ada" in (installation.deployment(lease).error_message or "")


def test_what_is_watched_makes_the_time_hold_without_a_health_check(install: Install) -> None:
    installation = install(check="null")
    commit = installation.forge.push_files({"answers": "configured", "watched": ""})
    assert installation.execute(commit).status == "success"
    assert probes(installation) > 1


@pytest.mark.parametrize(
    ("answers", "check"),
    [
        ("bad", '{{command: ["true"], retries: 900}}'),
        ("configured", "{{command: [sh, -c, 'sleep 5; touch $PROBES.ended'], timeout: 90}}"),
    ],
)
def test_a_service_that_has_failed_is_not_probed_any_further(
    install: Install, answers: str, check: str
) -> None:
    """Neither is a probe waited for that is under way, nor is there advice to probe for longer."""
    installation = install(check=check)
    commit = installation.forge.push_files({"answers": answers, "watched": "", "failing": "it ended"})
    done = installation.execute(commit)
    assert (done.status, probes(installation)) == ("failed", 1)
    assert not (installation.folder / "probes.ended").exists()
    assert (done.error_message or "").startswith("it ended; there is no earlier release")


def test_a_failure_that_a_health_check_conceals_is_told_all_the_same(install: Install) -> None:
    installation = install(check="{{command: [sleep, '60'], timeout: 90}}")
    commit = installation.forge.push_files({"answers": "concealing", "watched": "", "failing": "it ended"})
    assert (installation.execute(commit).error_message or "").startswith("it ended")


def test_a_service_that_fails_while_it_is_healthy_is_told_with_the_time(install: Install) -> None:
    installation = install(stable_for=60, check='{{command: ["true"], interval: 60}}')
    deploy(installation, "best")
    commit = installation.forge.push_files({"answers": "good", "watched": ""})

    def fail() -> None:
        wait_until(lambda: (installation.folder / "app/watched").exists() and probes(installation))
        (installation.folder / "app/failing").write_text("it ended")

    thread = threading.Thread(target=fail)
    thread.start()
    done = installation.execute(commit)
    thread.join()
    assert done.status == "rolled_back"
    assert re.match(
        r"was healthy, then \d\.\d s later: it ended \(stable_for is 60\)", done.error_message or ""
    )
