import asyncio
from pathlib import Path

import lz4.frame
import pytest
from fraisier_core.errors import StoreError
from fraisier_core.push import DeliveryId
from fraisier_core.store.records import ConfiguredEnvironment, Delivery, Receipt, Request

from tests.stores import OpenStore, open_store

REQUEST = Request("api", "production", "deploy", "webhook", "ada", "refs/heads/main", "c" * 40, "b" * 40)
DELIVERY = Delivery(
    "forge",
    "push",
    DeliveryId("d1", signed=False),
    True,
    b"body",
    "2026-01-31T12:00:00.000000Z",
    ("matched",),
    (REQUEST,),
    "acme/api",
    "refs/heads/main",
    "c" * 40,
    "b" * 40,
    "ada",
)


@pytest.fixture
def database(tmp_path: Path) -> OpenStore:
    database = open_store(tmp_path / "store.db")
    database.configure(
        [
            ConfiguredEnvironment("api", "api", None, None, each, None, None)
            for each in ("production", "staging")
        ]
    )
    return database


@pytest.fixture
def store(database: OpenStore) -> OpenStore:
    return database


def delivery(identity: str, body: bytes = b"") -> Delivery:
    return DELIVERY._replace(delivery_id=DeliveryId(identity, signed=False), body=body or identity.encode())


def receipts(store: OpenStore, *batch: Delivery) -> list[Receipt]:
    found = store.accept_now(*batch)
    assert all(isinstance(each, Receipt) for each in found), found
    return [each for each in found if isinstance(each, Receipt)]


def count(database: OpenStore, table: str) -> int:
    return len(database.all(f"SELECT * FROM {table}"))


def test_a_delivery_is_an_event_its_body_and_its_deployments(database: OpenStore, store: OpenStore) -> None:
    requests = (REQUEST, REQUEST._replace(environment="staging"))
    (receipt,) = receipts(store, DELIVERY._replace(requests=requests))
    assert receipt.verdict == "accepted"
    assert [each.environment for each in receipt.deployments] == ["production", "staging"]
    (event,) = database.all("SELECT * FROM tb_webhook_events")
    assert (event["id"], event["delivery_id"], event["verdict"]) == (receipt.event_id, "d1", "accepted")
    (payload,) = database.all("SELECT * FROM tb_webhook_payloads")
    assert lz4.frame.decompress(payload["body"]) == b"body"
    found = database.deployment(receipt.deployments[0].id)
    assert (found.status, found.webhook_event_id, found.before_sha) == ("pending", event["id"], "b" * 40)


def test_what_requests_nothing_is_recorded_and_never_a_duplicate(
    database: OpenStore, store: OpenStore
) -> None:
    ping = DELIVERY._replace(requests=())
    assert [each.verdict for each in receipts(store, ping, ping)] == ["ignored", "ignored"]
    assert receipts(store, DELIVERY)[0].verdict == "accepted"


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
def test_the_same_id_deploys_once(database: OpenStore, store: OpenStore, together: bool) -> None:
    if together:
        first, second = receipts(store, DELIVERY, DELIVERY)
    else:
        (first,), (second,) = receipts(store, DELIVERY), receipts(store, DELIVERY)
    assert (first.verdict, second.verdict) == ("accepted", "duplicate")
    assert second.event_id == first.event_id
    assert [each.id for each in second.deployments] == [each.id for each in first.deployments]
    assert count(database, "tb_deployments") == 1
    repeated = database.all("SELECT duplicate_of FROM tb_webhook_events WHERE verdict = 'duplicate'")
    assert [row["duplicate_of"] for row in repeated] == [first.event_id]


def test_a_duplicate_says_how_its_deployment_stands(database: OpenStore, store: OpenStore) -> None:
    (first,) = receipts(store, DELIVERY)
    database.request_cancel(first.deployments[0].id, "ada")
    (second,) = receipts(store, DELIVERY)
    assert second.deployments[0].status == "cancelled"


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
def test_the_same_id_with_another_body_is_a_conflict(
    database: OpenStore, store: OpenStore, together: bool
) -> None:
    other = DELIVERY._replace(body=b"another body")
    if together:
        first, second = receipts(store, DELIVERY, other)
    else:
        (first,), (second,) = receipts(store, DELIVERY), receipts(store, other)
    assert (second.verdict, second.event_id) == ("conflict", first.event_id)
    assert count(database, "tb_webhook_events") == 1


def test_the_same_signed_body_under_another_unsigned_id_is_a_duplicate(store: OpenStore) -> None:
    first, second = receipts(store, delivery("d1", b"body"), delivery("d2", b"body"))
    assert (first.verdict, second.verdict) == ("accepted", "duplicate")


@pytest.mark.parametrize(
    ("signs_body", "signs_id"), [(False, False), (True, True)], ids=["body unsigned", "id signed"]
)
def test_the_same_body_counts_only_if_it_alone_is_signed(
    store: OpenStore, signs_body: bool, signs_id: bool
) -> None:
    batch = [
        DELIVERY._replace(delivery_id=DeliveryId(each, signed=signs_id), signs_body=signs_body)
        for each in ("d1", "d2")
    ]
    assert [each.verdict for each in receipts(store, *batch)] == ["accepted", "accepted"]


def test_another_provider_is_another_world(store: OpenStore) -> None:
    first, second = receipts(store, DELIVERY, DELIVERY._replace(provider="another"))
    assert (first.verdict, second.verdict) == ("accepted", "accepted")


@pytest.mark.parametrize(
    "poison",
    [
        delivery("poison")._replace(requests=(REQUEST._replace(environment="unheard-of"),)),
        delivery("poison")._replace(pusher="\ud800"),
    ],
    ids=["unknown environment", "no Unicode"],
)
def test_what_cannot_be_stored_fails_alone(database: OpenStore, store: OpenStore, poison: Delivery) -> None:
    before, failed, after = store.accept_now(delivery("d1"), poison, delivery("d2"))
    assert isinstance(before, Receipt)
    assert isinstance(after, Receipt)
    assert isinstance(failed, StoreError)
    assert count(database, "tb_webhook_events") == count(database, "tb_deployments") == 2
    assert count(database, "tb_webhook_payloads") == 2


def test_a_newer_push_supersedes_an_older_one_in_the_same_batch(
    database: OpenStore, store: OpenStore
) -> None:
    older, newer = receipts(store, delivery("d1"), delivery("d2"))
    found = database.deployment(older.deployments[0].id)
    assert found.status == "superseded"
    assert database.deployment(newer.deployments[0].id).status == "pending"


def test_a_store_that_is_held_for_long_refuses_the_batch(tmp_path: Path, database: OpenStore) -> None:
    other = open_store(tmp_path / "store.db", busy_seconds=0.05)
    with database.transaction(), pytest.raises(StoreError, match="locked"):
        other.accept_now(DELIVERY)
    assert receipts(other, DELIVERY)[0].verdict == "accepted"


def test_only_the_newest_thousand_refusals_are_kept(database: OpenStore, store: OpenStore) -> None:
    with database.transaction():
        for number in range(1100):
            row = {"provider": "forge", "received_at": "t", "client": str(number), "reason": "r"}
            database.execute(
                "INSERT INTO tb_refused_deliveries (provider, received_at, client, reason) "
                "VALUES (:provider, :received_at, :client, :reason)",
                row,
            )
    asyncio.run(store.refuse("forge", "t", "last", "unsigned"))
    clients = [
        row["client"] for row in database.all("SELECT client FROM tb_refused_deliveries ORDER BY sequence")
    ]
    assert len(clients) == 1000
    assert clients[-1] == "last"
