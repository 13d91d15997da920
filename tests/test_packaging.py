"""What is installed from the wheels works, alone and together, and third parties can add to it."""

from __future__ import annotations

import hmac
import json
import os
import re
import signal
import sqlite3
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from fraisier_core.system.processes import ProcessIdentity, descendants
from fraisier_core.testing import Forge

from tests.environments import LOCK, ROOT, UV, PythonEnvironment, package_names, wheel
from tests.waiting import wait_until

PACKAGES = package_names()
APPLICATION = ("fraisier-core", "fraisier-deployers", "fraisier")
THIRD_PARTY = ROOT / "tests/third_party"
ACME_FORGE, ACME_SITE, ACME_REPORT = (
    THIRD_PARTY / name for name in ("acme_forge", "acme_site", "acme_report")
)
SECRET = "a secret of this test"
SECONDS = 60.0

CONFIG = """\
git:
  {provider}:
    webhook_secret: {secret}
fraises:
  docs:
    type: {type}
    repository: {repository}
    environments:
      production:
        branch: main
        app_path: {app_path}
branch_mapping:
  main: {{fraise: docs, environment: production}}
"""


def installed(folder: Path, wheels: Path, *packages: str) -> PythonEnvironment:
    return PythonEnvironment.create(folder / "venv", *(wheel(wheels, package) for package in packages))


def configure(folder: Path, forge: Forge, *, provider: str = "gitlab", kind: str = "api") -> None:
    text = CONFIG.format(
        provider=provider, secret=SECRET, type=kind, repository=forge.url, app_path=folder / "site"
    )
    (folder / "fraises.yaml").write_text(text)


@contextmanager
def webhook(environment: PythonEnvironment, folder: Path) -> Iterator[str]:
    """Run the web app with its worker, and yield where it listens."""
    log = folder / "webhook.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [environment.bin / "fraisier-webhook", "--port", "0"],
            cwd=folder,
            env=environment.variables(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: "listening on " in log.read_text() or process.poll() is not None, log.read_text)
        found = re.search(r"listening on (\S+)", log.read_text())
        assert found, log.read_text()
        yield found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)


def post(url: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def gitlab_push(forge: Forge, commit: str) -> tuple[dict[str, str], bytes]:
    body = {
        "object_kind": "push",
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": commit,
        "user_username": "alice",
        "project": {"path_with_namespace": "acme/docs", "git_http_url": forge.url, "git_ssh_url": forge.url},
    }
    return {"X-Gitlab-Token": SECRET, "X-Gitlab-Event": "Push Hook"}, json.dumps(body).encode()


def github_push(forge: Forge, commit: str) -> tuple[dict[str, str], bytes]:
    payload = {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": commit,
        "head_commit": {"id": commit},
        "repository": {"full_name": "acme/docs", "clone_url": forge.url, "ssh_url": forge.url},
        "pusher": {"name": "alice"},
    }
    body = json.dumps(payload).encode()
    signature = f"sha256={hmac.digest(SECRET.encode(), body, 'sha256').hex()}"
    return {"X-GitHub-Event": "push", "X-Hub-Signature-256": signature}, body


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_holds_every_file_of_its_package_and_the_licence(wheels: Path, package: str) -> None:
    source = ROOT / "packages" / package / "src"
    files = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel(wheels, package)) as archive:
        names = set(archive.namelist())
        (licence,) = (name for name in names if name.endswith("/licenses/LICENSE"))
        assert archive.read(licence).decode() == (ROOT / "LICENSE").read_text()
    assert files <= names
    assert f"{package.replace('-', '_')}/py.typed" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {package.replace("-", "_")}


def test_a_wheel_of_the_api_is_the_same_if_it_is_built_from_a_source_distribution(
    wheels: Path, tmp_path: Path
) -> None:
    build: list[str | Path] = [UV, "build", "--quiet", "--build-constraint", LOCK, "--out-dir", tmp_path]
    subprocess.run([*build, ROOT / "packages/fraisier-graphql"], check=True)
    for folder in (wheels, tmp_path):
        with zipfile.ZipFile(wheel(folder, "fraisier-graphql")) as archive:
            schema = archive.read("fraisier_graphql/schema.json")
        assert schema == (ROOT / "schema/schema.json").read_bytes()


@pytest.mark.parametrize("package", [name for name in PACKAGES if name != "fraisier"])
def test_a_plugin_works_beside_the_core_alone(wheels: Path, package: str, tmp_path: Path) -> None:
    environment = installed(tmp_path, wheels, *sorted({"fraisier-core", package}))
    program = (
        "from fraisier_core.plugins import Plugins\n"
        f"import {package.replace('-', '_')}\n"
        "print(*(f'{each.name} {each.distribution} {each.status}' for each in Plugins.installed().report()))"
    )
    done = environment.run("python", "-W", "error", "-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    offers = {
        "fraisier-core": "",
        "fraisier-notify": "",
        "fraisier-postgres": "postgresql fraisier-postgres ok ",
    }
    types = ("api", "backup", "etl", "scheduled")
    offers["fraisier-deployers"] = "".join(f"{name} fraisier-deployers ok " for name in types)
    names = ("forgejo", "gitea", "gogs")
    offers["fraisier-gitea"] = "".join(f"{name} fraisier-gitea ok " for name in names)
    expected = offers.get(package, f"{package.removeprefix('fraisier-')} {package} ok ")
    providers = ("bitbucket", "gitea", "github", "gitlab")
    observers = {f"fraisier-{name}": f"{name}_statuses" for name in providers} | {"fraisier-notify": "notify"}
    observed = f" {observers[package]} {package} ok" if package in observers else ""
    assert done.stdout.strip() == f"{expected}sqlite fraisier-core ok{observed}"


@pytest.fixture(scope="module")
def application(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> PythonEnvironment:
    """The application as `pip install fraisier` leaves it, without any provider."""
    return installed(tmp_path_factory.mktemp("application"), wheels, *APPLICATION)


def test_everything_of_ours_came_from_our_wheels(application: PythonEnvironment) -> None:
    program = (
        "from importlib.metadata import distributions\n"
        "for each in distributions():\n"
        "    if each.name.startswith('fraisier'):\n"
        "        assert each.read_text('direct_url.json'), each.name\n"
        "        print(each.name)"
    )
    done = application.run("python", "-c", program, cwd=application.folder)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted(APPLICATION)


def test_without_a_provider_list_says_what_to_install(application: PythonEnvironment, tmp_path: Path) -> None:
    (tmp_path / "fraises.yaml").write_text(
        "fraises:\n  my_api:\n    type: api\n    repository: https://example.com/acme/my-api.git\n"
        "    environments: {production: {}}\n"
    )
    done = application.run("fraisier", "list", cwd=tmp_path)
    assert (done.returncode, "my_api" in done.stdout) == (0, True), done.stderr
    assert "pip install ./packages/fraisier-github" in done.stderr


def test_a_provider_is_added_by_installing_it(wheels: Path, tmp_path: Path) -> None:
    environment = installed(tmp_path, wheels, *APPLICATION)
    forge = Forge.create(tmp_path / "forge")
    headers, body = gitlab_push(forge, forge.push_files({"index.html": "Hello"}))
    configure(tmp_path, forge)
    with webhook(environment, tmp_path) as url:
        status, answer = post(f"{url}/webhook/gitlab", headers, body)
    assert status == 503
    assert "pip install ./packages/fraisier-gitlab" in answer

    environment.install(wheel(wheels, "fraisier-gitlab"))
    with webhook(environment, tmp_path) as url:
        status, answer = post(f"{url}/webhook/gitlab", headers, body)
    assert status == 202, answer


@pytest.fixture(scope="module")
def with_acme_site(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> PythonEnvironment:
    """The application, a provider, and two fraise types of third parties, one of them with jobs."""
    environment = installed(tmp_path_factory.mktemp("acme"), wheels, *APPLICATION, "fraisier-github")
    environment.install(ACME_SITE, ACME_REPORT, "pytest")
    return environment


@pytest.mark.parametrize("package", [ACME_SITE, ACME_REPORT], ids=lambda package: package.name)
def test_a_deployer_of_a_third_party_conforms(
    with_acme_site: PythonEnvironment, tmp_path: Path, package: Path
) -> None:
    assert_tests_pass(with_acme_site, package / f"test_{package.name}.py", tmp_path)


def test_a_provider_of_a_third_party_conforms(wheels: Path, tmp_path: Path) -> None:
    environment = installed(tmp_path, wheels, "fraisier-core")
    environment.install(ACME_FORGE, "hypothesis", "pytest")
    assert_tests_pass(environment, ACME_FORGE / "test_acme_forge.py", tmp_path)
    assert_tests_pass(environment, ACME_FORGE / "test_acme_statuses.py", tmp_path)


def assert_tests_pass(environment: PythonEnvironment, tests: Path, folder: Path) -> None:
    options = ["-p", "tests.skips", "-p", "no:cacheprovider", "--import-mode=importlib", "-c", "/dev/null"]
    strict = {"CI": "1", "PYTHONPATH": str(ROOT)}
    done = environment.run("python", "-m", "pytest", *options, str(tests), cwd=folder, env=strict)
    assert done.returncode == 0, done.stdout


def test_a_deployer_of_a_third_party_deploys_by_hand(
    with_acme_site: PythonEnvironment, tmp_path: Path
) -> None:
    forge = Forge.create(tmp_path / "forge")
    forge.push_files({"index.html": "Hello"})
    configure(tmp_path, forge, provider="github", kind="site")
    done = with_acme_site.run("fraisier", "deploy", "docs", "production", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "look: done" in done.stdout
    assert (tmp_path / "site/index.html").read_text() == "Hello"

    forge.git("rm", "--quiet", "index.html")
    forge.push_files({"other.html": "Hello again"})
    done = with_acme_site.run("fraisier", "deploy", "docs", "production", cwd=tmp_path)
    assert done.returncode == 10, done.stderr
    assert "index.html is missing" in done.stderr
    assert (tmp_path / "site/index.html").read_text() == "Hello"


def test_a_deployer_of_a_third_party_deploys_by_webhook(
    with_acme_site: PythonEnvironment, tmp_path: Path
) -> None:
    forge = Forge.create(tmp_path / "forge")
    commit = forge.push_files({"index.html": "Hello"})
    configure(tmp_path, forge, provider="github", kind="site")
    with webhook(with_acme_site, tmp_path) as url:
        status, answer = post(f"{url}/webhook/github", *github_push(forge, commit))
        assert status == 202, answer
        record = ended(with_acme_site, tmp_path)
    assert (record["status"], record["commit_sha"], record["requested_by"]) == ("success", commit, "alice")
    assert (tmp_path / "site/index.html").read_text() == "Hello"


def ended(environment: PythonEnvironment, folder: Path) -> dict[str, object]:
    """Wait for the one deployment to end, and return what is recorded of it."""

    def record() -> dict[str, object] | None:
        (found,) = json.loads(environment.run("fraisier", "history", "--json", cwd=folder).stdout)
        return None if found["status"] in {"pending", "running"} else dict(found)

    return wait_until(record)


def test_a_store_of_a_third_party_keeps_the_record(
    wheels: Path, with_acme_site: PythonEnvironment, tmp_path: Path
) -> None:
    environment = installed(tmp_path, wheels, *APPLICATION, "fraisier-github")
    environment.install(ACME_SITE, THIRD_PARTY / "acme_store")
    forge = Forge.create(tmp_path / "forge")
    forge.push_files({"index.html": "Hello"})
    configure(tmp_path, forge, provider="github", kind="site")
    with (tmp_path / "fraises.yaml").open("a") as file:
        file.write("database: {url: 'acme:record/deployments.db'}\n")
    done = environment.run("fraisier", "deploy", "docs", "production", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    commit = forge.push_files({"index.html": "Hello again"})
    with webhook(environment, tmp_path) as url:
        status, answer = post(f"{url}/webhook/github", *github_push(forge, commit))
        assert status == 202, answer
        wait_until(lambda: (tmp_path / "site/index.html").read_text() == "Hello again")
    for command in (["status"], ["history"], ["rollback", "docs", "production"], ["db", "rebuild"]):
        done = environment.run("fraisier", *command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/index.html").read_text() == "Hello"
    assert (tmp_path / "record/deployments.db").exists()
    assert not (tmp_path / ".fraisier/fraisier.db").exists()


@pytest.fixture
def journal(wheels: Path, tmp_path: Path) -> Iterator[Journal]:
    """The application with the observer of a third party, and a configuration."""
    environment = installed(tmp_path, wheels, *APPLICATION, "fraisier-github")
    environment.install(ACME_SITE, THIRD_PARTY / "acme_journal")
    forge = Forge.create(tmp_path / "forge")
    configure(tmp_path, forge, provider="github", kind="site")
    file = tmp_path / "journal"
    with (tmp_path / "fraises.yaml").open("a") as config:
        config.write(f"journal: {{file: {file}}}\n")
    with webhook(environment, tmp_path) as url:
        yield Journal(forge, file, tmp_path / "fraises.yaml", f"{url}/webhook/github")


@dataclass(frozen=True)
class Journal:
    forge: Forge
    file: Path
    config: Path
    url: str

    def push(self, text: str) -> None:
        commit = self.forge.push_files({"index.html": text})
        status, answer = post(self.url, *github_push(self.forge, commit))
        assert status == 202, answer

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def successes(self) -> int:
        return len({line for line in self.lines() if line.endswith("docs production: success")})

    def process(self) -> ProcessIdentity | None:
        """Return the process that tells observers, which does so in younger ones of the same name."""
        command = f"fraisier_core.worker.observing\0{self.config}\0"
        found = [each for each in descendants(os.getpid()) if command in command_line(each)]
        return min(found, key=lambda each: each.start_time, default=None)

    def is_known(self) -> bool:
        with closing(sqlite3.connect(self.config.with_name(".fraisier") / "fraisier.db")) as store:
            return bool(store.execute("SELECT 1 FROM tb_observers").fetchall())


def command_line(process: ProcessIdentity) -> str:
    try:
        return Path(f"/proc/{process.pid}/cmdline").read_text()
    except OSError:  # it is gone
        return ""


def push_and_kill(journal: Journal, text: str) -> None:
    process = wait_until(journal.process)
    seen = len(journal.lines())
    journal.push(text)
    wait_until(lambda: len(journal.lines()) > seen)
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not process.is_alive())


def test_an_observer_of_a_third_party_misses_nothing_when_its_process_is_killed(journal: Journal) -> None:
    wait_until(journal.is_known)
    for number in range(3):
        push_and_kill(journal, str(number))
    wait_until(lambda: journal.successes() == 3)
    numbers = [int(line.split()[0]) for line in journal.lines()]
    assert set(numbers) == set(range(1, max(numbers) + 1))
    assert all(then <= first + 1 for first, then in pairwise(numbers))
