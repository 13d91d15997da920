"""GraphQL over HTTP, against a web app."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.databases import SqliteDatabase
from tests.graphql.serving import Api, Host

DOCUMENT = "{ fraises { id } }"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    folder = tmp_path_factory.mktemp("endpoint")
    return Host.create(folder / "host", SqliteDatabase(folder / "host/state/fraisier.db"))


@pytest.fixture(scope="module")
def api(host: Host) -> Iterator[Api]:
    with host.serving() as api:
        yield api


def send(api: Api, body: bytes, **headers: str) -> httpx.Response:
    headers = {"content-type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return api.client.post("/graphql", content=body, headers=headers)


def code(response: httpx.Response) -> str:
    (error,) = response.json()["errors"]
    assert "data" not in response.json()
    return str(error["code"])


def test_an_answer_is_json(api: Api) -> None:
    response = api.post(DOCUMENT)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {"data": {"fraises": [{"id": "my_api"}, {"id": "loader"}]}}
    typed = "application/graphql-response+json"
    response = send(api, json.dumps({"query": DOCUMENT}).encode(), accept=f"{typed}, application/json")
    assert response.headers["content-type"] == typed


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_a_post_is_answered(api: Api, method: str) -> None:
    response = api.client.request(method, "/graphql", params={"query": DOCUMENT})
    assert (response.status_code, response.headers["allow"], code(response)) == (
        405,
        "POST",
        "METHOD_NOT_ALLOWED",
    )


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=utf-16",
        "",
    ],
)
def test_what_a_form_of_another_site_can_send_is_not_answered(api: Api, kind: str) -> None:
    response = send(api, json.dumps({"query": DOCUMENT}).encode(), content_type=kind)
    assert (response.status_code, code(response)) == (415, "REQUEST_ERROR")


def test_a_compressed_body_is_not_answered(api: Api) -> None:
    assert send(api, b"{}", content_encoding="gzip").status_code == 415


def test_a_large_body_is_not_read(api: Api) -> None:
    response = send(api, b'{"query": "' + b" " * 100_000 + b'"}')
    assert (response.status_code, code(response)) == (413, "PAYLOAD_TOO_LARGE")

    def pieces() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 1000

    response = api.client.post("/graphql", content=pieces(), headers={"content-type": "application/json"})
    assert response.status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"null",
        b'"{ fraises { id } }"',
        b"{}",
        b'{"query": 1}',
        b'{"query": "{ fraises { id } }", "variables": []}',
        b'{"query": "{ fraises { id } }", "operationName": 1}',
        b"[" * 50_000,
        b'{"query": "{ fraises { id } }", "variables": {"a": ' + b'{"a":' * 20 + b"1" + b"}" * 20 + b"}}",
        b"[]",
        b"[1]",
        json.dumps([{"query": DOCUMENT}] * 11).encode(),
    ],
    ids=lambda body: body[:30].decode(errors="replace"),
)
def test_what_is_no_request_is_told_so(api: Api, body: bytes) -> None:
    response = send(api, body)
    assert (response.status_code, code(response)) == (400, "REQUEST_ERROR")


def test_a_batch_is_answered_in_its_order(api: Api) -> None:
    batch = [
        {"query": DOCUMENT},
        {"query": "{ colour }"},
        {"query": "{ a: __typename }"},
    ]
    first, second, third = send(api, json.dumps(batch).encode()).json()
    assert first == {"data": {"fraises": [{"id": "my_api"}, {"id": "loader"}]}}
    assert second["errors"][0]["code"] == "VALIDATION_ERROR"
    assert third == {"data": {"a": "Query"}}


def test_a_document_that_is_refused_is_answered_with_200_and_a_bad_value_with_400(api: Api) -> None:
    assert api.post("{ colour }").status_code == 200
    assert api.post("{").status_code == 200
    wrong = 'mutation { deploy(fraiseId: "attic", environment: "live") { id } }'
    assert api.post(wrong).status_code == 400


def test_a_browser_gets_a_page_without_anything_from_elsewhere(api: Api) -> None:
    response = api.client.get("/graphql", headers={"accept": "text/html,*/*"})
    assert response.status_code == 200
    assert "://" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example.com"},
        {"host": "127.0.0.1.example.com"},
        {"x-forwarded-for": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
        {"x-forwarded-host": "localhost"},
        {"origin": "https://example.com"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_development_is_for_this_host_alone(api: Api, headers: dict[str, str]) -> None:
    body = json.dumps({"query": DOCUMENT}).encode()
    response = send(api, body, **headers)
    assert (response.status_code, code(response)) == (403, "FORBIDDEN")


def test_development_is_refused_on_any_other_address(host: Host) -> None:
    for address in ("0.0.0.0", "::"):
        done = host.run("fraisier-webhook", "--no-worker", "--port", "0", "--host", address)
        assert done.returncode == 3
        assert "graphql.development" in done.stderr


def test_in_production_nothing_is_answered_without_a_token(tmp_path: Path) -> None:
    host = Host.create(
        tmp_path / "host", SqliteDatabase(tmp_path / "host/state/fraisier.db"), development=False
    )
    with host.serving() as api:
        for response in (
            api.post(DOCUMENT),
            api.client.get("/graphql"),
            api.client.get("/graphql", headers={"accept": "text/html"}),
            api.client.post("/graphql/", json={"query": DOCUMENT}),
        ):
            assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")
        assert api.client.get("/healthz").status_code == 200
