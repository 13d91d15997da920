"""A token sees and touches what its scope names, and tells nothing of the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fraisier_core.access.issuing import issue
from fraisier_core.access.scope import Scope
from fraisier_core.store.records import Request

from tests.databases import Database, both_databases
from tests.graphql.serving import Api, Host

PLACES = [("my_api", "production"), ("my_api", "staging"), ("loader", "production")]
EVERYTHING = """{
  fraises { id environments { fraiseId environment status { fraiseId environment deploymentId } }
            deploymentHistory { fraiseId environment } }
  fraiseStatus { fraiseId environment }
  deploymentHistory { id fraiseId environment }
  deploymentStats { fraiseId environment }
}"""
ALL, READ = "deploy", "read"


@pytest.fixture
def host(tmp_path: Path, database: Database) -> Host:
    """A host in production."""
    return Host.create(tmp_path / "host", database, development=False)


@pytest.fixture
def api(host: Host) -> Iterator[Api]:
    """Its API, with a deployment of each environment that waits."""
    with host.serving() as api:
        with closing(host.open()) as store:
            for place in PLACES:
                store.request(Request(*place, "deploy", "manual", "ada"))
        yield api


def holding(host: Host, api: Api, scope: str) -> Api:
    """Return the API as the client with a new token has it."""
    secret, token = issue(scope, Scope.parse(scope), "ada")
    with closing(host.open()) as store:
        store.create_token(token)
    return replace(api, headers={"authorization": f"Bearer {secret}"})


def seen(answer: Any) -> set[tuple[str, str]]:
    """Return every environment that an answer names."""
    places = set()
    if isinstance(answer, dict):
        if "fraiseId" in answer:
            places.add((answer["fraiseId"], answer["environment"]))
        answer = list(answer.values())
    if isinstance(answer, list):
        places = places.union(*map(seen, answer))
    return places


def state(host: Host) -> list[tuple[str, str]]:
    with closing(host.open()) as store:
        return [(each.id, each.status) for each in store.deployments()]


def refusals(host: Host) -> list[tuple[str | None, str | None]]:
    with closing(host.open()) as store:
        return [(each.actor, each.subject) for each in store.audit_events(99) if each.action == "forbidden"]


@both_databases
def test_a_token_sees_its_places_and_no_other(host: Host, api: Api) -> None:
    assert seen(holding(host, api, READ).ask(EVERYTHING)) == {*PLACES}
    assert seen(holding(host, api, "read:my_api").ask(EVERYTHING)) == {*PLACES[:2]}
    for place in PLACES:
        scope = f"read:{'/'.join(place)}"
        assert seen(holding(host, api, scope).ask(EVERYTHING)) == {place}
    assert seen(holding(host, api, "read:gone/production").ask(EVERYTHING)) == set()


@both_databases
def test_a_token_finds_nothing_of_elsewhere_by_its_name(host: Host, api: Api) -> None:
    ids = {(each["fraiseId"], each["environment"]): each["id"] for each in holding(host, api, READ).ask(
        "{ deploymentHistory { id fraiseId environment } }")["deploymentHistory"]}  # fmt: skip
    client = holding(host, api, "deploy:my_api/staging")
    for place in PLACES:
        found = client.ask(f'{{ deployment(id: "{ids[place]}") {{ id }} }}')["deployment"]
        assert (found is not None) is (place == ("my_api", "staging"))
        where = f'fraiseId: "{place[0]}", environment: "{place[1]}"'
        for query in ("deploymentHistory", "fraiseStatus", "deploymentStats"):
            rows = client.ask(f"{{ {query}({where}) {{ fraiseId environment }} }}")[query]
            assert seen(rows) <= {("my_api", "staging")}
    assert client.ask('{ fraise(id: "loader") { id } }') == {"fraise": None}
    assert client.errors("{ webhookEvents { id } }") == ["FORBIDDEN"]


@both_databases
def test_a_token_touches_nothing_elsewhere(host: Host, api: Api) -> None:
    before = state(host)
    ids = {id_ for id_, _ in before}
    client, reader = holding(host, api, "deploy:my_api/staging"), holding(host, api, READ)
    mutations = [
        'deploy(fraiseId: "my_api", environment: "production")',
        'deploy(fraiseId: "loader", environment: "staging")',
        'deploy(fraiseId: "nowhere", environment: "staging")',
        'rollback(fraiseId: "my_api", environment: "production")',
        'run(fraiseId: "my_api", environment: "production")',
        'cancel(id: "01a207ab-0000-7000-8000-000000000000")',
    ]
    for mutation in mutations:
        assert client.errors(f"mutation {{ {mutation} {{ id }} }}") == ["FORBIDDEN"], mutation
    own = client.ask("{ deploymentHistory { id } }")["deploymentHistory"][0]["id"]
    for other in ids - {own}:
        assert client.errors(f'mutation {{ cancel(id: "{other}") {{ id }} }}') == ["FORBIDDEN"]
    for mutation in (*mutations[:5], f'cancel(id: "{own}")'):
        assert reader.errors(f"mutation {{ {mutation} {{ id }} }}") == ["FORBIDDEN"], mutation
    assert state(host) == before
    found = refusals(host)
    assert {actor for actor, _ in found} == {"token deploy:my_api/staging", "token read"}
    assert ("token deploy:my_api/staging", "deploy my_api production") in found
    assert ("token read", "cancel my_api staging") in found


@both_databases
def test_what_a_token_requests_is_recorded_as_its_own(host: Host, api: Api) -> None:
    client = holding(host, api, "deploy:my_api/staging")
    made = client.ask('mutation { deploy(fraiseId: "my_api", environment: "staging") { id requestedBy } }')
    assert made["deploy"]["requestedBy"] == "token deploy:my_api/staging"
    cancelled = client.ask(f'mutation {{ cancel(id: "{made["deploy"]["id"]}") {{ status }} }}')
    assert cancelled == {"cancel": {"status": "CANCELLED"}}
    with closing(host.open()) as store:
        told = {(each.actor, each.action) for each in store.audit_events(99)}
    assert {("token deploy:my_api/staging", "deploy"), ("token deploy:my_api/staging", "cancel")} <= told


@both_databases
def test_a_token_runs_the_job_of_its_environment_alone(host: Host, api: Api) -> None:
    host.add_job("production", "staging")
    run = 'mutation {{ run(fraiseId: "etl_job", environment: "{}") {{ id requestedBy }} }}'
    before = state(host)
    for scope in ("deploy:etl_job/staging", "deploy:my_api", "read:etl_job/production", READ):
        assert holding(host, api, scope).errors(run.format("production")) == ["FORBIDDEN"], scope
        assert (f"token {scope}", "run etl_job production") in refusals(host)
    assert state(host) == before
    elsewhere = holding(host, api, "deploy:etl_job/skipping")
    for scope in ("deploy:etl_job/production", "deploy:etl_job", ALL):
        made = holding(host, api, scope).ask(run.format("production"))["run"]
        assert made["requestedBy"] == f"token {scope}"
        assert elsewhere.errors(f'mutation {{ cancel(id: "{made["id"]}") {{ id }} }}') == ["FORBIDDEN"]
        assert elsewhere.ask(f'{{ deployment(id: "{made["id"]}") {{ arguments }} }}') == {"deployment": None}
    with closing(host.open()) as store:
        told = {(each.actor, each.action, each.subject) for each in store.audit_events(99)}
    assert ("token deploy", "run", "etl_job production") in told


@both_databases
def test_an_environment_is_named_whole(host: Host, api: Api) -> None:
    """Or a token for one that is gone would be one for another that begins so."""
    before = state(host)
    for scope in ("my_api/prod", "my_api", "gone"):
        client = holding(host, api, f"deploy:{scope}")
        for mutation in ("deploy", "rollback", "run"):
            names = f'fraiseId: "{scope.partition("/")[0]}", environment: "prod"'
            (error,) = client.post(f"mutation {{ {mutation}({names}) {{ id }} }}").json()["errors"]
            assert error["code"] == "BAD_USER_INPUT", mutation
            assert not re.search("production|staging|loader", error["message"])
    assert state(host) == before


def test_without_a_token_nothing_is_answered(host: Host, api: Api) -> None:
    before = state(host)
    for query in (EVERYTHING, "{ __typename }", "{", "mutation { cancel(id: 1) { id } }"):
        answer = api.post(query)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "UNAUTHENTICATED")
    assert state(host) == before


@pytest.mark.parametrize(
    ("method", "headers", "content", "status"),
    [
        ("POST", {"content-type": "text/plain"}, b'{"query": "{ __typename }"}', 415),
        ("POST", {"content-type": "application/x-www-form-urlencoded"}, b"query={__typename}", 415),
        ("POST", {"content-type": "multipart/form-data; boundary=x"}, b"--x--", 415),
        ("POST", {}, b'{"query": "{ __typename }"}', 415),
        ("POST", {"content-type": "application/json; charset=utf-16"}, b"{}", 415),
        ("GET", {}, b"", 405),
        ("PUT", {"content-type": "application/json"}, b"{}", 405),
        ("OPTIONS", {"origin": "https://example.com", "access-control-request-method": "POST"}, b"", 405),
    ],
)
def test_no_page_of_another_site_can_ask(
    shared: tuple[Host, Api], method: str, headers: dict[str, str], content: bytes, status: int
) -> None:
    _, api = shared
    answer = api.client.request(
        method,
        "/graphql?query=mutation{deploy(fraiseId:%22my_api%22,environment:%22staging%22){id}}",
        headers={**api.headers, **headers},
        content=content,
    )
    assert answer.status_code == status
    assert not [name for name in answer.headers if re.match("access-control|set-cookie", name)]


def test_introspection_and_the_page_are_for_development(shared: tuple[Host, Api]) -> None:
    _, api = shared
    for query in (
        "{ __schema { types { name } } }",
        '{ a: __type(name: "Query") { name } }',
        "{ ...f } fragment f on Query { __schema { description } }",
    ):
        assert api.errors(query) == ["INTROSPECTION_DISABLED"]
    headers = {**api.headers, "accept": "text/html"}
    assert api.client.get("/graphql", headers=headers).status_code == 405


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Api]]:
    """A host in production of tests that change nothing, and its API with a token for everything."""
    from tests.databases import SqliteDatabase

    folder = tmp_path_factory.mktemp("shared")
    host = Host.create(folder / "host", SqliteDatabase(folder / "state/store.db"), development=False)
    with host.serving() as api:
        yield host, holding(host, api, ALL)
