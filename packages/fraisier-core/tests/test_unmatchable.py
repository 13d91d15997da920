from __future__ import annotations

from pathlib import Path

import pytest
from fraisier_core.config import PARTS, parse_config

from tests.packages import PackageFolder

CONFIG = """\
git: {{work: {{type: forge, webhook_secret: {secret}, hosts: {hosts}}}{more}}}
fraises:
  api:
    type: api
    repository: {repository}
    aliases: {aliases}
    environments: {{production: {{}}, staging: {{}}}}
branch_mapping:
  main: [{{fraise: api, environment: production}}, {{fraise: api, environment: staging}}]
"""
VALUES = {
    "secret": "a secret",
    "hosts": "[]",
    "more": "",
    "repository": "https://git.example.com/acme/api",
    "aliases": "[]",
}
BOUND = "{{secret: a secret, repositories: {}}}"


def warnings(site: PackageFolder, **changes: str) -> tuple[str, ...]:
    site.provider("forge")
    site.deployer("api")
    text = CONFIG.format(**VALUES | changes)
    return parse_config(text, Path("/srv/fraises.yaml"), site.plugins(), {}, parts=PARTS).warnings


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"repository": "git@git.example.com:acme/api"},
        {"repository": "git@localhost:acme/api"},
        {"repository": "ssh://git@[::1]:2222/acme/api"},
        {"repository": "/srv/git/api"},
        {"repository": "file:///srv/git/api"},
        {"repository": "https://gitlab/acme/api"},
        {"repository": "work:acme/api", "aliases": "git@git.example.com:acme/api"},
        {"repository": "git@gitlab:acme/api", "hosts": "gitlab"},
        {"repository": "ssh://git@ssh.example.com:443/acme/api", "aliases": "git@git.example.com:acme/api"},
        {"repository": "https://git.example.com:443/acme/api"},
        {"hosts": "git.example.com"},
        {"hosts": "elsewhere.example", "more": ", home: {type: forge, webhook_secret: b secret}"},
        {"secret": BOUND.format("git@git.example.com:Acme/API.git")},
        {"secret": BOUND.format("[https://git.example.com/acme/gone, https://git.example.com/acme/api]")},
    ],
    ids=str,
)
def test_what_a_push_may_match_is_not_warned_of(site: PackageFolder, changes: dict[str, str]) -> None:
    assert warnings(site, **changes) == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"repository": "git@work:acme/api"},
            "/srv/fraises.yaml:5: fraises.api.repository: no push can match work/acme/api: "
            "work is a host alias of ssh; list the forge's own address in `aliases:`",
        ),
        (
            {"repository": "ssh://git@ssh.example.com:443/acme/api"},
            "/srv/fraises.yaml:5: fraises.api.repository: no push may match ssh.example.com:443/acme/api: "
            "a host of ssh on port 443 often has its own name; list the forge's own address in `aliases:`",
        ),
        (
            {"hosts": "[elsewhere.example]"},
            "/srv/fraises.yaml:5: fraises.api.repository: no push can match git.example.com/acme/api: "
            "list its host in git.work.hosts",
        ),
        (
            {"secret": BOUND.format("https://git.example.com/acme/gone")},
            "/srv/fraises.yaml:1: git.work.webhook_secret.repositories: "
            "no fraise has any of these repositories; add one that has",
        ),
        (
            {"secret": f"[b secret, {BOUND.format('https://git.example.com/acme/gone')}]"},
            "/srv/fraises.yaml:1: git.work.webhook_secret.1.repositories: "
            "no fraise has any of these repositories; add one that has",
        ),
    ],
)
def test_what_no_push_can_match_is_said_once_with_what_helps(
    site: PackageFolder, changes: dict[str, str], expected: str
) -> None:
    assert warnings(site, **changes) == (expected,)


def test_what_no_rule_deploys_needs_no_push(site: PackageFolder) -> None:
    site.provider("forge")
    site.deployer("api")
    text = CONFIG.format(**VALUES | {"repository": "git@work:acme/api"}).partition("branch_mapping")[0]
    assert parse_config(text, Path("/srv/fraises.yaml"), site.plugins(), {}, parts=PARTS).warnings == ()
