"""`fraisier graphql`, on a host without a web app."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing

import pytest

from tests.databases import both_databases
from tests.graphql.serving import BIN, SECONDS, Host

DEPLOY = """mutation ($where: String!) {
    deploy(fraiseId: "my_api", environment: $where) { id status requestedBy } }"""


@pytest.fixture
def host(host: Host) -> Host:
    """A host whose store is there already."""
    assert host.run("fraisier", "db", "migrate").returncode == 0
    return host


@both_databases
def test_what_is_requested_is_recorded_with_the_user(host: Host) -> None:
    done = host.run("fraisier", "graphql", DEPLOY, "--variables", '{"where": "production"}')
    assert done.returncode == 0, done.stderr
    requested = json.loads(done.stdout)["data"]["deploy"]
    with closing(host.open()) as store:
        (record,) = store.deployments()
    assert requested == {"id": record.id, "status": "PENDING", "requestedBy": record.requested_by}
    shown = host.run("fraisier", "graphql", "{ deploymentHistory { id } }")
    assert json.loads(shown.stdout)["data"] == {"deploymentHistory": [{"id": record.id}]}


@both_databases
def test_the_sql_is_shown_and_nothing_is_done(host: Host) -> None:
    document = """query ($n: Int) { __typename
        newest: deploymentHistory(limit: $n, fraiseId: "my_api") { id steps { name } } }"""
    done = host.run("fraisier", "graphql", document, "--variables", '{"n": 3}', "--explain")
    assert done.returncode == 0, done.stderr
    assert "-- newest\n" in done.stdout
    assert "FROM v_deployment_history AS t WHERE t.fraise_id = :" in done.stdout
    changing = host.run("fraisier", "graphql", DEPLOY, "--variables", '{"where": "staging"}', "--explain")
    assert changing.returncode == 0, changing.stderr
    with closing(host.open()) as store:
        assert store.deployments() == []


def test_a_document_can_come_from_standard_input(host: Host) -> None:
    done = subprocess.run(
        [BIN / "fraisier", "graphql", "-"],
        input="{ fraises { id } __schema { queryType { name } } }",
        cwd=host.folder,
        env=host.environ,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert json.loads(done.stdout)["data"]["__schema"] == {"queryType": {"name": "Query"}}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["{ colour }"], 10, "VALIDATION_ERROR"),
        (["{"], 10, "PARSE_ERROR"),
        (['mutation { deploy(fraiseId: "attic", environment: "x") { id } }'], 10, "BAD_USER_INPUT"),
        (["{ colour }", "--explain"], 2, "colour"),
        (["{ fraises { id } }", "--variables", "[]"], 2, "object of JSON"),
        (["{ fraises { id } }", "--variables", "{"], 2, "object of JSON"),
    ],
)
def test_what_is_wrong_is_told_with_its_exit_code(
    host: Host, arguments: list[str], code: int, text: str
) -> None:
    done = host.run("fraisier", "graphql", *arguments)
    assert done.returncode == code, done.stderr
    assert text in done.stdout + done.stderr


def test_nothing_is_made_by_a_question(host: Host) -> None:
    missing = host.folder / "elsewhere"
    text = f"database: {{url: 'sqlite://{missing}/fraisier.db'}}\nfraises: {{}}\n"
    (host.folder / "fraises.yaml").write_text(text)
    done = host.run("fraisier", "graphql", "{ fraises { id } }")
    assert (done.returncode, missing.exists()) == (4, False)
