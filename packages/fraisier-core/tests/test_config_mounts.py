from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fraisier_core.config import PARTS, Config, parse_config
from fraisier_core.config.schema import config_schema
from fraisier_core.errors import ConfigurationError
from fraisier_core.plugins import MOUNTS

from tests.packages import PackageFolder

FEED = """
from contextlib import asynccontextmanager
from fraisier_core import MountSettings, hookimpl

class Settings(MountSettings):
    title: str = "news"

@hookimpl
def settings():
    return Settings

@hookimpl
def open_mount(context):
    return serving(context)

@asynccontextmanager
async def serving(context):
    yield {}
"""


@pytest.fixture
def mounts(site: PackageFolder) -> PackageFolder:
    site.install(MOUNTS.group, "feed", FEED)
    return site


def parse(text: str, site: PackageFolder, *parts: str, **environ: str) -> Config:
    text = f"fraises: {{}}\n{text}"
    return parse_config(text, Path("fraises.yaml"), site.plugins(), environ, parts=parts or PARTS)


def test_a_mount_is_served_where_its_section_stands(mounts: PackageFolder) -> None:
    assert not parse("", mounts).mounts.settings
    assert parse("feed:\n", mounts).mounts.settings["feed"].model_dump()["title"] == "news"
    assert parse("feed: {title: more}\n", mounts).mounts.settings["feed"].model_dump()["title"] == "more"


def test_a_section_of_a_mount_is_checked_with_its_lines(mounts: PackageFolder) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("feed:\n  tittle: more\n", mounts)
    assert caught.value.problems == ['fraises.yaml:3: feed.tittle: unknown key; did you mean "title"?']


def test_what_a_mount_lacks_is_kept_with_its_name(mounts: PackageFolder) -> None:
    mounts.install(MOUNTS.group, "broken", "import acme_nowhere")
    missing = parse("feed: {title: '${NOT_SET}'}\nbroken:\n", mounts).mounts.missing
    assert missing["feed"] == "fraises.yaml:2: feed.title: the variable NOT_SET is not set"
    assert "set aside" in missing["broken"]


def test_only_a_process_that_serves_mounts_imports_them(mounts: PackageFolder) -> None:
    assert not parse("feed: {tittle: 1}\n", mounts, "git").mounts.settings
    assert "acme_feed" not in sys.modules


def test_the_schema_has_a_section_for_each_mount(mounts: PackageFolder) -> None:
    assert "feed" in config_schema(mounts.plugins())["properties"]
