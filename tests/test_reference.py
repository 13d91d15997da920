"""The reference names everything that there is to name, as it is in the code."""

from __future__ import annotations

import inspect
import re
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import fraisier_gitlab
import pytest
from fraisier_core.config import SECTIONS
from fraisier_core.config.branch_mapping import RuleSection
from fraisier_core.config.database import DatabaseSection
from fraisier_core.config.fraises_section import FraiseSection
from fraisier_core.config.reach import CredentialsSection
from fraisier_core.hookspecs import DeployerHooks, MountHooks, ObserverHooks, ProviderHooks, StoreHooks
from fraisier_core.job_settings import JobSettings, LimitsSection, RetriesSection, ScheduleSection
from fraisier_core.plugins import Plugins
from fraisier_core.provider_settings import BoundSecret, ProviderSettings
from fraisier_core.run import Run
from fraisier_core.settings import (
    EnvironmentSettings,
    Expectation,
    FreezeSection,
    HealthCheck,
    MountSettings,
    ObserverSettings,
    ReconcileSection,
    Section,
    SharedPath,
)
from fraisier_core.system import timing
from fraisier_deployers.api import ApiSettings
from fraisier_deployers.backup.backup_settings import (
    EncryptSection,
    KeepSection,
    ResticSection,
    RestoreTestKeys,
    SourceSection,
)
from fraisier_deployers.backup.remote_settings import RemoteSection
from fraisier_deployers.etl import EtlSettings
from fraisier_deployers.installing import InstallSettings
from fraisier_deployers.scheduled import ScheduledSettings
from fraisier_notify.notify_settings import Destination

from tests.environments import ROOT, package_names
from tests.pages import blocks
from tests.stores import open_store

DOCS = ROOT / "docs"


class BuiltJob(JobSettings, InstallSettings):
    """What etl and scheduled have in common."""


def reference(name: str) -> str:
    return (DOCS / "reference" / name).read_text()


def rows(text: str, heading: str) -> Mapping[str, list[str]]:
    """Return the rows of the table below a heading, by the name in their first cell."""
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)
    assert len(section) == 2, heading
    table = re.split(r"^#", section[1], flags=re.MULTILINE)[0]
    found = re.findall(r"^\| `([^`]+)` \|(.*)\|$", table, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in found}


SECTIONS_OF_THE_FILE: list[tuple[str, type[Section], type[Section] | None]] = [
    ("A provider", ProviderSettings, None),
    ("A bound secret", BoundSecret, None),
    ("A fraise", FraiseSection, None),
    ("credentials", CredentialsSection, None),
    ("An environment", EnvironmentSettings, None),
    ("An environment of type api", ApiSettings, EnvironmentSettings),
    ("Jobs", JobSettings, EnvironmentSettings),
    ("retries", RetriesSection, None),
    ("schedule", ScheduleSection, None),
    ("limits", LimitsSection, None),
    ("An environment of type etl", EtlSettings, BuiltJob),
    ("An environment of type scheduled", ScheduledSettings, BuiltJob),
    ("source", SourceSection, None),
    ("keep", KeepSection, None),
    ("remotes", RemoteSection, None),
    ("encrypt", EncryptSection, None),
    ("restic", ResticSection, None),
    ("restore_test", RestoreTestKeys, None),
    ("shared", SharedPath, None),
    ("reconcile", ReconcileSection, None),
    ("freeze", FreezeSection, None),
    ("health_check", HealthCheck, None),
    ("expect", Expectation, None),
    ("branch_mapping", RuleSection, None),
    ("database", DatabaseSection, None),
    ("Observers", ObserverSettings, None),
    ("notify", Destination, None),
    ("Mounts", MountSettings, None),
]


@pytest.mark.parametrize(("heading", "model", "base"), SECTIONS_OF_THE_FILE)
def test_the_reference_has_every_key_with_its_default(
    heading: str, model: type[Section], base: type[Section] | None
) -> None:
    inherited = set(base.model_fields) if base else set()
    fields = {
        field.alias or name: field for name, field in model.model_fields.items() if name not in inherited
    }
    table = rows(reference("configuration.md"), heading)
    assert set(table) == set(fields)
    for name, field in fields.items():
        assert table[name][0] == shown_default(field), name


def shown_default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ({}, (), "") or isinstance(value, Section):
        return "-"
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`"
    return f"`{f'{value:g}' if type(value) in {int, float} else str(value).lower()}`"


def test_the_reference_has_every_section_of_the_file() -> None:
    for section in SECTIONS:
        assert f"`{section}:`" in reference("configuration.md"), section
    assert fraisier_gitlab.GitLabSettings.model_fields.keys() == ProviderSettings.model_fields.keys()


def hooks() -> Iterator[tuple[str, str, list[str]]]:
    for specs in (ProviderHooks, DeployerHooks, StoreHooks, ObserverHooks, MountHooks):
        for name, function in vars(specs).items():
            if not name.startswith("_"):
                yield specs.__name__, name, [*inspect.signature(function).parameters][1:]


@pytest.mark.parametrize(("specs", "hook", "arguments"), [*hooks()])
def test_the_reference_names_every_hook_and_argument(specs: str, hook: str, arguments: list[str]) -> None:
    text = reference("hooks.md")
    assert f"### `{hook}({', '.join(arguments)})`" in text, specs
    section = text.partition(f"### `{hook}({', '.join(arguments)})`")[2].partition("\n#")[0]
    for argument in arguments:
        assert f"`{argument}`" in section, f"{hook} {argument}"


def test_the_reference_names_everything_a_run_offers() -> None:
    offered = {name for name in vars(Run) if not name.startswith("_")}
    offered |= {name for name in inspect.signature(Run.__init__).parameters if name != "self"}
    text = reference("hooks.md")
    assert not {name for name in offered if f"`run.{name}" not in text}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """An empty store."""
    path = tmp_path_factory.mktemp("store") / "fraisier.db"
    open_store(path).close()
    connection = sqlite3.connect(path)
    yield connection
    connection.close()


def test_the_reference_has_every_table_and_view_with_its_columns(store: sqlite3.Connection) -> None:
    pattern = "SELECT name FROM sqlite_schema WHERE name GLOB 'tb_*' AND type = 'table' OR name GLOB 'v_*'"
    names = [name for (name,) in store.execute(pattern)]
    text = reference("store.md")
    documented = re.findall(r"^### `(tb_\w+|v_\w+)`$", text, re.MULTILINE)
    assert sorted(documented) == sorted(names)
    for name in names:
        section = text.partition(f"### `{name}`\n")[2].partition("\n#")[0]
        columns = {column for (column,) in store.execute("SELECT name FROM pragma_table_info(?)", [name])}
        listed = re.search(r"^Columns: (.*?)\.$", section, re.MULTILINE | re.DOTALL)
        assert listed is not None, name
        assert set(re.findall(r"`(\w+)`", listed[1])) == columns, name


def allowed_values(store: sqlite3.Connection, table: str, column: str) -> set[str]:
    (text,) = store.execute("SELECT sql FROM sqlite_schema WHERE name = ?", [table]).fetchone()
    values = re.search(rf"^ +{column} [^,]*?CHECK \((.*?)\),\n", text, re.DOTALL | re.MULTILINE)
    assert values is not None
    return set(re.findall(r"'(\w+)'", values[1]))


@pytest.mark.parametrize(
    ("heading", "table", "column"),
    [("States", "tb_deployments", "status"), ("Events", "tb_deployment_events", "event")],
)
def test_the_reference_has_every_state_and_event(
    store: sqlite3.Connection, heading: str, table: str, column: str
) -> None:
    assert set(rows(reference("store.md"), heading)) == allowed_values(store, table, column)


def test_the_reference_has_every_variable() -> None:
    sources = [path for path in (ROOT / "packages").rglob("src/**/*.py") if "testing" not in path.parts]
    named = {name for path in sources for name in re.findall(r"\bFRAISIER_[A-Z_]*[A-Z]\b", path.read_text())}
    assert (
        set(rows(reference("environment.md"), "Read by Fraisier"))
        | set(rows(reference("environment.md"), "Set for commands"))
        >= named
    )
    assert "`FRAISIER_NOTHING`" not in reference("environment.md")


def test_the_reference_has_every_package_and_plugin() -> None:
    table = rows(reference("plugins.md"), "Packages")
    assert set(table) == set(package_names())
    for report in Plugins.installed().report():
        if report.distribution is not None and report.distribution in table:
            assert f"`{report.name}`" in " ".join(table[report.distribution])


@pytest.mark.parametrize(
    ("page", "package"),
    [
        ("tutorial/deployer.md", "acme_site"),
        ("how-to/add-a-fraise-type.md", "acme_report"),
        ("how-to/add-an-observer.md", "acme_journal"),
        ("how-to/add-a-provider.md", "acme_forge"),
    ],
)
def test_the_documentation_shows_the_package_that_is_tested(page: str, package: str) -> None:
    shown = {block.file: block.text for block in blocks(DOCS / page) if block.file}
    for path in sorted((ROOT / "tests/third_party" / package).glob("*.*")):
        assert shown.get(f"{package.replace('_', '-')}/{path.name}") == path.read_text(), path.name


def test_a_type_with_jobs_takes_forty_lines() -> None:
    module = ROOT / "tests/third_party/acme_report/acme_report.py"
    assert len(module.read_text().splitlines()) <= 40


def test_every_dependency_has_its_reason() -> None:
    text = (DOCS / "decisions/libraries.md").read_text()
    for package in package_names():
        content = (ROOT / "packages" / package / "pyproject.toml").read_text()
        for name in re.findall(r'^  "([a-z-]+)[>=]', content, re.MULTILINE):
            assert name.startswith("fraisier") or f"`{name}`" in text, name


def test_the_units_wait_until_a_worker_has_stopped() -> None:
    page = (DOCS / "how-to/systemd.md").read_text()
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", page, re.MULTILINE)
    assert int(seconds) > timing.GRACE + timing.STOP
