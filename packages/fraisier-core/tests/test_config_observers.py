from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fraisier_core.config import PARTS, Config, parse_config
from fraisier_core.config.schema import config_schema
from fraisier_core.errors import ConfigurationError
from fraisier_core.plugins import OBSERVERS

from tests.packages import DEPLOYER, PackageFolder

FRAISES = "fraises: {}\n"
NOTIFIER = """
from fraisier_core import ObserverSettings, hookimpl
from pydantic import SecretStr

class Settings(ObserverSettings):
    address: str
    token: SecretStr = SecretStr("")

@hookimpl
def settings():
    return Settings

@hookimpl
def deployment_changed(deployment, event, settings):
    pass
"""
COUNTER = """
from fraisier_core import hookimpl

@hookimpl
def deployment_changed(deployment, event, settings):
    pass
"""


@pytest.fixture
def observers(site: PackageFolder) -> PackageFolder:
    site.install(OBSERVERS.group, "notifier", NOTIFIER)
    return site


def parse(text: str, site: PackageFolder, *parts: str, **environ: str) -> Config:
    return parse_config(FRAISES + text, Path("fraises.yaml"), site.plugins(), environ, parts=parts or PARTS)


def problems(text: str, site: PackageFolder) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, site)
    return caught.value.problems


def test_an_observer_with_a_section_is_active(observers: PackageFolder) -> None:
    config = parse("notifier: {address: here, timeout: 3}\n", observers)
    settings = config.observers.active["notifier"]
    assert settings.timeout == 3
    assert settings.model_dump()["address"] == "here"


def test_an_observer_without_a_section_is_active_if_it_needs_none(observers: PackageFolder) -> None:
    observers.install(OBSERVERS.group, "counter", COUNTER)
    assert set(parse("", observers).observers.active) == {"counter"}
    assert parse("counter:\n", observers).observers.active["counter"].timeout == 10


def test_a_section_is_checked_with_its_lines(observers: PackageFolder) -> None:
    assert problems("notifier:\n  adress: here\n  token: 8\n", observers) == [
        "fraises.yaml:2: notifier.address: required key is missing",
        'fraises.yaml:3: notifier.adress: unknown key; did you mean "address"?',
        "fraises.yaml:4: notifier.token: should be text, in quotes if YAML would read something else",
    ]


def test_a_section_of_an_observer_that_is_not_installed_is_unknown(observers: PackageFolder) -> None:
    assert problems("notifyer: {}\n", observers) == [
        'fraises.yaml:2: notifyer: unknown key; did you mean "notifier"?'
    ]


def test_an_observer_never_gets_a_section_of_the_core(site: PackageFolder) -> None:
    site.install(OBSERVERS.group, "database", COUNTER)
    assert not parse("database: {url: 'sqlite:store.db'}\n", site).observers.active


def test_what_an_observer_lacks_is_kept_with_its_name(observers: PackageFolder) -> None:
    observers.install(OBSERVERS.group, "broken", "import acme_nowhere")
    assert not parse("", observers).observers.missing
    missing = parse("notifier: {address: '${NOT_SET}'}\nbroken:\n", observers).observers.missing
    assert missing["notifier"] == "fraises.yaml:2: notifier.address: the variable NOT_SET is not set"
    assert "set aside" in missing["broken"]


def test_its_secrets_are_known(observers: PackageFolder) -> None:
    config = parse("notifier: {address: '${HERE}', token: tokentoken}\n", observers, HERE="address")
    assert config.observers.secrets == {"address", "tokentoken"}
    assert "tokentoken" not in repr(config)


def test_only_a_process_that_asks_for_observers_imports_and_resolves_them(observers: PackageFolder) -> None:
    text = "notifier: {adress: '${ANYTHING}'}\n"
    config = parse(text, observers, "git", ANYTHING="very-secret")
    assert not config.observers.active
    assert not config.observers.secrets
    assert "acme_notifier" not in sys.modules


TELLER = """
from fraisier_core import ProviderObserverSettings, hookimpl

class Settings(ProviderObserverSettings):
    providers = ("forge",)

@hookimpl
def settings():
    return Settings

@hookimpl
def deployment_changed(deployment, event, settings, context):
    pass
"""
SPEAKING = """
from fraisier_core import StatusApi, status_hooks

class Statuses(StatusApi):
    providers = ("forge",)
    path = "/api"

settings, deployment_changed = status_hooks(Statuses)
"""
FORGES = """
git:
  forge: {webhook_secret: "${SECRET}", api_token: "${TOKEN}", hosts: Git.example.com}
  other: {type: forge, webhook_secret: s, api_token: "${GONE}"}
  silent: {type: forge, webhook_secret: s}
  foreign: {webhook_secret: s, api_token: "${TOKEN}"}
"""


@pytest.fixture
def teller(site: PackageFolder) -> PackageFolder:
    site.install(OBSERVERS.group, "statuses", TELLER)
    site.provider("forge")
    return site


def test_an_observer_of_a_provider_gets_the_sections_that_have_a_token(teller: PackageFolder) -> None:
    config = parse(FORGES, teller, "observers", TOKEN="t0ken-of-forge", SECRET="a-secret")
    assert set(config.observers.active) == {"statuses"}
    forges = config.observers.forges["statuses"]
    assert {name: each.hosts for name, each in forges.items()} == {"forge": ("git.example.com",)}
    assert forges["forge"].api_token.get_secret_value() == "t0ken-of-forge"
    assert config.observers.missing == {
        "statuses of git.other": "fraises.yaml:5: git.other.api_token: the variable GONE is not set"
    }
    assert config.observers.secrets == {"t0ken-of-forge"}
    assert "t0ken-of-forge" not in repr(config)
    assert not config.git.providers


def test_an_observer_of_a_provider_without_a_token_is_not_active(teller: PackageFolder) -> None:
    assert not parse("git: {forge: {webhook_secret: s}}\n", teller, "observers").observers.active


def test_a_token_of_a_forge_is_resolved_for_observers_alone(teller: PackageFolder) -> None:
    known = {"SECRET": "a-secret", "TOKEN": "t0ken-of-forge"}
    config = parse(FORGES, teller, "git", **known)
    assert config.git.providers["forge"].api_token is None
    assert not config.unset
    assert config.secret_variables() == {"SECRET"}
    whole = parse(FORGES, teller, **known, GONE="another-token")
    assert whole.git.providers["forge"].api_token is not None


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("api_url", "https://a:b@git.example.com", "must not hold a user or a password"),
        (
            "api_url",
            "http://git.example.com/api",
            "should begin with https://: over http:// the token could be read on the way",
        ),
        ("api_token", r"tok\nen", "must be one line of printable ASCII characters"),
        ("api_token", "tökén", "must be one line of printable ASCII characters"),
        ("api_token", " ", "must not be empty"),
    ],
)
def test_what_would_show_a_token_is_refused(
    teller: PackageFolder, key: str, value: str, problem: str
) -> None:
    keys = {"api_token": "t", "api_url": "https://git.example.com/api", key: value}
    said = ", ".join(f'{key}: "{value}"' for key, value in keys.items())
    section = f"git: {{forge: {{webhook_secret: s, {said}}}}}\n"
    assert problems(section, teller) == [f"fraises.yaml:2: git.forge.{key}: {problem}"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000"])
def test_an_api_on_this_host_needs_no_tls(teller: PackageFolder, host: str) -> None:
    section = f"git: {{forge: {{webhook_secret: s, api_token: t, api_url: 'http://{host}/api'}}}}\n"
    forge = parse(section, teller, "observers").observers.forges["statuses"]["forge"]
    assert forge.api_url == f"http://{host}/api"


def test_a_ping_that_no_observer_sends_is_warned_of(site: PackageFolder) -> None:
    jobs = DEPLOYER.replace("EnvironmentSettings", "JobSettings").replace(
        "core.settings", "core.job_settings"
    )
    site.deployer("job", f"{jobs}\n@hookimpl\ndef run_job(run):\n    pass\n")
    section = (
        "{type: job, repository: /srv/a, environments: {production: {ping: 'https://hc.example.com/secret'}}}"
    )
    text = f"fraises: {{api: {section}}}\n"
    config = parse_config(text, Path("fraises.yaml"), site.plugins(), {}, parts=PARTS)
    (warning,) = config.warnings
    where = "fraises.yaml:1: fraises.api.environments.production.ping"
    assert warning.startswith(f"{where}: nothing that is installed pings")
    assert "hc.example.com" not in warning + repr(config)
    site.install(OBSERVERS.group, "notify", COUNTER)
    config = parse_config(text, Path("fraises.yaml"), site.plugins(), {}, parts=PARTS)
    assert not config.warnings
    assert set(config.observers.active) == {"notify"}
    assert not parse("", site).observers.active
    assert parse("notify:\n", site).observers.active


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("hc.example.com/secret", "should be an address that begins with https:// or http://"),
        ("ftp://hc.example.com/secret", "should be an address that begins with https:// or http://"),
        ("https://hc.example.com/sec ret", "must hold printable ASCII characters alone, and no space"),
        ("https://hc.example.com/sécret", "must hold printable ASCII characters alone, and no space"),
        ("https://sec:ret@hc.example.com/", "must not hold a user or a password"),
    ],
)
def test_an_address_to_ping_is_refused_without_being_shown(
    site: PackageFolder, url: str, problem: str
) -> None:
    jobs = DEPLOYER.replace("EnvironmentSettings", "JobSettings").replace(
        "core.settings", "core.job_settings"
    )
    site.deployer("job", f"{jobs}\n@hookimpl\ndef run_job(run):\n    pass\n")
    section = f"{{type: job, repository: /srv/a, environments: {{production: {{ping: '{url}'}}}}}}"
    with pytest.raises(ConfigurationError) as caught:
        parse_config(f"fraises: {{api: {section}}}\n", Path("fraises.yaml"), site.plugins(), {})
    where = "fraises.yaml:1: fraises.api.environments.production.ping"
    assert caught.value.problems == [f"{where}: {problem}"]


def test_the_schema_has_a_section_for_each_observer(observers: PackageFolder) -> None:
    observers.install(OBSERVERS.group, "counter", COUNTER)
    schema = config_schema(observers.plugins())
    assert {"notifier", "counter"} <= set(schema["properties"])


@pytest.mark.parametrize(
    ("repository", "told"),
    [
        ("repository: /srv/git/api.git", False),
        ("repository: /srv/git/api.git, aliases: 'https://git.example.com/acme/api.git'", True),
        ("repository: 'ssh://git@git.example.com/acme/api.git'", True),
    ],
)
def test_a_forge_at_which_no_repository_has_an_address_is_warned_of(
    site: PackageFolder, repository: str, told: bool
) -> None:
    site.install(OBSERVERS.group, "statuses", SPEAKING)
    site.provider("forge")
    site.deployer("api")
    text = (
        f"fraises: {{api: {{type: api, {repository}, environments: {{production: {{}}}}}}}}\n"
        "git: {forge: {webhook_secret: s, api_token: t, api_url: 'https://git.example.com/api'}}\n"
    )
    warnings = parse_config(text, Path("fraises.yaml"), site.plugins(), {}, parts=PARTS).warnings
    untold = "git.forge.api_token: no fraise has a repository at git.example.com, so nothing is told there"
    assert any(untold in each for each in warnings) is not told
