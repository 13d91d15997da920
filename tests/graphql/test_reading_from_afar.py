"""What a command that reads prints from afar is what it prints on the host, and so is its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import SqliteDatabase
from tests.graphql.afar import Both, both_over
from tests.graphql.serving import Host


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A host on which one deployment was made, one failed, one was cancelled, and a push was missed."""
    folder = tmp_path_factory.mktemp("afar")
    host = Host.create(folder / "host", SqliteDatabase(folder / "fraisier.db"))
    config, rules = host.folder / "fraises.yaml", "main: {fraise: my_api, environment: production}"
    config.write_text(f"{config.read_text()}\nbranch_mapping: {{{rules}}}\n")
    host.forge.push_files({"page.txt": "one", "build.sh": "#!/bin/sh\necho 'building ä'\n"})
    assert host.run("fraisier", "deploy", "my_api", "production").returncode == 0
    host.forge.push_files({"build.sh": "#!/bin/sh\necho no; exit 3\n"})
    assert host.run("fraisier", "deploy", "my_api", "production").returncode == 10
    waiting = host.run("fraisier", "deploy", "my_api", "staging", "--branch", "main", "--detach").stdout
    assert host.run("fraisier", "cancel", waiting.strip()).returncode == 0
    host.forge.push_files({"page.txt": "two"})
    assert host.run("fraisier", "reconcile", "my_api", "production").returncode == 15
    with both_over(host) as both:
        yield both


COMMANDS = [
    "list",
    "list --json",
    "status",
    "status my_api",
    "status my_api prod",
    "status --json",
    "history",
    "history my_api",
    "history my_api stag --limit 1",
    "history --json",
    "show {failed}",
    "show {done} --json",
    "show {whole}",
    "logs my_api prod",
    "logs my_api production --json",
    "logs {failed} --follow",
    "logs {done} --step build",
    "logs {done} --step build --json",
]
REFUSED = {
    "status my_ap": 4,
    "status my_api nowhere": 4,
    "history nothing": 4,
    "show ffffffff": 4,
    "show not-hex": 4,
    "show 0": 4,
    "show 01999999-0000-7000-8000-000000000000": 4,
    "logs loader": 4,
    "logs {done} --step unheard-of": 4,
    "cancel {failed}": 7,
    "cancel ffffffff --json": 4,
    "history --limit 0": 2,
    "deploy my_api nowhere": 4,
    "deploy unheard-of production": 4,
    "deploy my_api production --commit xyz": 2,
    "deploy loader production --commit abcdef --branch main": 2,
    "rollback my_api production --to unheard-of": 4,
    "rollback loader production": 4,
}


def filled(both: Both, command: str) -> list[str]:
    """Return the words of a command, with ids in place of what names them."""
    records = both.recorded()
    (failed,) = [each.id for each in records if each.status == "failed"]
    (done,) = [each.id for each in records if each.status == "success"]
    return command.format(failed=failed[-8:], done=done[-12:], whole=failed).split()


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_read_from_afar_is_what_the_host_says(both: Both, command: str) -> None:
    there, here = both.both(*filled(both, command))
    assert there == here
    assert there.code == 0
    assert there.stdout


@pytest.mark.parametrize(("command", "code"), REFUSED.items())
def test_what_is_refused_from_afar_is_refused_as_on_the_host(both: Both, command: str, code: int) -> None:
    there, here = both.both(*filled(both, command))
    assert there == here
    assert there.code == code
    assert there.stderr


def test_a_reading_command_from_afar_needs_neither_a_configuration_nor_a_store(
    both: Both, tmp_path: Path
) -> None:
    there = both.afar("list", cwd=tmp_path)
    assert there.stdout == both.on_host("list").stdout
    assert list(tmp_path.iterdir()) == []


def test_a_push_that_was_missed_is_told_from_afar(both: Both) -> None:
    (shown,) = json.loads(both.afar("status", "my_api", "production", "--json").stdout)
    assert [each["ref"] for each in shown["missed"]] == ["refs/heads/main"]
    assert "missed   main is at " in both.afar("status", "my_api", "prod").stdout
