"""How the command starts, or says why it does not."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
from contextlib import closing
from dataclasses import replace

import pytest
from fraisier_core.store.records import ConfiguredEnvironment

from tests.stores import open_store

from .hooks import Hook, github, github_push, new_commit
from .installation import COMMAND, Installation

EXAMPLE = """
git:
  provider: github                     # which provider POST /webhook means; /webhook/{provider} names one
  github:
    webhook_secret: ${FRAISIER_WEBHOOK_SECRET}      # or a list, for rotation
fraises:
  my_api:
    type: api
    description: My GraphQL API
    repository: https://github.com/acme/my-api.git  # optional where app_path already is a clone
    environments:
      production:
        name: api.example.com
        branch: main
        app_path: /var/www/api
        systemd_service: api.service
        health_check: {url: https://api.example.com/health}
branch_mapping:
  main: {fraise: my_api, environment: production}   # or a list; keys may be globs; `paths:` narrows it
"""


def test_the_configuration_of_the_readme_works_as_it_is_written(installation: Installation) -> None:
    installation.config.write_text(EXAMPLE)
    with installation.serving() as server:
        assert server.send(github(github_push(new_commit()))).status_code == 202
        assert server.url.startswith("http://127.0.0.1:")


def test_it_listens_on_port_8080_of_this_host_unless_told_otherwise() -> None:
    shown = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"--host.*\s+\[default: 127\.0\.0\.1\]", shown)
    assert re.search(r"--port[^\[]*\[default: 8080;", shown)


def test_it_listens_where_it_is_told(installation: Installation) -> None:
    with installation.serving("--no-worker", "--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert server.get("/healthz").status_code == 200


def test_a_taken_port_is_named_and_nothing_is_created(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = installation.run("--port", str(port))
    assert done.returncode == 7
    assert done.stderr == (
        f"cannot listen on 127.0.0.1, port {port}: {os.strerror(errno.EADDRINUSE)}; "
        "stop what listens there, or choose another --port\n"
    )
    assert [path.name for path in installation.folder.iterdir()] == ["fraises.yaml"]


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_refused(installation: Installation, host: str) -> None:
    done = installation.run("--host", host)
    assert done.returncode == 3
    assert re.fullmatch(rf"cannot listen on {re.escape(host)}, port 0: [^\n]+\n", done.stderr)


def test_a_missing_configuration_is_said_and_nothing_is_created(installation: Installation) -> None:
    installation.config.unlink()
    done = installation.run("-c", "elsewhere.yaml")
    assert (done.returncode, done.stderr) == (3, "elsewhere.yaml: no such file (named by -c)\n")
    assert not list(installation.folder.iterdir())


def test_an_unset_secret_is_named_and_nothing_is_created(installation: Installation) -> None:
    del installation.environ["FRAISIER_WEBHOOK_SECRET"]
    done = installation.run()
    assert done.returncode == 3
    assert re.fullmatch(r".*: the variable FRAISIER_WEBHOOK_SECRET is not set\n", done.stderr)
    assert [path.name for path in installation.folder.iterdir()] == ["fraises.yaml"]


@pytest.mark.parametrize("secret", ["", "   "])
def test_an_empty_secret_is_refused(installation: Installation, secret: str) -> None:
    done = replace(installation, environ=installation.environ | {"FRAISIER_WEBHOOK_SECRET": secret}).run()
    assert done.returncode == 3
    assert "must not be empty" in done.stderr


def test_a_store_that_cannot_be_written_has_an_exit_code_of_its_own(installation: Installation) -> None:
    (installation.folder / "file").touch()
    installation.config.write_text(
        f"database: {{url: 'sqlite://{installation.folder}/file/fraisier.db'}}\n" + EXAMPLE
    )
    done = installation.run()
    assert done.returncode == 6
    assert str(installation.folder / "file") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_provider_whose_package_is_missing_is_named_at_the_start_and_in_the_answer(
    installation: Installation,
) -> None:
    config = installation.config.read_text()
    installation.config.write_text(
        config.replace("git:\n", "git:\n  acme: {webhook_secret: '${OLD_SECRET}'}\n")
    )
    with installation.serving() as server:
        answer = server.send(Hook("/webhook/acme", b"{}", {"content-type": "application/json"}))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "install the package that offers it" in answer.json()["error"]
        assert "WARNING git.acme: " in server.log.read_text()
        assert "install the package that offers it" in server.log.read_text()
        assert server.send(github(github_push(new_commit()))).status_code == 202


def test_without_any_provider_it_says_that_every_webhook_is_refused(installation: Installation) -> None:
    installation.config.write_text("fraises: {}")
    with installation.serving() as server:
        assert server.send(github(github_push(new_commit()))).status_code == 404
        assert "so every webhook is refused" in server.log.read_text()


def test_it_says_nothing_of_who_executes_a_job_nor_what_it_cannot_know(installation: Installation) -> None:
    section = (
        "type: etl\n    environments: {production: {script_path: load.py, env: {PASSWORD: '${NOT_SET}'}}}"
    )
    missing = "type: not_installed\n    environments: {production: {limits: {memory: 1G}}}"
    fraises = f"  etl:\n    {section}\n  lost:\n    {missing}\n"
    installation.config.write_text(EXAMPLE.replace("fraises:\n", f"fraises:\n{fraises}"))
    said = ConfiguredEnvironment("etl", "etl", None, None, "production", None, None, has_job=True)
    said = said._replace(overlap="skip", deploys_wait=True, executor="unit")
    state = installation.folder / ".fraisier"
    state.mkdir()
    with closing(open_store(state / "fraisier.db")) as store:
        store.configure([said, said._replace(fraise_id="lost")])
    with installation.serving() as server:
        found = server.rows("SELECT fraise_id, overlap, deploys_wait, executor FROM tb_environments")
    values = {row["fraise_id"]: (row["overlap"], row["deploys_wait"], row["executor"]) for row in found}
    assert values == {"my_api": (None, None, None), "etl": ("queue", 1, "unit"), "lost": ("skip", 1, "unit")}
