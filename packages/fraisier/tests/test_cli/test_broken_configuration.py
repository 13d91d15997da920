"""What still works while `fraises.yaml` cannot be used."""

from __future__ import annotations

import pytest

from tests.waiting import wait_until

from .installation import Installation

BROKEN = {
    "a tab": "fraises:\n\tmy_api: {}\n",
    "conflict markers": "<<<<<<< HEAD\nfraises: {}\n=======\n",
    "no end of a quote": "fraises:\n  my_api:\n    description: 'My API\n",
    "an unknown section": "fraises: {}\nnosuch: 1\n",
    "another shape": "fraises: 3\n",
    "nothing": "",
    "a rule for nothing": "fraises: {}\nbranch_mapping:\n  main: {fraise: gone, environment: production}\n",
}


@pytest.fixture
def deployed(installation: Installation) -> Installation:
    installation.deploy()
    installation.run("deploy", "my_api", "staging", "--branch", "main", "--detach")
    return installation


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_what_needs_only_the_store_reads_it(deployed: Installation, text: str) -> None:
    waiting, done = (each.id for each in deployed.recorded())
    before = deployed.run("status").stdout
    deployed.config.write_text(text)
    for command, expected in [
        (["status"], before),
        (["status", "my_api", "prod"], "production"),
        (["history", "my_api", "prod"], done[-8:]),
        (["show", done[-8:]], f"deployment {done}\n"),
        (["logs", "my_api", "prod"], "build ...\n  $ sh build.sh\n"),
        (["logs", done[-8:]], "build ...\n  $ sh build.sh\n"),
        (["cancel", waiting[-8:]], f"deployment {waiting[-8:]} of my_api staging is cancelled\n"),
    ]:
        ended = deployed.run(*command)
        assert ended.returncode == 0, ended.stderr
        assert expected in ended.stdout
        assert ended.stderr.startswith("fraises.yaml:")
        assert "fraises.yaml cannot be used; what follows is as the store has it\n" in ended.stderr


def test_names_are_those_that_the_store_was_told_last(deployed: Installation) -> None:
    deployed.config.write_text("fraises: [")
    assert [each["environment"] for each in deployed.json("status")] == ["production", "staging"]
    ended = deployed.run("status", "my_apy")
    assert ended.returncode == 4
    assert 'did you mean "my_api"?' in ended.stderr
    assert 'did you mean "staging"?' in deployed.run("history", "my_api", "stagign").stderr


@pytest.mark.parametrize("command", [["status"], ["history"], ["show", "abcd"], ["cancel", "abcd"]])
def test_without_a_store_only_what_is_wrong_is_told(installation: Installation, command: list[str]) -> None:
    installation.config.write_text("fraises: 3\n")
    ended = installation.run(*command)
    problem = "fraises.yaml:1: fraises: should be a mapping of fraises, found 3\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", problem)


@pytest.mark.parametrize("command", [["list"], ["config", "check"], ["deploy", "my_api", "production"]])
def test_what_needs_the_configuration_says_only_what_is_wrong(
    deployed: Installation, command: list[str]
) -> None:
    deployed.config.write_text("fraises:\n\tmy_api: {}\n")
    ended = deployed.run(*command)
    problem = "fraises.yaml:2: column 1: a tab in the indentation; indent with spaces\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", problem)


@pytest.mark.parametrize(
    "text",
    [
        "fraises: 3\ndatabase: {url: 'sqlite:elsewhere/my.db'}\nstate_dir: STATE\n",
        "database:\n  url: ${URL}\nfraises:\n\tmy_api: {}\nstate_dir: STATE\n",
        "state_dir: STATE\nfraises: [\n'database':\n\n  # where\n  url: sqlite:elsewhere/my.db\nx: 'y\n",
        "  fraises: {a: {database: 1}\n  database: {url: 'sqlite:elsewhere/my.db'}\n  state_dir: STATE\n",
    ],
)
def test_the_place_of_the_store_is_read_whatever_else_is_wrong(installation: Installation, text: str) -> None:
    folder = installation.folder / "elsewhere"
    place = f"database: {{url: 'sqlite:elsewhere/my.db'}}\nstate_dir: {folder}\n"
    installation.config.write_text(installation.config.read_text() + place)
    installation.deploy()
    installation.config.write_text(text.replace("STATE", str(folder)))
    ended = installation.run("history", "my_api", "--json", URL="sqlite:elsewhere/my.db")
    assert ended.returncode == 0, ended.stderr
    assert '"status": "success"' in ended.stdout
    assert not installation.database.exists()


@pytest.mark.parametrize(
    "text",
    [
        "fraises: 3\ndatabase: {url: 3}\n",
        "fraises: {}\ndatabase: {url: nosuch:x}\n",
        "fraises: [\ndatabase: {url: 3\n",
        "fraises: {}\ndatabase: {url: ${GONE}}\n",
        "{fraises: [, database: {url: sqlite:elsewhere}}\n",
        "fraises: 3\nstate_dir: relative\n",
    ],
)
def test_no_other_store_is_read_if_its_place_cannot_be_told(deployed: Installation, text: str) -> None:
    deployed.config.write_text(text)
    ended = deployed.run("status")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("fraises.yaml:")
    assert "as the store has it" not in ended.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    type: script", "\ttype: script"),
        ("type: script", "type: scirpt"),
        ("health_check: {command", "health_check: {comand"),
        ("production:", "Production:"),
    ],
)
def test_a_rollback_is_executed_by_the_last_good_text(installation: Installation, old: str, new: str) -> None:
    text = installation.config.read_text()
    installation.config.write_text(
        text.replace("branch: main", 'branch: main\n        env: {TOKEN: "${TOKEN}"}')
    )
    installation.environ["TOKEN"] = "the value of a token"
    first = installation.deploy()
    installation.deploy()
    installation.config.write_text(text.replace(old, new))
    ended = installation.run("rollback", "my_api", "prod")
    assert ended.returncode == 0, ended.stderr
    assert f"{first[:12]} serves" in ended.stdout
    assert "fraises.yaml cannot be used; its last good text is used instead\n" in ended.stderr
    files = [path for path in installation.database.parent.rglob("*") if path.is_file()]
    assert not [path for path in files if b"value of a token" in path.read_bytes()]
    (kept,) = (path for path in files if b"${TOKEN}" in path.read_bytes())
    assert kept.name.startswith("last-good-")


def test_without_a_last_good_text_a_rollback_says_what_is_wrong(installation: Installation) -> None:
    installation.config.write_text("fraises: [")
    ended = installation.run("rollback", "my_api", "production")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("fraises.yaml:2: ")


def test_a_worker_that_is_started_again_goes_on_by_the_last_good_text(deployed: Installation) -> None:
    deployed.config.write_text("fraises: [")
    with deployed.started("worker") as worker:
        worker.read_to("fraises.yaml cannot be used; its last good text is used instead")
        wait_until(lambda: deployed.last().status == "success")
        worker.process.terminate()
        assert worker.end()[0] == 0
