"""What a command that acts says and returns from afar is what it says and returns on the host."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.databases import SqliteDatabase
from tests.graphql.afar import VARYING, Both, both_over, ended, read_to
from tests.graphql.serving import Host
from tests.postgres import USUAL
from tests.waiting import wait_until

BUILD = "#!/bin/sh\necho building\n"
JOB = """printf '<%s>' "$@"; echo
case $1 in
  exit) exit 3;;
  wait) touch "$2.reached"; while [ ! -e "$2" ]; do sleep 0.02; done;;
esac"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A host with a worker, on which one release serves."""
    folder = tmp_path_factory.mktemp("acting")
    host = Host.create(folder / "host", SqliteDatabase(folder / "fraisier.db"))
    host.add_job("production", script=JOB)
    with both_over(host, "--worker") as both:
        push(both, {"page.txt": "one", "build.sh": BUILD})
        assert both.on_host("deploy", "my_api", "production").code == 0
        yield both


@pytest.fixture
def idle(host: Host) -> Iterator[Both]:
    """A host without a worker."""
    with both_over(host) as both:
        push(both, {"page.txt": "one", "build.sh": BUILD})
        yield both


def push(both: Both, files: Mapping[str, str]) -> str:
    """Push a new commit, and return its id."""
    return both.host.forge.push_files({"number": str(len(both.recorded())), **files})


ENDINGS = {
    "success": (0, {"build.sh": BUILD}),
    "failed": (10, {"build.sh": "#!/bin/sh\necho no\nexit 3\n"}),
    "rolled_back": (11, {"build.sh": "#!/bin/sh\nrm page.txt\n"}),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_deployment_from_afar_says_and_returns_what_one_on_the_host_does(both: Both, ending: str) -> None:
    code, files = ENDINGS[ending]
    push(both, files)
    here = both.on_host("deploy", "my_api", "prod").without(*VARYING)
    push(both, files)
    there = both.afar("deploy", "my_api", "prod").without(*VARYING)
    assert there == here
    assert there.code == code
    assert [each.status for each in both.recorded()[:2]] == [ending] * 2


def test_a_deployment_from_afar_is_printed_as_json(both: Both) -> None:
    commit = push(both, {"build.sh": BUILD})
    done = both.afar("deploy", "my_api", "production", "--commit", commit[:10], "--json")
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(both.recorded()[0]._asdict()))
    assert json.loads(done.stdout)["commit_sha"] == commit
    assert "build: done" in done.stderr


def test_another_branch_is_deployed_from_afar(both: Both) -> None:
    commit = both.host.forge.push_files({"build.sh": BUILD, "page.txt": "three"}, "topic")
    assert both.afar("deploy", "my_api", "production", "--branch", "topic").code == 0
    newest = both.recorded()[0]
    assert (newest.commit_sha, newest.ref) == (commit, "refs/heads/topic")


def test_a_rollback_from_afar_says_and_returns_what_one_on_the_host_does(both: Both) -> None:
    said = []
    for act in (both.on_host, both.afar):
        push(both, {"build.sh": BUILD})
        assert both.on_host("deploy", "my_api", "production").code == 0
        said.append(act("rollback", "my_api", "prod").without(*VARYING))
    assert said[1] == said[0]
    assert [each.kind for each in both.recorded()[:1]] == ["rollback"]


@pytest.mark.parametrize(
    ("arguments", "code"), [((), 0), (("--json", "two words", ""), 0), (("exit", "$HOME"), 10)]
)
def test_a_run_from_afar_says_and_returns_what_one_on_the_host_does(
    both: Both, arguments: tuple[str, ...], code: int
) -> None:
    here, there = (
        act("run", "etl_job", "prod", "--", *arguments).without(*VARYING) for act in (both.on_host, both.afar)
    )
    assert there == here
    assert there.code == code
    assert "".join(f"<{each}>" for each in arguments) in there.stdout
    assert [(each.kind, each.arguments) for each in both.recorded()[:2]] == [("run", arguments)] * 2


def test_a_run_is_read_alike_on_the_host_and_from_afar(both: Both) -> None:
    done = both.afar("run", "etl_job", "production", "--json", "--", "--json", "ü 'x'")
    newest = both.recorded()[0]
    assert json.loads(done.stdout) == json.loads(json.dumps(newest._asdict()))
    for command in ("show {0}", "logs {0}", "history etl_job", "status etl_job", "status etl_job prod"):
        for options in ([], ["--json"] if command[0] != "l" else []):
            there, here = both.both(*command.format(newest.id).split(), *options)
            assert there == here, command
            assert there.code == 0


def test_ctrl_c_cancels_a_run_that_was_requested_from_afar(both: Both) -> None:
    gate = both.host.folder / "never"
    with both.started("run", "etl_job", "production", "--", "wait", str(gate)) as running:
        read_to(running, f"<{gate}>")
        running.send_signal(signal.SIGINT)
        done = ended(running)
    assert done.code == 12
    assert both.recorded()[0].status == "cancelled"


def test_who_requests_a_run_while_another_is_running_is_told_from_afar(both: Both) -> None:
    gate = both.host.folder / "gate"
    with both.started("run", "etl_job", "production", "--", "wait", str(gate)) as first:
        wait_until(gate.with_suffix(".reached").exists)
        running = both.recorded()[0].id
        with both.started("run", "etl_job", "production") as second:
            read_to(second, running[-8:])
            waits = both.recorded()[0].id
            assert f"run {running}" in both.afar("show", waits).stdout
            gate.touch()
            assert ended(second).code == 0
        assert ended(first).code == 0


def test_what_cannot_be_run_is_refused_from_afar_as_on_the_host(both: Both) -> None:
    recorded = both.recorded()
    for words in (("my_api", "production"), ("etl_job", "staging"), ("etl_jop", "prod"), ("etl_job", "prof")):
        here, there = (act("run", *words) for act in (both.on_host, both.afar))
        assert there == here, words
        assert there.code != 0
    for options in (["--scheduled"], ["--claim", recorded[0].id]):
        assert "leave out --url" in both.afar("run", "etl_job", "production", *options).stderr
    assert both.recorded() == recorded


def test_what_is_left_to_a_worker_says_so_if_none_is_there(idle: Both) -> None:
    there = idle.afar("deploy", "my_api", "production", "--detach")
    here = idle.on_host("deploy", "my_api", "staging", "--branch", "main", "--detach")
    assert there.without(*VARYING) == here.without(*VARYING)
    assert "no worker is running" in there.stderr
    assert there.stdout.strip() in {each.id for each in idle.recorded()}
    as_json = json.loads(idle.afar("deploy", "my_api", "production", "--detach", "--json").stdout)
    assert as_json["status"] == "pending"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_waits_is_cancelled_from_afar(idle: Both, options: list[str]) -> None:
    said = []
    for act in (idle.on_host, idle.afar):
        waiting = idle.on_host("deploy", "my_api", "production", "--detach").stdout.strip()
        said.append(act("cancel", waiting[-8:], *options).without(*VARYING))
        assert idle.recorded()[0].status == "cancelled"
    assert said[1] == said[0]
    assert said[1].code == 0


def gated(both: Both) -> tuple[Path, Path]:
    """Push a commit whose build waits until a file is there, and return the one it makes and that."""
    reached, opened = both.host.folder / "reached", both.host.folder / "opened"
    for path in (reached, opened):
        path.unlink(missing_ok=True)
    wait = f"while [ ! -e {opened} ]; do sleep 0.02; done\necho 'through the gate'\n"
    push(both, {"build.sh": f"#!/bin/sh\necho 'before the gate'\ntouch {reached}\n{wait}"})
    return reached, opened


def test_output_is_followed_from_afar_as_it_comes(both: Both) -> None:
    reached, opened = gated(both)
    detached = both.afar("deploy", "my_api", "production", "--detach").stdout.strip()
    with both.started("logs", detached, "--follow") as following:
        wait_until(reached.exists)
        read = read_to(following, "before the gate")
        opened.touch()
        done = ended(following)
    assert done.code == 0
    assert "through the gate" in done.stdout
    assert done.stderr == f"deployment {detached[-8:]} of my_api production: success\n"
    assert read + done.stdout == both.on_host("logs", detached).stdout


def test_ctrl_c_cancels_a_deployment_that_was_requested_from_afar(both: Both) -> None:
    gated(both)
    with both.started("deploy", "my_api", "production") as deploying:
        read_to(deploying, "before the gate")
        deploying.send_signal(signal.SIGINT)
        done = ended(deploying)
    assert done.code == 12
    assert "cancelling (press Ctrl-C again to quit)" in done.stdout
    assert both.recorded()[0].status == "cancelled"


def test_who_requests_something_while_another_is_running_is_told_from_afar(both: Both) -> None:
    reached, opened = gated(both)
    with both.started("deploy", "my_api", "production") as first:
        wait_until(reached.exists)
        running = both.recorded()[0].id
        with both.started("deploy", "my_api", "production") as second:
            read_to(second, f" waits for deployment {running[-8:]} (Ctrl-C cancels)")
            opened.touch()
            assert ended(second).code == 0
        assert ended(first).code == 0


@pytest.mark.parametrize("database_name", [f"postgresql-{USUAL}"])
def test_what_is_printed_from_afar_is_the_same_on_postgresql(host: Host) -> None:
    with both_over(host, "--worker") as both:
        push(both, {"page.txt": "one", "build.sh": BUILD})
        assert both.afar("deploy", "my_api", "production").code == 0
        for command in ("show {0} --json", "logs {0} --json", "status --json"):
            there, here = both.both(*command.format(both.recorded()[0].id).split())
            assert there == here


def test_an_environment_is_held_and_resumed_from_afar(idle: Both) -> None:
    done = idle.afar("hold", "my_api", "prod", "--reason", "an incident", "--until", "2099-01-31T12:00:00Z")
    assert done.code == 0, done.stderr
    assert "until 2099-01-31 12:00:00 UTC: an incident" in done.stdout
    for place in (idle.afar, idle.on_host):
        assert "an incident" in place("status", "my_api", "prod").stdout
        refused = place("deploy", "my_api", "prod", "--detach")
        assert refused.code == 7
        assert "or deploy with --override-hold" in refused.stderr
    assert idle.afar("deploy", "my_api", "prod", "--detach", "--override-hold").code == 0
    (overridden, *_) = idle.recorded()
    assert overridden.overridden_hold == "an incident"
    assert idle.afar("resume", "my_api", "prod").code == 0
    again = idle.afar("resume", "my_api", "prod")
    assert (again.code, "is not held" in again.stderr) == (7, True)
