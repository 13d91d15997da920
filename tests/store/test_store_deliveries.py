import asyncio
import os
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from uuid import UUID

import lz4.frame
import pytest
from fraisier_core.errors import StoreError, UnknownNameError
from fraisier_core.push import DeliveryId
from fraisier_core.store.events import Event
from fraisier_core.store.received import DeliveredRef, Delivery, DeliveryDetails, Receipt
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_core.system.processes import ProcessIdentity

from tests.databases import Database
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
def store(database: Database) -> Iterator[OpenStore]:
    with closing(configured(database.open())) as store:
        yield store


def configured(store: OpenStore) -> OpenStore:
    places = ("production", "staging")
    store.configure([ConfiguredEnvironment("api", "api", None, None, each, None, None) for each in places])
    return store


def delivery(identity: str, body: bytes = b"") -> Delivery:
    return DELIVERY._replace(delivery_id=DeliveryId(identity, signed=False), body=body or identity.encode())


def receipts(store: OpenStore, *batch: Delivery) -> list[Receipt]:
    found = store.accept_now(*batch)
    assert all(isinstance(each, Receipt) for each in found), found
    return [each for each in found if isinstance(each, Receipt)]


def count(store: OpenStore, table: str) -> int:
    return len(store.all(f"SELECT * FROM {table}"))


def test_a_delivery_is_an_event_its_body_and_its_deployments(store: OpenStore) -> None:
    requests = (REQUEST, REQUEST._replace(environment="staging"))
    (receipt,) = receipts(store, DELIVERY._replace(requests=requests))
    assert receipt.verdict == "accepted"
    assert [each.environment for each in receipt.deployments] == ["production", "staging"]
    (event,) = store.all("SELECT * FROM tb_webhook_events")
    assert (event["id"], event["delivery_id"], event["verdict"]) == (receipt.event_id, "d1", "accepted")
    (payload,) = store.all("SELECT * FROM tb_webhook_payloads")
    assert lz4.frame.decompress(payload["body"]) == b"body"
    found = store.deployment(receipt.deployments[0].id)
    assert (found.status, found.webhook_event_id, found.before_sha) == ("pending", event["id"], "b" * 40)


def test_what_requests_nothing_is_recorded_and_never_a_duplicate(store: OpenStore) -> None:
    ping = DELIVERY._replace(requests=())
    assert [each.verdict for each in receipts(store, ping, ping)] == ["ignored", "ignored"]
    assert receipts(store, DELIVERY)[0].verdict == "accepted"


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
def test_the_same_id_deploys_once(store: OpenStore, together: bool) -> None:
    if together:
        first, second = receipts(store, DELIVERY, DELIVERY)
    else:
        (first,), (second,) = receipts(store, DELIVERY), receipts(store, DELIVERY)
    assert (first.verdict, second.verdict) == ("accepted", "duplicate")
    assert second.event_id == first.event_id
    assert [each.id for each in second.deployments] == [each.id for each in first.deployments]
    assert count(store, "tb_deployments") == 1
    repeated = store.all("SELECT duplicate_of FROM tb_webhook_events WHERE verdict = 'duplicate'")
    assert [row["duplicate_of"] for row in repeated] == [first.event_id]


def test_a_duplicate_says_how_its_deployment_stands(store: OpenStore) -> None:
    (first,) = receipts(store, DELIVERY)
    store.request_cancel(first.deployments[0].id, "ada")
    (second,) = receipts(store, DELIVERY)
    assert second.deployments[0].status == "cancelled"


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
def test_the_same_id_with_another_body_is_a_conflict(store: OpenStore, together: bool) -> None:
    other = DELIVERY._replace(body=b"another body")
    if together:
        first, second = receipts(store, DELIVERY, other)
    else:
        (first,), (second,) = receipts(store, DELIVERY), receipts(store, other)
    assert (second.verdict, second.event_id) == ("conflict", first.event_id)
    assert count(store, "tb_webhook_events") == 1


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
def test_the_same_signed_body_under_another_unsigned_id_repeats_the_first(
    store: OpenStore, together: bool
) -> None:
    batch = delivery("d1", b"body"), delivery("d2", b"body")
    first, second = receipts(store, *batch) if together else [receipts(store, each)[0] for each in batch]
    assert (first.verdict, first.repeats) == ("accepted", None)
    assert (second.verdict, second.repeats) == ("accepted", first.event_id)
    found = store.deployment(second.deployments[0].id)
    assert (found.status, found.repeats, found.webhook_event_id) == (
        "pending",
        first.event_id,
        second.event_id,
    )
    assert store.delivery(second.event_id).delivery.duplicate_of == first.event_id
    assert receipts(store, batch[1])[0].verdict == "duplicate"


def test_what_is_signed_repeats_the_first_in_whatever_form_it_comes(store: OpenStore) -> None:
    form = delivery("d2", b"payload=body")._replace(signed_sha256=sha256(b"body").hexdigest())
    first, second = receipts(store, delivery("d1", b"body"), form)
    assert (second.verdict, second.repeats) == ("accepted", first.event_id)


def test_what_repeats_a_delivery_supersedes_only_what_repeats_one_too(store: OpenStore) -> None:
    batch = [delivery(each, each[:1].encode()) for each in ("a1", "b1", "a2", "b2", "c1", "a3")]
    found = [store.deployment(each.deployments[0].id) for each in receipts(store, *batch)]
    assert [each.status for each in found] == ["superseded"] * 4 + ["pending"] * 2
    _first_a, first_b, _second_a, second_b, only_c, third_a = (each.id for each in found)
    assert [each.superseded_by for each in found[:4]] == [first_b, only_c, second_b, third_a]


def test_what_repeats_a_delivery_does_not_take_the_place_of_a_genuine_one_that_waits_again(
    store: OpenStore,
) -> None:
    (genuine,) = receipts(store, delivery("a1", b"a"))
    lease = store.leased(ProcessIdentity.of(os.getpid()))
    assert lease is not None
    receipts(store, delivery("a2", b"a"))
    store.requeue(lease)
    assert store.deployment(genuine.deployments[0].id).status == "pending"


COMMIT_OF_TAG = "f" * 40


def ran(store: OpenStore, receipt: Receipt, commit: str = "") -> None:
    """Claim a deployment, and end it as if its commit, or that of its tag, had been deployed."""
    lease = store.leased(ProcessIdentity.of(os.getpid()), receipt.deployments[0].id)
    assert lease is not None
    found = commit or receipt_commit(store, receipt)
    store.append(lease, Event("release_chosen", release="r", commit_sha=found))
    store.append(lease, Event("success"))


def receipt_commit(store: OpenStore, receipt: Receipt) -> str | None:
    return store.deployment(receipt.deployments[0].id).commit_sha


def moved(identity: str, to: str, ref: str = "refs/heads/main", before: str = "") -> Delivery:
    """Return a delivery whose body depends on what it says alone; there are the commits a and b."""
    before = (before or {"a": "b", "b": "a"}[to]) * 40
    known = delivery(identity, f"{ref} {before} {to}".encode())
    request = REQUEST._replace(ref=ref, commit_sha=to * 40, before_sha=before)
    return known._replace(ref=ref, commit_sha=to * 40, before_sha=before, requests=(request,))


def may_have_returned(store: OpenStore, receipt: Receipt) -> bool:
    return store.may_have_returned(store.deployment(receipt.deployments[0].id), COMMIT_OF_TAG)


def request_another(store: OpenStore, name: str) -> None:
    receipts(store, moved(name, "a", f"refs/heads/{name}"))


def test_a_ref_may_have_returned_if_nothing_else_was_requested_since_its_commit_was(store: OpenStore) -> None:
    _first, again, once_more = receipts(store, moved("1", "b"), moved("2", "b"), moved("3", "b"))
    assert may_have_returned(store, again)
    assert may_have_returned(store, once_more)
    request_another(store, "next")
    assert not may_have_returned(store, once_more)


def test_a_ref_has_left_a_commit_if_a_delivery_says_so_since_it_was_deployed(store: OpenStore) -> None:
    _first, replay = receipts(store, moved("1", "b"), moved("2", "b"))
    request_another(store, "next")
    assert not may_have_returned(store, replay)
    _away, back = receipts(store, moved("3", "a"), moved("4", "b"))
    assert may_have_returned(store, back)
    ran(store, back)
    (replay,) = receipts(store, moved("5", "b"))
    request_another(store, "other")
    assert not may_have_returned(store, replay)
    (replay_of_away,) = receipts(store, moved("6", "a"))
    assert not may_have_returned(store, receipts(store, moved("7", "b"))[0]), "a replay proves nothing"
    assert may_have_returned(store, replay_of_away), "it returned to b, which was found to be true"
    (away_again,) = receipts(store, moved("8", "a"))
    ran(store, away_again)
    assert may_have_returned(store, receipts(store, moved("9", "b"))[0])


def test_a_late_delivery_of_what_came_before_does_not_say_that_a_ref_had_left(store: OpenStore) -> None:
    _, _, replay = receipts(store, moved("1", "b"), moved("2", "a", before="c"), moved("3", "b"))
    assert not may_have_returned(store, replay)


def test_a_deletion_says_that_a_tag_had_left_its_commit(store: OpenStore) -> None:
    tag = "refs/tags/v1"
    _, replay = receipts(store, moved("1", "b", tag), moved("2", "b", tag))
    request_another(store, "next")
    assert not may_have_returned(store, replay)
    receipts(store, delivery("3")._replace(ref=tag, commit_sha=None, requests=()))
    assert may_have_returned(store, receipts(store, moved("4", "b", tag))[0])


def test_what_was_deployed_of_a_tag_object_is_its_commit(store: OpenStore) -> None:
    tag = "refs/tags/v1"
    (first,) = receipts(store, moved("1", "b", tag))
    ran(store, first, COMMIT_OF_TAG)
    receipts(store, moved("2", "a", tag))
    (back,) = receipts(store, moved("3", "b", tag, before="c"))
    ran(store, back, COMMIT_OF_TAG)
    request_another(store, "next")
    assert not may_have_returned(store, receipts(store, moved("4", "b", tag))[0])


def test_a_ref_that_left_its_commit_in_the_same_batch_has_left_it(store: OpenStore) -> None:
    receipts(store, moved("1", "b"), moved("2", "a"))
    assert may_have_returned(store, receipts(store, moved("3", "b"))[0])


@pytest.mark.parametrize(
    "other",
    [
        moved("2", "a", "refs/heads/next"),
        moved("2", "a")._replace(provider="another"),
        moved("2", "a")._replace(repository="acme/other"),
        moved("2", "a")._replace(urls=("https://forge.example/evil/api",)),
    ],
    ids=["ref", "provider", "repository", "address"],
)
def test_what_another_ref_or_repository_does_says_nothing(store: OpenStore, other: Delivery) -> None:
    _, _, back = receipts(store, moved("1", "b"), other, moved("3", "b"))
    assert not may_have_returned(store, back)


CLOCKS = list(permutations("abc"))
MANUAL = REQUEST._replace(trigger="manual", commit_sha="e" * 40, before_sha=None)


def recorded(store: OpenStore, clock: str, request: Delivery | Request) -> str:
    """Record it at the time of a clock, and return its id."""
    found = store.request(request) if isinstance(request, Request) else receipts(store, request)[0].event_id
    store.recorded_at(clock)
    return clock + found[1:]


@pytest.mark.parametrize("clocks", CLOCKS, ids="".join)
def test_a_ref_that_returned_has_returned_whatever_the_clock_did(
    store: OpenStore, clocks: tuple[str, str, str]
) -> None:
    pushes = moved("1", "b"), moved("2", "a"), moved("n", "a", "refs/heads/next")
    for clock, push in zip(clocks, pushes, strict=True):
        recorded(store, clock, push)
    assert may_have_returned(store, receipts(store, moved("3", "b"))[0])


@pytest.mark.parametrize("other", [MANUAL, MANUAL._replace(ref=None), moved("n", "a", "refs/heads/next")])
@pytest.mark.parametrize("clocks", ["ab", "ba"])
def test_a_replay_after_something_else_was_requested_is_one_whatever_the_clock_did(
    store: OpenStore, clocks: str, other: Delivery | Request
) -> None:
    recorded(store, clocks[0], moved("1", "b"))
    recorded(store, clocks[1], other)
    assert not may_have_returned(store, receipts(store, moved("2", "b"))[0])


@pytest.mark.parametrize("clocks", CLOCKS, ids="".join)
def test_a_return_that_was_deployed_is_not_one_again_whatever_the_clock_did(
    store: OpenStore, clocks: tuple[str, str, str]
) -> None:
    recorded(store, clocks[0], moved("1", "b"))
    recorded(store, clocks[1], moved("2", "a"))
    (back,) = receipts(store, moved("3", "b"))
    ran(store, back)
    store.recorded_at(clocks[2])
    request_another(store, "next")
    assert not may_have_returned(store, receipts(store, moved("4", "b"))[0])


@pytest.mark.parametrize("clocks", ["ab", "ba"])
@pytest.mark.parametrize("environment", ["production", "staging"])
def test_a_commit_that_was_never_deployed_here_is_compared_with_its_delivery_whatever_the_clock_did(
    store: OpenStore, clocks: str, environment: str
) -> None:
    here = REQUEST._replace(environment=environment)
    there = REQUEST._replace(environment="staging" if environment == "production" else "production")
    before = MANUAL._replace(environment=environment)
    recorded(store, clocks[0], before)
    recorded(store, clocks[1], DELIVERY._replace(requests=(there,)))
    again = delivery("d2", DELIVERY.body)._replace(requests=(here,))
    assert may_have_returned(store, receipts(store, again)[0]), "what was requested before does not count"
    store.recorded_at(clocks[0])
    recorded(store, clocks[0], before)
    assert not may_have_returned(store, receipts(store, again._replace(delivery_id=None))[0])


@pytest.mark.parametrize("clocks", CLOCKS, ids="".join)
def test_what_came_later_is_newer_whatever_the_clock_did(
    store: OpenStore, clocks: tuple[str, str, str]
) -> None:
    first = recorded(store, clocks[0], moved("1", "b"))
    second = recorded(store, clocks[1], moved("2", "a")._replace(requests=()))
    of_first, of_second = (REQUEST._replace(commit_sha=each * 40) for each in "ba")
    assert store.newer_than(first, of_first) == second
    assert store.newer_than(second, of_second) is None
    third = recorded(store, clocks[2], MANUAL)
    assert store.newer_than(first, of_first) == third
    assert store.newer_than(second, of_second) == third
    (duplicate,) = receipts(store, moved("1", "b"))
    assert duplicate.verdict == "duplicate"
    assert store.newer_than(store.deliveries(verdict="duplicate")[0].id, of_first) == third


def test_what_an_earlier_delivery_of_the_same_batch_requested_is_not_newer(store: OpenStore) -> None:
    first, second, third = receipts(store, moved("1", "b"), moved("2", "a"), moved("3", "b", before="c"))
    of_b, of_a = (REQUEST._replace(commit_sha=each * 40) for each in "ba")
    assert store.newer_than(third.event_id, of_b) is None
    assert store.newer_than(second.event_id, of_a) == third.deployments[0].id
    assert store.newer_than(first.event_id, of_b) == second.deployments[0].id


def test_what_a_delivery_of_a_tag_object_deployed_itself_is_not_newer(store: OpenStore) -> None:
    of_tag = REQUEST._replace(commit_sha="a" * 40)
    tag = delivery("1", b"tag")._replace(commit_sha=of_tag.commit_sha, requests=(of_tag,))
    (first,) = receipts(store, tag)
    ran(store, first, commit="c" * 40)
    assert store.newer_than(first.event_id, of_tag) is None
    (again,) = receipts(store, tag._replace(delivery_id=DeliveryId("2", signed=False)))
    ran(store, again, commit="c" * 40)
    assert store.newer_than(first.event_id, of_tag) is None
    (other,) = receipts(store, moved("3", "b"))
    assert store.newer_than(first.event_id, of_tag) == other.deployments[0].id


def test_the_newest_delivery_of_each_request_is_the_same_after_a_rebuild(store: OpenStore) -> None:
    store.request(MANUAL)
    receipts(store, moved("1", "b"), moved("2", "a"))
    receipts(store, delivery("3")._replace(requests=()))
    store.request(MANUAL._replace(environment="staging"))
    store.request(REQUEST._replace(trigger="replay", webhook_event_id=store.deliveries()[-1].id))
    before = store.all("SELECT * FROM tb_deployments ORDER BY sequence")
    assert [row["newest_delivery"] for row in before] == [0, 1, 2, 3, 3]
    store.rebuild()
    assert store.all("SELECT * FROM tb_deployments ORDER BY sequence") == before


SEVERAL = DELIVERY._replace(
    more_refs=(
        DeliveredRef("refs/heads/next", "d" * 40, None, ("no rule",)),
        DeliveredRef(
            "refs/heads/live",
            "e" * 40,
            "c" * 40,
            ("matched too",),
            (
                REQUEST._replace(ref="refs/heads/live", commit_sha="e" * 40),
                REQUEST._replace(environment="staging"),
            ),
        ),
    )
)


def test_of_several_refs_in_a_delivery_each_is_recorded_and_the_last_for_an_environment_waits(
    store: OpenStore,
) -> None:
    (receipt,) = receipts(store, SEVERAL)
    assert [(each.environment, each.status) for each in receipt.deployments] == [
        ("production", "superseded"),
        ("production", "pending"),
        ("staging", "pending"),
    ]
    details = store.delivery(receipt.event_id)
    assert [(each.number, each.ref, each.commit_sha, each.reasons) for each in details.refs] == [
        (1, "refs/heads/main", "c" * 40, ("matched",)),
        (2, "refs/heads/next", "d" * 40, ("no rule",)),
        (3, "refs/heads/live", "e" * 40, ("matched too",)),
    ]
    assert details.delivery.refs == 3
    assert [each.id for each in details.deployments] == [each.id for each in receipt.deployments]


def test_others_are_answered_while_a_delivery_of_many_refs_is_stored(store: OpenStore) -> None:
    refs = tuple(DeliveredRef(f"refs/heads/{number}", "d" * 40, None) for number in range(2_000))

    async def turns_of_the_loop() -> int:
        task, turns = asyncio.create_task(store.accept([DELIVERY._replace(more_refs=refs)])), 0
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(turns_of_the_loop()) > 10


def test_a_delivery_of_which_only_a_later_ref_requests_anything_is_accepted_once(store: OpenStore) -> None:
    (first,), (second,) = (receipts(store, SEVERAL._replace(requests=())) for _ in range(2))
    assert (first.verdict, second.verdict) == ("accepted", "duplicate")
    assert second.deployments == first.deployments
    assert len(store.delivery(store.deliveries()[0].id).refs) == 3


@pytest.mark.parametrize("change", ["UPDATE tb_webhook_refs SET ref = ''", "DELETE FROM tb_webhook_refs"])
def test_the_refs_of_a_delivery_are_append_only(store: OpenStore, change: str) -> None:
    receipts(store, SEVERAL)
    with pytest.raises(StoreError, match="append-only"):
        store.execute(change)
    with pytest.raises(StoreError, match="append-only"):
        store.execute(
            "INSERT INTO tb_webhook_refs SELECT * FROM tb_webhook_refs WHERE true "
            "ON CONFLICT (sequence) DO UPDATE SET ref = ''"
        )


def test_deliveries_are_listed_newest_first_recorded_and_refused(store: OpenStore) -> None:
    receipts(store, DELIVERY)
    asyncio.run(store.refuse("forge", "2026-01-31T12:00:01.000000Z", "192.0.2.1", "wrong secret"))
    receipts(store, delivery("d2")._replace(requests=()), DELIVERY)
    found = store.deliveries()
    assert [each.verdict for each in found] == ["duplicate", "ignored", "refused", "accepted"]
    assert found[0].duplicate_of == found[3].id
    refused = found[2]
    assert (refused.client, refused.reasons, refused.refs) == ("192.0.2.1", ("wrong secret",), 0)
    assert (found[3].ref, found[3].refs, found[3].reasons) == ("refs/heads/main", 1, ("matched",))
    assert store.deliveries(limit=2) == found[:2]
    assert store.deliveries(verdict="refused") == [refused]
    assert store.deliveries(verdict="ignored", limit=1) == [found[1]]
    for each in found:
        assert store.find_delivery(each.id[-9:]) == each.id
        assert store.delivery(each.id).delivery == each
    assert store.details(found) == [store.delivery(each.id) for each in found]
    assert store.details([]) == []
    with pytest.raises(UnknownNameError, match="there is no delivery 'ffff': `fraisier webhooks list`"):
        store.find_delivery("ffff")
    with pytest.raises(UnknownNameError, match="more than one delivery is called"):
        store.find_delivery(found[0].id[:4])
    with pytest.raises(UnknownNameError, match="there is no delivery"):
        store.delivery("ffff")


def test_of_what_repeats_a_delivery_the_body_is_kept_as_long_as_that_of_the_first(store: OpenStore) -> None:
    for each in (delivery("d1", b"body"), delivery("d2", b"body"), delivery("d2", b"body")):
        receipts(store, each)
    found = store.deliveries()
    assert [each.verdict for each in found] == ["duplicate", "accepted", "accepted"]
    assert [store.delivery(each.id).body_kept for each in found] == [True, True, True]
    store.execute("DELETE FROM tb_webhook_payloads")
    assert [store.delivery(each.id).body_kept for each in found] == [False, False, False]


def test_a_delivery_is_read_with_everything_that_is_recorded_of_it(store: OpenStore) -> None:
    (receipt,) = receipts(store, DELIVERY._replace(urls=("https://forge.example/acme/api",)))
    details = store.delivery(receipt.event_id)
    assert (details.delivery_id, details.urls) == ("d1", ("https://forge.example/acme/api",))
    assert details.body_kept
    asyncio.run(store.refuse("forge", "2026-01-31T12:00:01.000000Z", "192.0.2.1", "wrong secret"))
    (refused,) = store.deliveries(verdict="refused")
    assert store.delivery(refused.id) == DeliveryDetails(refused)


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
def test_what_cannot_be_stored_fails_alone(store: OpenStore, poison: Delivery) -> None:
    before, failed, after = store.accept_now(delivery("d1"), poison, delivery("d2"))
    assert isinstance(before, Receipt)
    assert isinstance(after, Receipt)
    assert isinstance(failed, StoreError)
    assert count(store, "tb_webhook_events") == count(store, "tb_deployments") == 2
    assert count(store, "tb_webhook_payloads") == 2


def test_a_newer_push_supersedes_an_older_one_in_the_same_batch(store: OpenStore) -> None:
    older, newer = receipts(store, delivery("d1"), delivery("d2"))
    found = store.deployment(older.deployments[0].id)
    assert found.status == "superseded"
    assert store.deployment(newer.deployments[0].id).status == "pending"


def test_what_a_delivery_supersedes_that_was_stored_late_does_not_end_before_it_was_requested(
    store: OpenStore,
) -> None:
    requested = store.request(REQUEST)
    receipts(store, DELIVERY)
    found = store.deployment(requested)
    assert found.status == "superseded"
    assert found.completed_at is not None
    assert found.completed_at >= found.requested_at


def test_a_file_that_is_held_for_long_refuses_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(open_store(path)) as holder, closing(open_store(path, busy_seconds=0.05)) as other:
        configured(other)
        with holder.transaction(), pytest.raises(StoreError, match="locked"):
            other.accept_now(DELIVERY)
        assert receipts(other, DELIVERY)[0].verdict == "accepted"


def test_only_the_newest_thousand_refusals_are_kept(store: OpenStore) -> None:
    time = DELIVERY.received_at

    def refuse_many() -> None:
        for number in range(1100):
            row = {"id": str(UUID(int=number)), "at": time, "client": str(number)}
            store.execute(
                "INSERT INTO tb_refused_deliveries (id, provider, received_at, client, reason) "
                "VALUES (:id, 'forge', :at, :client, 'r')",
                row,
            )

    store.transact(refuse_many)
    asyncio.run(store.refuse("forge", time, "last", "unsigned"))
    clients = [
        row["client"] for row in store.all("SELECT client FROM tb_refused_deliveries ORDER BY sequence")
    ]
    assert len(clients) == 1000
    assert clients[-1] == "last"
