import os
from contextlib import closing
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
from fraisier_core.config import Config, parse_config
from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.execution import open_context
from fraisier_core.plugins import Plugins
from fraisier_core.requests.requesting import configure_store
from fraisier_core.store.records import Deployment, Lease, Request
from fraisier_core.worker.assignment import Assignment, receive, send

from tests.packages import PackageFolder
from tests.stores import open_store

DEPLOYER = """
from pydantic import SecretStr
from fraisier_core.markers import hookimpl
from fraisier_core.settings import EnvironmentSettings

class Settings(EnvironmentSettings):
    token: SecretStr | None = None

@hookimpl
def settings(): return Settings

@hookimpl
def deploy(run): pass

@hookimpl
def health_check(run): pass
"""
CONFIGURATION = """\
git:
  provider: acme
  acme: {webhook_secret: [literal-webhook-secret, "${WEBHOOK_SECRET}"]}
fraises:
  api:
    type: script
    repository: https://bot:${API_PASSWORD}@example.com/acme/api.git
    environments:
      production: {token: "${TOKEN}", env: {A: literal-of-production}}
      staging: {token: literal-of-staging, env: {B: "${STAGING}"}}
      broken: {token: "${GONE}"}
  site:
    type: nobody-offers-this
    repository: https://bot:literal-of-site@example.com/acme/site.git
    environments:
      production: {env: {C: "${SITE}"}}
"""
VARIABLES = {
    "WEBHOOK_SECRET": "variable-webhook-secret",
    "API_PASSWORD": "password-of-api",
    "TOKEN": "token-of-production",
    "STAGING": "variable-of-staging",
    "SITE": "variable-of-site",
}
OTHERS = ("literal-webhook-secret", "webhook", "acme:", "of-staging", "of-site", "nobody-offers-this")
LEASE = Lease(7, "d1", "local", 1)


@pytest.fixture
def plugins(site: PackageFolder) -> Plugins:
    site.deployer("script", DEPLOYER)
    return site.plugins()


@pytest.fixture
def config(plugins: Plugins, tmp_path: Path) -> Config:
    return parse_config(CONFIGURATION, tmp_path / "fraises.yaml", plugins, VARIABLES, parts=())


@pytest.fixture
def deployment(config: Config, tmp_path: Path) -> Deployment:
    with closing(open_store(tmp_path / "store.db")) as store:
        configure_store(store, config, executes=True)
        request = Request("api", "production", "deploy", "manual", "ada", "refs/heads/main")
        return store.deployment(store.request(request))


def sent(assignment: Assignment) -> str:
    ours, theirs = Pipe()
    with ours, theirs:
        assert send(ours, assignment)
        return os.read(theirs.fileno(), 1_000_000).decode(errors="replace")


def received(assignment: Assignment) -> Assignment | None:
    ours, theirs = Pipe()
    with ours, theirs:
        assert send(ours, assignment)
        found: Assignment | None = receive(theirs)
        return found


def test_no_secret_of_git_or_of_another_environment_is_sent(config: Config, deployment: Deployment) -> None:
    message = sent(Assignment.under(config, deployment, LEASE, recover=False))
    assert "token-of-production" in message
    assert "literal-of-production" in message
    assert [text for text in OTHERS if text in message] == []


def test_an_assignment_arrives_as_it_was_sent(config: Config, deployment: Deployment) -> None:
    assignment = Assignment.under(config, deployment, LEASE, recover=True)
    assert received(assignment) == assignment
    assert assignment.environment is not None
    assert assignment.environment.secrets == {"password-of-api", "token-of-production"}


def test_the_settings_are_those_of_the_configuration(
    config: Config, deployment: Deployment, plugins: Plugins
) -> None:
    assignment = received(Assignment.under(config, deployment, LEASE, recover=False))
    assert assignment is not None
    assert assignment.environment is not None
    context = open_context(assignment.environment, plugins, CancellationToken())
    assert context.settings == config.environment("api", "production").settings


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"environment": "broken"}, "the variable GONE is not set"),
        ({"fraise_id": "site"}, 'no fraise type "nobody-offers-this" is installed'),
        ({"fraise_id": "gone"}, 'no fraise is called "gone"'),
    ],
)
def test_what_cannot_be_resolved_is_sent_as_a_problem(
    config: Config, deployment: Deployment, changes: dict[str, Any], problem: str
) -> None:
    changed = deployment._replace(**changes)
    assignment = received(Assignment.under(config, changed, LEASE, recover=False))
    assert assignment is not None
    assert assignment.environment is None
    assert problem in assignment.problem
