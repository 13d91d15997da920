"""What a token lets a laptop read and request, and what it is told about the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.databases import SqliteDatabase
from tests.graphql.afar import Both
from tests.graphql.serving import Host

WithToken = Callable[[str], Both]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A host that wants a token, with a deployment in each of its environments."""
    folder = tmp_path_factory.mktemp("tokens")
    host = Host.create(folder / "host", SqliteDatabase(folder / "fraisier.db"), development=False)
    host.forge.push_files({"page.txt": "one"})
    for place in (("my_api", "production"), ("my_api", "staging"), ("loader", "production")):
        done = host.run("fraisier", "deploy", *place, "--branch", "main", "--detach")
        assert done.returncode == 0, done.stderr
    with host.serving() as api:
        yield Both(host, ["--url", api.url])


@pytest.fixture
def with_token(served: Both, tmp_path: Path) -> WithToken:
    """Make a token of a scope, and return the laptop that has it."""

    def make(scope: str) -> Both:
        file = tmp_path / f"{scope.replace('/', '-')}.token"
        name = f"{tmp_path.name}-{file.stem}".replace(":", "-").replace("_", "-")
        file.write_text(served.on_host("token", "create", name[-40:].strip("-"), "--scope", scope).stdout)
        file.chmod(0o600)
        return Both(served.host, [*served.options, "--token-file", str(file)])

    return make


def test_a_token_for_everything_reads_what_the_host_does(with_token: WithToken) -> None:
    reading = with_token("read")
    for command in ("list", "history --json"):
        there, here = reading.both(*command.split())
        assert there == here


@pytest.mark.parametrize(
    ("scope", "places"),
    [
        ("read:my_api", {"my_api production", "my_api staging"}),
        ("read:my_api/staging", {"my_api staging"}),
        ("deploy:loader/production", {"loader production"}),
    ],
)
def test_a_token_for_a_place_sees_that_alone(with_token: WithToken, scope: str, places: set[str]) -> None:
    laptop = with_token(scope)
    for command in ("list", "history", "status"):
        found = json.loads(laptop.afar(command, "--json").stdout)
        assert {f"{each['fraise_id']} {each['environment']}" for each in found} == places


def test_another_place_is_unknown_to_a_token(with_token: WithToken) -> None:
    laptop = with_token("deploy:my_api/staging")
    (other,) = [each for each in laptop.recorded() if each.fraise_id == "loader"]
    for words in (["show", other.id], ["logs", "loader"], ["cancel", other.id[-8:]]):
        assert laptop.afar(*words).code == 4
    for place in (["loader", "production"], ["my_api", "production"]):
        done = laptop.afar("deploy", *place, "--detach")
        assert (done.code, done.stdout) == (4, "")
    assert {each.status for each in laptop.recorded()} == {"pending"}


@pytest.mark.parametrize(
    "words", ["deploy my_api staging", "run my_api staging", "rollback my_api staging", "cancel {0}"]
)
def test_a_token_that_reads_changes_nothing(with_token: WithToken, words: str) -> None:
    laptop = with_token("read:my_api")
    before = laptop.recorded()
    (waiting,) = [each.id for each in before if (each.environment, each.fraise_id) == ("staging", "my_api")]
    done = laptop.afar(*words.format(waiting).split())
    assert (done.code, done.stdout) == (8, "")
    assert done.stderr.startswith("http://127.0.0.1:")
    assert done.stderr.count("\n") == 1
    assert "the token in" in done.stderr
    assert laptop.recorded() == before


def test_what_a_token_requests_has_its_name(with_token: WithToken) -> None:
    laptop = with_token("deploy:my_api/staging")
    done = laptop.afar("deploy", "my_api", "staging", "--detach", "--json")
    requested = json.loads(done.stdout)
    assert (done.code, requested["status"]) == (0, "pending")
    assert "token" in requested["requested_by"]
    assert laptop.afar("cancel", requested["id"]).code == 0


def test_a_revoked_token_is_told_of(with_token: WithToken, served: Both) -> None:
    laptop = with_token("read")
    assert laptop.afar("list").code == 0
    (name,) = [
        each["name"]
        for each in json.loads(served.on_host("token", "list", "--json").stdout)
        if Path(laptop.options[-1]).read_text().startswith(each["prefix"])
    ]
    assert served.on_host("token", "revoke", name).code == 0
    done = laptop.afar("list")
    assert done.code == 8
    assert done.stderr.endswith("is not accepted: it was revoked, has expired, or is another host's\n")


def test_who_has_no_token_is_told_so(served: Both) -> None:
    done = served.afar("list")
    assert done.code == 8
    assert "it wants a token; name its file with --token-file" in done.stderr
