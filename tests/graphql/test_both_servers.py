"""One suite of documents, which the web app and the real fraiseql-server answer alike over one store."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest
from graphql import GraphQLObjectType, get_named_type

from tests.databases import new_postgres
from tests.graphql.asking import SCHEMA
from tests.graphql.fraiseql_server import over_tcp, require_binaries, served
from tests.graphql.serving import Api, Host
from tests.graphql.test_reference_page import ASKED
from tests.played import Player
from tests.postgres import Servers

PLAYED = """
  cellar:
    type: api
    repository: {repository}
    environments:
      live: {{branch: main, app_path: {folder}/live}}
      trial: {{app_path: {folder}/trial}}
"""
PLACEHOLDERS = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"), "TIME"),
)


class Both(NamedTuple):
    """The servers, each with the API over the same store."""

    web_app: Api
    fraiseql_server: Api

    def answers(self, document: str, variables: dict[str, Any] | None = None) -> list[Any]:
        """Return the data that each answers with."""
        return [each.ask(document, variables) for each in self]

    def codes(self, document: str, variables: dict[str, Any] | None = None) -> list[set[str]]:
        """Return the codes that each refuses with."""
        return [set(each.errors(document, variables)) for each in self]


@pytest.fixture(scope="module")
def host(postgres_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host over a store with a history of everything."""
    require_binaries()
    folder = tmp_path_factory.mktemp("both")
    host = Host.create(folder / "host", new_postgres(postgres_servers(18)))
    with (host.folder / "fraises.yaml").open("a") as configuration:
        configuration.write(PLAYED.format(repository=host.forge.url, folder=folder))
    with closing(host.open()) as store:
        Player(store).play(300)
    assert host.run("fraisier", "deploy", "my_api", "production", "--detach").returncode == 0
    host.add_job("production", "skipping")
    return host


@pytest.fixture(scope="module")
def both(host: Host, postgres_servers: Servers) -> Iterator[Both]:
    """Both, over that store."""
    address = over_tcp(postgres_servers(18), host.database.url)
    with served(address, host.folder.parent) as other, host.serving() as own:
        yield Both(own, other)


MANY = {"steps", "output", "events", "untold"}
"""What belongs to a deployment, which is too much for a list of them."""


def everything(kind: GraphQLObjectType, without: Collection[str] = MANY) -> str:
    """Return a selection of every field of a type, and of the types within it."""
    fields = {name: get_named_type(each.type) for name, each in kind.fields.items() if name not in without}
    nested = (
        f"{name} {everything(of, without)}" if isinstance(of, GraphQLObjectType) else name
        for name, of in fields.items()
    )
    return f"{{ {' '.join(nested)} }}"


def of(query: str, arguments: str = "", without: Collection[str] = MANY) -> str:
    """Return a selection of all of what a query returns."""
    query_type = SCHEMA.graphql.query_type
    assert query_type is not None
    kind = get_named_type(query_type.fields[query].type)
    assert isinstance(kind, GraphQLObjectType)
    return f"{{ {query}{arguments} {everything(kind, without)} }}"


QUERIES = {
    "fraises": of("fraises"),
    "a fraise": of("fraise", '(id: "cellar")'),
    "an unknown fraise": of("fraise", '(id: "attic")'),
    "states": of("fraiseStatus"),
    "states of a fraise": of("fraiseStatus", '(fraiseId: "cellar")'),
    "the state of an environment": of("fraiseStatus", '(fraiseId: "cellar", environment: "trial")'),
    "deployments": of("deploymentHistory"),
    "all deployments": of("deploymentHistory", "(limit: 1000)"),
    "no deployments": of("deploymentHistory", "(limit: 0)"),
    "a page": of("deploymentHistory", "(limit: 7, offset: 48)"),
    "a page beyond the end": of("deploymentHistory", "(limit: 7, offset: 4800)"),
    "deployments of a status": of("deploymentHistory", "(status: ROLLED_BACK)"),
    "deployments of an environment": of("deploymentHistory", '(fraiseId: "cellar", environment: "live")'),
    "deployments of a kind": of("deploymentHistory", '(kind: "rollback", limit: 9)'),
    "deployments of a ref": of("deploymentHistory", '(ref: "refs/heads/main", limit: 9)'),
    "deployments by a part of the id": of("deploymentHistory", '(idPart: "A")'),
    "an unknown deployment": of("deployment", '(id: "01a00000-0000-7000-8000-000000000000")'),
    "statistics": of("deploymentStats"),
    "deliveries": of("webhookEvents"),
    "deliveries of a verdict": of("webhookEvents", '(provider: "forge", verdict: ACCEPTED, limit: 5)'),
    "aliases and fragments": """query Some { b: deploymentHistory(limit: 1) { ...F } a: fraises { key: id } }
        fragment F on Deployment { when: requestedAt ...G }
        fragment G on Deployment { status __typename }""",
    "no part of an id": of("deploymentHistory", '(idPart: "")'),
    "a quotation mark": """{ deploymentHistory(fraiseId: "it's \\"so\\" % $1") { id } }""",
}  # fmt: skip


@pytest.mark.parametrize("what", QUERIES)
def test_what_is_asked_for_is_answered_alike(both: Both, what: str) -> None:
    own, other = both.answers(QUERIES[what])
    assert own == other
    assert what.startswith(("no ", "a page beyond", "an unknown", "a quotation")) or all(own.values())


@pytest.mark.parametrize("example", ASKED)
def test_the_examples_of_the_reference_are_answered_alike(both: Both, example: str) -> None:
    own, other = (_with_placeholders(each) for each in both.answers(example))
    assert own == other


def test_a_deployment_with_all_that_belongs_to_it_is_the_same(both: Both) -> None:
    document = f"query ($id: ID!) {of('deployment', '(id: $id)', ())}"
    found = []
    every = both.web_app.ask("{ deploymentHistory(limit: 1000) { id } }")["deploymentHistory"]
    for each in (*every[:20], every[-1]):
        own, other = both.answers(document, each)
        assert own == other
        found += [name for name in MANY if own["deployment"][name]]
    assert {*found} == MANY


def test_variables_are_taken_alike(both: Both) -> None:
    document = """query ($f: String, $s: DeploymentStatus, $n: Int = 4, $yes: Boolean!) {
        deploymentHistory(fraiseId: $f, status: $s, limit: $n) { id status @include(if: $yes) } }"""
    for variables in (
        {"f": "cellar", "s": "SUCCESS", "yes": True},
        {"f": None, "n": 60, "yes": False},
        {"s": "FAILED", "yes": True},
    ):
        own, other = both.answers(document, variables)
        assert own == other
        assert own["deploymentHistory"]


def test_each_page_begins_after_the_last_one_of_the_other_server(both: Both) -> None:
    document = "query ($c: ID) { deploymentHistory(limit: 30, cursor: $c) { id } }"
    cursor, seen = None, []
    while True:
        own, other = both.answers(document, {"c": cursor})
        assert own == other
        if not own["deploymentHistory"]:
            break
        seen += [each["id"] for each in own["deploymentHistory"]]
        cursor = seen[-1]
    assert len(seen) == len({*seen}) > 60


PLACE = 'fraiseId: "cellar", environment: "live"'
REQUESTED = (
    "{ fraiseId environment kind status trigger ref commitSha release requestedAt startedAt steps { name } }"
)
JOB = 'fraiseId: "etl_job", environment: "production"'
RUN = f"{REQUESTED[:-2]} arguments requestedFor lane executor }}"
MUTATIONS = {
    "deploy": f"mutation {{ deploy({PLACE}) {REQUESTED} }}",
    "nothing": "mutation { __typename }",
    "deploy a commit": f'mutation {{ deploy({PLACE}, commit: "{"aB" * 20}") {REQUESTED} }}',
    "deploy a branch": f'mutation {{ deploy({PLACE}, branch: "next") {REQUESTED} }}',
    "run": f"mutation {{ run({JOB}) {RUN} }}",
    "run with arguments": f"""mutation {{ run({JOB}, arguments: ["it's \\"so\\"", "", "ü {{1}}"]) {RUN} }}""",
    "run with no arguments": f"mutation {{ run({JOB}, arguments: []) {RUN} }}",
    "run with null": f"mutation {{ run({JOB}, arguments: null) {RUN} }}",
    "run with one argument": f'mutation {{ run({JOB}, arguments: "{{a,b}}") {RUN} }}',
    "run with null as a word": f'mutation {{ run({JOB}, arguments: "null") {RUN} }}',
}


@pytest.mark.parametrize("what", MUTATIONS)
def test_what_is_requested_is_the_same(both: Both, what: str) -> None:
    own, other = (_with_placeholders(each) for each in both.answers(MUTATIONS[what]))
    assert own == other
    assert [each["status"] for each in own.values() if isinstance(each, dict)] in ([], ["PENDING"])


def test_the_arguments_of_a_run_are_variables_too(both: Both) -> None:
    document = f"mutation ($a: [String!]) {{ run({JOB}, arguments: $a) {{ arguments }} }}"
    for given, recorded in (
        (["--since", "2026-11 'x'"], ["--since", "2026-11 'x'"]),
        (["\\", "%s", "\n"], ["\\", "%s", "\n"]),
        ("{a,b}", ["{a,b}"]),
        (["ü" * 9000], ["ü" * 9000]),
        ([], None),
        (None, None),
    ):
        assert both.answers(document, {"a": given}) == [{"run": {"arguments": recorded}}] * 2


def test_a_run_is_skipped_alike_while_another_waits(both: Both) -> None:
    document = 'mutation { run(fraiseId: "etl_job", environment: "skipping") { id status errorMessage } }'
    first = both.web_app.ask(document)["run"]
    own, other = (answer["run"] for answer in both.answers(document))
    assert (first["status"], own["status"], other["status"]) == ("PENDING", "SKIPPED", "SKIPPED")
    assert own["errorMessage"] == other["errorMessage"]
    assert first["id"] in own["errorMessage"]


def test_a_queue_of_runs_is_shown_and_cancelled_alike(both: Both) -> None:
    asked = [each.ask(f"mutation {{ run({JOB}) {{ id }} }}")["run"]["id"] for each in both]
    newest = 'query { deploymentHistory(fraiseId: "etl_job", kind: "run", limit: 2) { id status kind } }'
    waiting = [{"id": each, "status": "PENDING", "kind": "run"} for each in asked[::-1]]
    assert both.answers(newest) == [{"deploymentHistory": waiting}] * 2
    document = "mutation ($id: ID!) { cancel(id: $id) { status } }"
    for each, server in zip(asked, reversed(both), strict=True):
        assert server.ask(document, {"id": each}) == {"cancel": {"status": "CANCELLED"}}


def test_what_one_holds_both_show_and_the_other_resumes(both: Both) -> None:
    hold = "{ id cause fraiseId environment reason heldBy beginsAt endsAt resumedAt }"
    listed = f"{{ fraiseStatus({PLACE}) {{ hold {hold} }} }}"
    for server, other in (both, both[::-1]):
        asked = f"""hold({PLACE}, reason: "it's ü", until: "2099-01-31T12:00:00Z")"""
        held = server.ask(f"mutation {{ {asked} {hold} }}")["hold"]
        assert (held["reason"], held["endsAt"]) == ("it's ü", "2099-01-31T12:00:00.000000Z")
        assert both.answers(listed) == [{"fraiseStatus": [{"hold": held}]}] * 2
        assert other.ask(f"mutation {{ resume({PLACE}) {{ id }} }}") == {"resume": {"id": held["id"]}}
        assert both.answers(listed) == [{"fraiseStatus": [{"hold": None}]}] * 2


def test_what_one_requests_the_other_cancels(both: Both) -> None:
    request, cancel = (
        f"mutation {{ deploy({PLACE}) {{ id }} }}",
        "mutation ($id: ID!) { cancel(id: $id) { id status } }",
    )
    for one, other in ((both.web_app, both.fraiseql_server), (both.fraiseql_server, both.web_app)):
        asked = one.ask(request)["deploy"]["id"]
        cancelled = {"cancel": {"id": asked, "status": "CANCELLED"}}
        assert [each.ask(cancel, {"id": asked}) for each in (other, one)] == [cancelled] * 2


@pytest.mark.parametrize(
    ("change", "is_refused"),
    [
        ("release = NULL", True),
        ("release = NULL, host = 'another'", True),
        ("host = 'another'", False),
        ("fraise_id = 'nothing_serves'", True),
    ],
)
def test_a_run_needs_a_release_that_serves_on_whichever_host(
    both: Both, host: Host, change: str, is_refused: bool
) -> None:
    document = 'mutation { run(fraiseId: "etl_job", environment: "skipping") { id } }'
    with closing(host.open()) as store:
        (before,) = store.all("SELECT * FROM tb_serving WHERE environment = 'skipping'")
        store.execute(f"UPDATE tb_serving SET {change} WHERE environment = 'skipping'")
        try:
            if is_refused:
                assert both.codes(document) == [{"BAD_USER_INPUT"}] * 2
                return
            for each in both:
                each.ask("mutation ($id: ID!) { cancel(id: $id) { id } }", each.ask(document)["run"])
        finally:
            restored = "fraise_id = :fraise_id, host = :host, release = :release"
            store.execute(f"UPDATE tb_serving SET {restored} WHERE environment = 'skipping'", before)


DEEP = "{ fraises " + "{ environments " * 11 + "{ name }" + " }" * 11 + " }"
REFUSED = {
    "two operations": ("query A { fraises { id } } query B { fraises { id } }", "VALIDATION_ERROR"),
    "no document": ("{ fraises { id }", "PARSE_ERROR"),
    "an unknown query": ("{ servers { id } }", "VALIDATION_ERROR"),
    "an unknown field": ("{ fraises { id colour } }", "VALIDATION_ERROR"),
    "an unknown argument": ("{ deploymentHistory(first: 1) { id } }", "VALIDATION_ERROR"),
    "an unknown mutation": (f"mutation {{ restart({PLACE}) {{ id }} }}", "VALIDATION_ERROR"),
    "too deep": (DEEP, "VALIDATION_ERROR"),
    "a wrong type": ('{ deploymentHistory(limit: "many") { id } }', "VALIDATION_ERROR"),
    "the stored word": ("{ deploymentHistory(status: success) { id } }", "VALIDATION_ERROR"),
    "a missing argument": ('mutation { deploy(fraiseId: "cellar") { id } }', "VALIDATION_ERROR"),
    "no id": ('{ deployment(id: "the last") { id } }', "BAD_USER_INPUT"),
    "no id to cancel": ('mutation { cancel(id: "the last") { id } }', "BAD_USER_INPUT"),
    "an unknown fraise": (
        'mutation { deploy(fraiseId: "attic", environment: "live") { id } }', "BAD_USER_INPUT"
    ),
    "an unknown environment": (
        'mutation { deploy(fraiseId: "cellar", environment: "none") { id } }', "BAD_USER_INPUT"
    ),
    "the beginning of an environment": (
        'mutation { deploy(fraiseId: "cellar", environment: "liv") { id } }', "BAD_USER_INPUT"
    ),
    "no branch": ('mutation { deploy(fraiseId: "cellar", environment: "trial") { id } }', "BAD_USER_INPUT"),
    "no commit": (f'mutation {{ deploy({PLACE}, commit: "--help") {{ id }} }}', "BAD_USER_INPUT"),
    "a negative limit": ("{ deploymentHistory(limit: -1) { id } }", "VALIDATION_ERROR"),
    "a limit that is too high": ("{ deploymentHistory(limit: 1001) { id } }", "VALIDATION_ERROR"),
    "an unknown release": (f'mutation {{ rollback({PLACE}, to: "none") {{ id }} }}', "BAD_USER_INPUT"),
    "a run without a job": (f"mutation {{ run({PLACE}) {{ id }} }}", "BAD_USER_INPUT"),
    "a run without a release": (
        'mutation { run(fraiseId: "etl_job", environment: "staging") { id } }', "BAD_USER_INPUT"
    ),
    "a run of an unknown fraise": (
        'mutation { run(fraiseId: "attic", environment: "live") { id } }', "BAD_USER_INPUT"
    ),
    "a run of the beginning of an environment": (
        'mutation { run(fraiseId: "etl_job", environment: "prod") { id } }', "BAD_USER_INPUT"
    ),
    "NUL in an argument": (
        f'mutation {{ run({JOB}, arguments: ["a\\u0000b"]) {{ id }} }}', "BAD_USER_INPUT"
    ),
    "an argument that is a number": (
        f"mutation {{ run({JOB}, arguments: [5]) {{ id }} }}", "VALIDATION_ERROR"
    ),
    "an argument that is null": (
        f'mutation {{ run({JOB}, arguments: ["a", null]) {{ id }} }}', "VALIDATION_ERROR"
    ),
    "an argument that is a list": (
        f'mutation {{ run({JOB}, arguments: [["a"]]) {{ id }} }}', "VALIDATION_ERROR"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_has_the_same_code_and_changes_nothing(both: Both, what: str) -> None:
    document, code = REFUSED[what]
    before = both.answers("{ deploymentHistory(limit: 1) { id } }")
    assert both.codes(document) == [{code}] * 2
    assert both.answers("{ deploymentHistory(limit: 1) { id } }") == before


def _with_placeholders(found: Any) -> Any:
    """Return data with placeholders for ids and times, which each request has of its own."""
    if isinstance(found, dict):
        return {key: _with_placeholders(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_with_placeholders(each) for each in found]
    if isinstance(found, str):
        return next((name for pattern, name in PLACEHOLDERS if pattern.fullmatch(found)), found)
    return found
