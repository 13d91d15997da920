"""Requesting deployments."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from fraisier_core.config import parse_config
from fraisier_core.errors import InvalidRequestError, StoreError
from fraisier_core.git.origins import covered
from fraisier_core.git.repository import identities_of
from fraisier_core.plugins import Plugins
from fraisier_core.push import Push
from fraisier_core.requests.requesting import replay_of, request_deployment, request_deployments
from fraisier_core.store.received import DeliveredRef, Delivery, Receipt
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_core.system.processes import ProcessIdentity

from tests.stores import OpenStore, open_store

REQUEST = Request("my_api", "production", "deploy", "manual", "ada", ref="refs/heads/main")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OpenStore]:
    store = open_store(tmp_path / "state" / "fraisier.db")
    store.configure([ConfiguredEnvironment("my_api", "api", None, None, "production", None, "main")])
    yield store
    store.close()


def is_woken(store: OpenStore, request: Request, holder: ProcessIdentity | None = None) -> bool:
    wake_ups = store.wake_ups()
    try:
        request_deployment(store, request, holder)
        return bool(select.select([wake_ups], [], [], 0)[0])
    finally:
        wake_ups.close()


def test_a_request_waits_and_wakes_the_workers(store: OpenStore) -> None:
    assert is_woken(store, REQUEST)
    assert [each.status for each in store.deployments()] == ["pending"]


def test_a_request_of_a_process_is_claimed_for_it_unless_the_environment_is_busy(store: OpenStore) -> None:
    holder = ProcessIdentity.of(os.getpid())
    assert not is_woken(store, REQUEST, holder)
    assert is_woken(store, REQUEST, holder)
    assert [each.status for each in store.deployments()] == ["pending", "running"]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (
            REQUEST._replace(kind="restart"),
            'unknown kind of deployment "restart" (known: backup, deploy, restore_test, rollback, run)',
        ),
        (REQUEST._replace(kind="rollback"), "a rollback must name its release"),
        (REQUEST._replace(trigger="replay"), "a replay must name its webhook_event_id"),
    ],
)
@pytest.mark.parametrize("holder", [None, ProcessIdentity.of(os.getpid())])
def test_what_no_deployer_could_execute_is_not_requested(
    store: OpenStore, request_: Request, problem: str, holder: ProcessIdentity | None
) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        request_deployment(store, request_, holder)
    assert str(refusal.value) == problem
    assert store.deployments() == []


@pytest.mark.parametrize(
    "fault",
    [{"kind": "restart"}, {"kind": "rollback"}, {"trigger": "replay"}, {"environment": "elsewhere"}],
)
def test_of_several_none_is_requested_and_no_worker_is_woken_if_one_cannot_be(
    store: OpenStore, fault: dict[str, str]
) -> None:
    wake_ups = store.wake_ups()
    with pytest.raises((InvalidRequestError, StoreError)):
        request_deployments(store, [REQUEST, REQUEST._replace(**fault)])  # type: ignore[arg-type]
    assert store.deployments() == []
    assert not select.select([wake_ups], [], [], 0)[0]
    wake_ups.close()


def test_what_is_not_configured_is_not_requested(store: OpenStore) -> None:
    with pytest.raises(StoreError):
        request_deployment(store, REQUEST._replace(environment="elsewhere"))


URL = "https://forge.example/acme/my-api.git"
MAPPED = f"""\
git:
  forge: {{webhook_secret: one}}
fraises:
  my_api: {{type: api, repository: {URL}, environments: {{production: {{}}}}}}
branch_mapping:
  next: {{fraise: my_api, environment: production, paths: [src/**]}}
"""


def test_a_recorded_delivery_is_routed_again_by_the_configuration_of_today(store: OpenStore) -> None:
    known = Delivery("forge", "push", None, True, b"", "2026-01-31T12:00:00.000000Z", ("no rule",))
    others = (
        DeliveredRef("refs/heads/next", "d" * 40, "c" * 40),
        DeliveredRef("refs/heads/next", None, "d" * 40),
    )
    facts = {"repository": "acme/my-api", "ref": "refs/heads/main", "commit_sha": "b" * 40, "pusher": "ada"}
    (receipt,) = store.accept_now(known._replace(**facts, urls=(URL,), more_refs=others))  # type: ignore[arg-type]
    assert isinstance(receipt, Receipt)
    config = parse_config(MAPPED, Path("/nowhere/fraises.yaml"), Plugins.installed())
    (request,) = replay_of(store.delivery(receipt.event_id), config, "grace")
    reason = 'the branch "next" matches "next" and the repository is my_api\'s'
    assert request == Request(
        fraise_id="my_api",
        environment="production",
        kind="deploy",
        trigger="replay",
        requested_by="grace",
        ref="refs/heads/next",
        commit_sha="d" * 40,
        before_sha="c" * 40,
        pathspecs=(("src/**",),),
        reason=reason,
        webhook_event_id=receipt.event_id,
    )
    replayed, _ = request_deployment(store, request)
    assert [each.id for each in store.delivery(receipt.event_id).deployments] == [replayed]
    assert store.pushed_commits(store.deployment(replayed)._replace(id="another")) == []


PUSHED = Delivery("forge", "push", None, True, b"", "2026-01-31T12:00:00.000000Z", (), ())._replace(
    repository="acme/my-api", ref="refs/heads/next", commit_sha="b" * 40, pusher="ada", urls=(URL,)
)


def replayed_with(store: OpenStore, git: str, delivery: Delivery = PUSHED) -> tuple[Request, ...]:
    (receipt,) = store.accept_now(delivery)
    assert isinstance(receipt, Receipt)
    text = MAPPED.replace("git:\n  forge: {webhook_secret: one}\n", git)
    config = parse_config(text, Path("/nowhere/fraises.yaml"), Plugins.installed())
    return replay_of(store.delivery(receipt.event_id), config, "grace")


@pytest.mark.parametrize(
    "git",
    [
        "",
        "git: {work: {type: forge, webhook_secret: one}}\n",
        "git: {work: {type: forge, webhook_secret: one, hosts: [other.example]}}\n",
        "git: {forges: {type: forge, webhook_secret: one, hosts: [forge.example]}}\n",
    ],
)
def test_a_delivery_whose_section_is_gone_is_not_replayed_without_its_hosts(
    store: OpenStore, git: str
) -> None:
    with pytest.raises(InvalidRequestError, match=r"there is no section git\.forge any more") as refusal:
        replayed_with(store, git)
    assert "`hosts:`" in str(refusal.value)
    assert replayed_with(store, git, PUSHED._replace(ref="refs/heads/other")) == ()


@pytest.mark.parametrize(("host", "count"), [("other.example", 0), ("forge.example", 1)])
def test_a_section_that_is_undone_decides_by_its_hosts(store: OpenStore, host: str, count: int) -> None:
    git = f"git: {{forge: {{webhook_secret: one, hosts: [{host}]}}}}\n"
    assert len(replayed_with(store, git)) == count


def test_a_replay_is_of_the_repository_of_the_secret_and_not_of_one_that_is_spelled_as_the_push_was(
    store: OpenStore,
) -> None:
    other = URL.replace("acme", "Acme")
    config = parse_config(
        MAPPED.replace(
            "  my_api: {",
            f"  other: {{type: api, repository: {other}, environments: {{live: {{}}}}}}\n  my_api: {{",
            1,
        )
        + "  '*': {fraise: other, environment: live}\n",
        Path("/nowhere/fraises.yaml"),
        Plugins.installed(),
    )
    known = Delivery("forge", "push", None, True, b"", "2026-01-31T12:00:00.000000Z", (), (), "Acme/my-api")
    for urls in ([other], [URL, other]):
        push = Push("push", "Acme/my-api", tuple(urls), "refs/heads/next", None, "b" * 40, "ada")
        bound = covered(push, frozenset(), identities_of([URL]))
        pushed = known._replace(urls=bound, ref=push.ref, commit_sha=push.after)
        (receipt,) = store.accept_now(pushed)
        assert isinstance(receipt, Receipt)
        (request,) = replay_of(store.delivery(receipt.event_id), config, "grace")
        assert request.fraise_id == "my_api"
