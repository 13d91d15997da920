"""What keeps a command from asking a Fraisier on another machine, and what it does not do without one."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fraisier.cli.tree import COMMANDS, FROM_AFAR
from fraisier_core.testing.serving_threads import serving_in_thread

from tests.command import FRAISIER, imported, run_fraisier

from .installation import Installation
from .test_tree import LEAVES, required

READING = ("history",)


def afar(
    url: str, *words: str, token: Path | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of a laptop on which nothing is configured."""
    options = ["--url", url, *(["--token-file", str(token)] if token else [])]
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environ}
    return run_fraisier(*options, *(words or READING), folder=Path("/"), environ=environ)


class Other(BaseHTTPRequestHandler):
    """Whatever else may listen where a Fraisier is looked for: it responds as its class says."""

    status: ClassVar[int] = 404
    body: ClassVar[bytes] = b"not found"
    headers_sent: ClassVar[dict[str, str]] = {}
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_POST(self) -> None:
        """Respond, after the request was read."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers.get("Authorization")))
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def other(
    status: int, body: str | object, tls: ssl.SSLContext | None = None, **headers: str
) -> Iterator[Any]:
    """Serve one response to everything, and yield the server's class and URL."""
    text = body if isinstance(body, str) else json.dumps(body)
    responding = type(
        "Responding",
        (Other,),
        {"status": status, "body": text.encode(), "headers_sent": headers, "seen": []},
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), responding)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with serving_in_thread(server):
        yield responding, f"{'https' if tls else 'http'}://localhost:{server.server_port}"


def one_line(done: subprocess.CompletedProcess[str], code: int = 8) -> str:
    """Return the only line that a command printed, to standard error."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A file with a token."""
    file = tmp_path / "token"
    file.write_text("frs_the-token\n")
    file.chmod(0o600)
    return file


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost that no authority signed, and the context of a server with it."""
    folder = tmp_path_factory.mktemp("tls")
    key, file = folder / "key.pem", folder / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    subprocess.run([*command, "-keyout", key, "-out", file, *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return file, context


@pytest.mark.parametrize(
    "url",
    [
        "http://deploy.example.com",
        "http://192.0.2.1:8080",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com/",
        "http://[2001:db8::1]",
        "HTTP://10.0.0.1",
        "http://0.0.0.0:8080",
    ],
)
def test_plain_http_is_refused_except_to_this_machine(url: str, token: Path) -> None:
    said = one_line(afar(url, token=token))
    assert said.endswith("the token and the answers could be read on the way; use https\n")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("deploy.example.com", "give the address of a Fraisier, such as https://deploy.example.com"),
        ("ftp://deploy.example.com", "give the address of a Fraisier"),
        ("", "give the address of a Fraisier"),
        ("https://", "give the address of a Fraisier"),
        ("https://deploy.example.com:port", "give the address of a Fraisier"),
        ("https://[::1", "give the address of a Fraisier"),
        ("https://ada:s3cret@deploy.example.com", "give it without a user"),
        ("https://deploy.example.com/?token=s3cret", "give it without a user, a query and a fragment"),
        ("https://deploy.example.com/#s3cret", "give it without a user, a query and a fragment"),
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str, problem: str) -> None:
    said = one_line(afar(url))
    assert problem in said
    assert "ada:s3cret" not in said


def test_nobody_listening_is_said_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    assert one_line(afar(url)) == (
        f"{url}: cannot be reached: Connection refused; does `fraisier-webhook` run there?\n"
    )


def test_an_unknown_name_is_said() -> None:
    said = one_line(afar("https://deploy.invalid"))
    assert said.startswith("https://deploy.invalid: its name is not found (")
    assert said.endswith("); check --url\n")


def test_a_server_without_tls_is_said() -> None:
    with other(200, {"data": {}}) as (_, url):
        said = one_line(afar(url.replace("http:", "https:")))
    assert "TLS fails" in said
    assert "is this the port for https?" in said


def test_a_certificate_of_an_unknown_authority_is_refused_unless_it_is_named(
    certificate: tuple[Path, ssl.SSLContext], token: Path
) -> None:
    file, tls = certificate
    with other(200, {"data": {"deploymentHistory": []}}, tls) as (server, url):
        said = one_line(afar(url, token=token))
        assert "its certificate is refused: self-signed certificate" in said
        assert "SSL_CERT_FILE" in said
        assert server.seen == []
        done = afar(url, token=token, SSL_CERT_FILE=str(file))
        assert (done.returncode, done.stderr) == (0, "nothing was ever deployed\n")
        assert server.seen == [("/graphql", "Bearer frs_the-token")]


def test_a_certificate_of_another_host_is_refused(certificate: tuple[Path, ssl.SSLContext]) -> None:
    file, tls = certificate
    with other(200, {"data": {}}, tls) as (server, url):
        said = one_line(afar(url.replace("localhost", "127.0.0.1"), SSL_CERT_FILE=str(file)))
    assert "its certificate is refused: IP address mismatch" in said
    assert server.seen == []


REFUSED = {"errors": [{"message": "a token is needed", "code": "UNAUTHENTICATED"}]}
OTHERS = [
    (401, REFUSED, "is not accepted: it was revoked, has expired, or is another host's"),
    (401, "who are you?", "is not accepted"),
    (404, "not found", "no Fraisier answers there (404); name a Fraisier whose fraises.yaml has `graphql:`"),
    (405, "no POST here", "no Fraisier answers there (405)"),
    (200, "<h1>Welcome to nginx!</h1>", "no Fraisier answers there (200)"),
    (200, "[]", "no Fraisier answers there (200)"),
    (200, {"data": None}, "no Fraisier answers there (200)"),
    (502, "bad gateway", "is not available now (502); try again"),
    (503, "starting", "is not available now (503); try again"),
    (429, "slow down", "is not available now (429); try again"),
    (500, "oops", "no Fraisier answers there (500)"),
    (
        403,
        {"errors": [{"message": "it may not read there", "code": "FORBIDDEN"}]},
        "it may not read there; the token in",
    ),
    (
        200,
        {"errors": [{"message": "Cannot query field 'x'", "code": "VALIDATION_ERROR"}]},
        "Cannot query field 'x'; install the same version of Fraisier on both machines",
    ),
    (
        400,
        {"errors": [{"message": "Unknown type 'Y'", "code": "GRAPHQL_VALIDATION_FAILED"}]},
        "install the same version of Fraisier on both machines",
    ),
]


@pytest.mark.parametrize(("status", "body", "problem"), OTHERS)
def test_what_another_server_responds_is_one_line_that_says_what_next(
    status: int, body: object, problem: str, token: Path
) -> None:
    with other(status, body) as (_, url):
        said = one_line(afar(url, token=token))
    assert said.startswith(url)
    assert problem in said
    assert "frs_the-token" not in said


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_the_token(status: int, token: Path) -> None:
    with (
        other(200, {"data": {"deploymentHistory": []}}) as (elsewhere, target),
        other(status, "", Location=f"{target}/graphql") as (_, url),
    ):
        said = one_line(afar(url, token=token))
    assert f"redirects elsewhere ({status})" in said
    assert elsewhere.seen == []


def test_who_has_no_token_is_told_how_to_get_one() -> None:
    with other(401, REFUSED) as (_, url):
        said = one_line(afar(url))
    assert "name its file with --token-file; `fraisier token create` on the host makes one" in said


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620])
def test_a_token_that_others_may_read_is_not_used(token: Path, mode: int) -> None:
    token.chmod(mode)
    with other(200, {"data": {}}) as (server, url):
        assert one_line(afar(url, token=token)) == (
            f"{token}: others may read the token; run `chmod 600 {token}`\n"
        )
    assert server.seen == []


@pytest.mark.parametrize("text", ["", "\n", "two words\n", "two\nlines\n", "frs_é\n", "x" * 5000, "a\x00b"])
def test_a_file_without_a_token_is_said(token: Path, text: str) -> None:
    token.write_text(text)
    with other(200, {"data": {}}) as (server, url):
        said = one_line(afar(url, token=token))
    assert said.startswith(f"{token}: there is no token in it, on one line")
    assert server.seen == []


def test_a_missing_file_and_a_folder_are_said(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    url = "http://127.0.0.1:1"
    said = one_line(afar(url, token=missing))
    assert said == f"{missing}: the token cannot be read: No such file or directory\n"
    assert one_line(afar(url, token=tmp_path)).startswith(f"{tmp_path}: ")


@pytest.mark.parametrize("suffix", ["", "/", "/graphql", "/graphql/"])
def test_the_same_place_is_named_in_several_ways(suffix: str) -> None:
    with other(200, {"data": {"deploymentHistory": []}}) as (server, url):
        assert afar(f"{url}/below{suffix}").returncode == 0
    assert server.seen == [("/below/graphql", None)]


def test_variables_name_the_place_and_the_token(token: Path) -> None:
    with other(200, {"data": {"deploymentHistory": []}}) as (server, url):
        environ = {"PATH": os.environ["PATH"], "FRAISIER_URL": url, "FRAISIER_TOKEN_FILE": str(token)}
        subprocess.run([FRAISIER, "history"], cwd="/", env=environ, check=True, capture_output=True)
    assert server.seen == [("/graphql", "Bearer frs_the-token")]


def on_the_host_alone(words: list[str]) -> str | None:
    """Return what is said to work on the host alone, None if a command works from afar."""
    if words[0] == "backups":
        return None if words == ["backups", "test"] else " ".join(words)
    return None if words[0] in FROM_AFAR else words[0]


@pytest.mark.parametrize("words", [words for words, _ in LEAVES if on_the_host_alone(words)], ids=" ".join)
def test_what_works_on_the_host_alone_says_so_in_one_line(words: list[str]) -> None:
    (command,) = [command for known, command in LEAVES if known == words]
    name = on_the_host_alone(words)
    said = one_line(afar("http://127.0.0.1:1", *words, *required(command)))
    assert said == f"`fraisier {name}` works on the host alone: run it there, without --url\n"


def test_the_help_of_every_command_is_there_from_afar() -> None:
    done = afar("http://127.0.0.1:1", "worker", "--help")
    assert done.returncode == 0
    assert "SIGTERM" in done.stdout


@pytest.mark.parametrize("options", [["--dry-run"], ["--plan", "0123456789abcdef"]])
def test_a_plan_is_made_on_the_host_alone(options: list[str]) -> None:
    said = one_line(afar("http://127.0.0.1:1", "deploy", "my_api", "production", *options))
    assert said == "a plan is made on the host: run `fraisier deploy` there, without --url\n"


@pytest.mark.parametrize(
    "words", [words for words, _ in LEAVES if on_the_host_alone(words) is None], ids=" ".join
)
def test_a_configuration_and_another_machine_exclude_each_other(words: list[str]) -> None:
    (found,) = [command for known, command in LEAVES if known == words]
    for given in (["-c", "x.yaml", *words, *required(found)], [*words, *required(found), "-c", "x.yaml"]):
        said = one_line(afar("http://127.0.0.1:1", *given))
        assert said == "give --config for this host or --url for another machine, not both\n"


@pytest.mark.parametrize("command", [["list"], ["status"], ["history"]])
def test_commands_on_the_host_import_nothing_of_what_works_from_afar(
    installation: Installation, command: list[str]
) -> None:
    found = imported(*command, folder=installation.folder, environ=installation.environ)
    needless = {"ssl", "http.client", "urllib.request", "websockets", "fraisier.cli.remote_session"}
    assert "fraisier.cli.where" in found
    assert not found & needless
    assert not any(name.startswith("fraisier.remote") for name in found)


def test_reading_from_afar_imports_neither_a_store_nor_what_follows() -> None:
    with other(200, {"data": {"deploymentHistory": []}}) as (_, url):
        found = imported("--url", url, "history", folder=Path("/"), environ={})
    assert "fraisier.remote.remote_reader" in found
    assert not found & {"websockets", "sqlite3", "yaml", "pluggy", "asyncio"}


def test_every_command_that_works_from_afar_is_one() -> None:
    assert set(COMMANDS) > FROM_AFAR
