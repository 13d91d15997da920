from __future__ import annotations

import json

from .installation import DEPLOYER, Installation

SECRET = "0123456789abcdef"


def test_a_good_configuration_is_told_so(installation: Installation) -> None:
    done = installation.run("config", "check", FRAISIER_WEBHOOK_SECRET=SECRET)
    assert done.returncode == 0
    assert done.stdout == f"{installation.config}: 1 fraise in 2 environments, no problem found\n"


def test_every_problem_is_told_with_its_line(installation: Installation) -> None:
    installation.config.write_text(
        installation.config.read_text().replace("branch:", "brnach:").replace("retries", "retry")
    )
    done = installation.run("config", "check", "--json", FRAISIER_WEBHOOK_SECRET=SECRET)
    assert done.returncode == 3
    checked = json.loads(done.stdout)
    assert checked["ok"] is False
    assert len(checked["problems"]) == 2
    assert 'did you mean "branch"?' in checked["problems"][0]
    assert checked["problems"][0] in done.stderr


def test_what_no_push_can_match_is_a_warning(installation: Installation) -> None:
    text = installation.config.read_text()
    mapping = "branch_mapping:\n  main: {fraise: my_api, environment: production}\n"
    installation.config.write_text(text.replace(installation.forge.url, "git@work:acme/api") + mapping)
    done = installation.run("config", "check", FRAISIER_WEBHOOK_SECRET=SECRET)
    assert done.returncode == 0
    warning, last = done.stdout.splitlines()
    assert warning.startswith("warning: fraises.yaml:")
    assert "work is a host alias of ssh" in warning
    assert last.endswith(" 1 fraise in 2 environments, 1 warning")
    shown = installation.run("config", "check", "--json", FRAISIER_WEBHOOK_SECRET=SECRET)
    assert json.loads(shown.stdout)["warnings"] == [warning.removeprefix("warning: ")]


def test_what_cannot_work_on_this_host_is_a_warning(installation: Installation) -> None:
    hook = """
@hookimpl
def warnings(settings):
    return {"health_check.command": f"there is no sh in {settings.env['WHERE']}"}
"""
    installation.packages.deployer("script", DEPLOYER + hook)
    text = installation.config.read_text()
    env = "env: {WHERE: {value: /opt/bin, secret: true}}"
    installation.config.write_text(
        text.replace("stable_for: 0", env).replace("staging: {}", f"staging: {{{env}}}")
    )
    done = installation.run("config", "check", "--json", FRAISIER_WEBHOOK_SECRET=SECRET)
    assert done.returncode == 0, done.stderr
    place = "fraises.my_api.environments.{}.health_check.command: there is no sh in ***"
    assert json.loads(done.stdout)["warnings"] == [
        f"fraises.yaml:15: {place.format('production')}",
        f"fraises.yaml:17: {place.format('staging')}",
    ]


def test_a_plugin_that_cannot_tell_what_is_wrong_is_a_warning(installation: Installation) -> None:
    hook = "@hookimpl\ndef warnings(settings):\n    raise OSError('no such disk')\n"
    installation.packages.deployer("script", f"{DEPLOYER}\n{hook}")
    done = installation.run("config", "check", FRAISIER_WEBHOOK_SECRET=SECRET)
    assert done.returncode == 0, done.stderr
    assert "production: script cannot tell what is wrong on this host: OSError: no such disk\n" in done.stdout


def test_an_unset_secret_is_told_by_its_name(installation: Installation) -> None:
    done = installation.run("config", "check")
    assert done.returncode == 3
    assert "FRAISIER_WEBHOOK_SECRET" in done.stderr


def test_a_missing_plugin_is_told_with_its_own_exit_code(installation: Installation) -> None:
    done = installation.run("config", "check", FRAISIER_WEBHOOK_SECRET=SECRET, PYTHONPATH="")
    assert done.returncode == 5
    assert "script" in done.stderr


def test_a_secret_is_not_printed(installation: Installation) -> None:
    installation.config.write_text(installation.config.read_text() + "nosuch: ${FRAISIER_WEBHOOK_SECRET}\n")
    done = installation.run("config", "check", FRAISIER_WEBHOOK_SECRET=SECRET)
    assert done.returncode == 3
    assert SECRET not in done.stdout + done.stderr


def test_the_schema_knows_what_is_installed(installation: Installation) -> None:
    schema = json.loads(installation.run("config", "schema").stdout)
    assert schema["required"] == ["fraises"]
    assert '"script"' in json.dumps(schema)
