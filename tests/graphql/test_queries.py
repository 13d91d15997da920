"""What queries are answered, on both databases."""

from __future__ import annotations

import pytest
from fraisier_core.store.records import Deployment

from tests.graphql.asking import Asker
from tests.played import PLACES
from tests.stores import OpenStore


def newest(store: OpenStore, limit: int = 1000) -> list[Deployment]:
    return store.deployments(limit=limit)


def ids(found: list[Deployment]) -> list[dict[str, str]]:
    return [{"id": each.id} for each in found]


def test_deployments_come_newest_first_and_fifty_unless_told_otherwise(
    asker: Asker, played: OpenStore
) -> None:
    assert len(newest(played)) > 50
    assert asker.ask("{ deploymentHistory { id } }")["deploymentHistory"] == ids(newest(played, 50))
    found = asker.ask("{ deploymentHistory(limit: 3, offset: 2) { id } }")
    assert found["deploymentHistory"] == ids(newest(played, 5)[2:])


def test_what_comes_after_a_deployment_is_its_cursor(asker: Asker, played: OpenStore) -> None:
    seen: list[dict[str, str]] = []
    page: list[dict[str, str]] | None = None
    while page != []:
        cursor = seen[-1]["id"] if seen else None
        document = "query ($cursor: ID) { deploymentHistory(limit: 20, cursor: $cursor) { id } }"
        page = asker.ask(document, {"cursor": cursor})["deploymentHistory"]
        seen += page
    assert seen == ids(newest(played))


def test_every_value_is_that_of_the_record(asker: Asker, played: OpenStore) -> None:
    document = """{ deploymentHistory(limit: 1000) {
        id fraiseId environment kind status requestedAt startedAt completedAt duration errorMessage commitSha
        ref reason trigger requestedBy webhookEventId release previousRelease supersededBy recovers repeats
        attempt activationStarted rollbackStarted unrepeatable cancelRequested } }"""
    found = asker.ask(document)["deploymentHistory"]
    for answer, record in zip(found, newest(played), strict=True):
        expected = [
            record.id, record.fraise_id, record.environment, record.kind, record.status.upper(),
            record.requested_at, record.started_at, record.completed_at, record.duration,
            record.error_message, record.commit_sha, record.ref, record.reason, record.trigger.upper(),
            record.requested_by, record.webhook_event_id, record.release, record.previous_release,
            record.superseded_by, record.recovers, record.repeats, record.attempt, record.activation_started,
            record.rollback_started, record.unrepeatable, record.cancel_requested,
        ]  # fmt: skip
        assert list(answer.values()) == expected


@pytest.mark.parametrize("status", ["SUCCESS", "FAILED", "SUPERSEDED"])
def test_arguments_filter(asker: Asker, played: OpenStore, status: str) -> None:
    document = """query ($status: DeploymentStatus) {
        deploymentHistory(fraiseId: "cellar", environment: "live", status: $status, limit: 1000) { id } }"""
    wanted = [each for each in newest(played) if (each.fraise_id, each.environment) == ("cellar", "live")]
    assert asker.ask(document)["deploymentHistory"] == ids(wanted)
    some = [each for each in wanted if each.status == status.lower()]
    assert some
    assert asker.ask(document, {"status": status})["deploymentHistory"] == ids(some)
    assert asker.ask(document, {"status": None})["deploymentHistory"] == ids(wanted)


def test_one_is_found_by_its_id_in_any_form_of_it(asker: Asker, played: OpenStore) -> None:
    wanted = newest(played)[7].id
    document = "query ($id: ID!) { deployment(id: $id) { id } }"
    for form in (wanted, wanted.upper(), wanted.replace("-", "")):
        assert asker.ask(document, {"id": form})["deployment"] == {"id": wanted}
    assert asker.ask(document, {"id": "0" * 32})["deployment"] is None


def test_an_answer_has_the_keys_of_the_document_in_its_order(asker: Asker) -> None:
    document = """query Named($no: Boolean!, $yes: Boolean = true) {
        second: deploymentHistory(limit: 1) { status ...Facts when: startedAt @skip(if: $yes) }
        first: deploymentHistory(limit: 1) { ... on Deployment { environment } id @include(if: $no) fraiseId }
        __typename
    }
    fragment Facts on Deployment { kind: __typename id status }"""
    found = asker.ask(document, {"no": False})
    assert list(found) == ["second", "first", "__typename"]
    assert list(found["second"][0]) == ["status", "kind", "id"]
    assert list(found["first"][0]) == ["environment", "fraiseId"]
    assert (found["__typename"], found["second"][0]["kind"]) == ("Query", "Deployment")
    again = asker.ask(document, {"no": True, "yes": False})
    assert list(again["second"][0]) == ["status", "kind", "id", "when"]
    assert list(again["first"][0]) == ["environment", "id", "fraiseId"]


def test_a_field_that_is_selected_twice_is_answered_once(asker: Asker, played: OpenStore) -> None:
    document = "{ deploymentHistory(limit: 1) { id } deploymentHistory(limit: 1) { status } }"
    (found,) = asker.ask(document)["deploymentHistory"]
    record = newest(played)[0]
    assert found == {"id": record.id, "status": record.status.upper()}


def test_more_fields_than_a_function_takes_are_answered(asker: Asker, played: OpenStore) -> None:
    aliases = " ".join(f"a{number}: id b{number}: attempt" for number in range(29))
    (found,) = asker.ask(f"{{ deploymentHistory(limit: 1) {{ {aliases} status }} }}")["deploymentHistory"]
    record = newest(played)[0]
    assert len(found) == 59
    assert set(found.values()) == {record.id, record.attempt, record.status.upper()}


HOSTILE = ["it's", 'a "name"', "%s :a0 $1 ?", "näme\n", "\\", "'; DROP TABLE tb_fraises; --"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_value_is_a_parameter_whatever_it_says(asker: Asker, name: str) -> None:
    document = "query ($name: String) { deploymentHistory(fraiseId: $name) { id } }"
    assert asker.ask(document, {"name": name})["deploymentHistory"] == []
    assert asker.ask("{ deploymentHistory(limit: 1) { id } }")["deploymentHistory"]


def test_the_other_views_are_answered(asker: Asker, played: OpenStore) -> None:
    document = """{
        fraiseStatus { fraiseId environment status servingUnknown pending }
        deploymentStats(fraiseId: "cellar") { fraiseId total successRate p95Duration }
        webhookEvents(limit: 2, verdict: ACCEPTED) { id provider verdict urls reasons receivedAt refs }
    }"""
    found = asker.ask(document)
    assert {(each["fraiseId"], each["environment"]) for each in found["fraiseStatus"]} == {*PLACES}
    assert all(each["total"] > 0 for each in found["deploymentStats"])
    events = [each for each in played.deliveries(limit=1000) if each.verdict == "accepted"]
    assert [each["id"] for each in found["webhookEvents"]] == [each.id for each in events[:2]]
    assert all(isinstance(each["urls"], list) for each in found["webhookEvents"])


SCOPES = ["read:cellar", "read:cellar/live", "deploy:pantry/live", "read:nowhere", "read:cellar/nowhere"]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_client_sees_what_its_scope_has_and_nothing_else(
    asker: Asker, played: OpenStore, scope: str
) -> None:
    fraise, _, environment = scope.partition(":")[2].partition("/")

    def is_inside(of: str, where: str) -> bool:
        return of == fraise and environment in {"", where}

    expected = [each for each in newest(played) if is_inside(each.fraise_id, each.environment)]
    found = asker.ask("{ deploymentHistory(limit: 1000) { id } }", scope=scope)["deploymentHistory"]
    assert found == ids(expected)
    for record in newest(played)[:10]:
        document = f'{{ deployment(id: "{record.id}") {{ id }} }}'
        one = asker.ask(document, scope=scope)["deployment"]
        assert one == ({"id": record.id} if record in expected else None)
    places = asker.ask("{ fraiseStatus { fraiseId environment } }", scope=scope)["fraiseStatus"]
    assert [(each["fraiseId"], each["environment"]) for each in places] == [
        place for place in PLACES if is_inside(*place)
    ]
    assert asker.codes("{ webhookEvents { id } }", scope=scope) == ["FORBIDDEN"]
