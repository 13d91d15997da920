"""Every fixture of every forge, delivered over HTTP: it is stored, normalised as expected, and routed."""

from __future__ import annotations

import hmac
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from fraisier_core.config import load_config
from fraisier_core.plugins import Plugins
from fraisier_core.store.protocol import Reader
from fraisier_core.system.host import Host

from tests.end_to_end import BIN, Hook
from tests.environments import ROOT
from tests.test_webhook_events import EXPECTED, FORGES
from tests.waiting import wait_until

SECRET = "correct horse battery staple"


class Section(NamedTuple):
    """A forge as it is configured: its section under `git:`, and the repository of its fixtures."""

    name: str
    settings: str
    repository: str


SECTIONS = {
    "GitHub": Section("github", "", "https://github.com/acme/my-api.git"),
    "GitLab": Section("gitlab", "", "https://gitlab.com/acme/my-api.git"),
    "Gitea, Forgejo": Section("gitea", "", "https://gitea.example.com/acme/my-api.git"),
    "Gogs": Section("gogs", "", "https://gogs.example.com/acme/my-api.git"),
    "Bitbucket Cloud": Section("cloud", "type: bitbucket, ", "https://bitbucket.org/acme/my-api.git"),
    "Bitbucket Data Center": Section(
        "data_center",
        "type: bitbucket, hosts: bitbucket.example.com, ",
        "https://bitbucket.example.com/scm/acme/my-api.git",
    ),
}
FIXTURES = [
    (forge, path)
    for forge, folder in FORGES.items()
    for path in sorted((ROOT / "packages" / folder).glob(f"*{EXPECTED}"))
]


def configuration() -> str:
    lines = ["git:"]
    lines += [f"  {each.name}: {{{each.settings}webhook_secret: {SECRET}}}" for each in SECTIONS.values()]
    lines += ["fraises:"]
    for each in SECTIONS.values():
        places = f"repository: '{each.repository}', environments: {{branches: {{}}, tags: {{}}}}"
        lines += [f"  {each.name}: {{type: api, {places}}}"]
    lines += ["branch_mapping:"]
    for name, environment in (("**", "branches"), ("*", "tags")):
        target = f"environment: {environment}, tags: {str(environment == 'tags').lower()}"
        lines += [f"  '{name}':"]
        lines += [f"    - {{fraise: {each.name}, {target}}}" for each in SECTIONS.values()]
    return "\n".join(lines) + "\n"


def headers(forge: str, event: str, body: bytes, number: int) -> dict[str, str]:
    """Return what the forge sends with an event, signed."""
    digest, key = hmac.digest(SECRET.encode(), body, "sha256").hex(), event.replace("_", ":", 1)
    if forge == "GitHub":
        own = {"X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={digest}"}
        return own | {"X-GitHub-Delivery": str(number)}
    if forge == "GitLab":
        return {"X-Gitlab-Token": SECRET, "X-Gitlab-Event": "System Hook", "Idempotency-Key": str(number)}
    if forge in {"Gitea, Forgejo", "Gogs"}:
        mark = "X-Gogs" if forge == "Gogs" else "X-Gitea"
        return {f"{mark}-Event": event, f"{mark}-Signature": digest, f"{mark}-Delivery": str(number)}
    if event == "diagnostics_ping":
        return {"X-Event-Key": "diagnostics:ping"}
    return {"X-Event-Key": key, "X-Hub-Signature": f"sha256={digest}", "X-Request-Id": str(number)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with a configuration of every forge, and the URL of the web app, which has no worker."""
    folder = tmp_path_factory.mktemp("forges")
    (folder / "fraises.yaml").write_text(configuration())
    log = folder / "webhook.log"
    argv = [str(BIN / "fraisier-webhook"), "--port", "0", "--no-worker"]
    with log.open("wb") as output, subprocess.Popen(argv, cwd=folder, stderr=output) as process:
        try:
            found = wait_until(lambda: re.search(r"listening on (\S+)\n", log.read_text()), log.read_text)
            yield folder, f"{found[1]}/webhook"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def reader(site: tuple[Path, str]) -> Iterator[Reader]:
    """What the web app has recorded."""
    plugins = Plugins.installed()
    database = load_config(site[0] / "fraises.yaml", plugins).database
    found = plugins.store(database).open_for_reading(database, Host())
    assert found is not None
    yield found
    found.close()


def fixture_name(value: object) -> str:
    return value.name.removesuffix(EXPECTED) if isinstance(value, Path) else str(value)


@pytest.mark.parametrize(("forge", "path"), FIXTURES, ids=fixture_name)
def test_a_delivery_is_stored_and_routed_as_expected(
    site: tuple[Path, str], reader: Reader, forge: str, path: Path
) -> None:
    expected = json.loads(path.read_text())
    payload = path.with_name(f"{fixture_name(path)}.json").read_bytes()
    event, section = fixture_name(path).partition("-")[0], SECTIONS[forge].name
    hook = Hook(headers(forge, event, payload, FIXTURES.index((forge, path))), payload)
    status, answer = hook.deliver(f"{site[1]}/{section}")
    if event == "diagnostics_ping":
        assert (status, answer["status"]) == (200, "ignored")
        assert "event" not in answer, "what anybody may send is not recorded"
        return
    pushes = expected if isinstance(expected, list) else []
    requested = [push for push in pushes if push["after"]]
    assert (status, answer["status"]) == ((202, "accepted") if requested else (200, "ignored"))
    record = reader.delivery(answer["event"])
    assert record.delivery.provider == section
    refs = [(each.ref, each.before_sha, each.commit_sha) for each in record.refs]
    assert refs == [(push["ref"], push["before"], push["after"]) for push in pushes]
    found = [(each.fraise_id, each.ref, each.commit_sha) for each in record.deployments]
    assert found == [(section, push["ref"], push["after"]) for push in requested]
