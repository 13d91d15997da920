from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from fraisier_core.requests.drift import Drift, Record
from fraisier_core.store.events import Event
from fraisier_core.store.received import Delivery
from fraisier_core.store.records import BranchHead, ConfiguredEnvironment, Lease, Request
from fraisier_core.store.vocabulary import Ending
from fraisier_core.system.host import utc_now
from fraisier_core.system.processes import ProcessIdentity

from tests.stores import OpenStore, open_store

ME = ProcessIdentity.of(os.getpid())
OLD, NEW = "a" * 40, "b" * 40
MAIN = "refs/heads/main"
REQUEST = Request("app", "production", "deploy", "webhook", "ada", MAIN, OLD)


@pytest.fixture
def store(tmp_path: Path) -> OpenStore:
    found = open_store(tmp_path / "store.db")
    found.configure(
        [ConfiguredEnvironment("app", "demo", None, "example.com/app", "production", None, "main")]
    )
    return found


def ended(
    store: OpenStore, ending: Ending, request: Request = REQUEST, release: str | None = None, before: str = ""
) -> Lease:
    """Have a deployment end; with a release, that serves then."""
    store.request(request)
    lease = store.leased(ME)
    assert lease is not None
    if release:
        commit = request.commit_sha
        store.append(
            lease,
            Event("release_chosen", release=release, commit_sha=commit, previous_release=before or None),
            Event("serving", release=release, commit_sha=commit),
        )
    store.append(lease, Event(ending))
    return lease


def drift(store: OpenStore, head: str | None = NEW, ref: str = MAIN, seen_at: str = "") -> Drift:
    found = BranchHead("app", "production", ref, head, seen_at or utc_now())
    (found_drift,) = Record(store, "app", "production").drifts([found])
    return found_drift


def test_a_head_of_a_branch_that_was_never_deployed_is_deployed(store: OpenStore) -> None:
    assert drift(store) == Drift("deploy", "the branch was never deployed here")


def test_a_head_that_was_never_requested_is_deployed_whatever_became_of_another(store: OpenStore) -> None:
    ended(store, "failed")
    found = drift(store)
    assert (found.action, found.reason) == ("deploy", "it was never requested here")
    assert found.decided is not None
    assert found.decided.commit_sha == OLD


def test_the_serving_commit_is_no_drift(store: OpenStore) -> None:
    ended(store, "success", release="one")
    assert drift(store, OLD).action == "none"
    ended(store, "failed")
    assert drift(store, OLD)[:2] == ("none", "it serves")


@pytest.mark.parametrize("ending", ["failed", "rolled_back", "cancelled", "interrupted"])
def test_a_head_whose_deployment_did_not_succeed_is_left_alone(store: OpenStore, ending: Ending) -> None:
    lease = ended(store, ending)
    assert drift(store, OLD)[:2] == (
        "leave",
        f"deployment {lease.deployment_id[-8:]} ended {ending}",
    )


@pytest.mark.parametrize("ending", ["skipped", "superseded"])
def test_a_head_that_was_decided_about_is_no_drift(store: OpenStore, ending: Ending) -> None:
    ended(store, "success", release="one")
    ended(store, ending, REQUEST._replace(commit_sha=NEW))
    assert drift(store, NEW).action == "none"


def test_a_head_that_gave_way_to_another_branch_is_no_drift(store: OpenStore) -> None:
    store.request(REQUEST)
    store.request(REQUEST._replace(ref="refs/heads/hotfix", commit_sha=NEW))
    assert drift(store, OLD)[:2] == (
        "none",
        f"deployment {store.deployments()[1].id[-8:]} is superseded",
    )


def test_a_head_that_gave_way_to_a_newer_commit_of_its_branch_is_left_alone(store: OpenStore) -> None:
    store.request(REQUEST)
    store.request(REQUEST._replace(commit_sha=NEW))
    assert drift(store, OLD).action == "leave"


def test_a_head_that_waits_or_runs_is_no_drift(store: OpenStore) -> None:
    store.request(REQUEST)
    assert drift(store, OLD).action == "none"
    store.leased(ME)
    assert drift(store, OLD).action == "none"


def test_a_head_that_was_rolled_back_from_is_left_alone(store: OpenStore) -> None:
    ended(store, "success", release="one")
    lease = ended(store, "success", REQUEST._replace(commit_sha=NEW), release="two", before="one")
    back = REQUEST._replace(kind="rollback", trigger="manual", ref=None, release="one")
    ended(store, "success", back, release="one", before="two")
    assert drift(store, NEW)[:2] == (
        "leave",
        f"deployment {lease.deployment_id[-8:]} was rolled back from",
    )


def test_a_branch_that_was_rewound_to_what_was_deployed_before_is_left_alone(store: OpenStore) -> None:
    ended(store, "success", release="one")
    ended(store, "success", REQUEST._replace(commit_sha=NEW), release="two")
    found = drift(store, OLD)
    assert found.action == "leave"
    assert found.reason == f"rewound? requested before {NEW[:12]}"


def test_a_late_delivery_of_an_older_commit_is_no_rewind(store: OpenStore) -> None:
    ended(store, "success", REQUEST._replace(commit_sha=NEW))
    ended(store, "superseded")
    assert drift(store, NEW).action == "none"


def test_what_another_branch_or_a_user_deployed_since_is_no_drift(store: OpenStore) -> None:
    ended(store, "success", release="one")
    ended(store, "success", REQUEST._replace(ref="refs/heads/hotfix", commit_sha=NEW), release="two")
    ended(store, "success", REQUEST._replace(ref=None, commit_sha="c" * 40), release="three")
    assert drift(store, OLD).action == "none"


def test_a_head_that_was_seen_before_the_newest_request_may_be_outdated(store: OpenStore) -> None:
    seen_at = utc_now()
    ended(store, "success")
    assert drift(store, NEW, seen_at=seen_at).action == "none"


REPLAY = REQUEST._replace(repeats="an event")


def test_a_replay_that_waits_or_runs_does_not_hide_that_another_commit_was_missed(store: OpenStore) -> None:
    ended(store, "success", release="one")
    seen_at = utc_now()
    store.request(REPLAY)
    assert drift(store, NEW, seen_at=seen_at).action == "deploy"
    store.leased(ME)
    assert drift(store, NEW, seen_at=seen_at).action == "deploy"


def test_a_replay_that_was_skipped_does_not_hide_a_rewind_to_its_commit(store: OpenStore) -> None:
    ended(store, "success", release="one")
    ended(store, "success", REQUEST._replace(commit_sha=NEW), release="two")
    ended(store, "skipped", REPLAY)
    assert drift(store, OLD)[:2] == ("leave", f"rewound? requested before {NEW[:12]}")


def test_what_repeats_a_delivery_counts_once_it_was_found_to_be_true(store: OpenStore) -> None:
    ended(store, "success", release="one")
    ended(store, "success", REQUEST._replace(commit_sha=NEW), release="two")
    ended(store, "success", REPLAY, release="three")
    assert drift(store, NEW)[:2] == ("leave", f"rewound? requested before {OLD[:12]}")


def test_a_deployment_that_takes_the_newest_commit_takes_the_head(store: OpenStore) -> None:
    store.request(REQUEST._replace(trigger="manual", commit_sha=None))
    assert drift(store, NEW).action == "none"


def test_a_branch_that_is_not_there_is_left(store: OpenStore) -> None:
    assert drift(store, None).action == "leave"


def test_comparing_many_branches_takes_no_longer_for_each_than_comparing_few(store: OpenStore) -> None:
    heads = [BranchHead("app", "production", f"refs/heads/{n}", f"{n:040x}", utc_now()) for n in range(8_000)]
    requests = (REQUEST._replace(ref=each.ref, commit_sha=each.head) for each in heads)
    store.accept_now(
        *(Delivery("forge", "push", None, False, b"", utc_now(), (), (each,)) for each in requests)
    )
    began = time.process_time()
    drifts = Record(store, "app", "production").drifts(heads)
    assert [each.decided is not None for each in drifts] == [True] * len(heads)
    assert time.process_time() - began < 5


def test_each_environment_remembers_its_branches_and_why_they_are_not_known_now(store: OpenStore) -> None:
    first, second = (BranchHead("app", "production", f"refs/heads/{name}", NEW, "now") for name in "ab")
    store.record_heads("app", "production", [first, second])
    store.record_no_heads("app", "production", "no route to host")
    unnamed, *named = store.branch_heads("app", "production")
    assert (unnamed.ref, unnamed.problem, named) == ("", "no route to host", [first, second])
    store.record_heads("app", "production", [second])
    assert store.branch_heads("app", "production") == [second]
    assert store.branch_heads("app", "staging") == []
