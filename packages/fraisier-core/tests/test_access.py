"""Real servers that ask who is there: over http, https, through proxies, and over ssh."""

import base64
import contextlib
import getpass
import http.server
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fraisier_core.errors import GitUnreachableError, StepFailedError
from fraisier_core.git.access import Access, Credential, Key, Login, places_of
from fraisier_core.git.mirrors import Mirror

from tests.origins import Origin, mirror_of
from tests.waiting import wait_until

LOGIN = Login("ada", "hunter2-hunter2")
ANSWER = f"Basic {base64.b64encode(b'ada:hunter2-hunter2').decode()}"


@dataclass
class Server:
    """A server of repositories, and what it was sent: paths and what was answered to who is there."""

    folder: Path
    asks: bool = True
    elsewhere: str | None = None
    scheme: str = "http"
    port: int = 0
    paths: list[str] = field(default_factory=list)
    answers: set[str | None] = field(default_factory=set)
    seen: set[bytes] = field(default_factory=set)

    def url(self, repository: str = "api") -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/{repository}/.git"

    @property
    def place(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving(server: Server, certificate: Path | None = None) -> Iterator[Server]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(server.folder))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            answer = self.headers.get("Authorization")
            server.paths.append(self.path)
            server.answers.add(answer)
            server.seen |= set(command_lines())
            if server.elsewhere:
                self.refuse(302, "Location", f"{server.elsewhere}{self.path}")
            elif server.asks and answer != ANSWER:
                self.refuse(401, "WWW-Authenticate", 'Basic realm="forge"')
            else:
                self.path = self.path.removeprefix("http://forge.invalid")
                super().do_GET()

        def refuse(self, status: int, header: str, value: str) -> None:
            self.send_response(status)
            self.send_header(header, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.port = listening.server_address[1]
        if certificate is not None:
            server.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            listening.socket = context.wrap_socket(listening.socket, server_side=True)
        threading.Thread(target=listening.serve_forever, args=(0.01,)).start()
        try:
            yield server
        finally:
            listening.shutdown()


def command_lines() -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield process.read_bytes()


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    (tmp_path / "git").mkdir()
    origin = Origin(tmp_path / "git/api")
    origin.commit(a="1")
    origin.git("update-server-info")
    return origin


def access(*urls: str, **more: str) -> Access:
    return Access((Credential(places_of(urls, "http", "https"), LOGIN),), **more)


def fetched(url: str, folder: Path, access: Access) -> Mirror:
    mirror = mirror_of(url, folder, access=access)
    mirror.fetch()
    return mirror


def test_a_login_is_answered_to_who_asks_and_written_nowhere(origin: Origin, tmp_path: Path) -> None:
    with serving(Server(origin.path.parent)) as server:
        mirror = fetched(server.url(), tmp_path, access(server.url()))
    assert mirror.resolve_ref("refs/heads/main") == origin.git("rev-parse", "main")
    assert server.answers == {None, ANSWER}
    secrets = (b"hunter2", ANSWER.encode().split()[1])
    assert not [line for line in server.seen if any(secret in line for secret in secrets)]
    files = [path for path in mirror.path.parent.rglob("*") if path.is_file()]
    assert not [path for path in files if any(secret in path.read_bytes() for secret in secrets)]


def test_a_login_that_is_refused_is_told_without_it(origin: Origin, tmp_path: Path) -> None:
    with serving(Server(origin.path.parent)) as server:
        wrong = Access((Credential(frozenset({server.place}), Login("ada", "hunter2-wrong")),))
        with pytest.raises(GitUnreachableError, match="the forge: it refuses these credentials") as caught:
            fetched(server.url(), tmp_path, wrong)
        with pytest.raises(GitUnreachableError, match="the forge: it refuses these credentials"):
            fetched(server.url(), tmp_path, Access())
    assert "hunter2" not in f"{caught.value}{caught.value.output}"


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost:{port}", "127.0.0.1"])
def test_a_login_is_not_answered_at_another_host_or_port(origin: Origin, tmp_path: Path, host: str) -> None:
    with serving(Server(origin.path.parent)) as server:
        elsewhere = f"http://{host.format(port=server.port)}/api"
        with pytest.raises(GitUnreachableError, match="refuses these credentials"):
            fetched(server.url(), tmp_path, access(elsewhere))
    assert server.answers == {None}


@pytest.mark.parametrize("in_url", [True, False])
def test_a_login_is_not_taken_along_to_where_the_forge_redirects(
    origin: Origin, tmp_path: Path, in_url: bool
) -> None:
    with serving(Server(origin.path.parent)) as target:
        first = Server(origin.path.parent, elsewhere=f"http://127.0.0.1:{target.port}")
        with serving(first):
            plain = first.url()
            url = plain.replace("//", "//ada:hunter2-hunter2@") if in_url else plain
            with pytest.raises(GitUnreachableError):
                fetched(url, tmp_path, Access() if in_url else access(plain))
    assert first.paths
    assert target.answers <= {None}


def test_a_redirect_to_a_place_that_is_listed_is_followed(origin: Origin, tmp_path: Path) -> None:
    with serving(Server(origin.path.parent)) as target, serving(Server(origin.path.parent)) as first:
        first.elsewhere = target.place
        mirror = fetched(first.url(), tmp_path, access(target.url()))
    assert mirror.resolve_ref("refs/heads/main")


def submodule_at(origin: Origin, url: str) -> str:
    library = Origin(origin.path.parent / "library")
    origin.add_submodule("lib", url, library.commit(version="1"))
    library.git("update-server-info")
    commit = origin.commit_staged()
    origin.git("update-server-info")
    return commit


def test_a_login_is_answered_for_a_submodule_at_the_same_place(origin: Origin, tmp_path: Path) -> None:
    with serving(Server(origin.path.parent)) as server:
        commit = submodule_at(origin, "../../library/.git")
        mirror = fetched(server.url(), tmp_path, access(server.url()))
        mirror.export(commit, tmp_path / "out")
    assert (tmp_path / "out/lib/version").read_text() == "1"


@pytest.mark.parametrize("listed", [True, False])
def test_a_login_is_answered_for_a_submodule_elsewhere_if_it_is_listed(
    origin: Origin, tmp_path: Path, listed: bool
) -> None:
    with serving(Server(origin.path.parent)) as server, serving(Server(origin.path.parent)) as other:
        commit = submodule_at(origin, other.url("library"))
        urls = [server.url(), *([other.url()] if listed else [])]
        mirror = fetched(server.url(), tmp_path, access(*urls))
        if listed:
            mirror.export(commit, tmp_path / "out")
            assert (tmp_path / "out/lib/version").read_text() == "1"
        else:
            with pytest.raises(StepFailedError, match=r"the submodule lib cannot be had.*refuses these"):
                mirror.export(commit, tmp_path / "out")
    assert other.answers == ({None, ANSWER} if listed else {None})


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "server.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=forge"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(tmp_path / "ca.pem")]
    subprocess.run([*request, *names], check=True, capture_output=True)
    with path.open("a") as file:
        file.write((tmp_path / "ca.pem").read_text())
    return path


def test_a_certificate_of_ones_own_is_trusted_if_it_is_named(
    origin: Origin, tmp_path: Path, certificate: Path
) -> None:
    with serving(Server(origin.path.parent), certificate) as server:
        known = access(server.url(), ca_file=str(certificate.with_name("ca.pem")))
        assert fetched(server.url(), tmp_path, known).resolve_ref("refs/heads/main")
        assert server.answers == {None, ANSWER}
        server.answers.clear()
        for ca_file in ({}, {"ca_file": "/nowhere/ca.pem"}):
            with pytest.raises(GitUnreachableError, match=r"this server: it does not trust.*`ca_file:`"):
                fetched(server.url(), tmp_path, access(server.url(), **ca_file))
    assert not server.answers


@pytest.mark.parametrize("setting", ["proxy", "http_proxy"])
def test_a_proxy_is_used(
    origin: Origin, tmp_path: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Server(origin.path.parent, asks=False)) as proxy:
        if setting == "http_proxy":
            monkeypatch.setenv("http_proxy", proxy.place)
        known = Access(proxy=proxy.place) if setting == "proxy" else Access()
        assert fetched("http://forge.invalid/api/.git", tmp_path, known).resolve_ref("refs/heads/main")
    assert all(path.startswith("http://forge.invalid/") for path in proxy.paths)


def test_an_empty_proxy_uses_none(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with serving(Server(origin.path.parent, asks=False)) as server:
        assert fetched(server.url(), tmp_path, Access(proxy="")).resolve_ref("refs/heads/main")


def test_the_password_of_a_proxy_is_not_shown(tmp_path: Path) -> None:
    known = Access(proxy="http://me:pr0xy-pw@127.0.0.1:1")
    with pytest.raises(GitUnreachableError) as caught:
        fetched("http://forge.invalid/api/.git", tmp_path, known)
    assert "pr0xy-pw" not in f"{caught.value}{caught.value.output}"


SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
needs_sshd = pytest.mark.skipif(SSHD is None or os.geteuid() != 0, reason="needs sshd, and root to run it")


@dataclass
class Ssh:
    """An ssh server of the test's own, its host key and a key that it lets in."""

    folder: Path
    port: int

    @property
    def key(self) -> str:
        return (self.folder / "user").read_text()

    @property
    def known_hosts(self) -> str:
        kind, key, *_ = (self.folder / "host.pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {kind} {key}"

    def url(self, path: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"

    def access(
        self, key: str | None = None, known_hosts: str | None = None, place: str | None = None
    ) -> Access:
        places = frozenset({place or f"ssh://127.0.0.1:{self.port}"})
        return Access((Credential(places, Key(key or self.key)),), known_hosts or self.known_hosts)


def free_port() -> int:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as unused:
        return int(unused.server_address[1])


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Ssh]:
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    for name in ("host", "user", "other"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(keygen, check=True)
    server = Ssh(folder, free_port())
    settings = {
        "ListenAddress": f"127.0.0.1:{server.port}",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
    }
    (folder / "config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    Path("/run/sshd").mkdir(exist_ok=True)  # which sshd wants, and a service manager makes
    with subprocess.Popen(
        [str(SSHD), "-D", "-e", "-f", folder / "config"], stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        wait_until(lambda said=process.stderr: b"Server listening" in said.readline())  # type: ignore[misc]
        yield server
        process.terminate()


@needs_sshd
@pytest.mark.parametrize("form", ["as it is", "without its line end", "with CRLF"])
def test_a_key_reaches_ssh_alone_and_is_removed(origin: Origin, tmp_path: Path, ssh: Ssh, form: str) -> None:
    texts = {
        "as it is": ssh.key,
        "without its line end": ssh.key.strip(),
        "with CRLF": ssh.key.replace("\n", "\r\n"),
    }
    mirror = fetched(ssh.url(origin.path), tmp_path, ssh.access(texts[form]))
    assert mirror.resolve_ref("refs/heads/main") == origin.git("rev-parse", "main")
    assert {path.name for path in mirror.path.parent.iterdir()} == {"api.git", "api.git.lock"}


@needs_sshd
def test_known_hosts_may_be_a_file(origin: Origin, tmp_path: Path, ssh: Ssh) -> None:
    (tmp_path / "known hosts").write_text(ssh.known_hosts)
    known = ssh.access(known_hosts=str(tmp_path / "known hosts"))
    assert fetched(ssh.url(origin.path), tmp_path, known).resolve_ref("refs/heads/main")


@needs_sshd
@pytest.mark.parametrize("known", ["another", "none"])
def test_an_unknown_host_key_is_refused_with_the_command_that_adds_it(
    origin: Origin, tmp_path: Path, ssh: Ssh, known: str
) -> None:
    other = (ssh.folder / "other.pub").read_text().rpartition(" ")[0]
    hosts = {"another": f"[127.0.0.1]:{ssh.port} {other}", "none": "forge.example ssh-ed25519 AAAA"}[known]
    command = f"ssh-keyscan -p {ssh.port} 127.0.0.1 >> ~/.ssh/known_hosts"
    with pytest.raises(GitUnreachableError, match="this server: it does not know this host key") as caught:
        fetched(ssh.url(origin.path), tmp_path, ssh.access(known_hosts=hosts))
    assert command in str(caught.value)


@needs_sshd
def test_a_key_that_is_not_let_in_is_told(origin: Origin, tmp_path: Path, ssh: Ssh) -> None:
    wrong = (ssh.folder / "other").read_text()
    with pytest.raises(GitUnreachableError, match="the forge: it refuses these credentials") as caught:
        fetched(ssh.url(origin.path), tmp_path, ssh.access(wrong))
    assert "PRIVATE KEY" not in f"{caught.value}{caught.value.output}"
    assert not list(tmp_path.glob("mirrors/*.secrets"))


@needs_sshd
def test_a_key_is_not_offered_at_another_port(origin: Origin, tmp_path: Path, ssh: Ssh) -> None:
    with pytest.raises(GitUnreachableError, match="refuses these credentials"):
        fetched(ssh.url(origin.path), tmp_path, ssh.access(place="ssh://127.0.0.1:22"))
