from __future__ import annotations

import os
import signal

import pytest

from tests.databases import both_databases
from tests.waiting import wait_until

from .installation import DEPLOYER, HEALTHY, Installation

ROLLBACK = """
@hookimpl
def rollback(run, to):
    with run.step("back"):
        run.command(["sh", "-c", {script!r}])
"""


@both_databases
def test_a_deployment_shows_its_steps_and_the_serving_release(installation: Installation) -> None:
    commit = installation.forge.push_files(HEALTHY)
    done = installation.run("deploy", "my_api", "prod")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2:5] == ["build ...", "  $ sh build.sh", "  building"]
    assert lines[5].startswith("build: done, ")
    assert lines[-1].startswith(f"my_api production: {commit[:12]} serves (release ")
    assert done.stderr == ""


def test_a_failing_build_has_its_own_exit_code_and_names_the_serving_release(
    installation: Installation,
) -> None:
    installation.forge.push_files(HEALTHY | {"build.sh": "echo no compiler; exit 3\n"})
    done = installation.run("deploy", "my_api", "production")
    assert done.returncode == 10
    assert "  no compiler\n  sh build.sh exited with status 3\nbuild: failed, " in done.stdout
    assert "my_api production: failed: sh build.sh exited with status 3; nothing was activated" in done.stderr
    assert f"nothing serves; see `fraisier show {installation.last().id[-8:]}`" in done.stderr


@both_databases
def test_an_unhealthy_release_is_rolled_back_and_that_is_no_success(installation: Installation) -> None:
    commit = installation.deploy()
    installation.forge.push_files(HEALTHY | {"check.sh": "exit 1\n"})
    done = installation.run("deploy", "my_api", "production")
    assert done.returncode == 11
    assert "my_api production: rolled back: unhealthy" in done.stderr
    assert f"{commit[:12]} serves; see" in done.stderr


def test_a_plugin_that_raises_shows_its_traceback_only_on_request(installation: Installation) -> None:
    raises = "raise RuntimeError('no gear')"
    installation.packages.deployer("script", DEPLOYER.replace('run.command(["sh", "build.sh"])', raises))
    installation.forge.push_files(HEALTHY)
    quiet = installation.run("deploy", "my_api", "production")
    assert (quiet.returncode, "Traceback" in quiet.stderr) == (10, False)
    assert "failed: RuntimeError: no gear (" in quiet.stderr
    assert "acme_script.py, line 7); nothing was activated" in quiet.stderr
    assert "Traceback" in installation.run("deploy", "my_api", "production", FRAISIER_DEBUG="1").stderr


def test_a_rollback_is_announced_as_it_begins(installation: Installation) -> None:
    installation.deploy()
    gate = installation.gate()
    wait = f"touch {gate.reached}; while [ ! -e {gate.opened} ]; do sleep 0.02; done; exit 1\n"
    installation.forge.push_files({"check.sh": "exit 1\n", "build.sh": "echo building\n"})
    installation.packages.deployer("script", DEPLOYER + ROLLBACK.format(script=wait))
    with installation.started("deploy", "my_api", "production") as command:
        gate.wait()
        command.read_to("rolling back: unhealthy")
        gate.open()
        assert command.end()[0] == 10


def test_nothing_is_requested_if_the_plugin_is_missing(installation: Installation) -> None:
    done = installation.run("deploy", "my_api", "production", PYTHONPATH="")
    assert done.returncode == 5
    assert 'no fraise type "script" is installed' in done.stderr
    assert not (installation.folder / ".fraisier").exists()


def test_nothing_is_requested_if_a_variable_is_not_set(installation: Installation) -> None:
    text = installation.config.read_text()
    installation.config.write_text(text.replace("name: api.example.com", "name: ${DOMAIN}"))
    done = installation.run("deploy", "my_api", "production")
    assert done.returncode == 3
    assert "DOMAIN" in done.stderr
    assert not (installation.folder / ".fraisier").exists()


def test_an_environment_without_a_branch_says_what_to_set(installation: Installation) -> None:
    done = installation.run("deploy", "my_api", "staging")
    assert done.returncode == 3
    assert "fraises.my_api.environments.staging: no `branch:` says what to deploy" in done.stderr


def test_a_branch_can_be_named(installation: Installation) -> None:
    commit = installation.forge.commit(HEALTHY)
    installation.forge.push("next")
    assert installation.json("deploy", "my_api", "staging", "--branch", "next")["commit_sha"] == commit


@pytest.mark.parametrize("digits", [7, 40])
def test_a_commit_is_named_by_its_id_or_the_beginning(installation: Installation, digits: int) -> None:
    commit = installation.forge.push_files(HEALTHY)
    installation.forge.push_files({"newer": ""})
    done = installation.json("deploy", "my_api", "production", "--commit", commit[:digits].upper())
    assert (done["commit_sha"], done["ref"]) == (commit, None)


@pytest.mark.parametrize("wrong", [["--commit", "main"], ["--commit", "abcd", "--branch", "main"]])
def test_what_cannot_be_meant_is_wrong_usage(installation: Installation, wrong: list[str]) -> None:
    done = installation.run("deploy", "my_api", "production", *wrong)
    assert done.returncode == 2
    assert "--branch" in done.stderr


def test_json_stands_alone_on_standard_output(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY)
    deployed = installation.json("deploy", "my_api", "production")
    assert deployed["status"] == "success"
    assert deployed == installation.last()._asdict() | {"pathspecs": [], "arguments": []}


@both_databases
def test_the_first_ctrl_c_cancels(installation: Installation) -> None:
    installation.push_gated()
    with installation.started("deploy", "my_api", "production") as command:
        command.read_to("waiting")
        command.press_ctrl_c()
        code, output = command.end()
    assert code == 12
    assert "cancelling" in output
    assert "my_api production: cancelled" in output
    assert installation.last().status == "cancelled"


def test_the_second_ctrl_c_leaves_and_the_process_ends_by_itself(installation: Installation) -> None:
    stubborn = "trap '' TERM\necho waiting\nwhile :; do sleep 0.05; done\n"
    installation.forge.push_files(HEALTHY | {"build.sh": stubborn})
    with installation.started("deploy", "my_api", "production") as command:
        command.read_to("waiting")
        command.press_ctrl_c()
        command.read_to("cancelling")
        command.press_ctrl_c()
        assert command.end()[0] == 130
    wait_until(lambda: installation.last().status == "interrupted")


def test_a_killed_command_leaves_nothing_running_and_the_next_one_goes_on(installation: Installation) -> None:
    gate = installation.push_gated()
    with installation.started("deploy", "my_api", "production") as command:
        gate.wait()
        command.process.kill()
    wait_until(lambda: installation.last().status == "interrupted")
    gate.open()
    assert installation.run("deploy", "my_api", "production").returncode == 0


@both_databases
def test_a_deployment_whose_process_is_killed_is_recovered_at_once(installation: Installation) -> None:
    gate = installation.push_gated()
    with installation.started("deploy", "my_api", "production") as command:
        gate.wait()
        _kill_holder(installation)
        code, output = command.end()
    assert code == 13
    assert "my_api production: interrupted: the deployment process ended during step build" in output


def test_without_a_worker_the_next_command_deletes_old_releases(installation: Installation) -> None:
    text = installation.config.read_text()
    installation.config.write_text(
        text.replace("        branch: main\n", "        branch: main\n        keep_releases: 2\n")
    )
    root = installation.folder / ".fraisier/releases/my_api/production"
    for _ in range(3):
        installation.deploy()
    (old,) = root.glob(".trash-*")
    gate = installation.push_gated()
    with installation.started("deploy", "my_api", "production") as command:
        gate.wait()
        wait_until(lambda: not old.exists())
        gate.open()
        assert command.end()[0] == 0
    assert len(list(root.glob(".trash-*"))) == 1


@both_databases
def test_what_a_dead_command_left_is_recovered_before_the_next_deployment(installation: Installation) -> None:
    gate = installation.push_gated()
    with installation.started("deploy", "my_api", "production") as command:
        gate.wait()
        command.process.send_signal(signal.SIGSTOP)
        _kill_holder(installation)
        command.process.kill()
    gate.open()
    done = installation.run("deploy", "my_api", "production")
    assert done.returncode == 0
    assert "is gone; recovering it first" in done.stderr
    assert [each.status for each in installation.recorded()] == ["success", "interrupted"]


@both_databases
def test_a_busy_environment_is_waited_for(installation: Installation) -> None:
    gate = installation.push_gated()
    with installation.started("deploy", "my_api", "production") as first:
        gate.wait()
        with installation.started("deploy", "my_api", "production") as second:
            said = second.read_to("waits for deployment")
            assert installation.recorded()[1].id[-8:] in said
            gate.open()
            assert [first.end()[0], second.end()[0]] == [0, 0]


@both_databases
def test_a_deployment_that_waits_gives_way_to_a_newer_one(installation: Installation) -> None:
    gate = installation.push_gated()
    with installation.started("deploy", "my_api", "production") as first:
        gate.wait()
        with installation.started("deploy", "my_api", "production") as second:
            second.read_to("waits for deployment")
            newest = installation.run("deploy", "my_api", "production", "--detach").stdout.strip()
            code, output = second.end()
        assert code == 14
        assert f"superseded by deployment {newest[-8:]}" in output
        gate.open()
        assert first.end()[0] == 0


def test_ctrl_c_while_waiting_cancels_what_waits(installation: Installation) -> None:
    gate = installation.push_gated()
    with installation.started("deploy", "my_api", "production"):
        gate.wait()
        with installation.started("deploy", "my_api", "production") as second:
            second.read_to("waits for deployment")
            second.press_ctrl_c()
            assert second.end()[0] == 12


@both_databases
def test_detached_a_deployment_waits_for_a_worker(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY)
    done = installation.run("deploy", "my_api", "production", "--detach")
    assert done.returncode == 0
    assert "no worker is running" in done.stderr
    with installation.started("worker") as worker:
        wait_until(lambda: installation.last().status == "success")
        again = installation.run("deploy", "my_api", "production", "--detach", "--json")
        assert again.stderr == ""
        wait_until(lambda: installation.last().status == "success")
        worker.process.terminate()
        assert worker.end()[0] == 0
    assert installation.recorded()[1].id == done.stdout.strip()


def test_a_worker_ends_with_its_supervisor(installation: Installation) -> None:
    theirs, ours = os.pipe()
    installation.forge.push_files(HEALTHY)
    installation.run("deploy", "my_api", "production", "--detach")
    with installation.started("worker", "--supervisor-fd", str(theirs), pass_fds=[theirs]) as worker:
        os.close(theirs)
        wait_until(lambda: installation.last().status == "success")
        os.close(ours)
        assert worker.end()[0] == 0


@both_databases
def test_cancelling_what_waits_cancels_it_at_once(installation: Installation) -> None:
    waiting = installation.run(
        "deploy", "my_api", "production", "--detach", "--branch", "main"
    ).stdout.strip()
    assert installation.json("cancel", waiting[-8:])["status"] == "cancelled"
    assert installation.run("cancel", waiting).returncode == 0


@both_databases
def test_cancelling_what_runs_requests_its_cancellation(installation: Installation) -> None:
    gate = installation.push_gated()
    with installation.started("deploy", "my_api", "production") as command:
        gate.wait()
        done = installation.run("cancel", installation.last().id)
        assert done.stdout.startswith("cancellation of ")
        assert command.end()[0] == 12


def test_cancelling_what_has_ended_is_a_conflict(installation: Installation) -> None:
    installation.deploy()
    done = installation.run("cancel", installation.last().id)
    assert done.returncode == 7
    assert "has already ended: success" in done.stderr


@both_databases
def test_cancelling_an_unknown_deployment_names_it(installation: Installation) -> None:
    installation.run("db", "migrate")
    done = installation.run("cancel", "abcdef")
    assert done.returncode == 4
    assert "abcdef" in done.stderr


def _kill_holder(installation: Installation) -> None:
    database = installation.open()
    for held in database.leases():
        os.kill(held.holder.pid, signal.SIGKILL)
    database.close()


def test_why_a_deployment_rolls_back_is_told_where_it_does(installation: Installation) -> None:
    installation.deploy()
    installation.forge.push_files(HEALTHY | {"check.sh": "echo no answer; exit 1\n"})
    reason = "rolling back: unhealthy after one probe: sh check.sh exited with status 1: no answer"
    deployed = installation.run("deploy", "my_api", "production").stdout
    for said in (deployed, installation.run("logs", "my_api", "prod").stdout):
        lines = [line for line in said.splitlines() if not line.startswith(" ")]
        at = next(number for number, line in enumerate(lines) if line.startswith(reason))
        assert lines[at - 1].startswith("verify: failed")
        assert lines[at + 1] == "build ..."
    shown = [line for line in installation.run("show", installation.last().id).stdout.splitlines() if line]
    starts = [line.split(":")[0] for line in shown if not line.startswith(" ")][1:]
    assert starts == ["fetch", "build", "activate", "verify", "rolling back", "build", "activate", "verify"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [("mian", "main"), ("MAIN", "main"), ("origin/main", "main"), ("feature/lgoin", "feature/login")],
)
def test_a_branch_that_is_not_there_is_told_with_the_nearest(
    installation: Installation, given: str, meant: str
) -> None:
    installation.forge.push_files(HEALTHY)
    installation.forge.push_files(HEALTHY | {"more": ""}, branch="feature/login")
    for more in ([], ["--dry-run"]):
        done = installation.run("deploy", "my_api", "production", "--branch", given, *more)
        assert f'has no refs/heads/{given}; did you mean "{meant}"?' in done.stdout + done.stderr
