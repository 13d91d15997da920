"""`fraisier webhooks test`: what each step says, and what to do about the first that fails."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import CompletedProcess

import pytest

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

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_each_step_of_every_provider_is_told_and_nothing_is_deployed(forges: Installation) -> None:
    with receiving(forges) as app:
        for name in ("github", "gitlab", "unicode", "signed", "gitea", "bitbucket"):
            done = sent(forges, name, "--url", app.url)
            assert (done.returncode, done.stderr) == (0, ""), name
            lines = done.stdout.splitlines()
            words = ["configuration", "plugin", "secret", "server", "response", "record"]
            assert [line.partition(":")[0] for line in lines] == words
            assert f"{app.url}/webhook/{name} is reached" in lines[3]
            newest = forges.json("webhooks", "list")[0]
            assert (newest["provider"], newest["verdict"]) == (name, "ignored")
            assert lines[5].startswith(f"record: delivery {newest['id'][-8:]} is ignored: ")
        assert (
            "the first of 2 of git.signed.webhook_secret" in sent(forges, "signed", "--url", app.url).stdout
        )
    assert forges.recorded() == []


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
        (["unsendable"], {}, 10, "server: no header can carry the secret of git.unsendable"),
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
