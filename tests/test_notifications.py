"""A real worker, a real ETL job, a mail server and an HTTP server: who hears of what."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from fraisier_core.config import load_config
from fraisier_core.plugins import Plugins
from fraisier_core.system.processes import descendants
from fraisier_core.testing import ApiResponse, ApiServer, Forge

from tests.command import FRAISIER
from tests.smtp import SmtpServer, smtp_server
from tests.stores import open_store
from tests.waiting import wait_until

SECRET = "hunter2-of-the-url"
CONFIGURATION = """\
fraises:
  sales:
    type: etl
    repository: {repository}
    environments:
      production:
        branch: main
        app_path: {folder}/app
        script_path: load.sh
        env: {{SOURCE: {folder}/source, PASSWORD: {{value: password-of-sales, secret: true}}}}
  copies:
    type: backup
    environments:
      production:
        source:
          command: ["false"]
          restore: [touch, "{{target}}"]
          drop: [rm, "{{target}}"]
        path: {folder}/copies
        restore_test: {{}}
notify:
  mail: {{url: "${{MAIL}}"}}
  hook: {{url: "${{HOOK}}"}}
"""
SCRIPT = '#!/bin/sh\necho "loading with $PASSWORD"\ntest -e "$SOURCE"\n'


class Sales:
    """A folder with the configuration of an ETL job, and the command in it."""

    def __init__(self, folder: Path, smtp: SmtpServer, hook: ApiServer) -> None:
        self.folder, self.smtp, self.hook = folder, smtp, hook
        forge = Forge.create(folder / "forge")
        (forge.clone / "load.sh").touch(0o755)
        forge.push_files({"load.sh": SCRIPT})
        (folder / "fraises.yaml").write_text(CONFIGURATION.format(repository=forge.url, folder=folder))
        mail = f"mailto://127.0.0.1:{smtp.port}?from=fraisier@example.com&to=ada@example.com&name={SECRET}"
        self.environ = {**os.environ, "MAIL": mail, "HOOK": f"json://ada:{SECRET}@{hook.host}/"}

    def run(self, *arguments: str) -> int:
        argv = [str(FRAISIER), *arguments]
        return subprocess.run(argv, cwd=self.folder, env=self.environ, check=False).returncode

    def settle(self) -> None:
        """Wait until everything was told and sent."""
        loaded = load_config(self.folder / "fraises.yaml", Plugins.installed())
        with closing(open_store(loaded.database)) as store:
            newest = store.all("SELECT max(sequence) AS newest FROM tb_deployment_events")[0]["newest"]
            wait_until(lambda: store.observed("notify").sequence == newest, self.log)
        outbox = self.folder / ".fraisier/observers/notify"
        wait_until(lambda: not list(outbox.glob("*.letter")), self.log)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def everything(self) -> Iterator[str]:
        """Yield what is on the disk, and what every process says of itself."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                yield path.read_bytes().decode(errors="replace")
        for process in descendants(os.getpid()):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                yield Path(f"/proc/{process.pid}/cmdline").read_text()


@pytest.fixture
def sales(tmp_path: Path) -> Iterator[Sales]:
    with smtp_server() as smtp, ApiServer(lambda _: ApiResponse()) as hook:
        sales = Sales(tmp_path, smtp, hook)
        with (tmp_path / "log").open("wb") as log:
            worker = subprocess.Popen([FRAISIER, "worker"], cwd=tmp_path, env=sales.environ, stderr=log)
        try:
            wait_until(lambda: "told of events" in sales.log(), sales.log)
            yield sales
        finally:
            worker.terminate()
            worker.wait(60)


def test_a_failing_etl_run_reaches_everybody_once_and_one_that_succeeds_again_says_so(sales: Sales) -> None:
    assert sales.run("deploy", "sales", "production") == 0
    assert sales.run("run", "sales", "production") == 10
    wait_until(lambda: sales.smtp.mails and sales.hook.requests, sales.log)
    (sales.folder / "source").touch()
    assert sales.run("run", "sales", "production") == 0
    sales.settle()
    assert len(sales.smtp.mails) == len(sales.hook.requests) == 2
    failed, again = (each.json() for each in sales.hook.requests)
    assert failed["title"] == sales.smtp.mails[0]["Subject"] == "sales production: run failed"
    assert again["title"] == sales.smtp.mails[1]["Subject"] == "sales production: run succeeds again"
    assert "  loading with ***\n" in failed["message"]
    assert "password-of-sales" not in failed["message"] + sales.smtp.mails[0].as_string()
    assert sales.run("backups", "test", "copies", "production") == 10
    assert sales.run("backup", "copies", "production") == 10
    sales.settle()
    told = ["copies production: restore test failed", "copies production: backup failed"]
    assert [mail["Subject"] for mail in sales.smtp.mails[2:]] == told
    assert [each.json()["title"] for each in sales.hook.requests[2:]] == told
    assert not [text for text in sales.everything() if SECRET in text]
