import contextlib
import errno
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fraisier_core.engine.probes import probe
from fraisier_core.errors import CancelledError
from fraisier_core.health import Health
from fraisier_core.settings import HealthCheck
from fraisier_core.system.environment import clean_environment


@contextlib.contextmanager
def server(
    *answer: bytes, then_wait: bool = False, context: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """Answer one connection with raw bytes; yields `host:port` and what was asked."""
    requests: list[bytes] = []
    over = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            accepted, _ = listener.accept()
            with accepted, context.wrap_socket(accepted, True) if context else accepted as connection:
                requests.append(connection.recv(65_536))
                for piece in answer:
                    connection.sendall(piece)
                if then_wait:
                    while not over.wait(0.02):
                        connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}", requests
        finally:
            over.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def ask(check: HealthCheck, cancelled: threading.Event | None = None) -> Health:
    return probe(check, cwd=Path("/"), env=clean_environment({}), cancelled=cancelled or threading.Event())


@pytest.mark.parametrize(
    ("status", "healthy"),
    [(b"200 OK", True), (b"204 No Content", True), (b"503 Busy", False), (b"404 X", False)],
)
def test_any_2xx_answer_is_healthy_and_others_are_not(status: bytes, healthy: bool) -> None:
    with server(b"HTTP/1.1 " + status + b"\r\n\r\n") as (host, requests):
        health = ask(HealthCheck(url=f"http://{host}/health?full=1#top"))
    assert health == Health(healthy, f"{status[:3].decode()} from http://{host}/health?full=1#top")
    assert requests[0].startswith(b"GET /health?full=1 HTTP/1.1\r\n")
    assert b"\r\nHost: " + host.encode() + b"\r\n" in requests[0]


COMMIT = "1f0d2c3b" * 5
ANSWER = (
    b"HTTP/1.1 201 Created\r\nX-Version:  " + COMMIT.encode() + b" \r\nContent-Type: application/json\r\n\r\n"
    b'{"version": "' + COMMIT.encode() + b'", "database": {"up": true, "size": 5}, "workers": [1, 2]}'
)


@pytest.mark.parametrize(
    "expect",
    [
        {},
        {"status": 201},
        {"body": '"up": true'},
        {"body": "${commit}"},
        {"header": {"x-version": "${commit}", "Content-Type": "application/json"}},
        {"json": {"version": "${commit}"}},
        {"json": {"database": {"up": True}, "workers": [1, 2]}},
        {
            "status": 201,
            "body": "workers",
            "json": {"database": {"size": 5}},
            "header": {"X-Version": COMMIT},
        },
    ],
)
def test_an_answer_that_says_what_is_expected_is_healthy(expect: dict[str, object]) -> None:
    with server(ANSWER) as (host, _):
        health = ask(checked(host, expect).for_commit(COMMIT))
    assert health == Health(True, f"201 from http://{host}/")


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ({"status": 200}, "201 from http://HOST/, not 200"),
        (
            {"body": "down"},
            '201 from http://HOST/, but its body does not contain "down": it begins "{\\"version',
        ),
        ({"header": {"X-Version": "1"}}, f', but header X-Version is "{COMMIT}", not "1"'),
        ({"header": {"X-Other": "1"}}, ', but header X-Other is missing, not "1"'),
        ({"json": {"version": "${commit}0"}}, f', but json.version is "{COMMIT}", not "{COMMIT}0"'),
        ({"json": {"release": 1}}, ", but json.release is missing, not 1"),
        ({"json": {"database": {"up": 1}}}, ", but json.database.up is true, not 1"),
        ({"json": {"workers": [2, 1]}}, ", but json.workers is [1, 2], not [2, 1]"),
        ({"json": {"version": {"id": 1}}}, f', but json.version is "{COMMIT}", not {{"id": 1}}'),
    ],
)
def test_what_an_answer_says_otherwise_is_told(expect: dict[str, object], told: str) -> None:
    with server(ANSWER) as (host, _):
        health = ask(checked(host, expect).for_commit(COMMIT))
    assert not health.healthy
    assert told.replace("HOST", host) in health.detail


def test_an_expected_redirect_is_healthy_and_another_status_is_not() -> None:
    for status, healthy in ((302, True), (301, False)):
        with server(b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n") as (host, _):
            assert ask(checked(host, {"status": status})).healthy is healthy


@pytest.mark.parametrize(("body", "told"), [(b"", "it is empty"), (b"<p>up\xff</p>", 'it begins "<p>up')])
def test_a_body_that_is_no_json_is_told(body: bytes, told: str) -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n" + body) as (host, _):
        health = ask(checked(host, {"json": {"up": True}}))
    assert f"but its body is not JSON: {told}" in health.detail


def test_a_body_that_never_ends_is_given_up() -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n", then_wait=True) as (host, _):
        assert "within 0.2 s" in ask(checked(host, {"body": "y"}, timeout=0.2)).detail


def test_headers_and_the_host_are_sent_as_they_are_set() -> None:
    headers = {"authorization": "Bearer abc", "X-Probe": "1"}
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as (host, requests):
        assert ask(HealthCheck(url=f"http://a:b@{host}/", headers=headers, host="api.example.com")).healthy
    sent = sorted(requests[0].decode().split("\r\n")[1:-2])
    assert sent == [
        "Accept-Encoding: identity",
        "Authorization: Bearer abc",
        "Connection: close",
        "Host: api.example.com",
        "User-Agent: fraisier",
        "X-Probe: 1",
    ]


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate of `api.example.com` with its key, which this process trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed here")
    path = tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subject = ["-subj", "/CN=api.example.com", "-addext", "subjectAltName=DNS:api.example.com"]
    files = ["-keyout", str(path), "-out", str(tmp_path / "only")]
    subprocess.run([*command, *subject, *files], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (tmp_path / "only").read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@pytest.mark.parametrize("named", ["api.example.com", "other.example.com", None])
def test_the_certificate_must_name_the_host_that_is_set(certificate: Path, named: str | None) -> None:
    right = named == "api.example.com"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with server(b"HTTP/1.1 200 OK\r\n\r\n", context=context) as (host, requests):
        health = ask(HealthCheck(url=f"https://{host}/", host=named))
    assert health.healthy is right, health.detail
    assert [b"\r\nHost: api.example.com\r\n" in request for request in requests] == [True] * right


def checked(host: str, expect: dict[str, object], **more: object) -> HealthCheck:
    return HealthCheck.model_validate({"url": f"http://{host}/", "expect": expect, **more})


def test_a_redirect_is_unhealthy_and_says_where_it_points() -> None:
    with server(b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n") as (host, _):
        health = ask(HealthCheck(url=f"http://{host}"))
    assert not health.healthy
    assert health.detail.startswith(f"302 from http://{host}, which points to /login;")


def test_the_body_is_not_waited_for() -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n", then_wait=True) as (host, _):
        assert ask(HealthCheck(url=f"http://{host}/", timeout=5)).healthy


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_a_trickling_server_is_given_up(beginning: bytes) -> None:
    with server(beginning, then_wait=True) as (host, _):
        health = ask(HealthCheck(url=f"http://{host}/", timeout=0.2))
    assert health == Health(False, f"no answer from http://{host}/ within 0.2 s (health_check.timeout)")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n"])
def test_what_is_no_http_is_unhealthy(answer: bytes) -> None:
    with server(answer) as (host, _):
        health = ask(HealthCheck(url=f"http://{host}/"))
    assert not health.healthy
    assert health.detail.startswith(f"no answer from http://{host}/: ")


def test_a_plain_server_under_https_is_unhealthy() -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as (host, _):
        health = ask(HealthCheck(url=f"https://{host}/"))
    assert not health.healthy
    assert health.detail.startswith(f"no answer from https://{host}/: ")


def test_a_refused_connection_is_unhealthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    health = ask(HealthCheck(url=f"http://127.0.0.1:{port}/"))
    assert not health.healthy
    assert os.strerror(errno.ECONNREFUSED) in health.detail
    assert not ask(HealthCheck(tcp=f"127.0.0.1:{port}")).healthy


def test_a_proxy_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as (host, _):
        assert ask(HealthCheck(url=f"http://{host}/")).healthy


def test_credentials_are_sent_and_never_shown() -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as (host, requests):
        health = ask(HealthCheck(url=f"http://probe:p%40ss@{host}/"))
    assert health.detail == f"200 from http://{host}/"
    assert b"Authorization: Basic cHJvYmU6cEBzcw==\r\n" in requests[0]


def test_an_impossible_port_is_unhealthy() -> None:
    assert not ask(HealthCheck(url="http://127.0.0.1:99999/")).healthy


def test_cancelling_ends_a_probe_at_once() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with server(then_wait=True) as (host, _), pytest.raises(CancelledError):
        ask(HealthCheck(url=f"http://{host}/", timeout=60), cancelled)


def test_a_port_that_accepts_connections_is_healthy() -> None:
    with server() as (host, _):
        assert ask(HealthCheck(tcp=host)) == Health(True, f"{host} accepts connections")


def test_a_command_is_healthy_if_it_succeeds() -> None:
    assert ask(HealthCheck(command=["true"])) == Health(True, "true succeeded")
    health = ask(HealthCheck(command=["sh", "-c", "echo one; echo down; exit 1"]))
    assert health == Health(False, "sh -c 'echo one; echo down; exit 1' exited with status 1: down")


def test_a_hanging_command_names_the_setting() -> None:
    health = ask(HealthCheck(command=["sleep", "60"], timeout=0.1))
    assert health == Health(False, "sleep 60 timed out after 0.1 s (health_check.timeout)")


def test_a_unit_that_is_not_there_is_unhealthy() -> None:
    health = ask(HealthCheck(unit="fraisier-no-such.service"))
    assert not health.healthy
    assert "fraisier-no-such.service" in health.detail
