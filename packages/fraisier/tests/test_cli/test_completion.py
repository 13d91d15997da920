from __future__ import annotations

import pytest

from .installation import Installation


def complete(installation: Installation, line: str, **environ: str) -> list[str]:
    """Return what bash would offer for the last word of a line."""
    words = line.split(" ")
    asked = {"_FRAISIER_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = installation.run(**asked, **environ)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("fraisier dep", ["deploy"]),
        ("fraisier deploy ", ["my_api"]),
        ("fraisier status my", ["my_api"]),
        ("fraisier status other", []),
        ("fraisier deploy my_api ", ["production", "staging"]),
        ("fraisier rollback my_api st", ["staging"]),
        ("fraisier history nosuch ", []),
        ("fraisier logs ", ["my_api"]),
        ("fraisier reconcile my_api st", ["staging"]),
        ("fraisier logs my_api st", ["staging"]),
        ("fraisier db m", ["migrate"]),
    ],
)
def test_names_are_completed_from_the_configuration(
    installation: Installation, line: str, offered: list[str]
) -> None:
    assert complete(installation, line) == offered


def test_names_are_completed_from_the_configuration_that_is_named(installation: Installation) -> None:
    other = installation.folder / "other.yaml"
    other.write_text("fraises: {other_api: {}}\n")
    assert complete(installation, f"fraisier -c {other} deploy ") == ["other_api"]
    assert complete(installation, f"fraisier deploy -c {other} ") == ["other_api"]
    assert complete(installation, "fraisier deploy ", FRAISIER_CONFIG=str(other)) == ["other_api"]


@pytest.mark.parametrize("content", [b"fraises: [", b"fraises: 3", b"", b"\x00", b"\xff"])
def test_a_configuration_that_cannot_be_read_completes_nothing(
    installation: Installation, content: bytes
) -> None:
    installation.config.write_bytes(content)
    assert complete(installation, "fraisier deploy ") == []


def test_ids_are_completed_from_the_store(installation: Installation) -> None:
    installation.deploy()
    installation.run("deploy", "my_api", "staging", "--branch", "main", "--detach")
    newest, first = (each.id for each in installation.recorded())
    ends = [newest[-8:], first[-8:]]
    for command in ("show", "cancel"):
        assert complete(installation, f"fraisier {command} ") == ends
        assert complete(installation, f"fraisier {command} {first[:16]}") == [first]
        assert complete(installation, f"fraisier {command} {newest[-8:-2]}") == [newest[-8:]]
    assert complete(installation, "fraisier logs ") == ["my_api", *ends]
    assert complete(installation, f"fraisier logs {newest}") == [newest]


def test_releases_are_completed_from_the_store(installation: Installation) -> None:
    commits = [installation.deploy(), installation.deploy()]
    releases = [str(each.release) for each in installation.recorded()]
    for line in ("my_api production --to ", "my_api prod --to "):
        assert complete(installation, f"fraisier rollback {line}") == releases
    assert complete(installation, f"fraisier rollback my_api prod --to {commits[0][:9]}") == [commits[0]]
    assert complete(installation, "fraisier rollback my_api staging --to ") == []
    assert complete(installation, "fraisier rollback my_api nosuch --to ") == []
    installation.config.write_text("fraises: [")
    assert complete(installation, "fraisier show ") == [each.id[-8:] for each in installation.recorded()]


@pytest.mark.parametrize("line", ["show ", "cancel 0", "logs 0", "rollback my_api production --to "])
def test_without_a_store_no_id_is_completed_and_none_is_made(installation: Installation, line: str) -> None:
    assert complete(installation, f"fraisier {line}") == []
    assert not installation.database.parent.exists()
    installation.config.unlink()
    assert complete(installation, f"fraisier {line}") == []
