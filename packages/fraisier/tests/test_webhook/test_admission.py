"""Who reaches what is mounted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest
from fraisier_core.access.issuing import issue
from fraisier_core.access.scope import Scope
from fraisier_core.plugins import MOUNTS

from tests.databases import both_databases
from tests.packages import PackageFolder

from .installation import Installation, Server

FEED = """
from contextlib import asynccontextmanager
from fraisier_core import ADMIT, GRANT, ForbiddenError, UnauthenticatedError, hookimpl

@hookimpl
def open_mount(context):
    return serving(context)

@asynccontextmanager
async def serving(context):
    async def feed(scope, receive, send):
        grant, body = scope[GRANT], b"served"
        if scope["query_string"]:
            try:
                await context.gate.require(grant, *scope["query_string"].decode().split("/"))
            except ForbiddenError as error:
                body = str(error).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    yield {"/feed": feed}
"""


def with_feed(installation: Installation, section: str) -> Installation:
    """Return a host whose configuration has this section of the mount."""
    folder = installation.folder / "site"
    folder.mkdir(exist_ok=True)
    PackageFolder(folder).install(MOUNTS.group, "feed", FEED)
    installation.environ["PYTHONPATH"] = str(folder)
    installation.config.write_text(f"{installation.config.read_text()}feed: {section}\n")
    return installation


@pytest.fixture
def server(installation: Installation) -> Iterator[Server]:
    """A web app of the test's own."""
    with with_feed(installation, "{}").serving() as server:
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A web app of all tests that do not look at what others left."""
    installation = Installation.create(tmp_path_factory.mktemp("closed") / "installation")
    with with_feed(installation, "{}").serving() as server:
        yield server


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same in development."""
    installation = Installation.create(tmp_path_factory.mktemp("open") / "installation")
    section = "{development: true, origins: 'http://localhost:3000'}"
    with with_feed(installation, section).serving() as server:
        yield server


def token(server: Server, scope: str, expires_at: str | None = None, name: str | None = None) -> str:
    """Return a new token."""
    secret, made = issue(name or uuid4().hex, Scope.parse(scope), "ada", expires_at)
    with closing(server.open()) as store:
        store.create_token(made)
    return secret


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def ask(server: Server, secret: str, what: str = "") -> str:
    return server.client.get(f"/feed?{what}", headers=bearer(secret)).text


@both_databases
def test_a_token_admits_and_its_revocation_counts_at_once(server: Server) -> None:
    secret = token(server, "read")
    for _ in range(3):
        assert ask(server, secret) == "served"
    with closing(server.open()) as store:
        (made,) = store.tokens()
        assert store.revoke_token(made, "ada")
    refused = server.client.get("/feed", headers=bearer(secret))
    assert refused.status_code == 401
    assert "revoked" in refused.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer frs_"},
        {"authorization": "Bearer " + "x" * 55},
        {"authorization": "Bearer frs_" + "A" * 51},
        {"authorization": "Basic SECRET"},
        {"authorization": "SECRET"},
        {"authorization": "Bearer SECRETA"},
        {"authorization": "Bearer SIMILAR"},
        {"authorization": "Bearer SECRET SECRET"},
        {"authorization": "Bearer \xff\xe9"},
        {"cookie": "token=SECRET"},
        {"x-api-key": "SECRET"},
        {"token": "Bearer SECRET"},
    ],
)
def test_a_request_without_a_valid_token_is_refused(shared: Server, headers: dict[str, str]) -> None:
    secret = token(shared, "deploy")
    similar = secret[:12] + secret[12:].swapcase()
    sent = [
        (name.encode(), value.replace("SECRET", secret).replace("SIMILAR", similar).encode("latin-1"))
        for name, value in headers.items()
    ]
    answer = shared.client.get("/feed", headers=sent)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    (error,) = answer.json()["errors"]
    assert error["code"] == "UNAUTHENTICATED"
    assert secret not in answer.text


def test_two_tokens_admit_nobody(shared: Server) -> None:
    secret = token(shared, "deploy")
    header = ("authorization", f"Bearer {secret}")
    assert shared.client.get("/feed", headers=[header, header]).status_code == 401
    assert shared.client.get(f"/feed?access_token={secret}").status_code == 401


@pytest.mark.parametrize("expires_at", ["2020-01-31T00:00:00.000000Z", "1970-01-01T00:00:00.000001Z"])
def test_an_expired_token_is_refused(shared: Server, expires_at: str) -> None:
    answer = shared.client.get("/feed", headers=bearer(token(shared, "deploy", expires_at)))
    assert (answer.status_code, "expired" in answer.text) == (401, True)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_may_be_written_in_any_case(shared: Server, scheme: str) -> None:
    secret = token(shared, "read", "9999-01-01T00:00:00.000000Z")
    headers = {"authorization": f"{scheme} {secret}"}
    assert shared.client.get("/feed", headers=headers).text == "served"


@both_databases
def test_what_a_token_does_not_allow_is_refused_and_audited(server: Server) -> None:
    reads = token(server, "read", name="laptop")
    deploys = token(server, "deploy:my_api/staging", name="ci")
    assert ask(server, deploys, "deploy/my_api/staging") == "served"
    refused = [
        ask(server, reads, "deploy/my_api/staging"),
        ask(server, deploys, "deploy/my_api/production"),
        ask(server, deploys, "rollback/loader/staging"),
        ask(server, deploys, "cancel"),
    ]
    assert refused == [
        "token laptop may not deploy my_api staging: its scope is read",
        "token ci may not deploy my_api production: its scope is deploy:my_api/staging",
        "token ci may not rollback loader staging: its scope is deploy:my_api/staging",
        "token ci may not cancel: its scope is deploy:my_api/staging",
    ]
    audited = server.rows("SELECT actor, subject FROM tb_audit_events WHERE action = 'forbidden'")
    assert [f"{row['actor']} may not {row['subject']}" for row in audited] == [
        text.partition(":")[0] for text in refused
    ]


def test_failed_admissions_are_counted_and_not_kept(server: Server) -> None:
    for number in range(40):
        server.client.get("/feed", headers=bearer(f"frs_{number:051}"))
    count = "SELECT detail, occurrences FROM tb_audit_events WHERE action = 'not_admitted'"
    assert [(row["detail"], row["occurrences"]) for row in server.rows(count)] == [("an unknown token", 1)]
    server.terminate()
    assert sum(row["occurrences"] for row in server.rows(count)) == 40
    assert "frs_" not in str(server.rows("SELECT * FROM tb_audit_events")) + server.log.read_text()


def test_every_path_is_guarded_but_those_that_are_listed_as_public(shared: Server) -> None:
    """What else is mounted is served behind the gate without doing anything for it."""
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"):
        for path in ("/feed", "/feed/"):
            assert shared.client.request(method, path).status_code == 401, method
    assert [shared.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 503]
    assert shared.client.post("/webhook").status_code == 415


def exchange(server: Server, *headers: str) -> int:
    request = "\r\n".join(["GET /feed HTTP/1.1", *headers, "", ""]).encode("latin-1")
    return int(server.exchange(request).split()[0])


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST:80", "127.0.0.1:65535", "[::1]:1"]
)
def test_in_development_this_host_needs_no_token(development: Server, host: str) -> None:
    assert exchange(development, f"Host: {host}") == 200
    assert exchange(development, f"Host: {host}", "Origin: http://localhost:3000") == 200


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: example.com"],
        ["Host: localhost.example.com"],
        ["Host: localhost."],
        ["Host: 127.0.0.1.nip.io"],
        ["Host: 127.0.0.2"],
        ["Host: 0.0.0.0"],
        ["Host: [::]"],
        ["Host: 127.0.0.1:80@example.com"],
        ["Host: localhost", "Host: example.com"],
        ["Host: "],
        ["Host: localhost", "Forwarded: for=192.0.2.1"],
        ["Host: localhost", "X-Forwarded-For: 192.0.2.1"],
        ["Host: localhost", "x-forwarded-proto: https"],
        ["Host: localhost", "X-FORWARDED-HOST: "],
        ["Host: localhost", "X-Forwarded-Port: 443"],
        ["Host: localhost", "X-Real-IP: 192.0.2.1"],
        ["Host: localhost", "Via: 1.1 squid"],
        ["Host: localhost", "Origin: https://example.com"],
        ["Host: localhost", "Origin: null"],
        ["Host: localhost", "Origin: http://localhost:3001"],
        ["Host: localhost", "Origin: http://localhost:3000", "Origin: https://example.com"],
    ],
)
def test_in_development_nothing_from_elsewhere_is_served(development: Server, headers: list[str]) -> None:
    assert exchange(development, *headers) == 403
    assert development.rows("SELECT * FROM tb_audit_events") == []


def test_in_development_a_token_that_is_shown_counts(development: Server) -> None:
    assert development.client.get("/feed", headers=bearer("frs_" + "A" * 51)).status_code == 401
    assert "may not" in ask(development, token(development, "read"), "deploy/my_api/staging")
    assert development.client.get("/feed?deploy/my_api/staging").text == "served"


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_development_is_refused_unless_the_web_app_listens_on_loopback(
    installation: Installation, address: str
) -> None:
    done = with_feed(installation, "{development: true}").run("--no-worker", "--host", address)
    assert done.returncode == 3
    assert f"feed.development: whoever reaches {address} could deploy without a token" in done.stderr


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example.com", "example.com", "https://example.com/", "null"]
)
def test_an_origin_is_that_of_one_site(installation: Installation, origin: str) -> None:
    done = with_feed(installation, f"{{origins: ['{origin}']}}").run("--no-worker")
    assert done.returncode == 3
    assert "feed.origins" in done.stderr
