from __future__ import annotations

import logging
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fraisier_core.config.last_good import keep
from fraisier_core.config.source import ConfigSource
from fraisier_core.errors import ConfigurationError
from fraisier_core.plugins import Plugins

from tests.packages import PackageFolder

TEXT = """
fraises:
  my_api:
    type: api
    repository: https://git.example.com/acme/my-api.git
    environments:
      production: {env: {TOKEN: "${TOKEN}"}}
"""
ENVIRON = {"TOKEN": "the value of a token"}
BROKEN = ["fraises: [", "fraises: {}\nnosuch: 1\n", TEXT.replace("type: api", "type: apy"), ""]


@pytest.fixture
def plugins(site: PackageFolder) -> Plugins:
    site.deployer("api")
    return site.plugins()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = tmp_path / "fraises.yaml"
    config.write_text(TEXT)
    (tmp_path / ".fraisier").mkdir()
    return config


def kept_files(config: Path) -> list[Path]:
    return list((config.parent / ".fraisier").iterdir())


def keep_it(config: Path, plugins: Plugins) -> None:
    keep(ConfigSource(config, plugins, ENVIRON).current())


def test_the_text_is_kept_as_it_was_written_for_its_owner_alone(config: Path, plugins: Plugins) -> None:
    keep_it(config, plugins)
    (kept,) = kept_files(config)
    assert kept.read_text() == TEXT
    assert kept.stat().st_mode & 0o777 == 0o600
    before = kept.stat()
    keep_it(config, plugins)
    assert kept.stat() == before
    config.write_text(TEXT + "x-more: 1\n")
    keep_it(config, plugins)
    assert kept.read_text() == TEXT + "x-more: 1\n"
    assert kept_files(config) == [kept]


def test_whoever_reads_what_is_kept_meets_one_whole_text_or_the_other(config: Path, plugins: Plugins) -> None:
    texts = [f"{TEXT}x-more: {letter * 100_000}\n" for letter in "ab"]
    config.write_text(texts[0])
    keep_it(config, plugins)
    (kept,) = kept_files(config)
    with kept.open() as before, ThreadPoolExecutor(1) as pool:
        done = threading.Event()
        met = pool.submit(lambda: {kept.read_text() for _ in iter(done.is_set, True)})
        try:
            for number in range(20):
                config.write_text(texts[1 - number % 2])
                keep_it(config, plugins)
        finally:
            done.set()
        assert before.read() == texts[0]
        assert met.result() <= set(texts)


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_cannot_be_used_gives_way_to_what_was_kept_of_it(
    config: Path, plugins: Plugins, text: str
) -> None:
    keep_it(config, plugins)
    config.write_text(text)
    source = ConfigSource(config, plugins, ENVIRON, last_good=True)
    found = source.current().resolved("my_api", "production")
    assert found.section == {"env": ENVIRON}
    assert str(source.problem).startswith(f"{config}:")
    config.write_text(TEXT.replace("env:", "branch: next, env:"))
    assert source.current().environment("my_api", "production").branch == "next"


def test_a_file_that_can_be_used_is(config: Path, plugins: Plugins) -> None:
    keep_it(config, plugins)
    config.write_text(TEXT.replace("production", "other"))
    source = ConfigSource(config, plugins, ENVIRON, last_good=True)
    assert list(source.current().fraise("my_api").environments) == ["other"]
    assert source.problem is None


def test_what_cannot_be_used_is_not_kept(config: Path, plugins: Plugins) -> None:
    config.write_text(TEXT.replace("type: api", "type: apy"))
    keep_it(config, plugins)
    assert kept_files(config) == []


def test_a_type_that_is_gone_is_no_fault_of_the_file(
    config: Path, plugins: Plugins, site: PackageFolder
) -> None:
    keep_it(config, plugins)
    shutil.rmtree(site.folder / "acme_api-2.1.dist-info")
    source = ConfigSource(config, site.plugins(), ENVIRON, last_good=True)
    assert source.current().fraise("my_api").problem
    assert source.problem is None


def test_without_a_kept_text_the_file_is_an_error(config: Path, plugins: Plugins) -> None:
    config.write_text("fraises: [")
    with pytest.raises(ConfigurationError, match=r"fraises\.yaml:"):
        ConfigSource(config, plugins, ENVIRON, last_good=True)


@pytest.mark.parametrize("fault", ["mode", "link", "text", "bytes"])
def test_a_kept_text_that_another_may_have_written_or_is_damaged_is_not_used(
    config: Path, plugins: Plugins, fault: str
) -> None:
    keep_it(config, plugins)
    (kept,) = kept_files(config)
    config.write_text("fraises: [")
    if fault == "mode":
        kept.chmod(0o620)
    elif fault == "link":
        kept.rename(config.with_name("moved"))
        kept.symlink_to(config.with_name("moved"))
    else:
        kept.write_bytes(b"fraises: [" if fault == "text" else b"\xff\x00")
    with pytest.raises(ConfigurationError, match=r"fraises\.yaml:"):
        ConfigSource(config, plugins, ENVIRON, last_good=True)


def test_a_damaged_text_is_replaced(config: Path, plugins: Plugins) -> None:
    keep_it(config, plugins)
    (kept,) = kept_files(config)
    kept.write_bytes(b"\xff")
    keep_it(config, plugins)
    assert kept.read_text() == TEXT


def test_two_configurations_with_one_state_folder_are_kept_apart(config: Path, plugins: Plugins) -> None:
    keep_it(config, plugins)
    other = config.with_name("other.yaml")
    other.write_text("fraises: [")
    with pytest.raises(ConfigurationError, match=r"other\.yaml"):
        ConfigSource(other, plugins, ENVIRON, last_good=True)


def test_the_state_folder_is_made_if_the_store_is_elsewhere(config: Path, plugins: Plugins) -> None:
    (config.parent / ".fraisier").rmdir()
    keep_it(config, plugins)
    assert len(kept_files(config)) == 1


def test_a_text_that_cannot_be_kept_is_logged(
    config: Path, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = ConfigSource(config, plugins, ENVIRON).current()
    (config.parent / ".fraisier").rmdir()
    (config.parent / ".fraisier").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        keep(loaded)
    assert "could not be kept as" in caplog.text
