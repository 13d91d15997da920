"""Every block of the documentation works, every link leads somewhere, and the reference names everything."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fraisier_gitlab
import pytest
import yaml
from fraisier_core.branch_mapping import RuleSection
from fraisier_core.config import SECTIONS, load_config
from fraisier_core.database import DatabaseSection
from fraisier_core.fraise import FraiseSection
from fraisier_core.hookspecs import DeployerHooks, ProviderHooks
from fraisier_core.plugins import Plugins
from fraisier_core.run import Run
from fraisier_core.settings import EnvironmentSettings, HealthCheck, ProviderSettings, Section
from fraisier_core.store import Database
from fraisier_deployers.api import ApiSettings

from tests.environments import ROOT, PythonEnvironment, package_names, wheel
from tests.pages import Block, blocks, commands, page_shell

DOCS = ROOT / "docs"
# These pages have tests of their own, beside what they describe.
ELSEWHERE = {
    DOCS / "reference/cli.md": "packages/fraisier/tests",
    DOCS / "reference/exit-codes.md": "packages/fraisier/tests",
    DOCS / "reference/http.md": "packages/fraisier/tests",
    DOCS / "reference/performance.md": "benchmarks",
}
# Needs root and a machine to itself.
IN_SANDBOX = {DOCS / "how-to/systemd.md": "tests/systemd/test_page.py"}
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(page for page in sorted(DOCS.rglob("*.md")) if page not in ELSEWHERE),
]
ALL_PAGES = [*PAGES, *(page for page in ELSEWHERE if page.exists())]
FILES = {"ini", "python", "toml", "yaml", "bash", "text", "javascript"}
ALONE = {"bash", "console", "yaml", "python", "sql"}

# What a part of `fraises.yaml` on a page is laid over.
BASE = """
git:
  provider: github
  github: {webhook_secret: a secret}
fraises:
  my_api:
    type: api
    repository: https://git.example.com/acme/my-api.git
    environments:
      production: {branch: main}
      staging: {}
branch_mapping:
  main: {fraise: my_api, environment: production}
"""


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def runs_here(page: Path) -> bool:
    return any(block.language in {"bash", "console"} for block in blocks(page))


every_page = pytest.mark.parametrize("page", PAGES, ids=page_id)


def everything(folder: Path, wheels: Path) -> PythonEnvironment:
    """Return an environment with all of ours from wheels, and with pip, as pages take for granted."""
    ours = [wheel(wheels, name) for name in package_names()]
    return PythonEnvironment.create(folder, *ours, "hatchling", seed=True)


@pytest.fixture(scope="module")
def installation(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> PythonEnvironment:
    """An environment for pages that install nothing."""
    return everything(tmp_path_factory.mktemp("docs") / "venv", wheels)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of whoever reads a page, with the checkout in `fraisier`."""
    checkout = tmp_path / "home/fraisier"
    ignored = shutil.ignore_patterns("__pycache__", "tests", "dist")
    for name in ("packages", "examples"):
        shutil.copytree(ROOT / name, checkout / name, ignore=ignored)
    return checkout.parent


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    for page in PAGES:
        assert page.read_text().count("\n```") == 2 * len(blocks(page)), f"{page}: a block is never closed"
        for block in blocks(page):
            known = block.language in (FILES if block.file else ALONE)
            assert known, f"{page}:{block.line}: ```{block.language} {block.file or ''}"


def test_the_pages_left_out_have_tests_of_their_own() -> None:
    for page, folder in ELSEWHERE.items():
        found = [path for path in (ROOT / folder).rglob("*.py") if page.name in path.read_text()]
        assert found or not page.exists(), page
    for page, test in IN_SANDBOX.items():
        assert page_id(page) in (ROOT / test).read_text()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if runs_here(page) and page not in IN_SANDBOX], ids=page_id
)
def test_a_page_works_from_its_first_block_to_its_last(
    page: Path, home: Path, installation: PythonEnvironment, wheels: Path, tmp_path: Path
) -> None:
    if "pip install" in page.read_text():
        installation = everything(tmp_path / "venv", wheels)
    start = home / "fraisier" if page.parent == ROOT else home
    with page_shell(home, installation.variables()) as shell:
        shell.run(f"cd {start}")
        for block in blocks(page):
            if block.file:
                shell.write(block.file, block.text)
            elif block.language == "bash":
                shell.run(block.text)
            elif block.language == "console":
                for command, output in commands(block.text):
                    shell.expect(command, output)
            elif block.language == "sql":
                shell.run(f"python3 - <<'END'\n{query(block)}\nEND")


def query(block: Block) -> str:
    """Return a program that runs the query of a block and prints what it finds."""
    return (
        "import sqlite3\n"
        "store = sqlite3.connect('file:.fraisier/fraisier.db?mode=ro', uri=True)\n"
        f"found = store.execute({block.text!r}).fetchall()\n"
        "assert found, 'the query finds nothing'\n"
        "print(*found, sep='\\n')"
    )


def alone(language: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{page_id(page)}:{block.line}")
        for page in PAGES
        for block in blocks(page)
        if block.language == language and (not block.file or block.file.endswith("fraises.yaml"))
    ]


def overlaid(base: Any, part: Any) -> Any:
    if isinstance(base, dict) and isinstance(part, dict):
        return base | {key: overlaid(base.get(key), value) for key, value in part.items()}
    return part


@pytest.mark.parametrize("block", alone("yaml"))
def test_a_part_of_the_configuration_is_accepted(block: Block, tmp_path: Path) -> None:
    base = {} if block.file else yaml.safe_load(BASE)
    file = tmp_path / "fraises.yaml"
    file.write_text(yaml.safe_dump(overlaid(base, yaml.safe_load(block.text)), sort_keys=False))
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)", block.text), "https://user:secret@example.com/a.git")
    secret = "/run/secrets/webhook"
    text = file.read_text()
    if secret in text:
        (tmp_path / "secret").write_text("a secret")
        file.write_text(text.replace(secret, str(tmp_path / "secret")))
    config = load_config(file, Plugins.installed(), variables)
    assert not config.git.missing
    assert not any(fraise.problem for fraise in config.fraises.values())


@pytest.mark.parametrize("block", alone("python"))
def test_a_program_runs(block: Block, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@every_page
def test_no_query_stands_where_no_store_is(page: Path) -> None:
    assert runs_here(page) or not any(block.language == "sql" for block in blocks(page))


def units() -> list[Any]:
    return [
        pytest.param(block, id=f"{page_id(page)}:{block.file}")
        for page in PAGES
        for block in blocks(page)
        if block.file and block.file.endswith((".service", ".timer"))
    ]


@pytest.mark.parametrize("block", units())
def test_systemd_accepts_a_unit(block: Block, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        unavailable = pytest.fail if "CI" in os.environ else pytest.skip
        unavailable("systemd-analyze is not here")
    unit = tmp_path / Path(str(block.file)).name
    unit.write_text(re.sub(r"^(ExecStart=)\S+", r"\g<1>/bin/true", block.text, flags=re.MULTILINE))
    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    complaints = [line for line in verified.stderr.splitlines() if unit.name in line]
    assert (verified.returncode, complaints) == (0, []), verified.stderr


@pytest.mark.parametrize("page", ALL_PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        targets = re.findall(r"\]\(([^)\s#]+)", page.read_text())
        waiting += [(page.parent / target).resolve() for target in targets if not target.startswith("http")]
    assert not set(ALL_PAGES) - reached


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
    ("A fraise", FraiseSection, None),
    ("An environment", EnvironmentSettings, None),
    ("An environment of type api", ApiSettings, EnvironmentSettings),
    ("health_check", HealthCheck, None),
    ("branch_mapping", RuleSection, None),
    ("database", DatabaseSection, None),
]


@pytest.mark.parametrize(("heading", "model", "base"), SECTIONS_OF_THE_FILE)
def test_the_reference_has_every_key_with_its_default(
    heading: str, model: type[Section], base: type[Section] | None
) -> None:
    inherited = set(base.model_fields) if base else set()
    fields = {name: field for name, field in model.model_fields.items() if name not in inherited}
    table = rows(reference("configuration.md"), heading)
    assert set(table) == set(fields)
    for name, field in fields.items():
        assert table[name][0] == shown_default(field), name


def shown_default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ({}, (), ""):
        return "-"
    return f"`{str(value).lower() if isinstance(value, bool) else f'{value:g}'}`"


def test_the_reference_has_every_section_of_the_file() -> None:
    for section in SECTIONS:
        assert f"`{section}:`" in reference("configuration.md"), section
    assert fraisier_gitlab.GitLabSettings.model_fields.keys() == ProviderSettings.model_fields.keys()


def hooks() -> Iterator[tuple[str, str, list[str]]]:
    for specs in (ProviderHooks, DeployerHooks):
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
    Database.open(path).close()
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
    values = re.search(rf"CHECK \({column} IN \((.*?)\)\)", text, re.DOTALL)
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


def test_the_tutorial_shows_the_package_that_is_tested() -> None:
    shown = {block.file: block.text for block in blocks(DOCS / "tutorial/deployer.md") if block.file}
    for path in sorted((ROOT / "tests/third_party/acme_site").glob("*.*")):
        assert shown.get(f"acme-site/{path.name}") == path.read_text(), path.name


def test_every_dependency_has_its_reason() -> None:
    text = (DOCS / "decisions/libraries.md").read_text()
    for package in package_names():
        content = (ROOT / "packages" / package / "pyproject.toml").read_text()
        for name in re.findall(r'^  "([a-z-]+)[>=]', content, re.MULTILINE):
            assert name.startswith("fraisier") or f"`{name}`" in text, name
