from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import both_databases

from .installation import Installation
from .receiving import WebApp, receiving
from .test_completion import complete
from .test_live import on_a_terminal

ONE, TWO = "1a" * 20, "2b" * 20


@pytest.fixture
def app(installation: Installation) -> Iterator[WebApp]:
    """A web app to which four pushes were delivered: accepted, ignored, a duplicate and a refused one."""
    with receiving(installation) as app:
        app.ids.append(app.push(ONE, delivery="first")["event"])
        app.ids.append(app.push(ONE, "refs/heads/develop")["event"])
        app.push(ONE, delivery="first")
        app.push(TWO, secret="another secret")
        yield app


def verdicts(installation: Installation) -> list[str]:
    return [each["verdict"] for each in installation.json("webhooks", "list")]


@pytest.mark.parametrize("command", [["list"], ["show", "abcd"]])
def test_without_a_store_nothing_was_delivered_and_none_is_made(
    installation: Installation, command: list[str]
) -> None:
    assert "nothing was ever delivered" in installation.run("webhooks", *command).stderr
    assert not installation.database.parent.exists()


@both_databases
def test_list_shows_every_delivery_with_its_verdict_and_the_true_reason(
    installation: Installation, app: WebApp
) -> None:
    titles, *rows = installation.run("webhooks", "list").stdout.splitlines()
    assert (
        titles == "ID        WHEN      VERDICT    PROVIDER  REPOSITORY   REF      COMMIT        BY   REASON"
    )
    first = app.ids[0][-8:]
    ends = [
        ("refused", "X-Hub-Signature-256 is the signature of another secret"),
        ("duplicate", f"repeats {first}"),
        ("ignored", '"develop" does not match "main"'),
        ("accepted", "my_api production: pending"),
    ]
    for row, (verdict, reason) in zip(rows, ends, strict=True):
        assert f" {verdict} " in row
        assert reason in row


@pytest.mark.parametrize("width", [80, 60])
def test_on_a_terminal_the_list_fits_and_the_reasons_are_there(
    installation: Installation, app: WebApp, width: int
) -> None:
    written = on_a_terminal(installation, "webhooks", "list", COLUMNS=str(width), NO_COLOR="1")
    assert max(map(len, written.splitlines())) <= width
    flat = " ".join(written.split())
    for reason in ("is the signature of another secret", "does not match", f"repeats {app.ids[0][-8:]}"):
        assert reason in flat


def test_list_has_the_newest_up_to_a_limit_and_every_reason_of_all_refs(
    installation: Installation, app: WebApp
) -> None:
    assert verdicts(installation) == ["refused", "duplicate", "ignored", "accepted"]
    (newest,) = installation.json("webhooks", "list", "--limit", "1")
    assert (newest["verdict"], newest["client"]) == ("refused", "127.0.0.1")


@both_databases
def test_show_has_everything_that_is_recorded(installation: Installation, app: WebApp) -> None:
    shown = installation.run("webhooks", "show", app.ids[0][-8:]).stdout
    deployment = installation.last().id
    for text in (
        f"delivery {app.ids[0]}",
        "github",
        "acme/my-api",
        app.address,
        ["by", "ada"][1],
        "accepted",
        ONE,
        "created",
        'my_api production: the branch "main" matches "main" and the repository is my_api\'s',
        f"deployment {deployment}",
        f"`fraisier logs {deployment[-8:]} --follow`",
        "kept",
    ):
        assert text in shown
    found = installation.json("webhooks", "show", app.ids[0])
    assert found["body_kept"]
    assert [each["commit_sha"] for each in found["refs"]] == [ONE]
    assert [each["id"] for each in found["deployments"]] == [deployment]


@both_databases
def test_show_names_the_first_delivery_of_a_duplicate_and_why_one_was_refused(
    installation: Installation, app: WebApp
) -> None:
    refused, duplicate, *_ = (each["id"] for each in installation.json("webhooks", "list"))
    assert f"first       {app.ids[0]}" in installation.run("webhooks", "show", duplicate).stdout
    shown = installation.run("webhooks", "show", refused).stdout
    assert "signature of another secret" in shown
    assert "127.0.0.1" in shown
    assert "never kept: it was refused" in shown


def test_what_a_stranger_sends_obeys_no_terminal(installation: Installation) -> None:
    with receiving(installation) as app:
        found = app.push(ONE, pusher="\u200fada")["event"]
    for command in (["list"], ["show", found]):
        assert installation.run("webhooks", *command).stdout.replace("\n", "").isprintable()


@both_databases
def test_ids_of_deliveries_complete_and_any_part_of_one_will_do(
    installation: Installation, app: WebApp
) -> None:
    ids = [each["id"] for each in installation.json("webhooks", "list")]
    assert complete(installation, "fraisier webhooks show ") == [each[-8:] for each in ids]
    assert complete(installation, f"fraisier webhooks show {ids[0][:18]}")
    unknown = installation.run("webhooks", "show", "zz")
    assert (unknown.returncode, unknown.stdout) == (4, "")
    assert "`fraisier webhooks list` lists them" in unknown.stderr


def test_a_configuration_that_cannot_be_used_does_not_hide_the_record(
    installation: Installation, app: WebApp
) -> None:
    installation.config.write_text(installation.config.read_text() + "nonsense: 1\n")
    done = installation.run("webhooks", "list")
    assert "nonsense" in done.stderr
    assert app.ids[0][-8:] in done.stdout
