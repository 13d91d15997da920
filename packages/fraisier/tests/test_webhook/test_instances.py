"""Two configured providers of one type, and secrets that are bound to repositories, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from .hooks import GITHUB_SECRET, Hook, github, github_push, gitlab_push, gitlab_with_token, new_commit
from .installation import Installation, Server

UNVERIFIED = {"error": "the delivery does not verify: check the secret on both sides"}
HOME_URL = "https://git.home.example/acme/loader.git"
TEAM_SECRET = "the secret of one team"
CONFIG = f"""
git:
  provider: work
  work:
    type: gitlab
    webhook_secret: work-token
  home:
    type: gitlab
    webhook_secret: home-token
    hosts: git.home.example
  github:
    webhook_secret:
      - "{GITHUB_SECRET}"
      - {{secret: {TEAM_SECRET}, repositories: "git@github.com:acme/my-api.git"}}
  gitea:
    type: nowhere
    webhook_secret: a secret
fraises:
  my_api:
    type: api
    repository: https://github.com/acme/my-api.git
    environments: {{production: {{}}, staging: {{}}}}
  other:
    type: api
    repository: https://github.com/acme/other.git
    environments: {{production: {{}}}}
  loader:
    type: api
    repository: https://gitlab.example.com/acme/loader.git
    aliases: {HOME_URL}
    environments: {{production: {{}}}}
branch_mapping:
  main:
    - {{fraise: my_api, environment: production}}
    - {{fraise: my_api, environment: staging}}
    - {{fraise: other, environment: production}}
    - {{fraise: loader, environment: production}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A web app that its tests share."""
    with Installation.create(
        tmp_path_factory.mktemp("instances") / "installation", CONFIG
    ).serving() as server:
        yield server


def to_gitlab(instance: str, token: str, url: str = HOME_URL) -> Hook:
    return replace(gitlab_with_token(gitlab_push(new_commit(), url=url), token), path=f"/webhook/{instance}")


def by_team(*urls: str, **changes: object) -> Hook:
    payload = github_push(new_commit()) | changes
    payload["repository"] |= dict(zip(("clone_url", "ssh_url"), urls, strict=True))
    return github(payload, secret=TEAM_SECRET, path="/webhook/github")


def refusals(server: Server) -> list[tuple[str, str]]:
    found = server.rows("SELECT provider, reason FROM tb_refused_deliveries ORDER BY sequence DESC")
    return [(row["provider"], row["reason"]) for row in found]


def test_each_instance_has_a_route_and_secrets_of_its_own(server: Server) -> None:
    for instance, token in (("work", "work-token"), ("home", "home-token")):
        answer = server.send(to_gitlab(instance, token)).json()
        (event,) = server.rows(f"SELECT provider FROM tb_webhook_events WHERE id = '{answer['event']}'")
        assert event["provider"] == instance
        assert [each["fraise"] for each in answer["deployments"]] == ["loader"]
    crossed = server.send(to_gitlab("work", "home-token"))
    assert (crossed.status_code, crossed.json()) == (401, UNVERIFIED)
    assert refusals(server)[0][0] == "work"
    assert server.send(to_gitlab("gitlab", "work-token")).status_code == 404


def test_what_no_push_can_match_is_logged_at_the_start(installation: Installation) -> None:
    installation.config.write_text(CONFIG.replace("hosts: git.home.example", "hosts: []"))
    with installation.serving() as server:
        assert "no push can match" not in server.log.read_text()
    installation.config.write_text(CONFIG.replace("https://github.com/acme/other.git", "git@work:acme/other"))
    with installation.serving() as server:
        assert "WARNING" in server.log.read_text()
        assert "work is a host alias of ssh" in server.log.read_text()


def test_the_default_provider_is_an_instance(server: Server) -> None:
    hook = replace(to_gitlab("work", "work-token"), path="/webhook")
    assert server.send(hook).status_code == 202


def test_a_push_that_names_another_host_than_its_instance_is_explained(server: Server) -> None:
    answer = server.send(to_gitlab("home", "home-token", "https://gitlab.example.com/acme/loader.git"))
    assert answer.status_code == 200
    assert answer.json()["reasons"] == [
        "the push is to gitlab.example.com/acme/loader, which is on none of git.home.hosts"
    ]


def test_an_instance_of_a_type_that_is_not_installed_is_unavailable(server: Server) -> None:
    answer = server.send(to_gitlab("gitea", "a secret"))
    assert answer.status_code == 503
    assert 'no provider "nowhere" is installed' in answer.json()["error"]
    assert "`type:`" not in answer.json()["error"]


def test_a_bound_secret_verifies_a_push_to_its_repository_in_every_environment(server: Server) -> None:
    answer = server.send(by_team(*["https://github.com/acme/my-api.git"] * 2))
    deployments = answer.json()["deployments"]
    assert [each["environment"] for each in deployments] == ["production", "staging"]


OTHER = "https://github.com/acme/other.git"


@pytest.mark.parametrize(
    "hook",
    [
        by_team(OTHER, OTHER),
        by_team(OTHER, OTHER, after="0" * 40),
        by_team(OTHER, OTHER, ref="refs/tags/v1"),
        by_team("nonsense", "https://github.com/acme/my-api/../other.git"),
    ],
    ids=["branch", "deletion", "tag", "nonsense"],
)
def test_what_a_secret_is_not_bound_to_is_unverified(server: Server, hook: Hook) -> None:
    before = server.rows("SELECT count(*) AS events FROM tb_webhook_events")
    answer = server.send(hook)
    assert (answer.status_code, answer.json()) == (401, UNVERIFIED)
    assert server.rows("SELECT count(*) AS events FROM tb_webhook_events") == before
    provider, reason = refusals(server)[0]
    assert provider == "github"
    assert reason.startswith("its secret is for github.com/acme/my-api, and the push is to ")
    assert TEAM_SECRET not in server.log.read_text()


def test_of_a_push_with_two_addresses_only_the_one_that_the_secret_is_bound_to_counts(server: Server) -> None:
    answer = server.send(by_team(OTHER, "git@github.com:acme/my-api.git"))
    assert {each["fraise"] for each in answer.json()["deployments"]} == {"my_api"}


def test_a_ping_under_a_bound_secret_is_as_ever(server: Server) -> None:
    hook = github({"zen": "x"}, event="ping", secret=TEAM_SECRET, path="/webhook/github")
    assert server.send(hook).json()["status"] == "ignored"


PROVIDER = """
from fraisier_core import Push, Verified, hookimpl

@hookimpl
def verify(headers, body, secrets, now):
    return Verified(int(headers.get("x-index", "0")))

@hookimpl
def normalize(headers, body):
    return [Push("push", "acme/my-api", (), "refs/heads/main", None, "c" * 40, "ada")]
"""


@pytest.mark.parametrize("index", ["-1", "1", "7"])
def test_a_provider_that_names_a_secret_which_is_not_there_verifies_nothing(
    installation: Installation, index: str, tmp_path: Path
) -> None:
    info = tmp_path / "site/acme_odd-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site/acme_odd.py").write_text(PROVIDER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-odd\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fraisier.providers]\nodd = acme_odd\n")
    installation.config.write_text(CONFIG.replace("type: nowhere", "type: odd\n    hosts: github.com"))
    environ = installation.environ | {"PYTHONPATH": str(tmp_path / "site")}
    with replace(installation, environ=environ).serving() as server:
        hook = Hook("/webhook/gitea", b"{}", {"content-type": "application/json", "x-index": index})
        assert server.send(hook).status_code == 401
        assert refusals(server) == [("gitea", 'plugin "odd" names a secret that is not configured')]
        named = server.send(hook.with_headers(x_index="0")).json()["deployments"]
        assert {each["fraise"] for each in named} == {"my_api"}  # without an address, by its full name
