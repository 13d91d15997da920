"""What an attacker cannot fill: the memory, the disk, the log."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote_plus

import lz4.frame
import pytest
from fraisier.body import BODY_SECONDS, INCOMPLETE_BYTES, LARGE_BYTES, MAX_BODY_BYTES, BodyReader
from fraisier.bounded_connection import BoundedConnection
from fraisier.receiver import MAX_NAME_LENGTH, MAX_REFS
from fraisier.refusals import PER_SECOND, UNKNOWN
from fraisier.webhook import SHUTDOWN_SECONDS
from starlette.exceptions import HTTPException
from starlette.types import Message

from tests.waiting import wait_until

from .hooks import (
    SECRETS,
    Hook,
    github,
    github_push,
    gitlab_push,
    gitlab_signed,
    gitlab_with_token,
    new_commit,
)
from .installation import Installation, Server, read_all, read_answer

HEAD = b"POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MEGABYTE = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
CLOSE = ("connection", b"close")
LOG_LINE = re.compile(r"((INFO )?github '|INFO (listening |git\.)|WARNING refused a delivery )")


def resident(server: Server) -> int:
    """Return the megabytes of memory that the process holds."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) // 1024


def peak(server: Server) -> int:
    """Return the megabytes of memory that the process ever held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found
    return int(found[1]) // 1024


def raw(hook: Hook, *more: tuple[str, bytes]) -> bytes:
    """Return a whole request on a connection that stays open."""
    headers = [(name, value.encode("latin-1")) for name, value in hook.headers.items()]
    headers += [("host", b"localhost"), ("content-length", str(len(hook.body)).encode()), *more]
    lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers)
    return f"POST {hook.path} HTTP/1.1\r\n".encode() + lines + b"\r\n" + hook.body


def test_a_body_that_is_declared_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    answer = server.exchange(HEAD + b"Content-Length: 25000001\r\n\r\n")
    assert answer.startswith(b"413 ")
    assert b"the body is larger than 25000000 bytes" in answer


def test_a_body_of_unknown_length_is_refused_once_it_is_too_large_and_memory_stays_bounded(
    server: Server,
) -> None:
    before = resident(server)
    for _ in range(3):
        assert server.exchange(CHUNKED, *[MEGABYTE] * 26).startswith(b"413 ")
    assert peak(server) < before + 100
    assert resident(server) < before + 40


def test_a_refused_client_that_goes_on_sending_still_gets_its_answer(server: Server) -> None:
    body = b"x" * 20_000_000
    head = b"POST /webhook/nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n"
    answer = server.exchange(head + b"Content-Type: application/json\r\n\r\n", body)
    assert answer.startswith(b"404 ")


def large(commit: str, megabytes: int, form: bool = False, *, dense: bool = False) -> Hook:
    """Return a push that large, as JSON or as a form; if it is dense, it is stored as no smaller."""
    message = secrets.token_hex(megabytes * 500_000) if dense else secrets.token_hex(5_000) * 100
    payload = github_push(commit) | {"commits": [{"message": message}] * (1 if dense else megabytes)}
    if not form:
        return github(payload)
    body = b"payload=" + quote_plus(json.dumps(payload)).encode()
    return github(body).with_headers(content_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize(("megabytes", "form"), [(24, False), (3, False), (3, True), (1, False)])
def test_a_large_delivery_is_stored_beside_others(server: Server, megabytes: int, form: bool) -> None:
    commits = [new_commit() for _ in range(30)]
    hooks = [large(commits[0], megabytes, form), *(github(github_push(commit)) for commit in commits[1:])]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(server.send, hooks))
    assert [answer.status_code for answer in answers] == [202] * len(hooks)
    event = answers[0].json()["event"]
    [row] = server.rows(f"SELECT body FROM tb_webhook_payloads WHERE webhook_event_id = '{event}'")
    assert lz4.frame.decompress(row["body"]) == hooks[0].body
    assert server.send(hooks[0]).json()["status"] == "duplicate"


def test_a_large_delivery_is_refused_like_any_other(server: Server) -> None:
    hook = large(new_commit(), 2)
    assert server.send(hook.with_headers(x_hub_signature_256="guessed")).status_code == 401
    malformed = server.send(github(hook.body[:-1]))
    assert malformed.status_code == 400
    assert malformed.json()["error"].startswith("the payload is not what the forge sends")


def test_large_deliveries_take_little_more_memory_than_one_of_them(installation: Installation) -> None:
    with installation.serving() as server:
        deliver(server, 40)
        before = resident(server)
        for _ in range(3):
            assert server.send(large(new_commit(), 24)).status_code == 202
        assert peak(server) < before + 2 * 24
        deliver(server, 8)
        assert resident(server) < before + 20


@pytest.mark.parametrize(("megabytes", "form"), [(24, False), (16, True), (12, False)])
def test_what_a_large_delivery_takes_is_given_back(
    installation: Installation, megabytes: int, form: bool
) -> None:
    with installation.serving() as server:
        deliver(server, 40)
        before = resident(server)
        assert server.send(large(new_commit(), megabytes, form, dense=True)).status_code == 202
        wait_until(lambda: resident(server) < before + megabytes / 2)


def test_of_incomplete_bodies_those_give_way_that_are_left_unfinished(server: Server) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(4)]
        for connection in held:
            connection.sendall(CHUNKED + MEGABYTE * 23)
        for _ in range(3):
            assert server.send(large(new_commit(), 20)).status_code == 202
            assert server.send(github(github_push(new_commit()))).status_code == 202
        answered, _, _ = select.select(held, [], [], 0)
        assert [read_answer(each)[:4] for each in answered] == [b"503 "]


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock the test sets."""

    now = 0.0

    def time(self) -> float:
        return self.now


def test_bodies_whose_time_is_up_give_way_before_they_have_ended() -> None:
    loop = ClockLoop()
    bodies = BodyReader()

    async def begin(piece: bytes) -> tuple[asyncio.Task[bytes], asyncio.Queue[Message]]:
        messages: asyncio.Queue[Message] = asyncio.Queue()
        messages.put_nowait({"type": "http.request", "body": piece, "more_body": True})
        task = loop.create_task(bodies.read({}, messages.get))
        await asyncio.sleep(0)
        return task, messages

    async def crowd() -> None:
        late = [await begin(bytes(MAX_BODY_BYTES)) for _ in range(INCOMPLETE_BYTES // MAX_BODY_BYTES)]
        loop.now = BODY_SECONDS - 2
        body, messages = await begin(b"")
        last = {"type": "http.request", "body": b"{}", "more_body": False}
        loop.call_at(BODY_SECONDS - 1, messages.put_nowait, last)  # is read just after the others are told
        loop.now = BODY_SECONDS
        assert await body == b"{}"
        ended = await asyncio.gather(*(task for task, _ in late), return_exceptions=True)
        assert all(isinstance(each, HTTPException) for each in ended)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(crowd())


def test_what_follows_a_length_that_is_too_small_is_no_part_of_the_delivery(server: Server) -> None:
    hook = github(github_push(new_commit()))
    with server.connect() as connection:
        connection.sendall(raw(hook) + b"x" * 100_000)
        assert b"400 " in read_all(connection)
    assert server.get("/healthz").status_code == 200


def test_a_length_that_is_too_large_stores_nothing(server: Server) -> None:
    commit = new_commit()
    hook = github(github_push(commit))
    with server.connect() as connection:
        connection.sendall(raw(hook).replace(b"content-length: ", b"content-length: 1"))
        connection.shutdown(socket.SHUT_WR)
        assert not read_all(connection)
    assert server.get("/healthz").status_code == 200
    assert not server.rows(f"SELECT 1 FROM tb_webhook_events WHERE commit_sha = '{commit}'")


def test_two_ways_to_say_how_long_a_body_is_are_refused(server: Server) -> None:
    answer = server.exchange(HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert answer.startswith(b"400 ")


def test_few_requests_may_wait_behind_one_that_is_being_answered(server: Server) -> None:
    hook = github(github_push(new_commit()), secret="guessed")
    requests, last = raw(hook), raw(hook, CLOSE)
    for waiting, answered in ((15, True), (50, False)):
        with server.connect() as connection:
            connection.sendall(requests * waiting + last)
            assert (read_all(connection).count(b"401 Unauthorized") == waiting + 1) is answered


def test_an_upgrade_is_not_followed(server: Server) -> None:
    hook = github(github_push(new_commit()))
    upgrade = (("connection", b"upgrade, close"), ("upgrade", b"websocket"))
    assert not server.exchange(raw(hook, *upgrade)).startswith(b"101 ")
    assert server.get("/healthz").status_code == 200


@pytest.mark.parametrize("name", ["x-github-delivery", "x-github-event"])
@pytest.mark.parametrize("value", [b"x" * 201, b"\x85INFO forged", b"\x9b31m", b"\xff" * 30_000])
def test_an_unsigned_name_no_forge_sends_is_malformed_and_not_stored(
    server: Server, name: str, value: bytes
) -> None:
    hook = github({"zen": "Speak like a human."}, event="ping")
    events = len(server.rows("SELECT 1 FROM tb_webhook_events"))
    del hook.headers[name]
    answer = server.exchange(raw(hook, (name, value), ("connection", b"close")))
    assert answer.startswith(b"400 ")
    assert len(server.rows("SELECT 1 FROM tb_webhook_events")) == events


@pytest.mark.parametrize("value", [b"\xff\xfe", b"\xb2", b"9" * 60_000, b"=", b"sha256=" + b"\xe9" * 64])
@pytest.mark.parametrize(
    "name", ["x-hub-signature-256", "x-gitlab-token", "webhook-signature", "webhook-timestamp", "webhook-id"]
)
def test_a_hostile_header_is_refused_and_never_an_error(server: Server, name: str, value: bytes) -> None:
    for hook in (github(github_push(new_commit())), gitlab_signed(gitlab_push(new_commit()))):
        if name in hook.headers:
            del hook.headers[name]
            answer = server.exchange(raw(hook, (name, value), ("connection", b"close")))
            assert answer.startswith(b"401 ")


def test_no_sender_can_forge_a_line_of_the_log_or_drive_a_terminal(installation: Installation) -> None:
    trust = "  github:\n    trusted_proxies: [127.0.0.1]\n"
    installation.config.write_text(installation.config.read_text().replace("  github:\n", trust))
    with installation.serving() as server:
        line = "\nINFO forged\r\x1b[2J\x9b2J"
        for payload in (
            github_push(new_commit(), branch="x\u202e\u2028forged"),
            github_push(new_commit(), branch="x\u0085forged"),
            github_push(new_commit(), branch=line),
            github_push(new_commit(), pusher=line),
            github_push(new_commit())
            | {"repository": {"full_name": line, "clone_url": line, "ssh_url": line}},
        ):
            assert server.send(github(payload)).status_code in {200, 400}
        for value in (b"\x9b2J\x85INFO forged", b"1.2.3.4, " + b"\x9b" * 10_000, b"::1%\x9b2J", b"\xe2\x80"):
            server.exchange(raw(github(b"{}", secret="guessed"), ("x-forwarded-for", value), CLOSE))
        clients = server.rows("SELECT client, reason FROM tb_refused_deliveries")
        assert all(len(row["client"]) <= 100 and row["client"].isprintable() for row in clients)
        server.terminate()
        lines = server.log.read_text().split("\n")[:-1]
        assert [line for line in lines if not (LOG_LINE.match(line) and line.isprintable())] == []


def test_no_secret_is_ever_written_down(installation: Installation) -> None:
    with installation.serving() as server:
        for hook in (
            github(github_push(new_commit())),
            github(github_push(new_commit()), secret="guessed"),
            github(b"[]"),
            gitlab_with_token(gitlab_push(new_commit())),
            gitlab_with_token(gitlab_push(new_commit()), token=SECRETS[0]),
            gitlab_signed(gitlab_push(new_commit())),
            gitlab_signed(gitlab_push(new_commit())).with_headers(webhook_timestamp=SECRETS[2]),
        ):
            answer = server.send(hook)
            assert not any(secret in str(answer.headers) + answer.text for secret in SECRETS)
        installation.config.write_text("git: {github: {webhook_secret: [1, '${FRAISIER_WEBHOOK_SECRET}']}}")
        server.send(github(github_push(new_commit())))
        server.terminate()
    written = {path: path.read_bytes() for path in installation.folder.rglob("*") if path.is_file()}
    assert installation.folder / ".fraisier" / "fraisier.db" in written
    for path, content in written.items():
        assert not any(secret.encode() in content for secret in SECRETS), path


@pytest.fixture
def behind_a_proxy(installation: Installation) -> Iterator[Server]:
    trust = "  github:\n    trusted_proxies: [127.0.0.1]\n"
    installation.config.write_text(installation.config.read_text().replace("  github:\n", trust))
    with installation.serving() as server:
        yield server


@pytest.mark.parametrize("client", ["198.51.100.7", "2001:db8:0:1::7", "unknown"])
def test_no_client_keeps_the_refusals_of_others_out_of_the_record(
    behind_a_proxy: Server, client: str
) -> None:
    hook = github(github_push(new_commit()), secret="guessed")
    for number in range(100):
        behind_a_proxy.send(hook.with_headers(x_forwarded_for=f"2001:db8::{number + 1:x}"))
    assert behind_a_proxy.send(hook.with_headers(x_forwarded_for=client)).status_code == 401
    newest = behind_a_proxy.rows("SELECT client FROM tb_refused_deliveries ORDER BY sequence")[-1]
    assert newest["client"] == (UNKNOWN if client == "unknown" else client)


def test_many_clients_together_are_remembered_slowly(behind_a_proxy: Server) -> None:
    hook = github(github_push(new_commit()), secret="guessed")
    for number in range(400):
        behind_a_proxy.send(hook.with_headers(x_forwarded_for=f"198.51.{number // 250}.{number % 250}"))
    assert PER_SECOND <= len(behind_a_proxy.rows("SELECT 1 FROM tb_refused_deliveries")) < 200


def test_refusals_are_remembered_slowly_and_without_their_bodies(installation: Installation) -> None:
    hook = github(github_push(new_commit()), secret="guessed")
    with installation.serving() as server:
        for _ in range(300):
            assert server.send(hook).status_code == 401
        remembered = server.rows("SELECT * FROM tb_refused_deliveries")
        assert 5 <= len(remembered) < 100
        [columns] = {tuple(row) for row in remembered}
        assert columns == ("sequence", "id", "provider", "received_at", "client", "reason")
        assert remembered[0]["client"] == "127.0.0.1"
        assert server.log.read_text().count("refused a delivery") == len(remembered)
        for table in ("tb_webhook_events", "tb_webhook_payloads", "tb_deployment_events"):
            assert not server.rows(f"SELECT 1 FROM {table}")


def test_memory_stays_flat_over_thousands_of_deliveries(installation: Installation) -> None:
    with installation.serving() as server:
        deliver(server, 1_000)
        before = resident(server)
        deliver(server, 4_000)
        assert resident(server) < before + 12
        assert server.rows("SELECT count(*) AS stored FROM tb_webhook_events") == [{"stored": 5_000}]


def deliver(server: Server, count: int) -> None:
    """Send deliveries one after the other on a few connections; all must be accepted."""
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: accepted(server, count // 8), range(8))) == count


def accepted(server: Server, count: int) -> int:
    with server.connect() as connection:
        for _ in range(count):
            connection.sendall(raw(github(github_push(new_commit()))))
            assert read_answer(connection).startswith(b"202 ")
    return count


def test_the_reference_states_the_limits() -> None:
    reference = (Path(__file__).parents[4] / "docs" / "reference" / "http.md").read_text()
    for limit in (
        f"| Body | {MAX_BODY_BYTES:,} bytes | 413 |",
        f"| Time for the body | {BODY_SECONDS:g} s | 408 |",
        f"| Bodies that are incomplete, together | {INCOMPLETE_BYTES:,} bytes | 503 |",
        f"those over {LARGE_BYTES:,} bytes",
        f"| {BoundedConnection.head_bytes:,} bytes, {BoundedConnection.head_seconds:g} s |",
        f"| {BoundedConnection.request_bytes:,} bytes |",
        f"| Connections | {BoundedConnection.max_connections} |",
        f"| Requests waiting on one connection | {BoundedConnection.max_waiting} |",
        f"| Refs in a delivery | {MAX_REFS:,} | 400 |",
        f"| Delivery id, name of the event | {MAX_NAME_LENGTH} printable characters | 400 |",
        f"| SIGTERM to the end of open requests | {SHUTDOWN_SECONDS} s |",
    ):
        assert limit in reference, limit
