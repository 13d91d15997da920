from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.databases import both_databases
from tests.waiting import wait_until

from .installation import HEALTHY, Installation
from .receiving import WebApp, receiving

REASON = "held by {user} until 2099-01-31 11:00:00 UTC: an incident"
OPTIONS = ("--reason", "an incident", "--until", "2099-01-31T12:00+01:00")


@pytest.fixture
def app(installation: Installation) -> Iterator[WebApp]:
    """A web app that deploys pushes to production."""
    installation.forge.push_files(HEALTHY)
    with receiving(installation) as app:
        yield app


def held_by(installation: Installation) -> str:
    (hold,) = {each["hold"]["held_by"] for each in installation.json("list") if each["hold"]}
    return str(hold)


@both_databases
def test_a_held_push_waits_says_why_everywhere_and_the_newest_is_deployed_once_it_is_resumed(
    installation: Installation, app: WebApp
) -> None:
    done = installation.run("hold", "my_api", "prod", *OPTIONS)
    assert done.returncode == 0, done.stderr
    reason = REASON.format(user=held_by(installation))
    assert done.stdout == f"my_api production is {reason}\n"
    first, newest = (installation.forge.push_files({"file": name}) for name in "ab")
    answers = [app.push(each) for each in (first, newest)]
    (answered,) = answers[1]["deployments"]
    assert (answered["status"], answered["held"]) == ("pending", reason)
    deployment_id = answered["id"]
    shown = {
        "status": installation.run("status", "my_api", "production").stdout,
        "the status of all": installation.run("status").stdout,
        "history": installation.run("history").stdout,
        "show": installation.run("show", deployment_id).stdout,
        "list": installation.run("list").stderr,
        "delivery": installation.run("webhooks", "show", answers[1]["event"]).stdout,
        "deliveries": installation.run("webhooks", "list").stdout,
        "explanation": installation.run("webhooks", "explain", answers[1]["event"]).stdout,
    }
    for place, text in shown.items():
        assert "an incident" in re.sub(r"\s+", " ", text), place
    assert "fraisier resume my_api production" in shown["explanation"]
    assert installation.json("show", deployment_id)["hold"]["reason"] == "an incident"
    assert installation.json("history")[0]["hold"]["cause"] == "manual"
    with installation.started("worker"):
        wait_until(lambda: installation.json("status")[0]["live_workers"])
        assert installation.last().status == "pending"
        done = installation.run("resume", "my_api", "prod")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: installation.last().status == "success", lambda: str(installation.recorded()))
    assert [each.status for each in installation.recorded()] == ["success", "superseded"]
    assert installation.json("status")[0]["serving_commit_sha"] == newest
    assert installation.json("status")[0]["hold"] is None


@both_databases
def test_a_deployment_by_hand_is_refused_while_it_is_held_and_overrides_that_on_record(
    installation: Installation,
) -> None:
    installation.deploy()
    commit = installation.forge.push_files({"file": "new"})
    (held,) = installation.json("hold", "my_api", "production", "--reason", "an incident")
    for arguments in ((), ("--detach",), ("--dry-run",)):
        done = installation.run("deploy", "my_api", "production", *arguments)
        assert done.returncode == 7
        told = re.sub(r"\s+", " ", done.stdout + done.stderr)
        assert "my_api production is held by" in told
        assert "or deploy with --override-hold" in told
    assert len(installation.recorded()) == 1
    assert installation.run("rollback", "my_api", "production").returncode != 7
    done = installation.run("deploy", "my_api", "production", "--override-hold")
    assert done.returncode == 0, done.stderr
    last = installation.last()
    assert (last.commit_sha, last.overridden_hold) == (commit, "an incident")
    audit = installation.json("token", "audit")
    assert [(each["action"], each["actor"]) for each in audit if "hold" in each["action"]] == [
        ("override_hold", held["held_by"]),
        ("hold", held["held_by"]),
    ]


def test_a_hold_that_another_outlasts_is_told_beside_that(installation: Installation) -> None:
    installation.json("hold", "my_api", "--reason", "an incident")
    done = installation.run("hold", "my_api", "prod", "--reason", "a demonstration", "--until", "2099-01-31")
    own, other = done.stdout.splitlines()
    assert own.startswith("my_api production is held until 2099-01-3")
    assert own.endswith(": a demonstration")
    assert other == f"my_api production is also held by {held_by(installation)}: an incident"


def test_all_environments_of_a_fraise_are_held_and_resumed_together(installation: Installation) -> None:
    both = installation.json("hold", "my_api", "--reason", "an incident", "--until", "2h")
    assert [each["environment"] for each in both] == ["production", "staging"]
    done = installation.run("resume", "my_api", "staging")
    assert done.returncode == 7
    assert "that holds all of my_api: `fraisier resume my_api`" in done.stderr
    assert installation.json("resume", "my_api") == {"holds": [], "waiting": []}
    done = installation.run("resume", "my_api", "staging")
    assert (done.returncode, done.stderr) == (7, "my_api staging is not held\n")


def test_what_is_frozen_is_said_to_end_by_itself(installation: Installation) -> None:
    freeze = '\nfreeze: {cron: "* * * * *", duration: 1d, reason: the end of the year}\n'
    installation.config.write_text(installation.config.read_text() + freeze)
    done = installation.run("deploy", "my_api", "production")
    assert done.returncode == 7
    assert re.search(
        r"my_api production is frozen until .* UTC: the end of the year; deploy with", done.stderr
    )
    done = installation.run("resume", "my_api", "production")
    assert done.returncode == 7
    assert "a window of `freeze:` ends by itself, or with its rule" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("my_api", "prod"), 2, "Missing option '--reason'"),
        (("my_api", "prod", "--reason", " "), 2, "--reason says nothing"),
        (("my_api", "prod", "--reason", "a\nb"), 2, "the reason should be one line of 1 to 500 characters"),
        (("my_api", "prod", "--reason", "x", "--until", "2020-01-01"), 2, "2020-01-01 is in the past"),
        (("my_api", "prod", "--reason", "x", "--until", "soon"), 2, "'soon' is no time: it should be"),
        (("my_app", "prod", "--reason", "x"), 4, "my_app"),
        (("my_api", "test", "--reason", "x"), 4, "test"),
    ],
)
def test_what_cannot_be_held_is_refused_and_nothing_is(
    installation: Installation, arguments: tuple[str, ...], code: int, problem: str
) -> None:
    done = installation.run("hold", *arguments)
    assert done.returncode == code
    assert problem in done.stderr
    assert [each["hold"] for each in installation.json("list")] == [None, None]
