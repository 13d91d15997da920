"""`fraisier token`: making, listing and revoking, and the audit."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from tests.databases import both_databases

from .installation import Installation

SECRET = re.compile(r"frs_[A-Za-z0-9_-]{51}")


def create(installation: Installation, name: str = "laptop", scope: str = "read", *options: str) -> str:
    """Make a token, and return its secret."""
    done = installation.run("token", "create", name, "--scope", scope, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@both_databases
def test_a_token_is_shown_once_and_only_its_hash_is_kept(installation: Installation) -> None:
    secret = create(installation)
    assert SECRET.fullmatch(secret)
    assert create(installation, "ci") != secret
    with closing(installation.open()) as store:
        first, _ = store.tokens()
        kept = str(store.all("SELECT * FROM tb_tokens") + store.all("SELECT * FROM tb_audit_events"))
    assert (first.name, first.prefix) == ("laptop", secret[:12])
    assert first.sha256 == sha256(secret.encode()).hexdigest()
    assert secret[12:] not in kept
    shown = installation.run("token", "list").stdout + str(installation.json("token", "list"))
    assert secret[:12] in shown
    assert secret[12:] not in shown
    assert first.sha256 not in shown


def test_a_token_says_what_it_may_and_until_when(installation: Installation) -> None:
    made = installation.json("token", "create", "ci", "--scope", "deploy:my_api/prod", "--expires", "90d")
    assert SECRET.fullmatch(made.pop("token"))
    assert [made] == installation.json("token", "list")
    assert (made["name"], made["scope"], made["status"]) == ("ci", "deploy:my_api/production", "valid")
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89) < left < timedelta(days=91)


@pytest.mark.parametrize(
    "arguments",
    [
        ["ci", "--scope", "write"],
        ["ci", "--scope", "deploy:my_api/production/more"],
        ["c\ni", "--scope", "read"],
        ["ci", "--scope", "read", "--expires", "2020-01-31"],
        ["ci", "--scope", "read", "--expires", "999999w"],
        ["ci"],
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(installation: Installation, arguments: list[str]) -> None:
    done = installation.run("token", "create", *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert not installation.database.exists()


@pytest.mark.parametrize("scope", ["deploy:your_api", "read:my_api/s", "deploy:MY_API", "read:*"])
def test_a_scope_names_what_is_configured(installation: Installation, scope: str) -> None:
    done = installation.run("token", "create", "ci", "--scope", scope)
    assert done.returncode == (0 if scope == "read:my_api/s" else 4), done.stderr


@pytest.mark.parametrize("name", ["Zoë's laptop", "'; DROP TABLE tb_tokens; --", '{"a": "%s"}'])
def test_any_other_name_is_kept_as_it_is(installation: Installation, name: str) -> None:
    create(installation, name)
    assert [each["name"] for each in installation.json("token", "list")] == [name]
    assert name in installation.run("token", "list").stdout
    assert installation.run("token", "revoke", name).returncode == 0


@both_databases
def test_a_name_is_free_again_once_its_token_is_revoked(installation: Installation) -> None:
    create(installation)
    again = installation.run("token", "create", "laptop", "--scope", "read")
    assert (again.returncode, again.stdout) == (7, "")
    assert 'there is a token "laptop" already' in again.stderr
    assert installation.run("token", "revoke", "laptop").returncode == 0
    second = create(installation)
    assert installation.run("token", "revoke", second[:8]).returncode == 0
    assert [each["status"] for each in installation.json("token", "list")] == ["revoked", "revoked"]


@pytest.mark.parametrize("said", ["laptop", "PREFIX", "BEGINNING", "SECRET"])
def test_a_token_is_revoked_by_its_name_or_its_beginning(installation: Installation, said: str) -> None:
    secret = create(installation)
    words = {"PREFIX": secret[:12], "BEGINNING": secret[:9], "SECRET": secret}
    done = installation.run("token", "revoke", words.get(said, said))
    assert (done.returncode, secret in done.stdout) == (0, False)
    again = installation.run("token", "revoke", words.get(said, said))
    assert again.returncode == 7
    assert "is revoked already" in again.stderr


@pytest.mark.parametrize("said", ["", "lap", "frs_!", "%", "frs_________"])
def test_nothing_is_revoked_by_what_is_no_token(installation: Installation, said: str) -> None:
    create(installation)
    assert installation.run("token", "revoke", said).returncode == 4
    assert [each["status"] for each in installation.json("token", "list")] == ["valid"]


def test_a_beginning_that_several_tokens_have_revokes_none(installation: Installation) -> None:
    create(installation)
    create(installation, "ci")
    done = installation.run("token", "revoke", "frs_")
    assert (done.returncode, "more than one" in done.stderr) == (4, True)


@both_databases
def test_the_audit_names_who_did_what_to_what(installation: Installation) -> None:
    secret = create(installation, "ci", "deploy:my_api")
    installation.run("token", "revoke", "ci")
    installation.forge.push_files({"file": "1"})
    installation.run("deploy", "my_api", "production", "--detach")
    installation.run("cancel", installation.last().id)
    (cancelled, deployed, revoked, created) = installation.json("token", "audit")
    user = created["actor"]
    assert user
    assert {each["actor"] for each in (cancelled, deployed, revoked)} == {user}
    assert (created["action"], created["subject"]) == ("token_created", "token ci")
    assert created["detail"] == f"{secret[:12]}, deploy my_api, until it is revoked"
    assert (revoked["action"], revoked["subject"]) == ("token_revoked", "token ci")
    assert (deployed["action"], deployed["subject"]) == ("deploy", "my_api production")
    assert (cancelled["action"], cancelled["subject"]) == ("cancel", "my_api production")
    assert cancelled["detail"] == deployed["detail"] == f"deployment {installation.last().id}"
    assert len(installation.json("token", "audit", "--limit", "1")) == 1
    assert "token_revoked" in installation.run("token", "audit").stdout


def test_what_a_push_requested_is_not_in_the_audit(installation: Installation) -> None:
    assert installation.json("token", "audit") == []
    assert "no token was made" in installation.run("token", "audit").stderr


def test_reading_makes_no_store(installation: Installation) -> None:
    assert installation.json("token", "list") == []
    assert "there are no tokens" in installation.run("token", "list").stderr
    assert installation.run("token", "revoke", "laptop").returncode == 4
    assert not installation.database.exists()
