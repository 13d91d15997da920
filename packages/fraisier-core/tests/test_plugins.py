from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from fraisier_core.config import parse_config
from fraisier_core.errors import ConfigurationError, PluginError
from fraisier_core.health import Health
from fraisier_core.plugins import DEPLOYERS, PROVIDERS, Plugins
from fraisier_core.provider_settings import ProviderSettings
from fraisier_core.push import DeliveryId, Ignored, Unverified, Verified
from fraisier_core.settings import EnvironmentSettings

from tests.packages import PackageFolder

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = cast("Any", object())
RELEASE = cast("Any", object())
HOOKIMPL = "from fraisier_core.markers import hookimpl\n"


def test_names_are_listed_without_importing_anything(site: PackageFolder) -> None:
    site.provider("forge", "raise RuntimeError('imported')")
    site.deployer("compose")
    plugins = site.plugins()
    assert plugins.names(PROVIDERS) == ("forge",)
    assert plugins.names(DEPLOYERS) == ("compose",)
    assert "acme_forge" not in sys.modules
    assert "acme_compose" not in sys.modules


def test_only_the_named_plugin_is_imported(site: PackageFolder) -> None:
    site.provider("one")
    site.provider("two")
    assert site.plugins().provider("two").name == "two"
    assert "acme_two" in sys.modules
    assert "acme_one" not in sys.modules


def test_a_call_reaches_the_named_provider_alone(site: PackageFolder) -> None:
    site.provider("one", PROVIDER_THAT_RECORDS)
    site.provider("two", PROVIDER_THAT_RECORDS)
    plugins = site.plugins()
    one = plugins.provider("one")
    assert one.verify({}, b"", ["a"], NOW) == Verified(0)
    two = plugins.provider("two")
    for provider in (one, two, one):
        assert provider.verify({}, b"", ["a"], NOW) == Verified(0)
        assert provider.normalize({}, b"") == Ignored(f"acme_{provider.name}", "only a test")
    assert sys.modules["acme_one"].calls == 3
    assert sys.modules["acme_two"].calls == 1


def test_a_plugin_loaded_later_cannot_answer_for_one_loaded_before(site: PackageFolder) -> None:
    site.provider("honest", PROVIDER_WITHOUT_OPINION)
    site.provider("generous", PROVIDER_THAT_RECORDS)
    plugins = site.plugins()
    honest = plugins.provider("honest")
    assert honest.verify({}, b"", ["a"], NOW) == Unverified()
    plugins.provider("generous")
    assert honest.verify({}, b"", ["a"], NOW) == Unverified()
    assert honest.delivery_id({}) is None


def test_two_names_may_share_one_module(site: PackageFolder) -> None:
    site.provider("forge", module="acme_shared", distribution="acme-shared")
    site.provider("twin", module="acme_shared", distribution="acme-twin")
    plugins = site.plugins()
    for name in ("forge", "twin"):
        assert plugins.provider(name).verify({"x-token": "a"}, b"", ["a"], NOW) == Verified(0)


@pytest.mark.parametrize("answer", ["True", "1", "'yes'", "DeliveryId('1', signed=True)"])
def test_only_a_verified_verifies(site: PackageFolder, answer: str) -> None:
    source = PROVIDER_OF.replace("VERDICT", answer).replace("ANSWER", "[]")
    site.provider("forge", source)
    assert site.plugins().provider("forge").verify({}, b"", ["a"], NOW) == Unverified()


@pytest.mark.parametrize("answer", ["Unverified('no signature')", "Ignored('ping', 'a test')"])
def test_a_reason_and_a_test_delivery_are_the_plugins(site: PackageFolder, answer: str) -> None:
    site.provider("forge", PROVIDER_OF.replace("VERDICT", answer).replace("ANSWER", "[]"))
    verdict = site.plugins().provider("forge").verify({}, b"", ["a"], NOW)
    assert verdict in (Unverified("no signature"), Ignored("ping", "a test"))


@pytest.mark.parametrize(("answer", "kind"), [("None", "NoneType"), ("'push'", "str"), ("[1]", "list")])
def test_an_answer_that_is_no_push_is_an_error(site: PackageFolder, answer: str, kind: str) -> None:
    site.provider("forge", PROVIDER_OF.replace("VERDICT", "None").replace("ANSWER", answer))
    with pytest.raises(PluginError, match=f'^plugin "forge": normalize returned {kind}$'):
        site.plugins().provider("forge").normalize({}, b"")


def test_no_pushes_at_all_is_an_answer(site: PackageFolder) -> None:
    site.provider("forge", PROVIDER_OF.replace("VERDICT", "None").replace("ANSWER", "[]"))
    assert site.plugins().provider("forge").normalize({}, b"") == []


def test_a_delivery_id_of_another_type_is_an_error(site: PackageFolder) -> None:
    site.provider("forge", PROVIDER_THAT_RECORDS + "\n@hookimpl\ndef delivery_id(headers):\n    return 'x'\n")
    with pytest.raises(PluginError, match=r'^plugin "forge": delivery_id returned str$'):
        site.plugins().provider("forge").delivery_id({})


def test_the_delivery_id_is_the_plugins(site: PackageFolder) -> None:
    answer = "\n@hookimpl\ndef delivery_id(headers):\n    return DeliveryId(headers['x-id'], signed=False)\n"
    site.provider("forge", PROVIDER_THAT_RECORDS + answer)
    assert site.plugins().provider("forge").delivery_id({"x-id": "7"}) == DeliveryId("7", signed=False)


def test_a_deployer_is_called_with_the_run(site: PackageFolder) -> None:
    site.deployer("compose", DEPLOYER_THAT_RECORDS)
    deployer = site.plugins().deployer("compose")
    deployer.call("deploy", RUN, RELEASE)
    assert deployer.health_check(RUN) == Health(True, "fine")
    deployer.call("rollback", RUN, RELEASE)
    assert sys.modules["acme_compose"].seen == [RUN, RELEASE]


def test_without_rollback_deploy_is_called_and_nothing_else_is_called_in_place_of_a_hook(
    site: PackageFolder,
) -> None:
    site.deployer("compose", DEPLOYER_THAT_RECORDS.partition("\n@hookimpl\ndef rollback")[0])
    deployer = site.plugins().deployer("compose")
    deployer.call("rollback", RUN, RELEASE)
    assert sys.modules["acme_compose"].seen == [RUN]
    with pytest.raises(PluginError, match=r'^the fraise type "compose" has no backup$'):
        deployer.call("backup", RUN, RELEASE)


def test_a_health_check_that_returns_nothing_is_an_error(site: PackageFolder) -> None:
    site.deployer("compose", DEPLOYER_THAT_RECORDS.replace("return Health(True, 'fine')", "pass"))
    with pytest.raises(PluginError, match=r'^plugin "compose": health_check returned NoneType$'):
        site.plugins().deployer("compose").health_check(RUN)


def test_the_settings_model_is_the_plugins_or_the_plain_one(site: PackageFolder) -> None:
    site.deployer("compose")
    site.deployer("plain", DEPLOYER_THAT_RECORDS)
    site.provider("forge")
    plugins = site.plugins()
    assert "systemd_service" in plugins.deployer("compose").settings_model.model_fields
    assert plugins.deployer("plain").settings_model is EnvironmentSettings
    assert plugins.provider("forge").settings_model is ProviderSettings


def test_a_provider_that_is_not_installed_says_what_to_install(site: PackageFolder) -> None:
    site.provider("forge")
    with pytest.raises(PluginError) as caught:
        site.plugins().provider("forgo")
    assert str(caught.value) == (
        'no provider "forgo" is installed; did you mean "forge"? '
        "(install the package that offers it (entry-point group fraisier.providers); installed: forge)"
    )


@pytest.mark.parametrize("quote", ["'", '"'])
def test_the_extra_of_the_application_says_which_package_to_install(site: PackageFolder, quote: str) -> None:
    info = site.folder / "fraisier-1.0.dist-info"
    info.mkdir()
    text = "Metadata-Version: 2.1\nName: fraisier\nVersion: 1.0\nRequires-Dist: rich>=13\n"
    for extra, package in (("red", "fraisier-colours"), ("forge", "fraisier-forges")):
        text += f"Requires-Dist: {package}==1.0; extra == {quote}{extra}{quote}\n"
    (info / "METADATA").write_text(text)
    assert PROVIDERS.advice("forge").endswith("pip install ./packages/fraisier-forges")
    assert PROVIDERS.advice("rich") == DEPLOYERS.advice("rich").replace("deployers", "providers")
    with pytest.raises(ConfigurationError, match=r"forge: .* pip install \./packages/fraisier-forges$"):
        parse_config("fraises: {}\nforge: {}\n", Path("fraises.yaml"), site.plugins(), {})
    with pytest.raises(ConfigurationError, match="rich: unknown key"):
        parse_config("fraises: {}\nrich: {}\n", Path("fraises.yaml"), site.plugins(), {})


def test_a_fraise_type_that_is_not_installed_says_what_is(site: PackageFolder) -> None:
    with pytest.raises(PluginError) as caught:
        site.plugins().deployer("compose")
    assert str(caught.value) == (
        'no fraise type "compose" is installed '
        "(install the package that offers it (entry-point group fraisier.deployers); installed: none)"
    )


PROVIDER_THAT_RECORDS = """
from fraisier_core.markers import hookimpl
from fraisier_core.push import DeliveryId, Ignored, Verified
calls = 0

@hookimpl
def verify(headers, body, secrets, now):
    global calls
    calls += 1
    return Verified(0)

@hookimpl
def normalize(headers, body):
    return Ignored(__name__, "only a test")
"""

PROVIDER_WITHOUT_OPINION = PROVIDER_THAT_RECORDS.replace("return Verified(0)", "return None")

PROVIDER_OF = """
from fraisier_core.markers import hookimpl
from fraisier_core.push import DeliveryId, Ignored, Unverified

@hookimpl
def verify(headers, body, secrets, now):
    return VERDICT

@hookimpl
def normalize(headers, body):
    return ANSWER
"""

DEPLOYER_THAT_RECORDS = """
from fraisier_core.health import Health
from fraisier_core.markers import hookimpl
seen = []

@hookimpl
def deploy(run):
    seen.append(run)

@hookimpl
def health_check(run):
    return Health(True, 'fine')

@hookimpl
def rollback(run, to):
    seen.append(to)
"""

DEPLOY = "@hookimpl\ndef deploy(run): pass\n"
HEALTH_CHECK = "@hookimpl\ndef health_check(run): pass\n"

UNUSABLE = {
    "an import that fails": (
        "raise ModuleNotFoundError('acme_nowhere is missing')",
        "it cannot be loaded: ModuleNotFoundError: acme_nowhere is missing",
    ),
    "an import that ends the process": ("raise SystemExit(3)", "it cannot be loaded: SystemExit: 3"),
    "a required hook that is missing": (HOOKIMPL + DEPLOY, 'required hook "health_check" is missing'),
    "a required hook without its marker": (
        HOOKIMPL + DEPLOY + "def health_check(run): pass\n",
        'required hook "health_check" is missing (the function of that name lacks @hookimpl)',
    ),
    "a misspelt hook": (
        HOOKIMPL + "@hookimpl\ndef deploi(run): pass\n" + HEALTH_CHECK,
        'unknown hook "deploi"; did you mean "deploy"?; required hook "deploy" is missing',
    ),
    "an unknown hook": (
        HOOKIMPL + DEPLOY + HEALTH_CHECK + "@hookimpl\ndef zzz(run): pass\n",
        'unknown hook "zzz"',
    ),
    "a misspelt argument": (
        HOOKIMPL + DEPLOY.replace("run", "runn") + HEALTH_CHECK,
        'hook "deploy": unknown argument "runn"; did you mean "run"?',
    ),
    "an argument with a default": (
        HOOKIMPL + DEPLOY.replace("(run)", "(run=None)") + HEALTH_CHECK,
        'hook "deploy": argument "run" must be a plain one to be given',
    ),
    "a keyword-only argument": (
        HOOKIMPL + DEPLOY.replace("(run)", "(*, run)") + HEALTH_CHECK,
        'hook "deploy": argument "run" must be a plain one to be given',
    ),
    "a wrapper": (
        HOOKIMPL + "@hookimpl(wrapper=True)\ndef deploy(run):\n    yield\n" + HEALTH_CHECK,
        'hook "deploy" is a wrapper, which would see the calls of other plugins',
    ),
    "an old wrapper": (
        HOOKIMPL + "@hookimpl(hookwrapper=True)\ndef deploy(run):\n    yield\n" + HEALTH_CHECK,
        'hook "deploy" is a wrapper, which would see the calls of other plugins',
    ),
    "another name for a hook": (
        HOOKIMPL + "@hookimpl(specname='deploy')\ndef go(run): pass\n" + HEALTH_CHECK,
        'function "go" uses specname=: name it like the hook; required hook "deploy" is missing',
    ),
    "a coroutine": (
        HOOKIMPL + "@hookimpl\nasync def deploy(run): pass\n" + HEALTH_CHECK,
        'hook "deploy" is a generator or coroutine: calling it would do nothing',
    ),
    "a generator": (
        HOOKIMPL + "@hookimpl\ndef deploy(run):\n    yield\n" + HEALTH_CHECK,
        'hook "deploy" is a generator or coroutine: calling it would do nothing',
    ),
    "settings that raise": (
        HOOKIMPL + DEPLOY + HEALTH_CHECK + "@hookimpl\ndef settings(): raise OSError('gone')\n",
        "it cannot be loaded: OSError: gone",
    ),
    "settings of another kind": (
        HOOKIMPL + DEPLOY + HEALTH_CHECK + "@hookimpl\ndef settings(): return dict\n",
        "settings must return a subclass of EnvironmentSettings",
    ),
}


@pytest.mark.parametrize(("source", "reason"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_plugin_is_set_aside_with_its_reason(
    site: PackageFolder, source: str, reason: str
) -> None:
    site.deployer("broken", source)
    site.deployer("sound")
    plugins = site.plugins()
    with pytest.raises(PluginError) as caught:
        plugins.deployer("broken")
    assert str(caught.value) == f'the fraise type "broken" (acme-broken 2.1) is set aside: {reason}'
    assert plugins.deployer("sound").health_check(RUN) == Health(True, "acme_sound")


def test_an_optional_unknown_hook_is_left_alone(site: PackageFolder) -> None:
    site.deployer("compose", DEPLOYER_THAT_RECORDS + "\n@hookimpl(optionalhook=True)\ndef future(): pass\n")
    assert site.plugins().deployer("compose").health_check(RUN) == Health(True, "fine")


def test_a_name_that_two_packages_claim_is_set_aside_for_both(site: PackageFolder) -> None:
    site.provider("forge", distribution="acme-forge", module="acme_first")
    site.provider("forge", distribution="other-forge", module="acme_second")
    plugins = site.plugins()
    with pytest.raises(PluginError) as caught:
        plugins.provider("forge")
    assert "is set aside: claimed by more than one package; uninstall all but one" in str(caught.value)
    assert {"acme-forge 2.1", "other-forge 2.1"} <= set(
        str(caught.value).replace("(", ")").split(")")[1].split(" and ")
    )
    assert [(row.distribution, row.status) for row in plugins.report() if row.name == "forge"] == [
        ("acme-forge", "set aside"),
        ("other-forge", "set aside"),
    ]
    assert "acme_first" not in sys.modules


def test_a_package_that_is_on_the_path_twice_is_one_package(site: PackageFolder) -> None:
    site.provider("forge")
    plugins = Plugins([*site.entry_points(), *site.entry_points()])
    assert plugins.provider("forge").name == "forge"
    assert [row.name for row in plugins.report()].count("forge") == 1


def test_a_disabled_plugin_is_never_imported(site: PackageFolder) -> None:
    site.provider("forge")
    plugins = site.plugins(disabled={"forge"})
    with pytest.raises(PluginError, match=r"is set aside: disabled by FRAISIER_DISABLED_PLUGINS$"):
        plugins.provider("forge")
    assert "acme_forge" not in sys.modules


def test_the_report_names_every_entry_point_and_what_became_of_it(site: PackageFolder) -> None:
    site.provider("forge")
    site.deployer("broken", "raise ModuleNotFoundError('acme_nowhere is missing')")
    rows = [
        (row.group, row.name, row.distribution, row.version, row.status, row.reason)
        for row in site.plugins().report()
        if row.distribution != "fraisier-core"
    ]
    assert rows == [
        (PROVIDERS.group, "forge", "acme-forge", "2.1", "ok", None),
        (
            DEPLOYERS.group,
            "broken",
            "acme-broken",
            "2.1",
            "set aside",
            "it cannot be loaded: ModuleNotFoundError: acme_nowhere is missing",
        ),
    ]


def test_installed_plugins_are_found_and_blocked_by_name(site: PackageFolder) -> None:
    site.provider("forge")
    site.deployer("compose")
    plugins = Plugins.installed({"FRAISIER_DISABLED_PLUGINS": "other, forge"})
    assert {"forge"} <= set(plugins.names(PROVIDERS))
    assert {"compose"} <= set(plugins.names(DEPLOYERS))
    assert plugins.deployer("compose").name == "compose"
    with pytest.raises(PluginError, match="disabled by FRAISIER_DISABLED_PLUGINS"):
        plugins.provider("forge")


def test_importing_the_loader_imports_no_plugin(site: PackageFolder) -> None:
    site.provider("forge", "raise RuntimeError")
    program = (
        "from fraisier_core.plugins import PROVIDERS, Plugins; print(Plugins.installed().names(PROVIDERS))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(site.folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'forge'" in found.stdout
