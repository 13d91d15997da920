"""`fraisier webhooks test`: what each step says, and what to do about the first that fails."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import CompletedProcess

import pytest
from fraisier_core.testing.serving_threads import serving_in_thread

from tests.packages import PROVIDER

from .installation import Installation
from .receiving import SECRET, receiving
from .test_completion import complete

TOKEN = "a-plain-token-of-gitlab"
UNICODE_TOKEN = "a-tøken-in-€"
UNSENDABLE = "a\\nb-of-two-lines"
SIGNING_TOKEN = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SECTIONS = f"""\
git:
  gitlab: {{webhook_secret: {TOKEN}}}
  unicode: {{type: gitlab, webhook_secret: {UNICODE_TOKEN}}}
  unsendable: {{type: gitlab, webhook_secret: "{UNSENDABLE}"}}
  signed: {{type: gitlab, webhook_secret: [{SIGNING_TOKEN}, another secret]}}
  gitea: {{webhook_secret: a secret of Gitea}}
  bitbucket: {{webhook_secret: a secret of Bitbucket}}
"""
OF_OTHERS = ("a secret of Gitea", "a secret of Bitbucket")
SECRETS = (SECRET, TOKEN, UNICODE_TOKEN, "b-of-two-lines", SIGNING_TOKEN, *OF_OTHERS)


@pytest.fixture
def forges(installation: Installation) -> Installation:
    """An installation with a section for each provider."""
    installation.environ["FRAISIER_WEBHOOK_SECRET"] = SECRET
    installation.config.write_text(installation.config.read_text().replace("git:\n", SECTIONS, 1))
    return installation


def sent(installation: Installation, *arguments: str, **environ: str) -> CompletedProcess[str]:
    """Run the command, and make sure that it says no secret."""
    done = installation.run("webhooks", "test", *arguments, **environ)
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
    return done


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Run a server that answers everything with this, and give its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    with serving_in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


def test_each_step_of_every_provider_is_told_and_nothing_is_deployed(forges: Installation) -> None:
    with receiving(forges) as app:
        for name in ("github", "gitlab", "unicode", "signed", "gitea", "bitbucket"):
            done = sent(forges, name, "--url", app.url)
            assert (done.returncode, done.stderr) == (0, ""), name
            lines = done.stdout.splitlines()
            words = [
                "configuration",
                "plugin",
                "server",
                *["secret", "response", "record"] * (len(lines) // 4),
            ]
            assert [line.partition(":")[0] for line in lines] == words
            assert f"{app.url}/webhook/{name} is reached" in lines[2]
            newest = forges.json("webhooks", "list")[0]
            assert (newest["provider"], newest["verdict"]) == (name, "ignored")
            assert lines[-1].startswith(f"record: delivery {newest['id'][-8:]} is ignored: ")
    assert forges.recorded() == []


@contextmanager
def with_secrets(installation: Installation, name: str, *, of_server: str, of_command: str) -> Iterator[str]:
    """Run a server with a list of secrets for a section, give the configuration another one, and its URL."""
    text = installation.config.read_text()
    kind = "github" if name == "hub" else name

    def write(secrets: str) -> None:
        section = f"git:\n  {name}: {{type: {kind}, webhook_secret: {secrets}}}\n"
        installation.config.write_text(text.replace("git:\n", section, 1))

    write(of_server)
    with receiving(installation) as app:
        other = installation.config.with_name("other.yaml")
        mapped = installation.config.read_text()
        write(of_command)
        installation.config.rename(other)
        installation.config.write_text(mapped)
        yield app.url


@pytest.mark.parametrize(
    ("name", "secrets"),
    [
        ("gitlab", ["one", SIGNING_TOKEN, "another"]),
        ("gitea", ["one", "another"]),
        ("hub", ["one", "{secret: another, repositories: https://forge.example/acme/site.git}"]),
    ],
)
def test_every_secret_is_tried(installation: Installation, name: str, secrets: list[str]) -> None:
    listed = f"[{', '.join(secrets)}]"
    with with_secrets(installation, name, of_server=listed, of_command=listed) as url:
        done = sent(installation, name, "--url", url)
        assert (done.returncode, done.stderr) == (0, "")
        told = [line for line in done.stdout.splitlines() if line.startswith("secret: ")]
        count = len(secrets)
        where = f"of {count} of git.{name}.webhook_secret"
        assert told == [f"secret: {number} {where}" for number in range(1, count + 1)]
        assert len(installation.json("webhooks", "list")) == count


@pytest.mark.parametrize(
    ("of_command", "wrong"),
    [
        ("[one, another, third]", [3]),
        ("[third, one]", [1]),
        ("[third, one, fourth]", [1, 3]),
        (f'["{UNSENDABLE}", one]', [1]),
    ],
)
def test_the_secrets_that_fail_are_told_apart_from_those_that_do_not(
    installation: Installation, of_command: str, wrong: list[int]
) -> None:
    with with_secrets(installation, "gitlab", of_server="[one, another]", of_command=of_command) as url:
        arguments = "gitlab", "--url", url, "-c", str(installation.config.with_name("other.yaml"))
        done = sent(installation, *arguments)
        assert done.returncode == 10
        numbers = [int(line.split()[1]) for line in done.stderr.splitlines()]
        assert numbers == wrong
        of_json = sent(installation, *arguments, "--json")
    assert of_json.returncode == 10
    found = json.loads(of_json.stdout)["secrets"]
    assert [each["number"] for each in found if each["problem"]] == wrong
    assert all((each["delivery"] is None) == bool(each["problem"]) for each in found)


def test_json_names_the_place_of_each_step_and_the_delivery(forges: Installation) -> None:
    with receiving(forges) as app:
        done = sent(forges, "gitea", "--url", app.url, "--json")
    assert done.returncode == 0
    assert "response: 200 ignored" in done.stderr
    assert json.loads(done.stdout) == {
        "configuration": str(forges.config),
        "provider": "gitea",
        "plugin": "gitea",
        "url": f"{app.url}/webhook/gitea",
        "secrets": [
            {"number": 1, "delivery": forges.json("webhooks", "list")[0]["id"], "problem": None},
        ],
    }


def test_a_server_that_hangs_up_is_told(forges: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in ("to be reached", "to send"):
                server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        done = sent(forges, "--url", f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert done.returncode == 10
    assert "response: none, but: " in done.stderr


def test_a_secret_that_no_header_can_carry_is_told(forges: Installation) -> None:
    with answering(200, b"") as url:
        done = sent(forges, "unsendable", "--url", url)
    assert done.returncode == 10
    assert "secret: no header can carry the secret of git.unsendable" in done.stderr
    assert "response" not in done.stdout + done.stderr


def test_without_a_name_the_default_is_tested_and_the_url_may_be_that_of_the_webhook(
    forges: Installation,
) -> None:
    with receiving(forges) as app:
        for url in (f"{app.url}/webhook", f"{app.url}/webhook/gitlab/", f"{app.url}/"):
            assert f"{app.url}/webhook/github is reached" in sent(forges, "--url", url).stdout


def test_a_configuration_or_a_secret_that_is_missing_is_said_first(forges: Installation) -> None:
    del forges.environ["FRAISIER_WEBHOOK_SECRET"]
    done = sent(forges)
    assert done.returncode == 3
    assert "FRAISIER_WEBHOOK_SECRET" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "said"),
    [
        (["githup"], {}, 4, 'no provider under `git:` is called "githup"; did you mean "github"?'),
        (["github"], {"FRAISIER_DISABLED_PLUGINS": "github"}, 5, "is set aside: disabled by"),
        (["--url", "ftp://127.0.0.1"], {}, 2, "--url takes an address such as"),
        (["--url", "http://127.0.0.1:1/ü"], {}, 2, "--url takes an address such as"),
        (["--url", "http://a..b"], {}, 2, "--url takes an address such as"),
        (["--url", f"http://ada:{SECRET}@127.0.0.1:1"], {}, 2, "--url takes an address such as"),
        (["--url", "http://127.0.0.1:1"], {}, 10, "server: 127.0.0.1:1 is not reached: Connection refused"),
    ],
)
def test_the_first_step_that_fails_says_what_to_do(
    forges: Installation, arguments: list[str], environ: dict[str, str], code: int, said: str
) -> None:
    done = sent(forges, *arguments, **environ)
    assert done.returncode == code
    assert said in done.stderr
    assert "response" not in done.stdout


def test_without_a_default_one_is_to_be_named(forges: Installation) -> None:
    forges.config.write_text(forges.config.read_text().replace("  provider: github\n", ""))
    done = sent(forges)
    assert (done.returncode, done.stderr) == (
        4,
        "no provider is named: give one, or set git.provider\n",
    )


def test_a_server_that_does_not_take_deliveries_from_here_is_told(forges: Installation) -> None:
    text = forges.config.read_text()
    forges.config.write_text(text.replace("  github:\n", "  github:\n    allow: 192.0.2.1\n"))
    with receiving(forges) as app:
        done = sent(forges, "--url", app.url)
    assert done.returncode == 10
    assert "response: 401" in done.stderr
    assert "git.github.allow does not hold the address of this host" in done.stderr


def test_a_server_with_another_secret_or_configuration_is_told_apart(forges: Installation) -> None:
    with receiving(forges) as app:
        done = sent(forges, "--url", app.url, FRAISIER_WEBHOOK_SECRET="another secret of this shell")
        assert done.returncode == 10
        assert "response: 401" in done.stderr
        assert "the server has another secret" in done.stderr
        other = forges.config.with_name("other.yaml")
        later = "  later: {type: github, webhook_secret: one}\n  github:\n"
        other.write_text(forges.config.read_text().replace("  github:\n", later))
        done = sent(forges, "later", "--url", app.url, "-c", str(other))
        assert "the server has no section git.later" in done.stderr
        other.write_text(forges.config.read_text() + f"state_dir: {forges.folder}/elsewhere\n")
        done = sent(forges, "--url", app.url, "-c", str(other))
        assert done.returncode == 10
        assert "record: the server records in another store than" in done.stderr


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<h1>It works</h1>"),
        (302, b""),
        (500, json.dumps({"error": f"got {SECRET}"}).encode()),
        (200, json.dumps({"status": "accepted", "event": "1"}).encode()),
        (200, b"[1]"),
    ],
)
def test_what_is_no_fraisier_is_said_without_the_secret(
    forges: Installation, status: int, body: bytes
) -> None:
    with answering(status, body) as url:
        done = sent(forges, "--url", url)
    assert done.returncode == 10
    assert f"response: {status}" in done.stderr
    assert "is it `fraisier-webhook` that responds there" in done.stderr


def test_a_provider_that_makes_no_sample_says_so(forges: Installation) -> None:
    forges.packages.provider("plain", PROVIDER)
    forges.config.write_text(
        forges.config.read_text().replace("git:\n", "git:\n  plain: {webhook_secret: one}\n", 1)
    )
    done = sent(forges, "plain")
    assert done.returncode == 5
    assert 'plugin "plain" has no hook sample_delivery' in done.stderr


def test_names_of_providers_complete(forges: Installation) -> None:
    names = ["gitlab", "unicode", "unsendable", "signed", "gitea", "bitbucket", "github"]
    assert complete(forges, "fraisier webhooks test ") == names
    assert complete(forges, "fraisier webhooks test gitl") == ["gitlab"]
