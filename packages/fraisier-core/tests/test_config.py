from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from fraisier_core.config import PARTS, Config, find_config, load_config, parse_config, place_of_store
from fraisier_core.config.source import ConfigSource
from fraisier_core.errors import ConfigurationError, PluginError, UnknownNameError, UnsetVariableError
from fraisier_core.plugins import Plugins

from tests.packages import PROVIDER, PackageFolder

EXAMPLE = """\
git:
  provider: github                     # which provider POST /webhook means; /webhook/{provider} names one
  github:
    webhook_secret: ${FRAISIER_WEBHOOK_SECRET}      # or a list, for rotation
fraises:
  my_api:
    type: api
    description: My GraphQL API
    repository: https://github.com/acme/my-api.git  # optional where app_path already is a clone
    environments:
      production:
        name: api.example.com
        branch: main
        app_path: /var/www/api
        systemd_service: api.service
        health_check: {url: https://api.example.com/health}
branch_mapping:
  main: {fraise: my_api, environment: production}   # or a list; keys may be globs; `tags:`, `paths:`, `repository:` narrow it
"""  # noqa: E501 - word for word what users were shown
FILE = Path("/srv/acme/fraises.yaml")
TEXT = "should be text, in quotes if YAML would read something else"
SECRET = {"FRAISIER_WEBHOOK_SECRET": "correct horse battery"}


@pytest.fixture
def plugins(site: PackageFolder) -> Plugins:
    site.provider("github")
    site.provider("gitlab")
    site.deployer("api")
    return site.plugins()


def parse(
    text: str, plugins: Plugins, environ: Mapping[str, str] = SECRET, *, parts: Collection[str] = PARTS
) -> Config:
    return parse_config(text, FILE, plugins, environ, parts=parts)


def problems(
    text: str, plugins: Plugins, environ: Mapping[str, str] = SECRET, *, parts: Collection[str] = PARTS
) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text, Path("fraises.yaml"), plugins, environ, parts=parts)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def edited(old: str, new: str, text: str = EXAMPLE) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_the_example_loads_as_it_is_written(plugins: Plugins, forge: str) -> None:
    config = parse(EXAMPLE.replace("github", forge), plugins)
    assert config.git.default == forge
    assert config.git.providers[forge].secrets() == ("correct horse battery",)
    fraise = config.fraise("my_api")
    assert (fraise.type, fraise.description, fraise.problem) == ("api", "My GraphQL API", None)
    environment = config.environment("my_api", "production")
    assert (environment.branch, environment.app_path) == ("main", Path("/var/www/api"))
    assert environment.settings.model_dump()["systemd_service"] == "api.service"
    assert environment.settings.health_check is not None
    assert environment.settings.health_check.url == "https://api.example.com/health"
    assert environment.repository.identity == f"{forge}.com/acme/my-api"
    assert [(rule.pattern, rule.fraise, rule.environment) for rule in config.branch_mapping] == [
        ("main", "my_api", "production")
    ]


ONE_PROBLEM = {
    "an unknown key with a near one": (
        ("        branch: main", "        brnach: main"),
        'fraises.yaml:13: fraises.my_api.environments.production.brnach: unknown key; did you mean "branch"?',
    ),
    "an unknown key of the type's own": (
        ("systemd_service:", "systemd_srvice:"),
        "fraises.yaml:15: fraises.my_api.environments.production.systemd_srvice: "
        'unknown key; did you mean "systemd_service"?',
    ),
    "an unknown nested key": (
        ("{url: https", "{retrys: 3, url: https"),
        "fraises.yaml:16: fraises.my_api.environments.production.health_check.retrys: "
        'unknown key; did you mean "retries"?',
    ),
    "an unknown key with nothing near": (
        ("    description: My", "    zzz: My"),
        "fraises.yaml:8: fraises.my_api.zzz: "
        "unknown key; known here: aliases, ca_file, credentials, describe, description, environments, "
        "freeze, ignore_filters, known_hosts, lfs, notify, protocols, proxy, repository, submodules, type",
    ),
    "an unknown section": (
        ("branch_mapping:", "branch_maping:"),
        'fraises.yaml:17: branch_maping: unknown key; did you mean "branch_mapping"?',
    ),
    "an unknown key of a provider": (
        ("    webhook_secret: $", "    timeout: 3\n    webhook_secret: $"),
        "fraises.yaml:4: git.github.timeout: unknown key; known here: allow, api_token, api_url, hosts, "
        "trusted_proxies, type, webhook_secret",
    ),
    "an unknown key of a rule": (
        ("environment: production}", "environment: production, tag: true}"),
        'fraises.yaml:18: branch_mapping.main.tag: unknown key; did you mean "tags"?',
    ),
    "a missing key": (
        ("    type: api\n", ""),
        "fraises.yaml:6: fraises.my_api.type: required key is missing",
    ),
    "a missing secret": (
        ("    webhook_secret: ${FRAISIER_WEBHOOK_SECRET} ", "    {} "),
        "fraises.yaml:3: git.github.webhook_secret: required key is missing",
    ),
    "an empty secret": (
        ("${FRAISIER_WEBHOOK_SECRET} ", "'' "),
        "fraises.yaml:4: git.github.webhook_secret: must not be empty",
    ),
    "a blank secret": (
        ("${FRAISIER_WEBHOOK_SECRET} ", "['fine secret', ' '] "),
        "fraises.yaml:4: git.github.webhook_secret.1: must not be empty",
    ),
    "a secret that is no text": (
        ("${FRAISIER_WEBHOOK_SECRET} ", "123456 "),
        f"fraises.yaml:4: git.github.webhook_secret: {TEXT}",
    ),
    "no secret in a list": (
        ("${FRAISIER_WEBHOOK_SECRET} ", "[] "),
        "fraises.yaml:4: git.github.webhook_secret: should not be empty",
    ),
    "a number that is none": (
        ("        branch: main", "        branch: main\n        timeout: soon"),
        'fraises.yaml:14: fraises.my_api.environments.production.timeout: should be a number, found "soon"',
    ),
    "a wait without end": (
        ("        branch: main", "        branch: main\n        timeout: 1e999"),
        "fraises.yaml:14: fraises.my_api.environments.production.timeout: "
        'should be a finite number, found "1e999"',
    ),
    "a relative app_path": (
        ("/var/www/api", "www/api"),
        "fraises.yaml:14: fraises.my_api.environments.production.app_path: must be an absolute path",
    ),
    "two health checks": (
        ("{url: https", "{tcp: 'localhost:80', url: https"),
        "fraises.yaml:16: fraises.my_api.environments.production.health_check: "
        "set exactly one of url, command, tcp, unit",
    ),
    "an expectation of what is no address": (
        ("{url: https://api.example.com/health}", "{tcp: 'localhost:80', expect: {status: 200}}"),
        "fraises.yaml:16: fraises.my_api.environments.production.health_check: "
        "expect, headers and host are for url alone",
    ),
    "an expectation of something unknown": (
        ("{url: https", "{expect: {statuss: 200}, url: https"),
        "fraises.yaml:16: fraises.my_api.environments.production.health_check.expect.statuss: "
        'unknown key; did you mean "status"?',
    ),
    "an expected status that is none": (
        ("{url: https", "{expect: {status: 7}, url: https"),
        "fraises.yaml:16: fraises.my_api.environments.production.health_check.expect.status: "
        "should be at least 100, found 7",
    ),
    "a header that is none": (
        ("{url: https", "{headers: {'X Y': a}, url: https"),
        "fraises.yaml:16: fraises.my_api.environments.production.health_check.headers.X Y: "
        "is not the name of a header",
    ),
    "a header with a key of its own": (
        ("{url: https", "{headers: {Host: a}, url: https"),
        "fraises.yaml:16: fraises.my_api.environments.production.health_check.headers.Host: is set by host",
    ),
    "a header of two lines": (
        ("{url: https", '{headers: {X-A: "a\\nb"}, url: https'),
        "fraises.yaml:16: fraises.my_api.environments.production.health_check.headers.X-A: "
        "must be one line of printable ASCII characters",
    ),
    "an environment that is no mapping": (
        ("      production:\n", "      staging: main\n      production:\n"),
        'fraises.yaml:11: fraises.my_api.environments.staging: should be a mapping, found "main"',
    ),
    "a branch that is an option": (
        ("        branch: main", "        branch: --upload-pack=x"),
        "fraises.yaml:13: fraises.my_api.environments.production.branch: is not a branch name",
    ),
    "a fraise name that leaves the folder": (
        ("\n  my_api:\n", "\n  ../x:\n    type: api\n    environments: {a: {}}\n  my_api:\n"),
        "fraises.yaml:6: fraises.../x: a name is 1 to 63 of a-z, 0-9, _ and -, "
        "and starts and ends with a letter or digit",
    ),
    "an environment name in capitals": (
        ("      production:\n", "      Staging: {}\n      production:\n"),
        "fraises.yaml:11: fraises.my_api.environments.Staging: a name is 1 to 63 of a-z, 0-9, _ and -, "
        "and starts and ends with a letter or digit",
    ),
    "no environments": (
        ("\n  my_api:\n", "\n  other: {type: api, environments: {}}\n  my_api:\n"),
        "fraises.yaml:6: fraises.other.environments: should not be empty, found a mapping",
    ),
    "a rule for an unknown fraise": (
        ("fraise: my_api", "fraise: my_app"),
        'fraises.yaml:18: branch_mapping.main.fraise: no fraise is called "my_app"; '
        'did you mean "my_api"? (known: my_api)',
    ),
    "a rule for an unknown environment": (
        ("environment: production", "environment: prodction"),
        'fraises.yaml:18: branch_mapping.main.environment: no environment of my_api is called "prodction"; '
        'did you mean "production"? (known: production)',
    ),
    "a branch that is mapped elsewhere": (
        ("        branch: main", "        branch: develop"),
        'fraises.yaml:13: fraises.my_api.environments.production.branch: is "develop", '
        'but branch_mapping deploys "main" (line 18) here',
    ),
    "one app_path for two environments": (
        ("      production:\n", "      staging: {app_path: /var/www/../www/api/}\n      production:\n"),
        "fraises.yaml:15: fraises.my_api.environments.production.app_path: "
        "is the same as fraises.my_api.environments.staging.app_path (line 11)",
    ),
    "a target that is there twice": (
        (
            "{fraise: my_api, environment: production} ",
            "\n  - {fraise: my_api, environment: production}"
            "\n  - {fraise: my_api, environment: production, paths: [src]} ",
        ),
        "fraises.yaml:20: branch_mapping.main.1: duplicate rule for my_api production",
    ),
    "a path from the root": (
        ("environment: production}", "environment: production, paths: [/src]}"),
        "fraises.yaml:18: branch_mapping.main.paths: "
        "should be relative to the repository, without a leading /, : or ..; !docs excludes docs",
    ),
    "a path out of the repository": (
        ("environment: production}", "environment: production, paths: ['!../x']}"),
        "fraises.yaml:18: branch_mapping.main.paths: "
        "should be relative to the repository, without a leading /, : or ..; !docs excludes docs",
    ),
    "a magic pathspec": (
        ("environment: production}", "environment: production, paths: [':(exclude)docs']}"),
        "fraises.yaml:18: branch_mapping.main.paths: "
        "should be relative to the repository, without a leading /, : or ..; !docs excludes docs",
    ),
    "a full ref": (
        ("  main: {", "  refs/heads/main: {"),
        "fraises.yaml:18: branch_mapping.refs/heads/main: "
        "should be the name alone, without refs/heads/ or refs/tags/",
    ),
    "a rule that is an option": (
        ("  main: {", "  --main: {"),
        "fraises.yaml:18: branch_mapping.--main: is not a branch name; a glob may use *, ** and ?",
    ),
    "a default provider without a section": (
        ("provider: github ", "provider: gitlab "),
        'fraises.yaml:2: git.provider: "gitlab" has no section under git; '
        'did you mean "github"? (sections: github)',
    ),
    "a default provider that is no name": (
        ("provider: github ", "provider: [github] "),
        "fraises.yaml:2: git.provider: should be the name of a provider",
    ),
    "a provider's section that is no mapping": (
        ("  github:\n", "  gitlab: token\n  github:\n"),
        "fraises.yaml:3: git.gitlab: should be a mapping of settings, found text",
    ),
    "a repository that is a command": (
        ("https://github.com/acme/my-api.git", "ext::sh -c whoami"),
        "fraises.yaml:9: fraises.my_api.repository: holds a space or a control character",
    ),
    "a repository of another scheme": (
        ("https://github.com/acme/my-api.git", "ext::whoami"),
        "fraises.yaml:9: fraises.my_api.repository: should be https://, http://, ssh://, "
        "user@host:path, file:// or an absolute path",
    ),
    "a database of another kind": (
        ("branch_mapping:", "database: {url: postgresql://db/acme}\nbranch_mapping:"),
        "fraises.yaml:17: database.url: "
        'no store "postgresql" is installed (in a checkout of Fraisier, try: '
        "pip install ./packages/fraisier-postgres; installed: sqlite)",
    ),
    "a database that is no section": (
        ("branch_mapping:", "database: postgresql://deploy:hush@db/acme\nbranch_mapping:"),
        "fraises.yaml:17: database: should be a mapping",
    ),
    "a database that is no URL": (
        ("branch_mapping:", "database: {url: acme.db}\nbranch_mapping:"),
        "fraises.yaml:17: database.url: should begin with one of: sqlite:",
    ),
    "a database in the root directory": (
        ("branch_mapping:", "database: {url: sqlite:///acme.db}\nbranch_mapping:"),
        "fraises.yaml:17: database.url: names no file in a folder of its own; write "
        "sqlite:///absolute/path.db, or sqlite:path.db for a file beside the configuration",
    ),
    "a duplicate key": (
        ("    description: My", "    type: etl\n    description: My"),
        "fraises.yaml:8: fraises.my_api.type: duplicate key, first on line 7",
    ),
    "a placeholder without end": (
        ("description: My GraphQL API", "description: ${NAME"),
        "fraises.yaml:8: fraises.my_api.description: ${ without }; write $${ for the characters themselves",
    ),
    "a placeholder that is none": (
        ("description: My GraphQL API", "description: ${my name}"),
        "fraises.yaml:8: fraises.my_api.description: "
        "${my name} is none of ${VAR}, ${VAR:-default}, ${file:/path}",
    ),
}


@pytest.mark.parametrize(("edit", "problem"), ONE_PROBLEM.values(), ids=ONE_PROBLEM.keys())
def test_a_problem_is_one_line_with_file_line_key_and_reason(
    plugins: Plugins, edit: tuple[str, str], problem: str
) -> None:
    assert problems(edited(*edit), plugins) == [problem]


def test_what_is_expected_may_name_the_commit_that_is_not_known_yet(plugins: Plugins) -> None:
    expect = "body: '${TOKEN}', json: {version: ['v-${commit}']}, header: {X-A: '${commit} ${TOKEN}'}"
    text = edited("{url: ", f"{{expect: {{{expect}}}, url: ")
    config = parse(text, plugins, {**SECRET, "TOKEN": "abcdef", "commit": "another"})
    check = config.environment("my_api", "production").settings.health_check
    assert check is not None
    found = check.for_commit("1" * 40).expect
    assert found is not None
    assert (found.body, found.json_) == ("abcdef", {"version": ["v-" + "1" * 40]})
    assert found.header == {"X-A": "1" * 40 + " abcdef"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("$${commit}", "${commit}"),
        ("a $${commit} of ${commit}", f"a ${{commit}} of {'1' * 40}"),
        ("$${TOKEN}", "${TOKEN}"),
        ("$$${commit}", "$${commit}"),
        ("${TRICKY}", "${commit} $${commit} ${"),
    ],
)
def test_what_is_expected_may_hold_the_characters_of_a_placeholder(
    plugins: Plugins, written: str, expected: str
) -> None:
    text = edited("{url: ", f"{{expect: {{body: '{written}', json: {{a: ['{written}']}}}}, url: ")
    config = parse(text, plugins, {**SECRET, "TRICKY": "${commit} $${commit} ${"})
    check = config.environment("my_api", "production").settings.health_check
    assert check is not None
    found = check.for_commit("1" * 40).expect
    assert found is not None
    assert (found.body, found.json_) == (expected, {"a": [expected]})


def test_elsewhere_the_commit_is_a_variable_like_others(plugins: Plugins) -> None:
    config = parse(edited("{url: https", "{headers: {X-A: '${commit}'}, url: https"), plugins)
    assert [message for message in config.unset.values() if "the variable commit is not set" in message]


def test_every_problem_is_reported_at_once_in_the_order_of_the_file(plugins: Plugins) -> None:
    text = edited("        branch: main", "        brnach: main\n        keep_releases: 1")
    text = edited("fraise: my_api", "fraise: unknown", text)
    text = edited("${FRAISIER_WEBHOOK_SECRET}", '""', text)
    assert problems(text, plugins) == [
        "fraises.yaml:4: git.github.webhook_secret: must not be empty",
        'fraises.yaml:13: fraises.my_api.environments.production.brnach: unknown key; did you mean "branch"?',
        "fraises.yaml:14: fraises.my_api.environments.production.keep_releases: "
        "should be at least 2, found 1",
        'fraises.yaml:19: branch_mapping.main.fraise: no fraise is called "unknown" (known: my_api)',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "fraises.yaml:1: is empty; it should say at least `fraises:`"),
        ("# nothing\n", "fraises.yaml:1: is empty; it should say at least `fraises:`"),
        ("- a\n", "fraises.yaml:1: should be a mapping of sections, found a list"),
        ("hello", "fraises.yaml:1: should be a mapping of sections, found text"),
        ("git: {}\n", "fraises.yaml:1: fraises: required key is missing"),
        ("fraises: [a]\n", "fraises.yaml:1: fraises: should be a mapping of fraises, found a list"),
    ],
)
def test_a_file_that_is_no_configuration_gets_one_clear_problem(
    plugins: Plugins, text: str, problem: str
) -> None:
    assert problems(text, plugins) == [problem]


@pytest.mark.parametrize(
    ("text", "place"), [("fraises:\n  a: {type: api\n", "3: column 1"), ("a: b: c", "1: column 5")]
)
def test_a_file_that_is_no_yaml_gets_one_problem_with_its_place(
    plugins: Plugins, text: str, place: str
) -> None:
    (problem,) = problems(text, plugins)
    assert problem.startswith(f"fraises.yaml:{place}: ")


def test_a_problem_never_shows_what_a_variable_holds(plugins: Plugins) -> None:
    text = edited("        branch: main", "        branch: main\n        timeout: ${TIMEOUT}")
    found = problems(text, plugins, {**SECRET, "TIMEOUT": "hunter2hunter2"})
    assert found == [
        "fraises.yaml:14: fraises.my_api.environments.production.timeout: "
        'should be a number, found "${TIMEOUT}"'
    ]


def test_a_variable_in_a_cross_check_is_masked(plugins: Plugins) -> None:
    found = problems(
        edited("branch: main", "branch: ${BRANCH}"), plugins, {**SECRET, "BRANCH": "very-secret"}
    )
    assert "very-secret" not in found[0]
    assert 'is "***"' in found[0]


def test_a_secret_field_of_a_type_is_never_shown(site: PackageFolder) -> None:
    site.deployer(
        "api",
        """
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
        """,
    )
    text = "fraises:\n  a:\n    type: api\n    environments:\n      b: {token: 987654321}\n"
    assert problems(text, site.plugins()) == [f"fraises.yaml:5: fraises.a.environments.b.token: {TEXT}"]


def test_nothing_secret_is_in_any_repr(plugins: Plugins) -> None:
    text = edited(
        "        branch: main", "        branch: main\n        env: {TOKEN: literal-token, DB: '${DB}'}"
    )
    text = edited("https://github.com", "https://bot:url-password@github.com", text)
    text = edited(
        "{url: https://api.example.com/health}", "{url: 'https://api.example.com/health?key=${DB}'}", text
    )
    config = parse(text, plugins, {**SECRET, "DB": "database-password"})
    environment = config.environment("my_api", "production")
    shown = repr([config, config.git.providers, environment, environment.settings]) + str(
        environment.settings
    )
    for secret in ("correct horse battery", "database-password", "url-password", "literal-token"):
        assert secret not in shown
    resolved = config.resolved("my_api", "production")
    assert resolved.secrets == {"database-password", "url-password"}
    assert "database-password" not in repr(resolved)


def test_an_unset_variable_does_not_keep_the_configuration_from_loading(plugins: Plugins) -> None:
    config = parse(EXAMPLE, plugins, {})
    assert config.git.providers == {}
    assert config.git.default == "github"
    assert config.environment("my_api", "production").settings.branch == "main"
    config.require("fraises")
    for prefix in [(), ("git",), ("git", "github"), ("git", "github", "webhook_secret")]:
        with pytest.raises(UnsetVariableError) as caught:
            config.require(*prefix)
        assert caught.value.problems == [
            f"{FILE}:4: git.github.webhook_secret: the variable FRAISIER_WEBHOOK_SECRET is not set"
        ]


def test_an_environment_that_needs_an_unset_variable_has_no_settings_but_can_be_listed(
    plugins: Plugins,
) -> None:
    text = edited(
        "        branch: main",
        "        branch: main\n        timeout: ${TIMEOUT}\n        env: {A: '$B${C}'}",
    )
    environment = parse(text, plugins).environment("my_api", "production")
    assert (environment.branch, environment.app_path) == ("main", Path("/var/www/api"))
    with pytest.raises(UnsetVariableError) as caught:
        _ = environment.settings
    assert caught.value.problems == [
        f"{FILE}:14: fraises.my_api.environments.production.timeout: the variable TIMEOUT is not set",
        f"{FILE}:15: fraises.my_api.environments.production.env.A: the variable C is not set",
    ]


def test_an_unset_variable_hides_only_the_problems_it_causes(plugins: Plugins) -> None:
    text = edited("        branch: main", "        brnach: main\n        timeout: ${TIMEOUT}")
    assert problems(text, plugins) == [
        'fraises.yaml:13: fraises.my_api.environments.production.brnach: unknown key; did you mean "branch"?'
    ]


def test_an_unset_repository_is_not_known(plugins: Plugins) -> None:
    config = parse(edited("https://github.com/acme/my-api.git", "${REPOSITORY}"), plugins)
    repository = config.environment("my_api", "production").repository
    assert repository.url is None
    assert repository.unknown == f"{FILE}:9: fraises.my_api.repository: the variable REPOSITORY is not set"


def test_a_rule_that_needs_an_unset_variable_matches_nothing(plugins: Plugins) -> None:
    config = parse(edited("environment: production}", "environment: '${WHERE}'}"), plugins)
    assert config.branch_mapping == ()
    with pytest.raises(UnsetVariableError, match="the variable WHERE is not set"):
        config.require("branch_mapping")


def test_an_unset_database_keeps_everything_from_loading(plugins: Plugins) -> None:
    text = EXAMPLE + "database: {url: 'sqlite://${STATE}/acme.db'}\n"
    with pytest.raises(UnsetVariableError, match=r":19: database\.url: the variable STATE is not set"):
        parse(text, plugins)


def test_a_scalar_that_is_one_variable_may_be_a_number(plugins: Plugins) -> None:
    text = edited("        branch: main", "        branch: main\n        timeout: ${TIMEOUT}")
    text = edited("environment: production}", "environment: production, tags: '${TAGS}'}", text)
    config = parse(text, plugins, {**SECRET, "TIMEOUT": "12.5", "TAGS": "true"})
    assert config.environment("my_api", "production").settings.timeout == 12.5
    assert config.branch_mapping[0].tags is True


def test_the_worker_never_resolves_what_stands_under_git(plugins: Plugins) -> None:
    config = parse(EXAMPLE, plugins, parts=())
    assert config.git.providers == {}
    assert config.git.default == "github"
    config.require("git")
    assert "acme_github" not in sys.modules


def test_the_worker_still_refuses_a_git_section_of_the_wrong_shape(plugins: Plugins) -> None:
    text = edited("  github:\n", "  gitlab: token\n  github:\n")
    assert problems(text, plugins, parts=()) == [
        "fraises.yaml:3: git.gitlab: should be a mapping of settings, found text"
    ]


def test_a_provider_that_is_not_installed_is_kept_with_its_reason(plugins: Plugins) -> None:
    config = parse(EXAMPLE.replace("github", "forgo"), plugins)
    assert config.git.providers == {}
    assert config.git.missing == {
        "forgo": 'no provider "forgo" is installed (install the package that offers it '
        "(entry-point group fraisier.providers); installed: github, gitlab)"
        "; a section with a name of its own needs `type:`"
    }


INSTANCES = """\
git:
  provider: work
  work:
    type: gitlab
    webhook_secret: [one secret, {secret: another secret, repositories: "git@host:a/b"}]
  home: {type: gitlab, webhook_secret: home secret, hosts: [Git.Example.com, "h:8443"]}
fraises: {}
"""


def test_a_section_may_have_a_name_of_its_own_and_a_type(plugins: Plugins) -> None:
    git = parse(INSTANCES, plugins).git
    assert (git.default, git.types) == ("work", {"work": "gitlab", "home": "gitlab"})
    assert git.hosts == {"work": frozenset(), "home": {"git.example.com", "h:8443"}}
    assert git.providers["work"].secrets() == ("one secret", "another secret")
    assert git.providers["work"].bounds() == (None, ("git@host:a/b",))
    without = parse(INSTANCES, plugins, parts=()).git
    assert (without.types, without.hosts, without.providers) == (git.types, git.hosts, {})


def test_a_bound_secret_is_not_shown(plugins: Plugins) -> None:
    git = parse(INSTANCES, plugins).git
    shown = repr([git, *git.providers.values(), *git.providers["work"].webhook_secret])
    assert not any(secret in shown for each in git.providers.values() for secret in each.secrets())


SECRETS = 'webhook_secret: [one secret, {secret: another secret, repositories: "git@host:a/b"}]'


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("another secret", "one secret", "webhook_secret: has the same secret twice"),
        ('"git@host:a/b"', "[]", "webhook_secret.1.repositories: should not be empty"),
        ('"git@host:a/b"', "", "webhook_secret.1.repositories: should be text, in quotes if YAML would read"),
        (', repositories: "git@host:a/b"', "", "webhook_secret.1.repositories: required key is missing"),
        (
            "repositories:",
            "repository:",
            'webhook_secret.1.repository: unknown key; did you mean "repositories"?',
        ),
        ("another secret", '""', "webhook_secret.1.secret: must not be empty"),
        ("secret: another secret, ", "", "webhook_secret.1.secret: required key is missing"),
        ("git@host:a/b", "ext::sh", "webhook_secret.1.repositories: should be https://"),
        (
            SECRETS,
            'webhook_secret: {secret: x, repositories: "a b"}',
            "webhook_secret.repositories: holds a space",
        ),
        (
            SECRETS,
            f"webhook_secret: [{', '.join(f'secret {n}' for n in range(21))}]",
            "at most 20 entries",
        ),
        ("hosts: [Git", "hosts: [https://Git", "hosts.0: is not a host, such as git.example.com or"),
        ("type: gitlab\n", "type: [gitlab]\n", "git.work.type: should be the name of a provider's plugin"),
    ],
)
def test_what_is_wrong_with_an_instance_is_said_without_its_secrets(
    plugins: Plugins, old: str, new: str, expected: str
) -> None:
    found = problems(edited(old, new, INSTANCES).replace("provider: work", "provider: home"), plugins)
    assert any(expected in problem for problem in found)
    assert "another secret" not in str(found)


def test_a_secret_that_two_instances_have_is_a_warning(plugins: Plugins) -> None:
    found = "git.home.webhook_secret: has a secret that git.work has as well; give each a secret of its own"
    *_, warning = parse(edited("home secret", "one secret", INSTANCES), plugins).warnings
    assert warning.endswith(found)
    assert "one secret" not in warning


def test_a_fraise_whose_type_is_not_installed_is_listed_with_its_problem(plugins: Plugins) -> None:
    config = parse(edited("type: api", "type: apy"), plugins)
    fraise = config.fraise("my_api")
    assert fraise.problem is not None
    assert fraise.problem.startswith('no fraise type "apy" is installed; did you mean "api"?')
    environment = config.environment("my_api", "prod")
    assert (environment.branch, environment.app_path) == ("main", Path("/var/www/api"))
    with pytest.raises(PluginError, match='no fraise type "apy"'):
        _ = environment.settings


def test_an_environment_is_found_by_an_unambiguous_beginning(plugins: Plugins) -> None:
    text = edited("      production:\n", "      preview: {}\n      staging: {}\n      production:\n")
    config = parse(text, plugins)
    assert config.environment("my_api", "prod").name == "production"
    assert config.environment("my_api", "production").name == "production"
    for name, message in [
        ("pr", '"pr" is ambiguous: it begins preview, production'),
        (
            "produktion",
            'no environment of my_api is called "produktion"; did you mean "production"? '
            "(known: preview, production, staging)",
        ),
        ("", 'no environment of my_api is called "" (known: preview, production, staging)'),
    ]:
        with pytest.raises(UnknownNameError) as caught:
            config.environment("my_api", name)
        assert str(caught.value) == message


def test_an_unknown_fraise_is_answered_with_the_nearest(plugins: Plugins) -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse(EXAMPLE, plugins).environment("my-api", "production")
    assert str(caught.value) == 'no fraise is called "my-api"; did you mean "my_api"? (known: my_api)'


@pytest.mark.parametrize(
    ("path", "section", "database"),
    [
        ("/srv/acme/fraises.yaml", "", "/srv/acme/.fraisier/fraisier.db"),
        ("/etc/fraisier/fraises.yaml", "", "/var/lib/fraisier/fraisier.db"),
        ("/etc/fraisier/x/fraises.yaml", "", "/etc/fraisier/x/.fraisier/fraisier.db"),
        ("/srv/acme/fraises.yaml", "database: {url: sqlite:///data/acme.db}", "/data/acme.db"),
        ("/srv/acme/fraises.yaml", "database: {url: sqlite:////data/acme.db}", "/data/acme.db"),
        ("/srv/acme/fraises.yaml", "database: {url: sqlite:acme.db}", "/srv/acme/acme.db"),
        ("/srv/acme/fraises.yaml", "database: {url: sqlite://state/acme.db}", "/srv/acme/state/acme.db"),
    ],
)
def test_the_place_of_the_store_follows_from_the_file(
    plugins: Plugins, path: str, section: str, database: str
) -> None:
    config = parse_config(EXAMPLE + section + "\n", Path(path), plugins, SECRET)
    assert config.database == f"sqlite://{database}"


@pytest.mark.parametrize("place", ["${GONE}", "/srv/${GONE}"])
def test_a_state_folder_whose_variable_is_not_set_is_none(
    plugins: Plugins, tmp_path: Path, place: str
) -> None:
    path = tmp_path / "fraises.yaml"
    path.write_text(f"{EXAMPLE}state_dir: {place}\n")
    for read in (load_config, place_of_store):
        with pytest.raises(UnsetVariableError, match=r":19: state_dir: the variable GONE is not set"):
            read(path, plugins, SECRET)


def test_a_link_to_the_file_has_the_store_of_the_file(
    plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "fraises.yaml").write_text(EXAMPLE)
    (tmp_path / "fraises.yaml").symlink_to(real / "fraises.yaml")
    monkeypatch.chdir(tmp_path)
    config = load_config(Path("fraises.yaml"), plugins, SECRET)
    assert config.path == real / "fraises.yaml"
    assert config.state_dir == real / ".fraisier"


def test_the_configuration_is_found_where_it_is_named_or_in_the_usual_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = tmp_path / "fraises.yaml"
    other = tmp_path / "other.yaml"
    here.write_text("")
    other.write_text("")
    assert find_config(None, {}) == Path("fraises.yaml")
    assert find_config(None, {"FRAISIER_CONFIG": str(other)}) == other
    assert find_config(here, {"FRAISIER_CONFIG": str(other)}) == here


def test_a_configuration_that_is_not_there_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone.yaml"
    for explicit, environ, message in [
        (gone, {}, f"{gone}: no such file (named by -c)"),
        (None, {"FRAISIER_CONFIG": str(gone)}, f"{gone}: no such file (named by FRAISIER_CONFIG)"),
        (
            None,
            {},
            "no configuration found; "
            "looked at -c FILE, $FRAISIER_CONFIG, ./fraises.yaml, /etc/fraisier/fraises.yaml",
        ),
    ]:
        with pytest.raises(ConfigurationError) as caught:
            find_config(explicit, environ)
        assert str(caught.value) == message


def test_a_file_that_cannot_be_read_says_why(plugins: Plugins, tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"fraises:\n  # caf\xe9\n")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 1_000_001)
    for path, message in [
        (tmp_path / "gone.yaml", f"cannot be read: {os.strerror(errno.ENOENT)}"),
        (tmp_path, f"cannot be read: {os.strerror(errno.EISDIR)}"),
        (Path(os.devnull), "is not a regular file"),
        (large, "larger than 1,000,000 bytes"),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            load_config(path, plugins, {})
    with pytest.raises(ConfigurationError, match=r"latin\.yaml:2: is not UTF-8 text"):
        load_config(latin, plugins, {})


def test_a_clone_without_repository_says_whose_it_is(plugins: Plugins, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "-q", clone], check=True)
    subprocess.run(
        ["git", "-C", clone, "remote", "add", "origin", "git@github.com:acme/my-api.git"], check=True
    )
    text = edited("    repository: https://github.com/acme/my-api.git ", "    ")
    text = edited("/var/www/api", str(clone), text)
    config = parse(text, plugins)
    assert config.fraise("my_api").reach.repository is None
    repository = config.environment("my_api", "production").repository
    assert repository.url == "git@github.com:acme/my-api.git"
    assert repository.identity == "github.com/acme/my-api"


def test_without_repository_and_app_path_nothing_is_known(plugins: Plugins) -> None:
    text = edited("    repository: https://github.com/acme/my-api.git ", "    ")
    text = edited("        app_path: /var/www/api\n", "", text)
    repository = parse(text, plugins).environment("my_api", "production").repository
    assert repository.unknown == "no `repository:`, and no `app_path:` whose clone could say it"


def source_of(path: Path, plugins: Plugins) -> ConfigSource:
    return ConfigSource(path, plugins, SECRET)


def write(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def test_a_changed_file_is_loaded_again(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "fraises.yaml"
    path.write_text(EXAMPLE)
    source = source_of(path, plugins)
    first = source.current()
    assert source.current() is first
    write(path, edited("My GraphQL API", "Another"))
    assert source.current().fraise("my_api").description == "Another"


@pytest.mark.parametrize("broken", ["fraises: [", "fraises: 3\n", None])
def test_a_change_that_cannot_be_used_keeps_the_last_good_configuration(
    plugins: Plugins, tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str | None
) -> None:
    path = tmp_path / "fraises.yaml"
    path.write_text(EXAMPLE)
    source = source_of(path, plugins)
    good = source.current()
    if broken is None:
        path.unlink()
    else:
        write(path, broken)
    with caplog.at_level(logging.WARNING):
        assert source.current() is good
        assert source.current() is good
    assert len(caplog.records) == 1
    assert f"the last valid one stays in force:\n{path}:" in caplog.text
    write(path, EXAMPLE)
    assert isinstance(source.current(), Config)
    assert source.current() is not good


def test_a_file_that_cannot_be_used_from_the_start_is_an_error(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "fraises.yaml"
    path.write_text("fraises: 3\n")
    with pytest.raises(ConfigurationError):
        source_of(path, plugins)


def test_a_process_says_which_variables_it_needs(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "fraises.yaml"
    path.write_text(EXAMPLE)
    with pytest.raises(UnsetVariableError):
        ConfigSource(path, plugins, {}, parts={"git"}, needs=[("git",)])
    ConfigSource(path, plugins, {}, needs=[("fraises",)])


def test_a_name_may_have_63_characters_and_no_more(plugins: Plugins) -> None:
    for name in ("a", "0", "a-b_c", "a" * 63):
        assert parse(EXAMPLE.replace("my_api", f"'{name}'"), plugins).fraise(name)
    for name in ("a" * 64, "_a", "a-", "Ä", "a.b", "a b"):
        found = problems(EXAMPLE.replace("my_api", f"'{name}'"), plugins)
        assert any("a name is 1 to 63" in problem for problem in found)


def test_the_variables_of_git_alone_are_named(plugins: Plugins) -> None:
    text = edited("main\n", "main\n        env: {A: '${SHARED} $${ESCAPED}'}\n")
    text = edited("${FRAISIER_WEBHOOK_SECRET}", "['${FRAISIER_WEBHOOK_SECRET}', '${SHARED}']", text)
    config = parse(text, plugins, {**SECRET, "SHARED": "a value"})
    assert config.secret_variables() == {"FRAISIER_WEBHOOK_SECRET"}
    assert config.variables["fraises"] == {"SHARED"}


def test_secrets_of_every_kind_are_redacted(site: PackageFolder) -> None:
    site.deployer(
        "api",
        """
        from pydantic import BaseModel, SecretBytes, SecretStr
        from fraisier_core.markers import hookimpl
        from fraisier_core.settings import EnvironmentSettings
        class Mail(BaseModel):
            password: SecretBytes
        class Settings(EnvironmentSettings):
            token: SecretStr
            mails: tuple[Mail, ...] = ()
        @hookimpl
        def settings(): return Settings
        @hookimpl
        def deploy(run): pass
        @hookimpl
        def health_check(run): pass
        """,
    )
    text = edited(
        "        systemd_service: api.service",
        "        token: literal-token\n        mails: [{password: mail-password}]\n"
        "        env: {A: '${FROM_A}'}",
    )
    text += "state_dir: ${PLACE}\n"
    config = parse(text, site.plugins(), {**SECRET, "PLACE": "/srv/place", "FROM_A": "value-of-a"})
    assert config.resolved("my_api", "production").secrets == {
        "literal-token", "mail-password", "value-of-a", "/srv/place"
    }  # fmt: skip


def test_a_fifo_is_refused_without_waiting_for_a_writer(plugins: Plugins, tmp_path: Path) -> None:
    fifo = tmp_path / "fraises.yaml"
    os.mkfifo(fifo)
    with pytest.raises(ConfigurationError, match="is not a regular file"):
        load_config(fifo, plugins, {})


def test_a_provider_with_one_unset_secret_of_two_is_not_used_at_all(plugins: Plugins) -> None:
    text = edited("${FRAISIER_WEBHOOK_SECRET}", "['${FRAISIER_WEBHOOK_SECRET}', '${NEXT_SECRET}']")
    config = parse(text, plugins)
    assert config.git.providers == {}
    assert config.git.missing == {}
    with pytest.raises(UnsetVariableError, match=r"git\.github\.webhook_secret\.1: the variable NEXT_SECRET"):
        config.require("git")


def test_nothing_that_stands_under_git_is_shown(site: PackageFolder) -> None:
    settings = """
from fraisier_core.provider_settings import ProviderSettings

class Settings(ProviderSettings):
    installation: int

@hookimpl
def settings():
    return Settings
"""
    site.provider("github", PROVIDER + settings)
    site.deployer("api")
    text = edited("    webhook_secret: $", "    installation: hunter2\n    webhook_secret: $")
    assert problems(text, site.plugins()) == [
        "fraises.yaml:4: git.github.installation: should be a whole number"
    ]


ANCHORS = """
x-health: &health
  command: ["true"]
  timeout: 2
x-notes: ["${NOT_SET} ${", 3]
x-environment: &environment
  branch: main
  health_check: *health
  env: {TOKEN: "${TOKEN}"}
fraises:
  my_api:
    type: api
    repository: https://git.example.com/acme/my-api.git
    environments:
      production: {<<: *environment, app_path: /srv/production}
      staging: {<<: *environment, branch: next, health_check: {<<: *health, timeout: 3}}
"""


def test_a_section_for_anchors_is_read_through_its_aliases(plugins: Plugins) -> None:
    config = parse(ANCHORS, plugins, {"TOKEN": "value-of-token"})
    settings = [config.environment("my_api", name).settings for name in ("production", "staging")]
    assert [each.branch for each in settings] == ["main", "next"]
    assert [each.health_check and each.health_check.timeout for each in settings] == [2, 3]
    assert config.resolved("my_api", "staging").secrets == {"value-of-token"}
    assert config.variables == {"fraises": {"TOKEN"}}
    assert parse("x-: 1\nx-a-b: text\nx-c:\n" + EXAMPLE, plugins).fraises


@pytest.mark.parametrize("key", ["x_a", "X-a", "x", "xa"])
def test_only_a_section_whose_name_begins_with_x_and_a_hyphen_may_be_anything(
    plugins: Plugins, key: str
) -> None:
    assert problems(f"{EXAMPLE}{key}: 1\n", plugins)[0].startswith(f"fraises.yaml:19: {key}: unknown key")


def env(text: str, plugins: Plugins, **environ: str) -> tuple[Mapping[str, str], frozenset[str]]:
    """Return an environment's variables as its commands get them, and what is redacted in their output."""
    config = parse(edited("        branch: main", f"        env: {text}"), plugins, SECRET | environ)
    resolved = config.resolved("my_api", "production")
    return config.environment("my_api", "production").settings.env, resolved.secrets


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("{A: ${APP_ENV}}", {"production"}),
        ("{A: {value: ${APP_ENV}}}", {"production"}),
        ("{A: {value: ${APP_ENV}, secret: true}}", {"production"}),
        ("{A: {value: ${APP_ENV}, secret: false}}", set()),
        ("{A: {value: ${APP_ENV}, secret: false}, B: 'x ${APP_ENV}'}", {"production"}),
        ("{A: {value: 'x ${APP_ENV}', secret: false}, B: ${OTHER}}", {"another value"}),
        ("{A: {value: '${file:/proc/sys/kernel/ostype} x', secret: false}}", set()),
        ("{A: literal}", set()),
        ("{A: {value: literal}}", set()),
        ("{A: {value: literal, secret: false}}", set()),
        ("{A: {value: literal, secret: true}}", {"literal"}),
        ("{A: '${GONE:-a default}'}", set()),
    ],
)
def test_a_variable_says_whether_it_is_a_secret(plugins: Plugins, text: str, secrets: set[str]) -> None:
    values, found = env(text, plugins, APP_ENV="production", OTHER="another value")
    assert found == secrets
    assert all(isinstance(value, str) and "${" not in value for value in values.values())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{value: x, secert: true}", "takes the keys value and secret, and needs value"),
        ("{secret: true}", "takes the keys value and secret, and needs value"),
        ("{value: x, secret: 'no'}", "secret should be true or false"),
        ("{value: 3}", f"{TEXT}, found a mapping"),
        ("[x]", f"{TEXT}, found a list"),
    ],
)
def test_a_variable_is_text_or_says_its_value(plugins: Plugins, text: str, problem: str) -> None:
    found = problems(edited("        branch: main", f"        env: {{A: {text}}}"), plugins)
    assert found == [f"fraises.yaml:13: fraises.my_api.environments.production.env.A: {problem}"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("api on ${HOST}", "api on ${HOST}"),
        ("'${GONE:-a default}'", "${GONE:-a default}"),
        ("${file:/proc/sys/kernel/ostype}", "${file:/proc/sys/kernel/ostype}"),
        ("$${HOST}", "${HOST}"),
        ("plain", "plain"),
    ],
)
def test_what_people_read_of_an_environment_shows_no_value_of_a_variable(
    plugins: Plugins, written: str, shown: str
) -> None:
    text = edited("name: api.example.com", f"name: {written}")
    text = edited("description: My GraphQL API", f"description: {written}", text)
    fraise = parse(text, plugins, SECRET | {"HOST": "secret-host"}).fraise("my_api")
    assert (fraise.description, fraise.environments["production"].title) == (shown, shown)


def test_a_branch_is_never_a_secret(plugins: Plugins) -> None:
    text = edited("branch: main", "branch: ${BRANCH}\n        env: {A: ${TOKEN}}")
    text = edited("\n  main: {", "\n  '*': {", text)
    config = parse(text, plugins, SECRET | {"BRANCH": "release", "TOKEN": "a token"})
    assert config.resolved("my_api", "production").secrets == {"a token"}


def test_a_change_to_a_type_that_is_not_there_keeps_the_last_good_configuration(
    plugins: Plugins, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "fraises.yaml"
    path.write_text(EXAMPLE)
    source = ConfigSource(path, plugins, SECRET, parts={"git"})
    good = source.current()
    write(path, edited("type: api", "type: apy"))
    assert source.current() is good
    assert "the last valid one stays in force" in caplog.text
    source = ConfigSource(path, plugins, SECRET, parts={"git"})  # from the start, the others can be used
    write(path, edited("My GraphQL API", "Another", edited("type: api", "type: apy")))
    assert source.current().fraise("my_api").description == "Another"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fraises:\nmy_app:\n  type: api\n", "2: my_app: unknown key; wrong indentation? `fraises:` above"),
        (
            "fraises:\n  my_api:\n    type: api\n    environments:\n    production: {branch: main}\n",
            "5: fraises.my_api.production: unknown key; wrong indentation? `environments:` above",
        ),
        ("branch_mapping:\nmain: {}\nv1: {}\nfraises: {}\n", "3: v1: unknown key; wrong indentation?"),
        ("fraises: {}\nmy_app: {}\n", "2: my_app: unknown key; known here:"),
        ("fraises: {}\nstate_dir:\nfraise: {}\n", '3: fraise: unknown key; did you mean "fraises"?'),
    ],
)
def test_a_key_that_is_not_deep_enough_is_told_so(plugins: Plugins, text: str, expected: str) -> None:
    assert any(each.startswith(f"fraises.yaml:{expected}") for each in problems(text, plugins))
