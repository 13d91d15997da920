import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fraisier_core.errors import NoResponseError
from fraisier_core.system.outgoing import MAX_REDIRECTS, MAX_RESPONSE_BYTES, ask, origin
from fraisier_core.testing import ApiRequest, ApiResponse, ApiServer

SECRET = {"Authorization": "Bearer top-secret"}
PATIENCE = 30.0


def echo(request: ApiRequest) -> ApiResponse:
    return ApiResponse(201, {"path": request.path}, {"X-Of-Interest": "yes"})


@contextmanager
def talking(*pieces: bytes, every: float = 0.0) -> Iterator[str]:
    """A server that says the same to everybody, piece after piece, and goes on until it is left."""
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                for piece in pieces:
                    try:
                        connection.sendall(piece)
                    except OSError:
                        break
                    if over.wait(every):
                        break

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_request_is_made_and_its_answer_returned() -> None:
    with ApiServer(echo) as server:
        answer = ask("POST", f"{server.url}/a/b?c=d#e", SECRET, b"{}", seconds=PATIENCE)
    assert (answer.status, answer.headers["x-of-interest"]) == (201, "yes")
    assert answer.body == b'{"path": "/a/b?c=d"}'
    (request,) = server.requests
    assert (request.method, request.body, request.headers["host"]) == ("POST", b"{}", server.host)
    assert request.headers["authorization"] == "Bearer top-secret"


def test_a_redirect_is_followed_on_the_same_server_with_the_same_request() -> None:
    def renamed(request: ApiRequest) -> ApiResponse:
        return ApiResponse(308, headers={"Location": "/new"}) if request.path == "/old" else echo(request)

    with ApiServer(renamed) as server:
        answer = ask("POST", f"{server.url}/old", SECRET, b"body", seconds=PATIENCE)
    assert (answer.status, answer.body) == (201, b'{"path": "/new"}')
    assert server.requests[1].body == b"body"
    assert server.requests[1].headers["authorization"] == "Bearer top-secret"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_leads_to_another_server(status: int) -> None:
    with ApiServer(echo) as other:

        def moved(request: ApiRequest) -> ApiResponse:
            return ApiResponse(status, headers={"Location": f"{other.url}/"})

        with ApiServer(moved) as server:
            assert ask("POST", server.url, SECRET, seconds=PATIENCE).status == status
    assert not other.requests


@pytest.mark.parametrize("location", ["", "//[", "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "https:/x"])
def test_a_redirect_that_leads_nowhere_is_the_answer(location: str) -> None:
    with ApiServer(lambda _: ApiResponse(307, headers={"Location": location})) as server:
        assert ask("GET", server.url, seconds=PATIENCE).status == 307


def test_a_server_that_redirects_for_ever_is_left() -> None:
    with (
        ApiServer(lambda _: ApiResponse(307, headers={"Location": "/again"})) as server,
        pytest.raises(NoResponseError, match="redirects again and again"),
    ):
        ask("GET", server.url, seconds=PATIENCE)
    assert len(server.requests) == MAX_REDIRECTS + 1


def test_a_long_answer_is_cut_off() -> None:
    with ApiServer(lambda _: ApiResponse(200, b"x" * (MAX_RESPONSE_BYTES + 1))) as server:
        assert ask("GET", server.url, seconds=PATIENCE).body == b"x" * MAX_RESPONSE_BYTES


def test_an_answer_that_trickles_is_not_waited_for() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with talking(head, *[b"x"] * 1000, every=0.05) as url:
        begun = time.monotonic()
        with pytest.raises(NoResponseError, match=rf"no answer from {url} within 0.3 s\Z"):
            ask("GET", f"{url}/secret-path", seconds=0.3)
        assert time.monotonic() - begun < PATIENCE


def test_a_server_that_hangs_is_not_waited_for() -> None:
    with (
        ApiServer(lambda _: ApiResponse(hangs=True)) as server,
        pytest.raises(NoResponseError, match=r"within 0\.2 s"),
    ):
        ask("GET", f"{server.url}/secret-path", seconds=0.2)


def test_a_server_that_is_not_there_is_named_without_the_path() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(NoResponseError, match=rf"no answer from {url}: Connection refused\Z"):
        ask("GET", f"{url}/secret-path", seconds=PATIENCE)


def test_what_is_no_http_is_no_answer() -> None:
    with talking(b"SSH-2.0-Server\r\n") as url, pytest.raises(NoResponseError, match="no answer from"):
        ask("GET", url, seconds=PATIENCE)


def test_an_error_shows_nothing_of_a_header() -> None:
    with ApiServer(echo) as server, pytest.raises(NoResponseError) as caught:
        ask("GET", server.url, {"Authorization": "Bearer top\nsecret"}, seconds=PATIENCE)
    assert str(caught.value) == f"no answer from {server.url}: ValueError"
    assert not server.requests


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/top-secret",
        "top-secret",
        "http:///top-secret",
        "http://h:99999/top-secret",
        "http://[/top-secret",
        "http://h/top-secret x",
        "http://h/top-secret\n",
        "http://h/top-secret-ü",
        "http://top-secret@h/",
    ],
)
def test_what_is_no_address_is_not_asked(url: str) -> None:
    begun = time.monotonic()
    with pytest.raises(NoResponseError, match="nothing was asked: the address ") as caught:
        ask("GET", url, seconds=PATIENCE)
    assert "top-secret" not in str(caught.value)
    assert time.monotonic() - begun < PATIENCE / 2


def test_a_certificate_that_is_not_trusted_is_refused() -> None:
    with (
        ApiServer(echo) as server,
        pytest.raises(NoResponseError, match=f"no answer from https://{server.host}"),
    ):
        ask("GET", f"https://{server.host}/", seconds=PATIENCE)
    assert not server.requests


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://token@api.example.com:443/a?b", "https://api.example.com"),
        ("http://api.example.com:8080/a", "http://api.example.com:8080"),
        ("https://[::1]:8443/a", "https://[::1]:8443"),
    ],
)
def test_the_origin_of_an_address_says_nothing_secret(url: str, shown: str) -> None:
    assert origin(url) == shown
