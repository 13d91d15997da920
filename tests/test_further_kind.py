"""Another kind of deployment is a row of the table and a module: what a request, a run, the record and the
commands do with it needs nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fraisier.cli.tree import app
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.testing.installation import (
    HEALTHY,
    SECRET,
    SECRET_VARIABLE,
    TYPE,
    Installation,
)
from typer.testing import CliRunner

from tests.databases import Database, both_databases
from tests.kinds import INSPECTION
from tests.packages import PackageFolder

pytestmark = both_databases
MODULE = "tests.toy_inspection"


@pytest.fixture
def installation(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An environment of the toy type, deployed, where that kind is known."""
    monkeypatch.setitem(KINDS, INSPECTION.name, INSPECTION)
    (tmp_path / "source").write_text("worth keeping")
    (tmp_path / "target").mkdir()
    section = {"source": tmp_path / "source", "target": tmp_path / "target"}
    made = Installation(tmp_path, MODULE, section, database=database.url)
    deployed = made.execute(made.forge.push_files({HEALTHY: ""}))
    assert deployed.status == "success", deployed.error_message
    return made


def fraisier(installation: Installation, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Return what the command prints where the toy type is installed."""
    packages = PackageFolder(installation.folder / "packages")
    if not packages.folder.exists():
        packages.folder.mkdir()
        packages.deployer(TYPE, f"from {MODULE} import *")
        monkeypatch.syspath_prepend(packages.folder)
    config = installation.folder / "fraises.yaml"
    config.write_text(installation.configuration())
    environ = {SECRET_VARIABLE: SECRET}
    result = CliRunner().invoke(app, ["-c", str(config), *arguments], env=environ, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_is_requested_executed_recorded_and_shown_as_a_run_is(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = installation.execute(kind="inspection", arguments=("first",))
    assert (done.status, done.kind, done.release) == ("success", "inspection", installation.serving())
    assert installation.last_steps == ["copy", "compare"]
    assert (installation.folder / "target/first").read_text() == "worth keeping"
    (shown,) = json.loads(fraisier(installation, monkeypatch, "status", "--json"))
    assert (shown["run"]["id"], shown["run"]["status"], shown["kind"]) == (done.id, "success", "deploy")
    history = json.loads(fraisier(installation, monkeypatch, "history", "--json"))
    assert [each["kind"] for each in history] == ["inspection", "deploy"]
    assert "what       inspection of" in fraisier(installation, monkeypatch, "show", done.id)
    assert "target/first'\ncopy: done" in fraisier(installation, monkeypatch, "logs", done.id)


def test_it_fails_and_is_interrupted_as_a_run_is(installation: Installation) -> None:
    killed = installation.execute(kind="inspection", arguments=("first",), killed_at="step_compare")
    assert killed.status == "interrupted", killed.error_message
    failed = installation.execute(kind="inspection", arguments=("missing/first",))
    assert failed.status == "failed", failed.error_message
    done = installation.execute(kind="inspection", arguments=("second",))
    assert done.status == "success", done.error_message
    assert done.release == installation.serving() == installation.linked()
