from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from fraisier_core.config import PARTS, parse_config
from fraisier_core.push import Push
from fraisier_core.requests.explaining import EnvironmentVerdict, explain_push

from tests.packages import PackageFolder

CONFIG = """\
git: {forge: {webhook_secret: a secret}}
fraises:
  app:
    type: api
    repository: https://git.example.com/acme/app
    environments: {production: {}}
"""


def verdict(site: PackageFolder, name: str, after: str | None) -> EnvironmentVerdict:
    """Return what is said of a push of a branch that no rule names, and whose commits are not known."""
    site.provider("forge")
    site.deployer("api")
    plugins = site.plugins()
    config = parse_config(CONFIG, Path("/srv/fraises.yaml"), plugins, {}, parts=PARTS)
    urls = ("https://git.example.com/acme/app",)
    push = Push("push", "acme/app", urls, f"refs/heads/{name}", None, after, "")
    (found,) = explain_push(push, "forge", config, plugins).refs[0].environments
    return found


@pytest.mark.parametrize("name", ["next", "$(x)", "a;b", "it's", 'a"b', "é"])
def test_what_is_shown_to_be_copied_means_the_branch_whatever_its_name(
    site: PackageFolder, name: str
) -> None:
    found = verdict(site, name, "")
    (command,), (setting,) = found.commands, found.settings
    words = ["sh", "-c", f'fraisier() {{ printf "%s " "$@"; }}; {command}']
    shown = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert shown == f"deploy app production --branch {name} "
    target = {"fraise": "app", "environment": "production"}
    assert yaml.safe_load(setting) == {"branch_mapping": {name: target}}


def test_a_branch_that_was_deleted_is_not_deployed_by_its_name(site: PackageFolder) -> None:
    assert verdict(site, "next", None).commands == ()
