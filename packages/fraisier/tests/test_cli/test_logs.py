from __future__ import annotations

import json
from typing import Any

import pytest

from tests.databases import both_databases

from .installation import Installation


def lines(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


@both_databases
def test_the_newest_deployment_is_shown_with_its_steps(installation: Installation) -> None:
    installation.deploy()
    installation.deploy({"build.sh": "echo building again\n"})
    last = installation.last().id[-8:]
    for arguments in (["my_api"], ["my_api", "prod"], [last]):
        done = installation.run("logs", *arguments)
        assert done.returncode == 0
        steps = [line.split()[0] for line in done.stdout.splitlines() if line.endswith(" ...")]
        assert steps == ["fetch", "build", "activate", "verify"]
        assert "\n  building again\n" in done.stdout
        assert done.stderr == f"deployment {last} of my_api production: success\n"


def test_an_earlier_deployment_is_named_by_its_id(installation: Installation) -> None:
    installation.deploy({"build.sh": "echo the first\n"})
    installation.deploy()
    first = installation.recorded()[1].id
    assert "  the first\n" in installation.run("logs", first[-8:]).stdout


def test_one_step_is_shown_if_it_is_named(installation: Installation) -> None:
    installation.deploy()
    said = installation.run("logs", "my_api", "--step", "build").stdout
    assert said.startswith("build ...\n  $ sh build.sh\n  building\nbuild: done, ")
    as_json = installation.run("logs", "my_api", "--step", "build", "--json").stdout
    assert [each["step"] for each in lines(as_json)] == ["build"] * 3
    unknown = installation.run("logs", "my_api", "--step", "nosuch")
    assert unknown.returncode == 4
    assert "(known: activate, build, fetch, verify)" in unknown.stderr


@both_databases
def test_a_deployment_is_followed_to_its_end(installation: Installation) -> None:
    gate = installation.push_gated()
    with installation.started("deploy", "my_api", "production"):
        gate.wait()
        assert "verify" not in installation.run("logs", "my_api").stdout
        with installation.started("logs", "my_api", "prod", "--follow") as following:
            following.read_to("waiting")
            gate.open()
            code, rest = following.end()
    assert code == 0
    assert "build: done, " in rest
    assert rest.endswith(f"deployment {installation.last().id[-8:]} of my_api production: success\n")


@both_databases
def test_events_and_output_are_followed_as_lines_of_json(installation: Installation) -> None:
    gate = installation.push_gated()
    with installation.started("deploy", "my_api", "production"):
        gate.wait()
        with installation.started("logs", "my_api", "--follow", "--json") as following:
            read = following.read_to("waiting")
            gate.open()
            printed = read + following.end()[1]
    found = lines(printed[: printed.rindex("deployment ")])
    for are_events in (True, False):  # output is stored apart, and may be of the same millisecond
        times = [each["at"] for each in found if (each["event"] != "output") == are_events]
        assert times == sorted(times)
    assert [each["event"] for each in found if each["event"] != "output"] == [
        each.event for each in installation.open().events()
    ]
    output = [each for each in found if each["event"] == "output"]
    assert "".join(each["text"] for each in output if each["step"] == "build") == "$ sh build.sh\nwaiting\n"


def test_a_fraise_that_left_the_configuration_keeps_its_output(installation: Installation) -> None:
    installation.deploy()
    installation.config.write_text(installation.config.read_text().replace("my_api", "renamed"))
    assert "building" in installation.run("logs", "my_api").stdout


@pytest.mark.parametrize(
    "arguments", [["nosuch"], ["abcdef"], ["my_api"], ["my_api", "staging"], ["my_api", "other"]]
)
@pytest.mark.parametrize("with_store", [False, True])
def test_what_is_unknown_is_told(installation: Installation, with_store: bool, arguments: list[str]) -> None:
    if with_store:
        installation.run("db", "migrate")
    done = installation.run("logs", *arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert arguments[-1] in done.stderr
