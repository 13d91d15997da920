"""Running jobs on the host: what is recorded, what is printed, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from fraisier_core.store.events import Event
from fraisier_core.system.host import has_systemd
from fraisier_core.system.processes import ProcessIdentity

from tests.command import FRAISIER
from tests.databases import both_databases
from tests.postgres import Server
from tests.postgres_proxy import Proxy
from tests.waiting import wait_until

from .installation import Installation

SCRIPT = "job.sh"
WHEN = r"(just now|\d+ (s|min) ago)"


@pytest.fixture
def jobs(installation: Installation) -> Installation:
    """An installation whose production is of type etl."""
    text = installation.config.read_text().replace("type: script", "type: etl")
    text = text.replace("branch: main", f"branch: main\n        script_path: {SCRIPT}")
    installation.config.write_text(text.replace("staging: {}", f"staging: {{script_path: {SCRIPT}}}"))
    return installation


def deploy(installation: Installation, script: str) -> None:
    installation.deploy({SCRIPT: f"#!/bin/sh\n{script}\n"})


@both_databases
def test_a_run_uses_the_release_that_serves_and_is_in_the_history(jobs: Installation) -> None:
    deploy(jobs, 'echo "loaded $FRAISIER_RELEASE"')
    done = jobs.run("run", "my_api", "prod")
    ran, deployed = jobs.recorded()
    assert (done.returncode, f"loaded {deployed.release}" in done.stdout) == (0, True)
    assert "my_api production: ran in " in done.stdout
    assert (ran.kind, ran.status, ran.trigger, ran.release) == ("run", "success", "manual", deployed.release)
    assert ran.commit_sha == deployed.commit_sha


@both_databases
def test_what_follows_the_dashes_is_the_jobs(jobs: Installation) -> None:
    deploy(jobs, 'for each in "$@"; do echo "<$each>"; done')
    arguments = ("--full", "--json", "two words", "", "$HOME", "'")
    done = jobs.run("run", "my_api", "production", "--", *arguments)
    assert jobs.last().arguments == arguments
    assert all(f"  <{each}>\n" in done.stdout for each in arguments)


def test_a_job_that_fails_exits_as_a_failed_deployment_does(jobs: Installation) -> None:
    deploy(jobs, 'eval "$1"')
    for script, message in (
        ("exit 75", "exited with status 75"),
        ("kill -KILL $$", "was killed by signal 9"),
        ("no-such", "127"),
    ):
        done = jobs.run("run", "my_api", "production", "--", script)
        assert (done.returncode, message in done.stderr) == (10, True), done.stderr
    assert jobs.json("status", "my_api", "production")[0]["status"] == "success"


def test_nothing_runs_before_anything_was_deployed(jobs: Installation) -> None:
    done = jobs.run("run", "my_api", "production")
    assert (done.returncode, "`fraisier deploy my_api production` first" in done.stderr) == (2, True)
    assert jobs.recorded() == []


def test_a_type_without_jobs_runs_none(installation: Installation) -> None:
    installation.deploy()
    done = installation.run("run", "my_api", "production")
    assert (done.returncode, 'its type "script" is for deployments alone' in done.stderr) == (2, True)


def test_a_run_is_left_to_a_worker(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    done = jobs.run("run", "my_api", "production", "--detach", "--", "--full")
    assert (done.returncode, "no worker is running" in done.stderr) == (0, True)
    waiting = jobs.last()
    assert (waiting.id, waiting.status, waiting.arguments) == (done.stdout.strip(), "pending", ("--full",))
    with jobs.started("worker"):
        wait_until(lambda: jobs.last().status == "success")


def test_who_leaves_a_run_to_a_worker_needs_none_of_its_variables(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    text = jobs.config.read_text()
    section = "script_path: job.sh"
    jobs.config.write_text(text.replace(section, f"{section}\n        env: {{TOKEN: '${{MY_TOKEN}}'}}", 1))
    refused = jobs.run("run", "my_api", "production")
    assert (refused.returncode, "MY_TOKEN" in refused.stderr) == (3, True)
    assert jobs.run("run", "my_api", "production", "--detach").returncode == 0
    assert (jobs.last().kind, jobs.last().status) == ("run", "pending")


@pytest.mark.parametrize("written", ["{value: a-known-word, secret: true}", "'${WORD}'"])
@pytest.mark.parametrize("argument", ["a-known-word", "--token=a-known-word"])
def test_an_argument_that_holds_a_secret_is_not_recorded(
    jobs: Installation, written: str, argument: str
) -> None:
    text, section = jobs.config.read_text(), "script_path: job.sh"
    jobs.config.write_text(text.replace(section, f"{section}\n        env: {{TOKEN: {written}}}", 1))
    run = ("run", "my_api", "production", "--scheduled", "--", "first", argument)
    done = jobs.run(*run, WORD="a-known-word")
    assert (done.returncode, "a secret of `env:`" in done.stderr) == (2, True)
    assert "known" not in done.stdout + done.stderr
    jobs.config.write_text(jobs.config.read_text().replace(written, "{value: '${WORD}', secret: false}"))
    assert (jobs.run(*run, WORD="a-known-word").returncode, len(jobs.recorded())) == (0, 1)


@pytest.mark.parametrize("option", ["--detach", "--scheduled"])
def test_a_run_is_either_claimed_or_requested(jobs: Installation, option: str) -> None:
    deploy(jobs, "echo loaded")
    jobs.run("run", "my_api", "production", "--detach")
    recorded = jobs.recorded()
    done = jobs.run("run", "my_api", "production", "--claim", jobs.last().id, option)
    assert (done.returncode, "--claim goes with neither" in done.stderr) == (2, True)
    assert jobs.recorded() == recorded


@both_databases
def test_a_worker_executes_what_was_requested_of_a_unit_that_none_is_to_execute_any_more(
    jobs: Installation,
) -> None:
    deploy(jobs, "echo loaded")
    jobs.run("run", "my_api", "production", "--detach")
    with closing(jobs.open()) as store:
        store.execute("UPDATE tb_deployments SET executor = 'unit' WHERE status = 'pending'")
    assert jobs.last().executor == "unit"
    with jobs.started("worker"):
        wait_until(lambda: jobs.last().status == "success")


def test_what_an_ending_requests_is_named_and_that_it_waits_for_a_worker(jobs: Installation) -> None:
    deploy(jobs, "exit 0")
    assert jobs.run("run", "my_api", "production").returncode == 0
    script = f"        script_path: {SCRIPT}\n"
    following = f"{script}        run: on_deploy\n        on_failure: rollback\n"
    jobs.config.write_text(jobs.config.read_text().replace(script, following, 1))
    jobs.forge.push_files({SCRIPT: "exit 3\n"})
    done = jobs.run("deploy", "my_api", "production")
    run = jobs.last()
    assert (run.trigger, f"run {run.id} is requested" in done.stdout) == ("on_deploy", True)
    assert "no worker is running: it waits until you start" in done.stderr
    done = jobs.run("run", "my_api", "production", "--claim", run.id)
    assert jobs.last().kind == "rollback"
    assert f"rollback {jobs.last().id} is requested" in done.stdout


def test_what_a_timer_requests_is_said_to_be_scheduled(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    assert jobs.run("run", "my_api", "production", "--scheduled", "--detach").returncode == 0
    fired = jobs.last()
    assert (fired.trigger, fired.requested_by, fired.status) == ("schedule", None, "pending")
    assert " by schedule\n" in jobs.run("show", fired.id).stdout
    assert " schedule " in jobs.run("history").stdout


def fire(installation: Installation) -> subprocess.CompletedProcess[str]:
    """Do what a unit does when it is time."""
    return installation.run("run", "my_api", "production", "--scheduled")


def forget_what_was_good(installation: Installation) -> None:
    """Remove the last good text of the configuration, which is of no use if a package is gone."""
    for each in (installation.folder / ".fraisier").glob("last-good-*"):
        each.unlink()


@both_databases
def test_a_fire_before_the_first_deployment_is_on_record(jobs: Installation) -> None:
    assert fire(jobs).returncode == 0
    fired = jobs.last()
    assert (fired.trigger, fired.status, fired.attempt) == ("schedule", "skipped", 1)
    assert fired.error_message == "no release of my_api production serves yet: deploy it first"


def test_a_fire_that_the_configuration_keeps_from_running_is_on_record(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    text = jobs.config.read_text()
    for number, (old, new, message) in enumerate(
        (
            ("type: etl", "type: not_installed", 'fraise type "not_installed"'),
            ("script_path: job.sh", "script_path: job.sh\n        env: {TOKEN: '${MY_TOKEN}'}", "MY_TOKEN"),
            ("script_path: job.sh", "script_path: '${MY_SCRIPT}'", "MY_SCRIPT"),
        ),
        start=2,
    ):
        jobs.config.write_text(text.replace(old, new, 1))
        forget_what_was_good(jobs)
        assert jobs.run("run", "my_api", "production").returncode in {3, 5}
        assert fire(jobs).returncode == 10
        fired = jobs.last()
        assert (fired.trigger, fired.status, len(jobs.recorded())) == ("schedule", "failed", number)
        assert message in (fired.error_message or "")


def test_a_fire_of_a_type_that_is_not_installed_says_at_once_what_to_install(jobs: Installation) -> None:
    text = "fraises: {shop: {type: docker, environments: {production: {schedule: '0 3 * * *'}}}}"
    jobs.config.write_text(text)
    jobs.run("backup", "shop", "production", "--scheduled", "--detach")
    fired = jobs.last()
    assert (fired.kind, fired.trigger, fired.status) == ("backup", "schedule", "failed")
    assert 'no fraise type "docker" is installed (install' in (fired.error_message or "")


def test_what_fired_is_claimed_though_the_configuration_keeps_it_from_running(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    jobs.run("run", "my_api", "production", "--scheduled", "--detach")
    jobs.config.write_text(jobs.config.read_text().replace("type: etl", "type: not_installed"))
    forget_what_was_good(jobs)
    assert jobs.run("run", "my_api", "production", "--claim", jobs.last().id).returncode == 10
    assert "not_installed" in (jobs.last().error_message or "")


def test_a_fire_while_it_is_unknown_which_release_serves_is_on_record(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    (releases,) = jobs.folder.rglob("releases/my_api/production")
    releases.rename(releases.with_name("gone"))
    assert fire(jobs).returncode == 10
    assert "serves, and is gone: deploy again" in (jobs.last().error_message or "")
    jobs.forge.push_files({"check.sh": "exit 1\n"})
    assert jobs.run("deploy", "my_api", "production").returncode == 10  # with nothing to roll back to
    assert fire(jobs).returncode == 10
    fired = jobs.last()
    assert fired.status == "failed"
    assert "which release of my_api production serves is unknown" in (fired.error_message or "")
    refused = jobs.run("run", "my_api", "production")
    assert "which release of my_api production serves is unknown" in refused.stderr
    assert jobs.last() == fired


def test_a_fire_of_a_type_without_jobs_is_refused(installation: Installation) -> None:
    done = fire(installation)
    assert (done.returncode, 'its type "script" is for deployments alone' in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "away", ["state_dir: /proc/nowhere", "database: {url: 'postgresql://nobody@127.0.0.1:1/no'}"]
)
def test_a_fire_that_cannot_be_recorded_fails_so_that_it_comes_again(jobs: Installation, away: str) -> None:
    deploy(jobs, "echo loaded")
    jobs.config.write_text(f"{away}\n{jobs.config.read_text()}")
    assert fire(jobs).returncode == 6
    jobs.config.write_text(jobs.config.read_text().replace(f"{away}\n", ""))
    assert fire(jobs).returncode == 0
    assert [each.kind for each in jobs.recorded()] == ["run", "deploy"]


def test_what_is_left_of_an_environment_that_is_gone_runs_no_other_that_begins_so(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    waiting = jobs.run("run", "my_api", "production", "--detach").stdout.strip()
    for option in (["--scheduled"], ["--scheduled", "--detach"], ["--claim", waiting]):
        done = jobs.run("run", "my_api", "prod", *option)
        assert (done.returncode, '"prod"' in done.stderr) == (4, True)
    text = jobs.config.read_text()
    jobs.config.write_text(text.replace("production:", "production-eu:"))
    forget_what_was_good(jobs)
    with jobs.started("worker"):
        ended = wait_until(lambda: last if (last := jobs.last()).completed_at else None)
    assert (ended.status, '"production"' in (ended.error_message or "")) == ("failed", True)


def test_a_fire_that_is_on_record_does_not_fail_so_that_it_does_not_come_again(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    command = f"{FRAISIER} run my_api production --detach > /dev/full"
    for option, code in (("", 1), ("--scheduled", 0)):
        done = subprocess.run(
            ["sh", "-c", f"{command} {option}"], cwd=jobs.folder, env=jobs.environ, stderr=-1, check=False
        )
        assert (done.returncode > 0) == bool(code), done.stderr
    assert b"the run is on record, though: " in done.stderr
    assert [each.trigger for each in jobs.recorded()[:2]] == ["schedule", "manual"]


def test_whether_a_fire_is_on_record_is_found_out_after_the_answer_was_lost(
    jobs: Installation, postgres_server: Server
) -> None:
    with closing(Proxy(postgres_server.port)) as proxy:
        url = postgres_server.tcp_url().replace(f":{postgres_server.port}/", f":{proxy.port}/")
        jobs.config.write_text(f"database: {{url: '{url}'}}\n{jobs.config.read_text()}")
        deploy(jobs, "echo loaded")
        proxy.hold("INSERT INTO tb_deployment_events")
        with jobs.started("run", "my_api", "production", "--scheduled", "--detach") as fired:
            assert proxy.was_held.wait(20)
            proxy.cut("COMMIT", "after")
            proxy.go_on()
            assert fired.end()[0] == 0
        assert proxy.was_cut.is_set()
        assert [each["kind"] for each in jobs.json("history")] == ["run", "deploy"]


@both_databases
def test_a_requested_run_is_executed_by_its_id(jobs: Installation) -> None:
    deploy(jobs, 'echo "loaded $1"')
    for name in ("first", "second"):
        jobs.run("run", "my_api", "production", "--detach", "--", name)
    second, first = jobs.recorded()[:2]
    done = jobs.run("run", "my_api", "production", "--claim", first.id)
    assert (done.returncode, "loaded first" in done.stdout) == (0, True)
    assert [each.status for each in jobs.recorded()[:2]] == ["pending", "success"]
    again = jobs.run("run", "my_api", "production", "--claim", first.id)
    assert (again.returncode, len(jobs.recorded())) == (0, 3)
    assert jobs.json("show", first.id)["attempt"] == 1
    assert jobs.json("show", second.id)["attempt"] == 0


def test_a_run_executes_those_before_it_that_nothing_else_does(jobs: Installation) -> None:
    gate = jobs.gate()
    deploy(jobs, f"touch {gate.reached}; while [ ! -e {gate.opened} ]; do sleep 0.02; done")
    with jobs.started("run", "my_api", "production") as running:
        gate.wait()
        with jobs.started("run", "my_api", "production") as killed:
            killed.read_to(" waits for run ")
            killed.process.kill()
        first = jobs.last().id
        second = jobs.run("run", "my_api", "production", "--detach").stdout.strip()
        assert jobs.json("show", second)["status"] == "pending"
        gate.open()
        assert running.end()[0] == 0
    assert f"  waits for  run {first}\n" in jobs.run("show", second).stdout
    done = jobs.run("run", "my_api", "production")
    assert done.returncode == 0
    for each in (first, second):
        assert f" waits for run {each[-8:]} (Ctrl-C cancels)" in done.stdout
        assert f"no worker is running: this command executes run {each[-8:]} first" in done.stdout
    runs = [each for each in jobs.recorded() if each.kind == "run"]
    assert {each.status for each in runs} == {"success"}
    assert sorted(runs, key=lambda each: each.started_at or "") == runs[::-1]


def test_a_unit_leaves_the_recovery_of_a_deployment_to_others(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    left = jobs.run("deploy", "my_api", "production", "--detach").stdout.strip()
    with subprocess.Popen(["sleep", "600"]) as process, closing(jobs.open()) as store:
        store.leased(ProcessIdentity.of(process.pid), left)
        process.kill()
    run = jobs.run("run", "my_api", "production", "--detach").stdout.strip()
    with jobs.started("run", "my_api", "production", "--claim", run) as unit:
        assert "recovering" not in unit.read_to(f" waits for deployment {left[-8:]}")
        with closing(jobs.open()) as store:
            assert store.deployment(left).status == "running"
        with jobs.started("worker"):
            assert unit.end()[0] == 0


def test_a_run_of_another_environment_is_not_executed(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    waiting = jobs.run("run", "my_api", "production", "--detach").stdout.strip()
    done = jobs.run("run", "my_api", "staging", "--claim", waiting)
    assert (done.returncode, "is not one of my_api staging" in done.stderr) == (2, True)
    assert jobs.last().status == "pending"


def test_a_run_waits_for_the_one_before_and_says_so(jobs: Installation) -> None:
    gate = jobs.gate()
    deploy(jobs, f"touch {gate.reached}; while [ ! -e {gate.opened} ]; do sleep 0.02; done")
    with jobs.started("run", "my_api", "production") as first:
        gate.wait()
        with jobs.started("run", "my_api", "production", "--", "more") as second:
            second.read_to("waits for run")
            waiting, running = jobs.recorded()[:2]
            shown = jobs.run("show", waiting.id).stdout
            assert f"  waits for  run {running.id}\n" in shown
            assert jobs.json("show", waiting.id)["waits_for"] == running.id
            assert "  arguments  more\n" in shown
            gate.open()
            assert (first.end()[0], second.end()[0]) == (0, 0)


def test_ctrl_c_cancels_a_run_with_all_that_it_started(jobs: Installation) -> None:
    gate = jobs.gate()
    deploy(jobs, f"touch {gate.reached}; sleep 600 & wait")
    with jobs.started("run", "my_api", "production") as command:
        gate.wait()
        command.press_ctrl_c()
        assert command.end()[0] == 12
    assert jobs.last().status == "cancelled"


SAYS_ITS_END = "trap 'echo ended in good order; exit 7' TERM; touch {reached}; sleep 600 & wait"


@pytest.mark.parametrize("verb", ["run", "deploy"])
def test_sigterm_cancels_what_a_command_executes(jobs: Installation, verb: str) -> None:
    gate = jobs.gate()
    script = SAYS_ITS_END.format(reached=gate.reached)
    deploy(jobs, script)
    text = jobs.config.read_text()
    jobs.config.write_text(text.replace("script_path:", f"build: [sh, {SCRIPT}]\n        script_path:", 1))
    with jobs.started(verb, "my_api", "production") as command:
        gate.wait()
        command.process.terminate()
        code, output = command.end()
    assert (code, "told to end by SIGTERM: cancelling" in output) == (12, True)
    stopped = jobs.last()
    assert (stopped.kind, stopped.status) == (verb, "cancelled")
    assert (stopped.error_message or "").startswith("cancelled by SIGTERM")
    assert "ended in good order" in jobs.run("logs", stopped.id).stdout


def test_sigterm_before_the_configuration_is_read_cancels_what_was_to_be_claimed(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    waiting = jobs.run("run", "my_api", "production", "--detach").stdout.strip()
    gate = jobs.gate()
    waits = f"while not os.path.exists({str(gate.opened)!r}): time.sleep(0.02)"
    jobs.packages.deployer("slow", f"import os, time\nopen({str(gate.reached)!r}, 'w').close()\n{waits}\n")
    text = jobs.config.read_text()
    jobs.config.write_text(
        f"{text}  slow: {{type: slow, repository: {jobs.forge.url}, environments: {{a: {{}}}}}}\n"
    )
    with jobs.started("run", "my_api", "production", "--claim", waiting) as unit:
        gate.wait()
        unit.process.terminate()
        gate.open()
        assert unit.end()[0] == 12
    assert (jobs.last().id, jobs.last().status, jobs.last().attempt) == (waiting, "cancelled", 0)


def test_sigterm_cancels_a_run_that_waits_its_turn(jobs: Installation) -> None:
    gate = jobs.gate()
    deploy(jobs, f"touch {gate.reached}; while [ ! -e {gate.opened} ]; do sleep 0.02; done")
    with jobs.started("run", "my_api", "production") as first:
        gate.wait()
        with jobs.started("run", "my_api", "production") as second:
            second.read_to(" waits for run ")
            second.process.terminate()
            assert second.end()[0] == 12
        gate.open()
        assert first.end()[0] == 0
    assert [(each.status, each.attempt) for each in jobs.recorded()[:2]] == [("cancelled", 0), ("success", 1)]


def test_told_to_end_again_a_command_ends_at_once(jobs: Installation) -> None:
    gate = jobs.gate()
    deploy(jobs, f"trap '' TERM; touch {gate.reached}; sleep 600 & wait; wait")
    with jobs.started("run", "my_api", "production") as command:
        gate.wait()
        command.process.terminate()
        command.read_to("told to end by SIGTERM: cancelling")
        command.process.terminate()
        assert command.end()[0] == -signal.SIGTERM


@both_databases
def test_the_status_has_the_last_run_beside_the_last_deployment(jobs: Installation) -> None:
    deploy(jobs, "exit $1")
    assert "RUN" not in jobs.run("status").stdout
    for status in ("0", "3"):
        jobs.run("run", "my_api", "production", "--", status)
    failed = jobs.last()
    jobs.run("run", "my_api", "production", "--detach", "--", "0")
    (status,) = jobs.json("status", "my_api", "production")
    assert (status["status"], status["kind"]) == ("success", "deploy")
    assert (status["run"]["id"], status["run"]["status"]) == (failed.id, "failed")
    one, all_of_them = jobs.run("status", "my_api", "production").stdout, jobs.run("status").stdout
    assert re.search(rf"  run      failed {WHEN}, took ", one)
    assert re.search(rf" failed {WHEN} ", all_of_them)


def interrupt(installation: Installation, *arguments: str) -> str:
    """Interrupt a run that nothing repeats, and return its id."""
    waiting = installation.run("run", "my_api", "production", "--detach", "--", *arguments).stdout.strip()
    with closing(installation.open()) as store:
        lease = store.leased(ProcessIdentity.of(os.getpid()), waiting)
        assert lease is not None
        store.append(lease, Event("interrupted", message="the power failed"))
    return waiting


@both_databases
def test_an_interrupted_run_waits_for_a_decision_until_another_is_requested(jobs: Installation) -> None:
    deploy(jobs, "echo loaded")
    interrupted = interrupt(jobs, "--since", "two words")
    command = "fraisier run my_api production -- --since 'two words'"
    table, page = jobs.run("status").stdout, jobs.run("status", "my_api", "production").stdout
    assert " interrupted just now  run waits for a decision" in table
    assert f"its last run was interrupted and waits for a decision: `{command}`\n" in table
    assert f"  run again  `{command}`\n" in page
    (status,) = jobs.json("status", "my_api", "production")
    assert (status["commands"], status["run"]["id"]) == ([], interrupted)
    assert (status["run"]["commands"], status["run"]["arguments"]) == ([command], ["--since", "two words"])
    waiting = jobs.run("run", "my_api", "production", "--detach").stdout.strip()
    (status,) = jobs.json("status", "my_api", "production")
    assert (status["run"]["id"], status["run"]["commands"]) == (interrupted, [])
    assert status["waiting_run"] == waiting
    assert (
        "  queued   a run waits, requested just now by " in jobs.run("status", "my_api", "production").stdout
    )


@pytest.mark.parametrize("is_unknown", [True, False])
def test_the_last_run_is_told_when_nothing_is_known_to_serve(jobs: Installation, is_unknown: bool) -> None:
    deploy(jobs, "exit 3")
    jobs.run("run", "my_api", "production")
    with closing(jobs.open()) as store:
        row = "release = NULL, commit_sha = NULL"
        store.execute(f"UPDATE tb_serving SET {row}" if is_unknown else "DELETE FROM tb_serving")
    (status,) = jobs.json("status", "my_api", "production")
    assert (status["serving_unknown"], status["run"]["status"]) == (is_unknown, "failed")
    assert " failed just now " in jobs.run("status").stdout


@pytest.mark.skipif(has_systemd(), reason="timers are asked there")
def test_a_schedule_is_told_without_systemd_too(jobs: Installation) -> None:
    text = jobs.config.read_text().replace("branch: main", 'branch: main\n        schedule: "*/5 * * * *"')
    jobs.config.write_text(text)
    deploy(jobs, "echo loaded")
    (status,) = jobs.json("status", "my_api", "production")
    soon = datetime.fromisoformat(status["timer"]["next"]) - datetime.now(UTC)
    assert soon < timedelta(minutes=5)
    assert status["timer"]["problem"] is None
    with closing(jobs.open()) as store:
        store.execute("UPDATE tb_serving SET since = '2026-01-31T12:00:00.000000Z'")
    done = jobs.run("status")
    assert " NEXT RUN " in done.stdout
    assert re.search(r"my_api production: a run was due at \S+ \S+ UTC, and none was requested", done.stdout)
    assert re.search(
        r"\n  next run  \S+ \S+ UTC, in .*\n  timer     a run", jobs.run("status", "my_api", "prod").stdout
    )
