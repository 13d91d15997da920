from pathlib import Path

import pytest
from fraisier_core.engine.decision import commands, decide, requested_anew
from fraisier_core.store.records import ConfiguredEnvironment, Deployment, Request

from tests.stores import open_store

PUSH = Request(
    "api",
    "production",
    "deploy",
    "webhook",
    "ada",
    ref="refs/heads/main",
    commit_sha="c" * 40,
    before_sha="b" * 40,
    pathspecs=(("src", ":(exclude)docs"),),
    reason="main",
)


@pytest.fixture
def interrupted(tmp_path: Path) -> Deployment:
    store = open_store(tmp_path / "store.db")
    store.configure([ConfiguredEnvironment("api", "api", None, None, "production", None, None)])
    return store.deployment(store.request(PUSH))


def test_a_push_is_requested_anew_with_all_that_was_decided_about_it(interrupted: Deployment) -> None:
    anew = PUSH._replace(trigger="recovery", recovers=interrupted.id)
    assert decide(interrupted, []) == anew


def test_of_the_release_only_one_that_was_asked_for_is_requested_again(interrupted: Deployment) -> None:
    release = "20260101-000000-c0ffee"
    assert interrupted._replace(release=release).repeated().release is None
    assert interrupted._replace(kind="rollback", release=release).repeated().release == release


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"activation_started": True}, "activation had begun"),
        ({"unrepeatable": True}, "a step that may not run again had begun"),
        ({"recovers": "an interrupted one"}, "it was the second interruption of this commit"),
        ({"trigger": "manual"}, "a user requested it"),
        ({"cancel_requested": True}, "a user has acted since"),
    ],
)
def test_what_cannot_simply_be_done_again_awaits_a_decision(
    interrupted: Deployment, changes: dict[str, object], reason: str
) -> None:
    assert decide(interrupted._replace(**changes), []) == reason  # type: ignore[arg-type]


def test_what_a_user_has_done_since_awaits_a_decision(interrupted: Deployment) -> None:
    cancelled = interrupted._replace(id="later", status="cancelled")
    assert decide(interrupted, [cancelled]) == "a user has acted since"


def test_if_something_waits_nothing_follows(interrupted: Deployment) -> None:
    waiting = interrupted._replace(id="later", status="pending")
    for later in (waiting, waiting._replace(trigger="manual"), waiting._replace(ref="refs/heads/next")):
        assert decide(interrupted, [later]) is None
        assert decide(interrupted._replace(unrepeatable=True), [later]) is None


def test_what_was_requested_anew_already_is_not_requested_again(interrupted: Deployment) -> None:
    anew = interrupted._replace(id="anew", status="superseded", recovers=interrupted.id)
    assert decide(interrupted, [anew]) is None


def test_if_only_stale_pushes_followed_an_interruption_it_is_requested_anew(interrupted: Deployment) -> None:
    ended = interrupted._replace(status="interrupted")
    stale = interrupted._replace(id="stale", status="superseded")
    assert requested_anew([stale, ended]) == PUSH._replace(trigger="recovery", recovers=ended.id)
    for later in ("cancelled", "pending", "success"):
        assert requested_anew([stale, stale._replace(status=later), ended]) is None
    assert requested_anew([stale, ended._replace(unrepeatable=True)]) is None
    assert requested_anew([stale]) is None


def test_the_commands_name_the_commit_or_the_release(interrupted: Deployment) -> None:
    deploy = f"fraisier deploy api production --commit {interrupted.commit_sha}"
    assert commands(interrupted, serving_unknown=False) == (deploy,)
    assert commands(interrupted, serving_unknown=True) == (deploy, "fraisier rollback api production")
    back = interrupted._replace(kind="rollback", release="20260101-000000-c0ffee")
    assert commands(back, serving_unknown=True) == (
        "fraisier rollback api production --to 20260101-000000-c0ffee",
    )
