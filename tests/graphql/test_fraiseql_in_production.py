"""fraiseql-server with its settings for production, as a user with the rights of its role alone."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from websockets.sync.client import connect

from tests.databases import new_postgres
from tests.graphql.fraiseql_server import make_functions, over_tcp, require_binaries, served
from tests.graphql.serving import Api, Host
from tests.graphql.test_fraiseql_server import CHANGES, DEPLOY, FRAISE, PROTOCOL, heard
from tests.postgres import PASSWORD, Servers
from tests.postgres_server import Server
from tests.postgres_sql import SQL

REFUSED = (
    "SELECT * FROM tb_deployments",
    "SELECT * FROM tb_tokens",
    "SELECT * FROM tb_webhook_payloads",
    "INSERT INTO tb_deployment_events (event) VALUES ('requested')",
    "DELETE FROM core.tb_entity_change_log",
    "UPDATE tb_environments SET branch = 'other'",
    "SELECT healthy_releases(e) FROM tb_environments AS e",
    "CREATE TABLE mine (it int)",
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, postgres_servers: Servers) -> Host:
    """A host on which a job alone was deployed."""
    require_binaries()
    host = Host.create(tmp_path_factory.mktemp("host") / "host", new_postgres(postgres_servers(18)))
    assert host.run("fraisier", "deploy", "my_api", "staging", "--detach").returncode == 0
    host.add_job("production")
    return host


@pytest.fixture(scope="module")
def user_url(host: Host, postgres_servers: Servers) -> str:
    """The URL of a user that has the role."""
    server = postgres_servers(18)
    make_functions(server, host.database.url)
    with psycopg.connect(host.database.url, autocommit=True) as owner:
        for _ in range(2):  # as after an upgrade
            owner.execute((SQL / "roles.sql").read_bytes())
            make_functions(server, host.database.url)
    return _user(server, host.database.url)


def _user(server: Server, url: str) -> str:
    name = f"server_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'".encode())
        owner.execute(f"GRANT fraisier_graphql TO {name}".encode())
    return over_tcp(server, url).replace("//postgres:", f"//{name}:")


@pytest.fixture(scope="module")
def server(
    host: Host, user_url: str, postgres_servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """Serves the store of the host."""
    url, folder = over_tcp(postgres_servers(18), host.database.url), tmp_path_factory.mktemp("server")
    with served(url, folder, "server.toml", user_url) as server:
        yield server
    assert "permission denied" not in (folder / "server.log").read_text()


def test_it_reads_requests_and_hears_what_changes(server: Api) -> None:
    assert server.ask(FRAISE)["fraise"]["deploymentHistory"][0]["status"] == "PENDING"
    with connect(f"{server.url.replace('http', 'ws')}/ws", subprotocols=[PROTOCOL]) as socket:
        news = heard(socket, CHANGES)
        next(news)
        server.ask(DEPLOY)
        assert next(news)["deploymentStatusChanged"] == {"status": "PENDING", "completedAt": None}


def test_it_requests_runs(server: Api) -> None:
    run = """mutation { run(fraiseId: "etl_job", environment: "production", arguments: ["--all", "it's"]) {
        status kind arguments } }"""
    assert server.ask(run)["run"] == {"status": "PENDING", "kind": "run", "arguments": ["--all", "it's"]}


def test_it_tells_nothing_of_the_schema_or_of_what_functions_say(server: Api) -> None:
    assert server.errors("{ __schema { queryType { name } } }") == ["INTROSPECTION_DISABLED"]
    unknown = server.post('mutation { deploy(fraiseId: "nowhere", environment: "x") { id } }').json()
    assert unknown["errors"][0]["code"] == "BAD_USER_INPUT"
    assert "nowhere" not in str(unknown)


@pytest.mark.parametrize("statement", REFUSED)
def test_its_user_may_do_no_more(user_url: str, statement: str) -> None:
    with psycopg.connect(user_url) as user, pytest.raises(InsufficientPrivilege):
        user.execute(statement.encode())
