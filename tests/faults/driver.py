"""The one driver of every fault: a throwaway forge and configuration, real processes, real deliveries."""

from __future__ import annotations

import hmac
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fraisier_core.engine.trash import trash
from fraisier_core.store.vocabulary import ENDED
from fraisier_core.system.processes import ProcessIdentity, descendants
from fraisier_core.testing.forge import Forge

from tests.databases import PostgresDatabase
from tests.stores import OpenStore, open_store
from tests.waiting import PATIENCE_SECONDS, wait_until

T = TypeVar("T")

SECRET = "a-webhook-secret-nobody-may-see"
TOKEN = "an-api-token-nobody-may-see"

CONFIGURATION = """\
git:
  provider: github
  github:
    webhook_secret: ${{FRAISIER_WEBHOOK_SECRET}}
fraises:
  my_api:
    type: api
    repository: {repository}
    environments:
      production:
        branch: main
        app_path: {folder}/app
        migrate: [sh, -c, "echo migrate >> {folder}/ledger"]
        restart:
          - sh
          - -c
          - basename $(readlink {folder}/app) > {folder}/running; test ! -e restart.sh || sh restart.sh
        health_check:
          command: [sh, -c, "test ! -e unhealthy && test $(cat {folder}/running) = $FRAISIER_RELEASE"]
          timeout: 5
          retries: 2
          interval: 0.05
        stable_for: 0
        timeout: 8
        silence_timeout: 8
        env: {{API_TOKEN: "${{API_TOKEN}}", LEDGER: {folder}/ledger}}
branch_mapping:
  main: {{fraise: my_api, environment: production}}
"""
TWO_ENVIRONMENTS = {
    "branch_mapping:": "      staging: {{branch: main, app_path: {folder}/staging}}\nbranch_mapping:",
    "main: {": "main: [{{fraise: my_api, environment: staging}}, {{",
    "production}\n": "production}}]\n",
}
"""What `configure` replaces so that a push to main deploys to both."""
BUILD = '#!/bin/sh\necho "token $API_TOKEN"\necho "build $FRAISIER_COMMIT" >> "$LEDGER"\n'
# A script that waits, as what it waits for is opened.
GATED = BUILD + 'while [ ! -e "${LEDGER%/*}/gate" ]; do sleep 0.01; done\n'


@dataclass(frozen=True, slots=True)
class Process:
    """A process of ours, forked from the warm one."""

    identity: ProcessIdentity

    @property
    def pid(self) -> int:
        return self.identity.pid

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Warm:
    """The warm interpreter of this test session."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("warm.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def fork(self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path, log: Path) -> Process:
        request = {"argv": list(argv), "environ": dict(environ), "cwd": str(cwd), "log": str(log)}
        return Process(ProcessIdentity.of(self._ask(request)))

    def wait(self, process: Process) -> int:
        """Wait for a process to end, and return its exit status."""
        return self._ask({"wait": process.pid})

    def offspring(self, spare: Sequence[Process] = ()) -> frozenset[ProcessIdentity]:
        """Return everything that runs below, whoever was its parent once."""
        return descendants(self._process.pid, spare={process.identity for process in spare})

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, request: Mapping[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@dataclass(frozen=True, slots=True)
class Response:
    """What a client of the web app saw."""

    status: int
    body: dict[str, Any]

    @property
    def deployment(self) -> str:
        return str(self.body["deployments"][0]["id"])


@dataclass(slots=True)
class Driver:
    """One place to deploy to, and everything a test does with it."""

    folder: Path
    forge: Forge
    warm: Warm
    web: Process | None = None
    workers: list[Process] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    seen_events: list[tuple[Any, ...]] = field(default_factory=list)
    versions: int = 0
    postgres: PostgresDatabase | None = None
    _port: int = 0
    _database: OpenStore | None = None

    @classmethod
    def create(cls, folder: Path, warm: Warm, postgres: PostgresDatabase | None = None) -> Driver:
        """Return a driver whose store is on SQLite, or on PostgreSQL."""
        driver = cls(folder, Forge.create(folder / "forge"), warm, postgres=postgres)
        (folder / "ledger").touch()
        driver.configure()
        return driver

    # The configuration and the repository

    def configure(self, changes: Mapping[str, str] | None = None) -> None:
        """Write the configuration, with some texts replaced."""
        text = CONFIGURATION.format(folder=self.folder, repository=self.forge.url)
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new.format(folder=self.folder))
        if self.postgres is not None:
            text += f'database: {{url: "{self.postgres.url}"}}\n'
        (self.folder / "fraises.yaml").write_text(text)

    def commit(self, files: Mapping[str, str] | None = None, branch: str = "main") -> str:
        """Push a new version to a branch, of the usual files and some more, and return its commit."""
        self.versions += 1
        version = str(self.versions)
        self.forge.git("rm", "-rq", "--ignore-unmatch", ".")
        usual = {"a-first": version, "build.sh": BUILD, "z-last": version}
        return self.forge.push_files(usual | dict(files or {}), branch)

    @property
    def gate(self) -> Path:
        """What `GATED` waits for."""
        return self.folder / "gate"

    def ledger(self) -> list[str]:
        """Return what the commands of the deployments wrote down."""
        return (self.folder / "ledger").read_text().splitlines()

    # Processes

    def start_web(self, fault: str | None = None, *, with_worker: bool = False) -> Process:
        log = self.folder / f"web-{uuid.uuid4().hex}.log"
        alone = [] if with_worker else ["--no-worker"]
        self.web = self._start(["fraisier-webhook", *alone, "--port", "0"], fault, log)
        self._port = self.wait_for(lambda: _listening(log))
        return self.web

    def start_worker(self, fault: str | None = None, slots: int = 1, grace: float = 25.0) -> Process:
        argv = ["fraisier", "worker", "--slots", str(slots), "--grace", str(grace)]
        self.workers.append(self._start(argv, fault, self.folder / "worker.log"))
        return self.workers[-1]

    def start(self, fault: str | None = None) -> None:
        """Start the web app and a worker; a fault is the worker's."""
        self.start_worker(fault)
        self.start_web()

    def command(self, *arguments: str) -> Process:
        """Start a `fraisier` command."""
        return self._start(["fraisier", *arguments], None, self.folder / "command.log")

    def _start(self, argv: Sequence[str], fault: str | None, log: Path) -> Process:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "FRAISIER_CONFIG": str(self.folder / "fraises.yaml"),
            "FRAISIER_WEBHOOK_SECRET": SECRET,
            "API_TOKEN": TOKEN,
        }
        if fault is not None:
            environ |= {"FRAISIER_FAILPOINT": fault, "FRAISIER_FAILPOINT_FILE": str(self.fault_file)}
        return self.warm.fork(argv, environ, self.folder, log)

    @property
    def fault_file(self) -> Path:
        return self.folder / "fault"

    def fault_pid(self) -> int:
        """Wait until the fault has happened, and return the process that it happened to."""
        return int(self.wait_for(lambda: self.fault_file.read_text() if self.fault_file.exists() else None))

    def stopped_process(self) -> Process:
        """Wait until the fault has stopped a process, and return it."""
        process = self.process(self.fault_pid())
        self.wait_for(
            lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        )
        return process

    def process(self, pid: int) -> Process:
        return Process(ProcessIdentity.of(pid))

    def start_what_is_missing(self) -> None:
        if not self.workers:
            self.start_worker()
        if self.web is None:
            self.start_web()

    def kill(self, *processes: Process | None) -> None:
        """Kill processes at once, and wait until they are gone."""
        victims = [process for process in processes if process is not None]
        for process in victims:
            process.signal(signal.SIGKILL)
        for process in victims:
            self.wait_for(lambda victim=process: not victim.identity.is_alive())  # type: ignore[misc]
            self._forget(process)

    def kill_deployment(self, deployment_id: str) -> None:
        """Kill the process that executes a deployment."""
        (lease,) = self.rows("SELECT pid FROM tb_leases WHERE deployment_id = :id", id=deployment_id)
        self.kill(self.process(lease["pid"]))

    def wait(self, process: Process) -> int:
        """Wait for one of ours to end, and return its exit status."""
        self.wait_for(lambda: not process.identity.is_alive())
        self._forget(process)
        return self.warm.wait(process)

    def _forget(self, process: Process) -> None:
        if process is self.web:
            self.web = None
        self.workers = [worker for worker in self.workers if worker is not process]

    def close(self) -> None:
        """Kill everything that runs on behalf of this test."""
        while left := self.warm.offspring():
            for each in left:
                Process(each).signal(signal.SIGKILL)
        if self._database is not None:
            self._database.close()

    # Store

    def deliver(
        self,
        commit: str,
        before: str | None = None,
        delivery: str | None = None,
        ref: str = "refs/heads/main",
    ) -> Response:
        """Deliver a signed push and return the answer. Raises if the connection breaks."""
        body = push_body(self.forge.url, commit, before, ref)
        answer = post(self._port, body, delivery or str(uuid.uuid4()))
        self.answers.append(answer)
        return answer

    @property
    def port(self) -> int:
        return self._port

    # What the store says

    @property
    def database(self) -> OpenStore:
        if self._database is None and self.postgres is not None:
            self._database = self.postgres.open()
            self._database.insist()
        elif self._database is None:
            path = self.folder / ".fraisier" / "fraisier.db"
            self.wait_for(path.exists)
            self._database = open_store(path)
        return self._database

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        return self.database.all(sql, parameters)

    def deployment(self, deployment_id: str) -> dict[str, Any]:
        (row,) = self.rows("SELECT * FROM tb_deployments WHERE id = :id", id=deployment_id)
        return row

    def events(self, deployment_id: str) -> list[str]:
        sql = "SELECT event FROM tb_deployment_events WHERE deployment_id = :id ORDER BY number"
        return [str(row["event"]) for row in self.rows(sql, id=deployment_id)]

    def serving(self, environment: str = "production") -> str | None:
        """Return the commit that serves, as the store says."""
        rows = self.rows("SELECT commit_sha FROM tb_serving WHERE environment = :name", name=environment)
        return rows[0]["commit_sha"] if rows else None

    def serving_release(self, environment: str = "production") -> str | None:
        """Return the release that serves, as the store says."""
        rows = self.rows("SELECT release FROM tb_serving WHERE environment = :name", name=environment)
        return rows[0]["release"] if rows else None

    def wait_for(self, condition: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
        """Wait until something holds, and return what it says."""
        return wait_until(condition, self.logs, seconds)

    def wait_for_event(self, deployment_id: str, event: str, step: str | None = None) -> None:
        place = "deployment_id = :id AND event = :event AND coalesce(step, '') = :step"
        sql = f"SELECT 1 FROM tb_deployment_events WHERE {place}"
        self.wait_for(lambda: self.rows(sql, id=deployment_id, event=event, step=step or ""))

    def wait_for_step(self, deployment_id: str, step: str) -> None:
        """Wait until a step has started."""
        self.wait_for_event(deployment_id, "step_started", step)

    def ended(self, deployment_id: str) -> dict[str, Any]:
        """Wait until a deployment has ended, and return it."""
        self.wait_for(lambda: self.deployment(deployment_id)["status"] in ENDED)
        return self.deployment(deployment_id)

    def anew(self, deployment_id: str) -> str:
        """Wait until recovery has requested a deployment anew, and return the new one."""
        sql = "SELECT id FROM tb_deployments WHERE recovers = :id"
        return str(self.wait_for(lambda: self.rows(sql, id=deployment_id))[0]["id"])

    def awaits_decision(self) -> str | None:
        """Return the deployment that awaits a user's decision, as `status` says."""
        (row,) = self.rows("SELECT awaits_decision FROM v_fraise_status")
        found: str | None = row["awaits_decision"]
        return found

    def settled(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until nothing waits and nothing runs."""
        sql = "SELECT 1 FROM tb_deployments WHERE status IN ('pending', 'running')"
        self.wait_for(lambda: not self.rows(sql), seconds)

    def deploy(self, commit: str, before: str | None = None) -> dict[str, Any]:
        """Deliver a push, and wait until its deployment has ended."""
        return self.ended(self.deliver(commit, before).deployment)

    def leftovers(self) -> list[str]:
        """Return what interrupted deployments left lying around."""
        places = [self.folder, *(self.folder / ".fraisier/releases").glob("*/*")]
        return [entry.name for place in places for entry in place.iterdir() if _is_half_made(entry)]

    def set_aside(self) -> list[Path]:
        """Return the old releases that are still to be deleted."""
        return list(trash(self.folder / ".fraisier"))

    def logs(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in self.folder.glob("*.log"))


def push_body(url: str, commit: str, before: str | None = None, ref: str = "refs/heads/main") -> bytes:
    """Return the body of a push, as the forge sends it."""
    repository = {"full_name": "acme/my-api", "clone_url": url, "ssh_url": url}
    payload = {
        "ref": ref,
        "before": before or "0" * 40,
        "after": commit,
        "repository": repository,
        "pusher": {"name": "ada"},
    }
    return json.dumps(payload).encode()


def post(port: int, body: bytes, delivery: str, secret: str = SECRET) -> Response:
    """Deliver a signed body and return the answer. Raises if the connection breaks."""
    return send(
        port,
        body,
        {
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": signature(body, secret),
        },
    )


def signature(body: bytes, secret: str = SECRET) -> str:
    """Return the signature of a body, as GitHub and Bitbucket write it."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def send(port: int, body: bytes, headers: Mapping[str, str]) -> Response:
    """Send a body with headers and return the answer. Raises if the connection breaks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("POST", "/webhook", body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return Response(response.status, json.loads(response.read()))
    finally:
        connection.close()


def _listening(log: Path) -> int:
    found = re.search(r" on http://127\.0\.0\.1:(\d+)", log.read_text()) if log.exists() else None
    return int(found[1]) if found else 0


def _is_half_made(entry: Path) -> bool:
    return entry.name.startswith(".") and ".tmp-" in entry.name
