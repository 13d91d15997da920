"""What mutations request, and that workers execute it."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest
from fraisier_core.errors import ConfigurationError
from fraisier_graphql.api_schema import ApiSchema
from fraisier_graphql.mutating import Mutations

from tests.databases import both_databases
from tests.graphql.afar import Both
from tests.graphql.serving import Api, Host
from tests.waiting import wait_until

DEPLOY = (
    'mutation { deploy(fraiseId: "my_api", environment: "production") { id status kind requestedBy ref } }'
)


@both_databases
def test_what_is_requested_is_in_the_history_and_can_be_cancelled_or_held(api: Api, host: Host) -> None:
    requested = api.ask(DEPLOY)["deploy"]
    assert requested | {"id": ""} == {
        "id": "",
        "status": "PENDING",
        "kind": "deploy",
        "requestedBy": "development",
        "ref": "refs/heads/main",
    }
    assert api.ask("{ deploymentHistory { id } }")["deploymentHistory"] == [{"id": requested["id"]}]
    document = "mutation ($id: ID!) { cancel(id: $id) { id status } }"
    cancelled = {"id": requested["id"], "status": "CANCELLED"}
    assert api.ask(document, {"id": requested["id"]})["cancel"] == cancelled
    assert api.ask(document, {"id": requested["id"].upper()})["cancel"] == cancelled

    shown = "{ cause environment reason heldBy endsAt }"
    held = api.ask(f'mutation {{ hold(fraiseId: "my_api", reason: "an incident") {shown} }}')["hold"]
    assert [*held.values()] == ["manual", None, "an incident", "development", None]
    listed = f'{{ fraiseStatus(fraiseId: "my_api") {{ environment hold {shown} }} }}'
    assert api.ask(listed)["fraiseStatus"] == [
        {"environment": each, "hold": held} for each in ("production", "staging")
    ]
    assert "held by development: an incident" in api.post(DEPLOY).json()["errors"][0]["message"]


def ended(api: Api, deployment_id: str) -> dict[str, Any]:
    """Wait for the end of a deployment, and return it."""
    fields = "status commitSha release completedAt output { text }"
    document = f"query ($id: ID!) {{ deployment(id: $id) {{ {fields} }} }}"

    def found() -> dict[str, Any] | None:
        deployment: dict[str, Any] = api.ask(document, {"id": deployment_id})["deployment"]
        return deployment if deployment["completedAt"] else None

    return wait_until(found)


def test_a_worker_deploys_and_rolls_back_what_is_requested(host: Host) -> None:
    commit = host.forge.push_files({"page.txt": "one"})
    with host.serving("--worker") as api:
        first = ended(api, api.ask(DEPLOY)["deploy"]["id"])
        assert (first["status"], first["commitSha"]) == ("SUCCESS", commit)
        host.forge.push_files({"page.txt": "two"})
        assert ended(api, api.ask(DEPLOY)["deploy"]["id"])["status"] == "SUCCESS"
        document = 'mutation { rollback(fraiseId: "my_api", environment: "production") { id kind } }'
        back = ended(api, api.ask(document)["rollback"]["id"])
        assert (back["status"], back["release"]) == ("SUCCESS", first["release"])
        serving = api.ask('{ fraiseStatus(fraiseId: "my_api") { servingRelease } }')["fraiseStatus"]
        assert {"servingRelease": first["release"]} in serving


RUN = """mutation ($a: [String!]) {
    run(fraiseId: "etl_job", environment: "production", arguments: $a) {
        id kind arguments requestedBy } }"""


@both_databases
def test_a_worker_runs_a_job_that_is_requested_with_its_arguments(host: Host) -> None:
    host.add_job("production", script='printf "<%s>" "$@"\n[ "$1" != --fail ]')
    with host.serving("--worker") as api:
        deployed = api.ask('{ deploymentHistory(fraiseId: "etl_job") { release } }')["deploymentHistory"][0]
        for arguments, status in (
            (["--since", 'it\'s  "so" $HOME', "", "-n"], "SUCCESS"),
            (["--fail"], "FAILED"),
            (["ü\n;", "*"], "SUCCESS"),
        ):
            requested = api.ask(RUN, {"a": arguments})["run"]
            assert (requested["kind"], requested["requestedBy"]) == ("run", "development")
            assert requested["arguments"] == arguments
            done = ended(api, requested["id"])
            printed = "".join(each["text"] for each in done["output"])
            assert done["status"] == status, printed
            assert "".join(f"<{each}>" for each in arguments) in printed
            assert done["release"] == deployed["release"]


BACKUP = """mutation {
    backup(fraiseId: "kept", environment: "production") { id kind requestedBy storedName } }"""
BACKED_UP = """
  kept:
    type: backup
    environments:
      production:
        source: {{command: [echo, kept], restore: [sh, -c, "grep kept # {{target}}"]}}
        path: {folder}/backups
"""


@both_databases
def test_a_worker_makes_a_backup_that_is_requested_and_says_what_it_stored(host: Host) -> None:
    with (host.folder / "fraises.yaml").open("a") as configuration:
        configuration.write(BACKED_UP.format(folder=host.folder))
    with host.serving("--worker") as api:
        requested = api.ask(BACKUP)["backup"]
        assert requested | {"id": ""} == {
            "id": "",
            "kind": "backup",
            "requestedBy": "development",
            "storedName": None,
        }
        done = ended(api, requested["id"])
        assert (done["status"], done["release"]) == ("SUCCESS", None), done
        fields = "storedName storedSize storedSha256 storedAt storedProblem"
        (stored,) = api.ask(f'{{ deploymentHistory(fraiseId: "kept") {{ {fields} }} }}')["deploymentHistory"]
        with closing(host.open()) as store:
            record = store.deployment(requested["id"])
        assert stored["storedSize"] == record.stored_size == 5
        assert stored["storedProblem"] is record.stored_problem is None
        named = (record.stored_name, record.stored_sha256, record.stored_at)
        assert (stored["storedName"], stored["storedSha256"], stored["storedAt"]) == named
        tested = Both(host, ["--url", api.url]).afar("backups", "test", "kept", "prod", "--json")
        assert tested.code == 0, tested.stderr
        shown = json.loads(tested.stdout)
        assert (shown["kind"], shown["stored_name"]) == ("restore_test", record.stored_name)


PLACE = 'fraiseId: "my_api", environment: "production"'
REFUSED = {
    "unknown fraise": ('deploy(fraiseId: "my_apo", environment: "production")', "BAD_USER_INPUT", "my_apo"),
    "unknown environment": ('deploy(fraiseId: "my_api", environment: "live")', "BAD_USER_INPUT", "live"),
    "beginning of a name": ('deploy(fraiseId: "my_api", environment: "prod")', "BAD_USER_INPUT", "prod"),
    "no commit": (f'deploy({PLACE}, commit: "--help")', "BAD_USER_INPUT", "hexadecimal"),
    "no branch": (f'deploy({PLACE}, branch: "a..b")', "BAD_USER_INPUT", "branch"),
    "unknown deployment": (f'cancel(id: "{"1" * 32}")', "BAD_USER_INPUT", "no deployment"),
    "no id": ('cancel(id: "the last one")', "BAD_USER_INPUT", "UUID"),
    "nothing to roll back to": (f"rollback({PLACE})", "BAD_USER_INPUT", "no healthy"),
    "unknown release": (f'rollback({PLACE}, to: "x")', "BAD_USER_INPUT", '"x"'),
    "no job": (f"run({PLACE})", "BAD_USER_INPUT", "no job"),
    "no backups": (f"backup({PLACE})", "BAD_USER_INPUT", "no backups"),
    "no restore tests": (f"restoreTest({PLACE})", "BAD_USER_INPUT", "no restore tests"),
    "beginning of the name of a job": (
        'run(fraiseId: "etl_job", environment: "prod")', "BAD_USER_INPUT", "prod"
    ),
    "nothing to run": ('run(fraiseId: "etl_job", environment: "production")', "BAD_USER_INPUT", "serves"),
    "NUL in an argument": (
        'run(fraiseId: "etl_job", environment: "production", arguments: "\\u0000")', "BAD_USER_INPUT", "NUL"
    ),
}  # fmt: skip


def test_what_cannot_be_requested_says_why_and_changes_nothing(api: Api, host: Host) -> None:
    host.add_job()
    for field, code, text in REFUSED.values():
        (error,) = api.post(f"mutation {{ {field} {{ id }} }}").json()["errors"]
        assert (error["code"], error["path"]) == (code, [field.partition("(")[0]])
        assert text in error["message"]
    assert api.ask("{ deploymentHistory { id } }") == {"deploymentHistory": []}


def test_a_mutation_may_ask_for_its_type_alone(api: Api) -> None:
    assert api.ask("mutation { __typename }") == {"__typename": "Mutation"}


def test_mutations_of_one_document_are_done_in_its_order(api: Api) -> None:
    document = """mutation {
        first: deploy(fraiseId: "my_api", environment: "production") { id }
        wrong: deploy(fraiseId: "attic", environment: "production") { id }
        second: deploy(fraiseId: "loader", environment: "production") { id } }"""
    answer = api.post(document)
    assert (answer.status_code, answer.json()["data"]) == (400, None)
    history = api.ask("{ deploymentHistory { fraiseId } }")["deploymentHistory"]
    assert [each["fraiseId"] for each in history] == ["loader", "my_api"]


def test_a_mutation_without_an_implementation_is_an_error_at_the_start(host: Host) -> None:
    exported = {"name": "pause", "return_type": "Deployment", "arguments": [], "sql_source": "fn_pause"}
    schema = ApiSchema.read()
    schema.mutations = schema.mutations | {exported["name"]: exported["sql_source"]}
    with pytest.raises(ConfigurationError, match="pause"):
        Mutations(None, None, None).of(schema)  # type: ignore[arg-type]


def test_one_that_may_only_read_changes_nothing(host: Host) -> None:
    host.configure(development=False)
    with host.serving() as open_api, closing(host.open()) as store:
        made = host.run("fraisier", "token", "create", "reader", "--scope", "read")
        assert made.returncode == 0, made.stderr
        api = Api(open_api.url, open_api.client, {"authorization": f"Bearer {made.stdout.split()[-1]}"})
        assert api.ask("{ deploymentHistory { id } }") == {"deploymentHistory": []}
        assert api.errors(DEPLOY) == ["FORBIDDEN"]
        assert store.deployments() == []
