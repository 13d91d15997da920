"""Why a push did not deploy, as a person reads it at 80 columns: one row for each reason there is."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from tests.databases import both_databases
from tests.end_to_end import Hook

from .installation import Installation
from .receiving import MAPPING, hook, receiving, rename_section, settled
from .test_live import on_a_terminal

ONE, TWO = "1a" * 20, "2b" * 20
WIDTH = 80
OTHER = "https://git.example.com/acme/other.git"
BY_HAND = "command: fraisier deploy my_api production --commit"
TEST = "command: fraisier webhooks test github"
SAME = "setting: git.github.webhook_secret, and the secret of the forge's webhook: they must be the same"
NO_SECRET = "setting: the forge's webhook: its secret, the one of git.github.webhook_secret"
SIGNATURE = "X-Hub-Signature-256"


Happened = Callable[[Installation], str]


class Case(NamedTuple):
    """What is done, which returns the words to explain, and what the text must say."""

    happened: Happened
    said: tuple[str, ...]


def delivered(commit: str | None, ref: str = "refs/heads/main", **changes: str) -> Happened:
    """Return what delivers one push, without a worker."""

    def happened(installation: Installation) -> str:
        with receiving(installation) as app:
            return str(app.push(commit, ref, **changes)["event"])

    return happened


def refused(sent: Callable[[str], Hook], path: str = "/webhook") -> Happened:
    """Return what delivers something that is refused."""

    def happened(installation: Installation) -> str:
        with receiving(installation) as app:
            assert "error" in app.send(sent(app.address), path)
        return newest(installation)

    return happened


def with_headers(headers: Mapping[str, str | None]) -> Happened:
    return refused(lambda address: hook(address, ONE, headers=headers))


def newest(installation: Installation) -> str:
    return str(installation.json("webhooks", "list")[0]["id"])


def to_another_repository(installation: Installation) -> str:
    with receiving(installation) as app:
        return str(app.send(hook(OTHER, ONE))["event"])


def superseded(installation: Installation) -> str:
    with receiving(installation) as app:
        first = app.push(ONE)
        app.push(TWO, before=ONE)
    return str(first["event"])


def duplicate(installation: Installation) -> str:
    with receiving(installation) as app:
        app.push(ONE, delivery="again")
        app.push(ONE, delivery="again")
    return newest(installation)


def with_another_body(installation: Installation) -> str:
    with receiving(installation) as app:
        app.push(ONE, delivery="again")
        app.push(TWO, delivery="again")
    return newest(installation)


def repeated_body(installation: Installation) -> str:
    with receiving(installation) as app:
        app.push(ONE)
        return str(app.push(ONE)["event"])


def bound_to_another(installation: Installation) -> str:
    bound = f"webhook_secret: {{secret: correct-horse-battery-staple, repositories: [{OTHER}]}}"
    text = installation.config.read_text()
    installation.config.write_text(text.replace("webhook_secret: ${FRAISIER_WEBHOOK_SECRET}", bound))
    return refused(lambda address: hook(address, ONE))(installation)


def malformed(address: str) -> Hook:
    sent = hook(address, ONE)
    body = json.dumps({"ref": "refs/heads/main"}).encode()
    digest = hmac.digest(b"correct-horse-battery-staple", body, "sha256").hex()
    return Hook({**sent.headers, SIGNATURE: f"sha256={digest}"}, body)


def with_a_clock_that_is_off(installation: Installation) -> str:
    token = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    text = installation.config.read_text()
    installation.config.write_text(text.replace("git:\n", f"git:\n  gitlab: {{webhook_secret: {token}}}\n"))
    sent = str(int(time.time()) - 1800)
    headers = {"webhook-id": "1", "webhook-timestamp": sent, "webhook-signature": "v1,AAAA"}
    return refused(lambda _: Hook(headers, b"{}"), "/webhook/gitlab")(installation)


def from_a_sender_that_is_not_allowed(installation: Installation) -> str:
    text = installation.config.read_text()
    installation.config.write_text(text.replace("  github:\n", "  github:\n    allow: 192.0.2.1\n"))
    return refused(lambda address: hook(address, ONE))(installation)


def skipped(installation: Installation, files: Mapping[str, str], message: str = "Change") -> str:
    """Deploy a commit, push another with a worker at work, and return its delivery."""
    before = installation.deploy()
    installation.forge.commit(files, message)
    commit = installation.forge.push()
    with receiving(installation, "--worker") as app:
        found = app.push(commit, before=before)["event"]
        settled(installation)
    return str(found)


def without_a_change_under_paths(installation: Installation) -> str:
    rule = "{fraise: my_api, environment: production, paths: [src, '!src/drafts']}"
    installation.config.write_text(installation.config.read_text() + f"branch_mapping:\n  main: {rule}\n")
    return skipped(installation, {"docs/page.md": "text"})


def with_skip_deploy(installation: Installation) -> str:
    text = installation.config.read_text()
    installation.config.write_text(
        text.replace("branch: main\n", "branch: main\n        skip_deploy: true\n")
    )
    return skipped(installation, {"page.txt": "text"}, "Change a word [skip deploy]")


def failed(installation: Installation) -> str:
    return skipped(installation, {"check.sh": "exit 1\n"})


def of_a_fraise_that_is_gone(installation: Installation) -> str:
    found = delivered(ONE)(installation)
    text = installation.config.read_text().replace(MAPPING, "").replace("my_api:", "your_api:")
    installation.config.write_text(text)
    return found


def of_a_fraise_that_is_misspelt(installation: Installation) -> str:
    found = delivered(ONE)(installation)
    text = installation.config.read_text()
    installation.config.write_text(text.replace("{fraise: my_api", "{fraise: my_apy"))
    return found


def of_a_type_that_is_missing(installation: Installation) -> str:
    found = delivered(ONE)(installation)
    installation.environ["FRAISIER_DISABLED_PLUGINS"] = "script"
    return found


def of_a_provider_that_is_missing(installation: Installation) -> str:
    found = delivered(ONE, "refs/heads/develop")(installation)
    installation.environ["FRAISIER_DISABLED_PLUGINS"] = "github"
    return found


def of_a_section_that_is_gone(installation: Installation) -> str:
    found = delivered(ONE)(installation)
    rename_section(installation)
    return found


def missed_before(installation: Installation) -> str:
    found = delivered(ONE, "refs/heads/develop")(installation)
    rule = "  develop: {fraise: my_api, environment: staging}\n"
    installation.config.write_text(installation.config.read_text() + rule)
    return found


def pinged(installation: Installation) -> str:
    with receiving(installation) as app:
        return str(app.send(hook(app.address, ONE, headers={"X-GitHub-Event": "ping"}))["event"])


CASES: Mapping[str, Case] = {
    "wrong branch": Case(
        delivered(ONE, "refs/heads/develop"),
        (
            'It requested nothing: my_api production: "develop" does not match "main".',
            "my_api production: not requested",
            'rule main: "develop" does not match "main"',
            'setting: branch_mapping: {"develop": {fraise: my_api, environment: production}}',
            f"{BY_HAND} {ONE[:12]}",
            "my_api staging: not requested no rule of branch_mapping names it",
        ),
    ),
    "other repository": Case(
        to_another_repository,
        (
            "It requested nothing: no rule is for git.example.com/acme/other.",
            "rule main: the push is to git.example.com/acme/other, and my_api comes from /",
            "setting: fraises.my_api.aliases, if both are one repository",
        ),
    ),
    "path filter": Case(
        without_a_change_under_paths,
        (
            "It requested my_api production: skipped: nothing under the mapped `paths:` changed up to",
            "setting: branch_mapping: the rule for my_api production has paths: [src, !src/drafts]",
            BY_HAND,
        ),
    ),
    "tag": Case(
        delivered(ONE, "refs/tags/v1"),
        (
            "It requested nothing: my_api production: a tag was pushed, and the rule is for branches.",
            "for tag v1",
            'setting: branch_mapping: {"v1": {fraise: my_api, environment: production, tags: true}}',
            f"{BY_HAND} {ONE[:12]}",
        ),
    ),
    "deletion": Case(
        delivered(None, before=ONE),
        (
            'It requested nothing: my_api production: "main" was deleted, and a deletion never deploys.',
            f"{BY_HAND} {ONE[:12]}",
        ),
    ),
    "superseded": Case(
        superseded,
        (
            "It requested my_api production: superseded by deployment",
            f"of {TWO[:12]}, which is pending",
            "command: fraisier show",
            f"{BY_HAND} {ONE[:12]}",
        ),
    ),
    "duplicate": Case(
        duplicate,
        (
            "It repeats delivery",
            "which had requested all of it already: my_api production: pending: no worker is running.",
            "command: fraisier worker",
            "command: fraisier logs",
        ),
    ),
    "body of another": Case(
        repeated_body,
        (
            "It has the body of delivery",
            ", so its commit is deployed only if the ref is there, and had left it or nothing else was",
            " requested since: my_api production: pending: no worker is running.",
        ),
    ),
    "no worker": Case(delivered(ONE), ("It requested my_api production: pending: no worker is running.",)),
    "failed": Case(
        failed, ("It requested my_api production: rolled back: ", "command: fraisier show", BY_HAND)
    ),
    "skipped by its message": Case(
        with_skip_deploy,
        (
            "It requested my_api production: skipped: the message of",
            "says [skip deploy]",
            "setting: fraises.my_api.environments.production.skip_deploy: false",
            BY_HAND,
        ),
    ),
    "unverified: no signature": Case(
        with_headers({SIGNATURE: None}),
        (
            "It was refused, so nothing was deployed: no X-Hub-Signature-256 header: ",
            "the webhook has no secret, or a proxy removed it.",
            NO_SECRET,
            TEST,
        ),
    ),
    "unverified: empty signature": Case(
        with_headers({SIGNATURE: "sha256="}),
        ("X-Hub-Signature-256 is empty: the webhook has no secret.", NO_SECRET, TEST),
    ),
    "unverified: no signature at all": Case(
        with_headers({SIGNATURE: "sha256=12"}),
        ("X-Hub-Signature-256 is no signature: `sha256=` and 64 lower-case hexadecimal digits.", SAME, TEST),
    ),
    "unverified: another secret": Case(
        refused(lambda address: hook(address, ONE, secret="another secret")),
        ("is the signature of another secret, or of a body that was changed on the way.", SAME, TEST),
    ),
    "unverified: SHA-1": Case(
        with_headers({SIGNATURE: None, "X-Hub-Signature": "sha1=12"}),
        ("it is signed with SHA-1 alone (X-Hub-Signature), not with X-Hub-Signature-256.", SAME, TEST),
    ),
    "unverified: another forge": Case(
        with_headers({"X-Gitea-Event": "push"}),
        (
            "it has headers of Gitea: use the provider of that forge.",
            "setting: the forge's webhook: its URL must end in the name of a section for that forge",
        ),
    ),
    "unverified: a clock": Case(
        with_a_clock_that_is_off,
        (
            "the sender's clock is 30 min behind this one, or the delivery is as old.",
            "setting: the clock of this host, or of the forge",
            "command: fraisier webhooks test gitlab",
        ),
    ),
    "unverified: a bound secret": Case(
        bound_to_another,
        (
            "its secret is for git.example.com/acme/other, and the push is to /",
            "setting: git.github.webhook_secret: the repositories of its secret",
        ),
    ),
    "malformed": Case(
        refused(malformed),
        (
            "malformed: the payload is not what the forge sends: ",
            "setting: the forge's webhook: it must send push events, as JSON",
        ),
    ),
    "the id of another": Case(
        with_another_body,
        (
            "it has the delivery id of event",
            "setting: a proxy or sender that repeats the id of another delivery",
        ),
    ),
    "sender not allowed": Case(
        from_a_sender_that_is_not_allowed,
        (
            "It was refused, so nothing was deployed: the sender is not in git.github.allow.",
            "setting: git.github.allow",
            "for github from 127.0.0.1, ",
        ),
    ),
    "unknown fraise": Case(
        of_a_fraise_that_is_gone,
        (
            "It requested my_api production: pending",
            "setting: fraises.my_api.environments.production: not in fraises.yaml any more",
        ),
    ),
    "misspelt fraise": Case(
        of_a_fraise_that_is_misspelt,
        (
            'no fraise is called "my_apy"; did you mean "my_api"?',
            "It requested my_api production: pending",
            "the configuration of today cannot be used; `fraisier config check` says why",
        ),
    ),
    "fraise type missing": Case(
        of_a_type_that_is_missing,
        ('the fraise type "script" (acme-script 2.1) is set aside: disabled by FRAISIER_DISABLED_PLUGINS',),
    ),
    "provider missing": Case(
        of_a_provider_that_is_missing,
        ('the provider "github"', "is set aside: disabled by FRAISIER_DISABLED_PLUGINS"),
    ),
    "section gone": Case(of_a_section_that_is_gone, ("there is no section git.github any more",)),
    "missed before": Case(
        missed_before,
        (
            'It requested nothing: my_api production: "develop" does not match "main".',
            "Today it would request my_api staging.",
            "command: fraisier webhooks replay",
        ),
    ),
    "ping": Case(
        pinged,
        ("It requested nothing: a test delivery.", "setting: the forge's webhook: it must send push events"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_text_says_why_and_what_changes_it(installation: Installation, name: str) -> None:
    case = CASES[name]
    found = case.happened(installation)
    written = on_a_terminal(installation, "webhooks", "explain", found, COLUMNS=str(WIDTH), NO_COLOR="1")
    lines = written.splitlines()
    if name != "misspelt fraise":  # an error of the configuration is one line, whatever the terminal
        assert max(map(len, lines)) <= WIDTH, written
    flat = " ".join(written.split())
    for text in case.said:
        assert text in flat, written
    answer = next(line for line in lines if line.startswith("It "))
    assert name == "misspelt fraise" or lines[0] == answer


def test_a_delivery_that_cannot_be_replayed_because_its_section_is_gone_is_not_said_to_be_missed(
    installation: Installation,
) -> None:
    found = missed_before(installation)
    rename_section(installation)
    done = installation.run("webhooks", "explain", found)
    assert "there is no section git.github any more" in done.stdout
    assert "Today it would request" not in done.stdout
    assert "webhooks replay" not in done.stdout


MAPPED = """
branch_mapping:
  main: {fraise: my_api, environment: production, paths: [src, "!src/drafts"]}
  "v*": {fraise: my_api, environment: staging, tags: true}
"""
PUSHES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "a mapped branch": (
        "acme/my-api main",
        (
            "A push of main of acme/my-api deploys my_api production.",
            "it is skipped unless a change matches paths: src, !src/drafts",
        ),
    ),
    "a tag by its name": ("acme/my-api v1", ("A push of tag v1 of acme/my-api deploys my_api staging.",)),
    "a full ref": (
        f"acme/my-api refs/heads/v1 {ONE}",
        (
            "A push of v1 of acme/my-api requests nothing: it matches none of the 2 rules",
            "my_api staging: not requested rule v*: the rule is for tags",
            f"command: fraisier deploy my_api staging --commit {ONE[:12]}",
        ),
    ),
    "neither branch nor tag": (
        "acme/my-api refs/pull/7/head",
        ("refs/pull/7/head is neither a branch nor a tag",),
    ),
    "an address": (
        "git@git.example.com:acme/my-api.git main",
        ("A push of main of acme/my-api deploys my_api production.",),
    ),
    "another repository": (
        "https://git.example.com/acme/other main",
        (
            "requests nothing: no rule is for git.example.com/acme/other.",
            "setting: fraises.my_api.aliases, if both are one repository",
        ),
    ),
    "on no host of its section": (
        "https://other.example/acme/my-api main",
        ("which is on none of git.github.hosts.", "setting: git.github.hosts"),
    ),
    "a branch that no rule names": (
        "acme/my-api next",
        ("command: fraisier deploy my_api production --branch next",),
    ),
}


@pytest.fixture
def mapped(installation: Installation) -> Installation:
    """An installation whose fraise comes from a forge by its name, with a section for that."""
    address = "https://git.example.com/acme/my-api"
    text = installation.config.read_text().replace(installation.forge.url, address)
    hosts = "  github:\n    hosts: git.example.com\n"
    installation.config.write_text(text.replace("  github:\n", hosts) + MAPPED)
    return installation


@pytest.mark.parametrize("name", PUSHES)
def test_a_push_is_explained_without_a_delivery(mapped: Installation, name: str) -> None:
    words, said = PUSHES[name]
    done = mapped.run("webhooks", "explain", "--push", *words.split())
    assert (done.returncode, done.stderr) == (0, "")
    flat = " ".join(done.stdout.split())
    for text in said:
        assert text in flat, done.stdout
    found = mapped.json("webhooks", "explain", "--push", *words.split())
    assert found["answer"] == done.stdout.splitlines()[0]


def test_a_push_is_received_by_the_section_on_whose_hosts_it_is(mapped: Installation) -> None:
    work = "git:\n  work: {type: github, hosts: other.example, webhook_secret: another one}\n"
    mapped.config.write_text(mapped.config.read_text().replace("git:\n", work))
    done = mapped.run("webhooks", "explain", "--push", "https://other.example/acme/my-api", "main")
    assert "requests nothing: no rule is for other.example/acme/my-api." in done.stdout


def test_a_repository_that_is_not_configured_is_told_with_the_nearest(mapped: Installation) -> None:
    done = mapped.run("webhooks", "explain", "--push", "acme/my-apu", "main")
    assert done.returncode == 4
    assert 'did you mean "acme/my-api"?' in done.stderr


def test_what_is_not_installed_answers_first(mapped: Installation) -> None:
    push = ["webhooks", "explain", "--push", "acme/my-api", "main"]
    done = mapped.run(*push, FRAISIER_DISABLED_PLUGINS="github")
    assert done.stdout.startswith('Nothing that is pushed deploys: the provider "github" (fraisier-github')
    done = mapped.run(*push, FRAISIER_DISABLED_PLUGINS="script")
    answer = "A push of main of acme/my-api requests my_api production, and that will fail: the fraise type"
    assert done.stdout.startswith(answer)
    text = mapped.config.read_text()
    mapped.config.write_text(text[text.index("fraises:") :])
    done = mapped.run(*push)
    assert done.stdout.startswith("Nothing that is pushed deploys: no provider is configured under `git:`.")


@pytest.mark.parametrize("words", [["a", "b"], ["--push", "a"], ["--push", "a", "b", "c", "d"]])
def test_what_is_neither_a_delivery_nor_a_push_is_refused(mapped: Installation, words: list[str]) -> None:
    done = mapped.run("webhooks", "explain", *words)
    assert done.returncode == 2
    assert "REPOSITORY REF [COMMIT]" in done.stderr


@both_databases
def test_an_explanation_in_json_has_every_rule_with_what_decides_it(installation: Installation) -> None:
    found = installation.json("webhooks", "explain", superseded(installation))
    first, newer = installation.recorded()[::-1]
    (outcome,) = found["outcomes"]
    assert (outcome["deployment_id"], outcome["status"]) == (first.id, "superseded")
    assert outcome["commands"][0] == f"fraisier show {newer.id}"
    (ref,) = found["refs"]
    assert [each["requested"] for each in ref["environments"]] == [True, False]
    (rule,) = ref["environments"][0]["rules"]
    assert (rule["pattern"], rule["matches"]) == ("main", True)
