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


def test_a_fraise_has_its_environments_and_newest_deployments(asker: Asker, played: OpenStore) -> None:
    document = """{ fraise(id: "cellar") { id name environments { fraiseId environment branch
        status { status pending servingRelease serving { name commitSha since } } }
        deploymentHistory(limit: 3) { id status startedAt } } }"""
    found = asker.ask(document)["fraise"]
    assert (found["id"], found["name"]) == ("cellar", "cellar")
    assert [each["environment"] for each in found["environments"]] == ["live", "trial"]
    for each in found["environments"]:
        (status,) = played.status("cellar", each["environment"])
        assert each["status"]["status"] == (status.status or "").upper()
        assert each["status"]["servingRelease"] == status.serving_release
        serving = each["status"]["serving"]
        assert (serving and serving["name"]) == status.serving_release
    records = played.deployments("cellar", limit=3)
    assert found["deploymentHistory"] == [
        {"id": each.id, "status": each.status.upper(), "startedAt": each.started_at} for each in records
    ]


def test_what_a_deployment_did_is_answered(asker: Asker, played: OpenStore) -> None:
    document = """query ($id: ID!) { deployment(id: $id) {
        steps { attempt number name status repeatable startedAt completedAt duration message }
        output { sequence attempt stepNumber at text dropped } events { sequence event at message } } }"""
    record = next(each for each in newest(played) if played.steps(each.id) and played.log(each.id))
    found = asker.ask(document, {"id": record.id})["deployment"]
    steps = [
        [each.attempt, each.number, each.name, each.status.upper(), each.repeatable, each.started_at,
         each.completed_at, each.duration and pytest.approx(each.duration), each.message]
        for each in played.steps(record.id)
    ]  # fmt: skip
    assert [list(each.values()) for each in found["steps"]] == steps
    assert [list(each.values()) for each in found["output"]] == [[*each] for each in played.log(record.id)]
    assert [each["event"] for each in found["events"]] == [
        each.event.upper() for each in played.events(deployment_id=record.id)
    ]


def test_what_an_observer_could_not_do_is_answered(asker: Asker, played: OpenStore) -> None:
    document = "query ($id: ID!) { deployment(id: $id) { untold { observer event at problem } } }"
    (told,) = played.events(limit=1)
    (untold,) = played.untold(told.deployment_id)
    found = asker.ask(document, {"id": told.deployment_id})["deployment"]["untold"]
    assert found == [untold._asdict() | {"event": untold.event.upper()}]


@pytest.mark.parametrize(("limit", "length"), [(0, 0), (1, 1), (2, 2), (50, None)])
def test_a_nested_list_can_be_cut_short(asker: Asker, limit: int, length: int | None) -> None:
    document = """query ($n: Int) {
        fraise(id: "cellar") { deploymentHistory(limit: $n) { id } all: deploymentHistory { id } } }"""
    found = asker.ask(document, {"n": limit})["fraise"]
    assert found["deploymentHistory"] == found["all"][:length]
    assert len(found["all"]) == 10


def test_a_scope_is_kept_within_what_is_nested(asker: Asker) -> None:
    document = """{ fraises { id environments { environment status { environment } }
        deploymentHistory { fraiseId environment } } }"""
    (found,) = asker.ask(document, scope="read:cellar/live")["fraises"]
    assert found["id"] == "cellar"
    assert found["environments"] == [{"environment": "live", "status": {"environment": "live"}}]
    assert {each["environment"] for each in found["deploymentHistory"]} == {"live"}
    assert asker.ask('{ fraise(id: "pantry") { id } }', scope="read:cellar/live")["fraise"] is None


def test_what_does_not_exist_is_null(asker: Asker) -> None:
    assert asker.ask('{ fraise(id: "attic") { id } }') == {"fraise": None}
    found = asker.ask('{ fraiseStatus(fraiseId: "pantry") { serving { name } } }')["fraiseStatus"]
    assert [set(each) for each in found] == [{"serving"}]
