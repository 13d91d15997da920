from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import pytest
from fraisier_core.config import Config, parse_config
from fraisier_core.git.access import NO_ACCESS
from fraisier_core.requests.reconciling import Question, Questions
from fraisier_core.testing.forge import Forge

from tests.origins import Origin
from tests.packages import PackageFolder

pytest_plugins = ["fraisier_core.testing.forge"]

CONFIGURATION = """\
fraises:
  app:
    type: demo
    repository: {url}
    environments: {{production: {{branch: main}}, staging: {{}}, tagged: {{branch: main}}}}
  twin:
    type: demo
    repository: {url}
    environments: {{production: {{branch: main}}}}
  other:
    type: demo
    repository: {url}
    credentials: {{token: a-token, host: git.example.com}}
    environments: {{production: {{branch: main}}, broken: {{env: {{A: "${{UNSET}}"}}}}}}
branch_mapping:
  main: {{fraise: app, environment: staging}}
  v*: {{fraise: app, environment: tagged, tags: true}}
"""


@pytest.fixture
def config(site: PackageFolder) -> Config:
    site.deployer("demo")
    text = CONFIGURATION.format(url="https://git.example.com/acme/app.git")
    return parse_config(text, Path("/etc/fraises.yaml"), site.plugins(), {})


def question(url: str, folder: Path) -> Question:
    return Question(url, NO_ACCESS, folder / "mirrors")


def test_a_repository_tells_its_branches_and_nothing_is_fetched(forge: Forge, tmp_path: Path) -> None:
    first = forge.push_files({"a": "1"})
    second = forge.push_files({"a": "2"}, branch="release/1")
    forge.git("push", "--quiet", "origin", "HEAD:refs/tags/v1")
    heads = question(forge.url, tmp_path).ask()
    assert heads == {"refs/heads/main": first, "refs/heads/release/1": second}
    assert not list((tmp_path / "mirrors").glob("*.git"))


def test_a_repository_may_have_more_branches_than_git_prints_in_one_go(tmp_path: Path) -> None:
    origin = Origin(tmp_path / "origin")
    commit = origin.commit(a="1")
    lines = "".join(f"create refs/heads/a-long-name-of-a-branch/{n} {commit}\n" for n in range(1500))
    subprocess.run(["git", "-C", origin.path, "update-ref", "--stdin"], input=lines, text=True, check=True)
    heads = question(str(origin.path), tmp_path).ask()
    assert isinstance(heads, dict)
    assert (len(heads), {*heads.values()}) == (1501, {commit})


def test_a_repository_of_sha256_ids_tells_its_branches(tmp_path: Path) -> None:
    origin = Origin(tmp_path / "origin", "sha256")
    assert question(str(origin.path), tmp_path).ask() == {}
    commit = origin.commit(a="1")
    assert question(str(origin.path), tmp_path).ask() == {"refs/heads/main": commit}


def test_a_repository_that_is_not_there_says_why(tmp_path: Path) -> None:
    answer = question(str(tmp_path / "nowhere"), tmp_path).ask()
    assert isinstance(answer, str)
    assert answer.startswith("git_unreachable: ")


def test_a_repository_that_hangs_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as blackhole:
        url = f"http://127.0.0.1:{blackhole.getsockname()[1]}/app.git"
        answer = question(url, tmp_path).ask(seconds=0.3)
    assert re.search(r"timed out after 0\.[23]\d* s \(which is all it gets\)", str(answer))


def test_each_repository_is_asked_once_by_each_way_of_access(config: Config) -> None:
    environments = [each for fraise in config.fraises.values() for each in fraise.environments.values()]
    questions = Questions.of(config, environments)
    asked = [[(each.fraise, each.name) for each in those] for those in questions.asked.values()]
    app = [("app", name) for name in ("production", "staging", "tagged")]
    assert asked == [[*app, ("twin", "production")], [("other", "production")]]
    assert list(questions.problems) == [("other", "broken")]
    assert "UNSET" in questions.problems["other", "broken"]
    assert "a-token" not in repr(questions)
    assert "hunter22" not in repr(Question("https://me:hunter22@git.example.com/a.git", NO_ACCESS, Path("/")))
