"""Every block of the documentation works, and every link leads somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fraisier_core.config import load_config
from fraisier_core.plugins import Plugins

from tests.environments import ROOT, PythonEnvironment, from_wheelhouse, wheel
from tests.pages import Block, blocks, page_shell

DOCS = ROOT / "docs"
# These pages have tests of their own, beside what they describe.
ELSEWHERE = {
    DOCS / "reference/cli.md": "packages/fraisier/tests",
    DOCS / "reference/exit-codes.md": "packages/fraisier/tests",
    DOCS / "reference/graphql.md": "tests/graphql",
    DOCS / "reference/http.md": "packages/fraisier/tests",
    DOCS / "how-to/add-a-mutation.md": "tests/graphql",
    DOCS / "how-to/add-a-query.md": "tests/graphql",
    DOCS / "reference/performance.md": "benchmarks",
    DOCS / "how-to/fraiseql-server.md": "tests/graphql",
    DOCS / "how-to/back-up-postgresql.md": "tests",
    DOCS / "how-to/move-to-postgresql.md": "tests",
}
# Needs root and a machine to itself.
IN_SANDBOX = {
    DOCS / "how-to/systemd.md": "tests/systemd/test_page.py",
    DOCS / "how-to/scheduled.md": "tests/systemd/test_page.py",
    DOCS / "how-to/etl.md": "tests/systemd/test_etl_page.py",
    DOCS / "how-to/production.md": "tests/systemd/test_production_page.py",
    DOCS / "how-to/pgbouncer.md": "tests/systemd/test_production_page.py",
}
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(page for page in sorted(DOCS.rglob("*.md")) if page not in ELSEWHERE),
]
ALL_PAGES = [*PAGES, *(page for page in ELSEWHERE if page.exists())]
WIDTH = 130
FILES = {"caddyfile", "ini", "json", "python", "toml", "yaml", "bash", "text", "javascript", "nginx"}
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


def installed(folder: Path, wheels: Path) -> PythonEnvironment:
    """Return an environment with pip, what the README installs, from wheels, and what the extra `age` needs:
    pages take that for granted.
    """
    names = re.findall(r"\./packages/([\w-]+)", (ROOT / "README.md").read_text())
    return PythonEnvironment.create(folder, "pip", "pyrage", *(wheel(wheels, name) for name in names))


@pytest.fixture(scope="module")
def installation(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> PythonEnvironment:
    """An environment for pages that install nothing."""
    return installed(tmp_path_factory.mktemp("docs") / "venv", wheels)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of whoever reads a page, with the checkout in `fraisier`."""
    checkout = tmp_path / "home/fraisier"
    ignored = shutil.ignore_patterns("__pycache__", "tests", "dist")
    for name in ("packages", "examples"):
        shutil.copytree(ROOT / name, checkout / name, ignore=ignored)
    return checkout.parent


def require_program(name: str) -> None:
    """Skip the test if a program is not installed."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed here")


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
    page: Path, home: Path, installation: PythonEnvironment, wheels: Path, wheelhouse: Path, tmp_path: Path
) -> None:
    if "curl" in page.read_text():
        require_program("curl")
    if "pip install" in page.read_text():
        installation = installed(tmp_path / "venv", wheels)
    start = home / "fraisier" if page.parent == ROOT else home
    first = page == ROOT / "README.md"
    variables = installation.variables(from_wheelhouse(wheelhouse))
    with page_shell(home, variables, known_to_git=not first) as shell:
        shell.run(f"cd {start}")
        for block in blocks(page):
            shell.execute(block)


def test_no_two_pages_write_into_one_folder() -> None:
    folders = [
        name
        for page in ALL_PAGES
        for name in re.findall(r"mkdir .*&& cd (\S+)$", page.read_text(), re.MULTILINE)
    ]
    assert sorted(set(folders)) == sorted(folders)


def test_no_loop_waits_for_ever() -> None:
    lines = [line for page in PAGES for block in blocks(page) for line in block.text.splitlines()]
    assert [line for line in lines if line.startswith(("until ", "while ")) and "; do " in line] == []


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
def test_no_query_stands_without_a_store(page: Path) -> None:
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
    require_program("systemd-analyze")
    unit = tmp_path / Path(str(block.file)).name
    unit.write_text(re.sub(r"^(ExecStart=)\S+", r"\g<1>/bin/true", block.text, flags=re.MULTILINE))
    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    complaints = [line for line in verified.stderr.splitlines() if unit.name in line]
    assert (verified.returncode, complaints) == (0, []), verified.stderr


def prose(page: Path) -> str:
    """Return a page without its blocks."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ALL_PAGES, ids=page_id)
def test_prose_is_wrapped(page: Path) -> None:
    lines = [line for line in prose(page).splitlines() if not line.startswith("|")]
    assert [line for line in lines if len(line) > WIDTH] == []


@pytest.mark.parametrize("page", ALL_PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
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
