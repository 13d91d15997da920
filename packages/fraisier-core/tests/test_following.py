from __future__ import annotations

from pathlib import Path

import pytest
from fraisier_core.config import Config, parse_config
from fraisier_core.requests.following import Followed, followed, follows

from tests.packages import PackageFolder

CONFIGURATION = """\
fraises:
  app:
    type: demo
    repository: https://git.example.com/acme/app.git
    environments:
      production: {environment}
branch_mapping: {rules}
"""
HEADS = {
    f"refs/heads/{name}": digit * 40
    for name, digit in {"main": "a", "next": "b", "release/1": "c", "release/2": "d"}.items()
}


@pytest.fixture
def plugins(site: PackageFolder) -> PackageFolder:
    site.deployer("demo")
    return site


def config(plugins: PackageFolder, environment: str, rules: str) -> Config:
    text = CONFIGURATION.format(environment=environment, rules=rules)
    return parse_config(text, Path("/etc/fraises.yaml"), plugins.plugins(), {})


def branches(
    plugins: PackageFolder, environment: str, rules: str, deployed: tuple[str, ...] = ()
) -> list[Followed]:
    found = config(plugins, environment, rules)
    refs = [f"refs/heads/{name}" for name in deployed]
    return followed(found, found.environment("app", "production"), HEADS, refs)


def names(found: list[Followed]) -> list[str]:
    return [each.ref.removeprefix("refs/heads/") for each in found]


TARGET = "fraise: app, environment: production"


def test_the_branch_of_the_only_rule_is_followed_with_what_it_decides(plugins: PackageFolder) -> None:
    (found,) = branches(plugins, "{}", f"{{main: {{{TARGET}, paths: [src], repository: Acme/App}}}}")
    assert (found.ref, found.head, found.target.pathspecs) == ("refs/heads/main", "a" * 40, (("src",),))
    assert found.target.reason == 'the branch "main" matches "main" and the repository is app\'s'


def test_a_branch_that_a_glob_matches_is_followed_once_it_was_deployed(plugins: PackageFolder) -> None:
    rules = f"{{release/*: {{{TARGET}}}}}"
    assert names(branches(plugins, "{}", rules)) == []
    assert names(branches(plugins, "{}", rules, ("release/2", "main"))) == ["release/2"]


def test_of_several_branches_its_own_is_followed_last_and_others_once_they_were_deployed(
    plugins: PackageFolder,
) -> None:
    assert names(branches(plugins, "{}", f"{{main: {{{TARGET}}}, v1: {{{TARGET}, tags: true}}}}")) == ["main"]
    rules = f"{{main: {{{TARGET}}}, next: {{{TARGET}}}}}"
    assert names(branches(plugins, "{}", rules)) == []
    assert names(branches(plugins, "{branch: main}", rules)) == ["main"]
    assert names(branches(plugins, "{branch: main}", rules, ("main", "next"))) == ["next", "main"]


def test_without_a_rule_its_branch_is_followed_by_hand_unless_it_is_reconciled(
    plugins: PackageFolder,
) -> None:
    (found,) = branches(plugins, "{branch: next}", "{}")
    assert (found.ref, found.by_hand) == ("refs/heads/next", True)
    (found,) = branches(plugins, "{branch: next, reconcile: {}}", "{}")
    assert (found.head, found.by_hand, found.target.pathspecs) == ("b" * 40, False, ())
    assert branches(plugins, "{reconcile: {}}", "{}") == []


def test_an_environment_that_takes_tags_alone_follows_no_branch(plugins: PackageFolder) -> None:
    assert branches(plugins, "{branch: main}", f"{{v*: {{{TARGET}, tags: true}}}}", ("main",)) == []


def test_a_rule_for_another_repository_is_not_followed(plugins: PackageFolder) -> None:
    assert branches(plugins, "{}", f"{{main: {{{TARGET}, repository: other/app}}}}") == []


def test_a_branch_that_is_not_there_has_no_head(plugins: PackageFolder) -> None:
    (found,) = branches(plugins, "{}", f"{{gone: {{{TARGET}}}}}")
    assert (found.ref, found.head) == ("refs/heads/gone", None)


@pytest.mark.parametrize(
    ("environment", "rules", "expected"),
    [
        ("{branch: main}", "{}", True),
        ("{}", f"{{main: {{{TARGET}}}}}", True),
        ("{branch: main}", f"{{v*: {{{TARGET}, tags: true}}}}", False),
        ("{}", "{}", False),
    ],
)
def test_what_follows_a_branch_has_a_rule_for_it_or_a_branch_and_no_rule(
    plugins: PackageFolder, environment: str, rules: str, *, expected: bool
) -> None:
    found = config(plugins, environment, rules)
    assert follows(found, found.environment("app", "production")) is expected
