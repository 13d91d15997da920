"""The guides to extending the API work: on a copy of the tree, with the real compiler, on both servers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.databases import PostgresDatabase, new_postgres
from tests.environments import ROOT
from tests.graphql.fraiseql_server import free_port, over_tcp, require_binaries, responds
from tests.graphql.serving import SECONDS, Api, Host
from tests.packages import PackageFolder
from tests.pages import Block, blocks
from tests.postgres import Servers
from tests.waiting import wait_until

sys.path.append(str(ROOT / "script"))
import fraiseql_binaries as binaries

HOW_TO = ROOT / "docs/how-to"
PAGES = (HOW_TO / "add-a-query.md", HOW_TO / "add-a-mutation.md")
# Any fraise type, as docs/how-to/add-a-fraise-type.md has it.
DEPLOYER = """
from fraisier_core import hookimpl

@hookimpl
def deploy(run):
    with run.step("polish"):
        run.command(["echo", "polishing"])
    run.activate()

@hookimpl
def health_check(run):
    return run.probe()
"""
FRAISE = """
  shop:
    type: polished
    repository: {repository}
    environments:
      live: {{branch: main, health_check: {{command: [test, -f, page.txt], retries: 1}}, stable_for: 0}}
"""
# What a block of a file goes above or below; else it is the end of the file, which may be new.
PLACES = {
    "resolvers.py": (r"^if __name__ ==", ""),
    "mutating.py": (r"^        \}$", r'^ +"fn_\w+": self\._\w+,$'),
}


class Tree:
    """A copy of the tree, whose packages are imported in place of those that are installed.

    Args:
        folder: where it is copied to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("packages", "schema", "script", "docs"):
            ignored = shutil.ignore_patterns("__pycache__", "tests", ".cache")
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
        self.environ = {"PYTHONPATH": os.pathsep.join(map(str, sorted(folder.glob("packages/*/src"))))}

    def follow(self, page: Path) -> list[str]:
        """Do what a page says to do with files, and return its documents."""
        for block in blocks(page):
            if block.file:
                self._write(self.folder / block.file, block)
        for script in ("schema/py/resolvers.py", "script/schema_page.py"):
            self.run(sys.executable, str(self.folder / script))
        return [block.text for block in blocks(page) if block.language == "graphql"]

    def _write(self, file: Path, block: Block) -> None:
        text = file.read_text() if file.exists() else ""
        above, row = PLACES.get(file.name, ("", ""))
        if row and re.search(row, block.text, re.MULTILINE):
            text = re.sub(above, lambda found: block.text + found[0], text, count=1, flags=re.MULTILINE)
        elif above and not row:
            whole = f"{block.text}\n\n"
            text = re.sub(above, lambda found: whole + found[0], text, count=1, flags=re.MULTILINE)
        else:
            more = block.text.partition("    ...\n")[2] or f"\n{block.text}"
            text += f"\n{more}" if file.suffix == ".py" and not row else more
        file.write_text(text)

    def run(self, *command: str, **more: str) -> str:
        """Run a command that imports the copy, and return what it printed."""
        environ = os.environ | self.environ | more
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy of the tree."""
    require_binaries()
    return Tree(tmp_path_factory.mktemp("tree") / "copy")


@pytest.fixture(scope="module")
def documents(tree: Tree) -> dict[str, list[str]]:
    """The documents of each guide, once all guides were followed in one copy."""
    return {page.stem: tree.follow(page) for page in PAGES}


@pytest.fixture(scope="module")
def host(
    tree: Tree,
    documents: dict[str, list[str]],
    tmp_path_factory: pytest.TempPathFactory,
    postgres_servers: Servers,
) -> Host:
    """A host that runs the copy, on which one release serves, and another of a fraise type of its own."""
    folder = tmp_path_factory.mktemp("guides")
    packages = PackageFolder(folder / "packages")
    packages.folder.mkdir()
    packages.deployer("polished", DEPLOYER)
    server = postgres_servers(18)
    database = PostgresDatabase(over_tcp(server, new_postgres(server).url))
    path = os.pathsep.join([tree.environ["PYTHONPATH"], str(packages.folder)])
    host = replace(Host.create(folder / "host", database), variables={"PYTHONPATH": path})
    config = host.folder / "fraises.yaml"
    config.write_text(config.read_text() + FRAISE.format(repository=host.forge.url))
    host.forge.push_files({"page.txt": "one"})
    for place in (("my_api", "production"), ("shop", "live")):
        done = host.run("fraisier", "deploy", *place)
        assert done.returncode == 0, done.stderr
    return host


@pytest.fixture(scope="module")
def servers(tree: Tree, host: Host) -> Iterator[tuple[Api, Api]]:
    """The embedded server and the real one, over one store."""
    with host.serving() as embedded, _fraiseql(tree, host) as real:
        yield embedded, real


@contextmanager
def _fraiseql(tree: Tree, host: Host) -> Iterator[Api]:
    """Run the script of the copy that serves by the real server."""
    url, log = f"http://127.0.0.1:{(port := free_port())}", host.folder / "fraiseql.log"
    script = str(tree.folder / "script/fraiseql_serving.py")
    command = [sys.executable, script, "-c", str(host.folder / "fraises.yaml"), "--port", str(port)]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=os.environ | tree.environ, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            wait_until(lambda: responds(url, process), log.read_text)
            with httpx.Client(base_url=url, timeout=SECONDS, trust_env=False) as client:
                yield Api(url, client)
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def codes(answer: Any) -> list[str]:
    """Return the codes of the errors of an answer."""
    return [error["code"] for error in answer.get("errors", ())]


def test_the_compiler_takes_what_the_guides_add(
    tree: Tree, documents: dict[str, list[str]], tmp_path: Path
) -> None:
    assert all(documents.values())
    target = tmp_path / "compiled.json"
    schema = str(tree.folder / "schema/schema.json")
    tree.run(str(binaries.folder() / "bin/fraiseql-cli"), "compile", schema, "--output", str(target))
    assert {"repositories", "promote"} <= set(re.findall(r"\w+", target.read_text()))
    page = (tree.folder / "docs/reference/graphql.md").read_text()
    assert "`repositories: [Repository!]!`" in page
    assert "`promote(fraiseId: String!, source: String!, target: String!): Deployment!`" in page


def test_an_added_query_is_answered_alike_by_both_servers(
    servers: tuple[Api, Api], documents: dict[str, list[str]], host: Host
) -> None:
    (document,) = documents["add-a-query"]
    embedded, real = (server.ask(document) for server in servers)
    assert embedded == real
    assert [each["fraises"] for each in embedded["repositories"]] == [3]
    assert host.folder.name in embedded["repositories"][0]["identity"]


def test_an_added_mutation_requests_the_same_on_both_servers(
    servers: tuple[Api, Api], documents: dict[str, list[str]]
) -> None:
    promote, refused = documents["add-a-mutation"]
    embedded, real = (server.ask(promote)["promote"] for server in servers)
    assert embedded == real
    assert (embedded["environment"], embedded["status"]) == ("staging", "PENDING")
    assert [codes(server.post(refused).json()) for server in servers] == [["BAD_USER_INPUT"]] * 2


def test_a_fraise_type_of_ones_own_is_shown_by_both_servers(servers: tuple[Api, Api]) -> None:
    document = '{ fraise(id: "shop") { type deploymentHistory { status steps { name status } } } }'
    embedded, real = (server.ask(document)["fraise"] for server in servers)
    assert embedded == real
    assert embedded["type"] == "polished"
    (deployment,) = embedded["deploymentHistory"]
    assert deployment["status"] == "SUCCESS"
    assert {"name": "polish", "status": "SUCCESS"} in deployment["steps"]
