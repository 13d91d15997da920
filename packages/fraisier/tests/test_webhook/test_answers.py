"""What each delivery is answered with, and what is then in the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote_plus

import pytest

from .hooks import (
    BEFORE,
    GITHUB_OLD_SECRET,
    Hook,
    github,
    github_push,
    gitlab_push,
    gitlab_signed,
    gitlab_with_token,
    new_commit,
)
from .installation import Installation, Server


def deployments_of(server: Server, commit: str) -> list[dict[str, object]]:
    return server.rows(f"SELECT * FROM tb_deployments WHERE commit_sha = '{commit}'")


def test_a_push_is_accepted_and_its_deployment_named(server: Server) -> None:
    commit = new_commit()
    answer = server.send(github(github_push(commit)))
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    [row] = deployments_of(server, commit)
    named = {
        "id": row["id"],
        "fraise": "my_api",
        "environment": "production",
        "status": "pending",
        "follow": f"fraisier logs {row['id']} --follow",
    }
    assert answer.json() == {"status": "accepted", "event": row["webhook_event_id"], "deployments": [named]}
    assert (row["ref"], row["requested_by"], row["trigger"]) == ("refs/heads/main", "author", "webhook")


def test_a_form_encoded_push_is_accepted(server: Server) -> None:
    commit = new_commit()
    form = b"payload=" + quote_plus(json.dumps(github_push(commit))).encode()
    answer = server.send(github(form).with_headers(content_type="application/x-www-form-urlencoded"))
    assert answer.status_code == 202
    assert deployments_of(server, commit)


@pytest.mark.parametrize("sign", [gitlab_with_token, gitlab_signed])
def test_gitlab_is_accepted_beside_github_with_either_token(
    server: Server, sign: Callable[[object], Hook]
) -> None:
    commit = new_commit()
    answer = server.send(sign(gitlab_push(commit)))
    assert answer.status_code == 202, answer.text
    [row] = deployments_of(server, commit)
    assert row["fraise_id"] == "loader"


def test_the_secret_before_a_rotation_is_still_accepted(server: Server) -> None:
    assert server.send(github(github_push(new_commit()), secret=GITHUB_OLD_SECRET)).status_code == 202


def test_one_forge_cannot_sign_for_another(server: Server) -> None:
    hook = github(github_push(new_commit()), path="/webhook/gitlab")
    assert server.send(hook).status_code == 401
    assert server.send(Hook("/webhook/github", hook.body, hook.headers)).status_code == 202


def test_a_ping_is_ignored_with_its_reason(server: Server) -> None:
    answer = server.send(github({"zen": "Keep it logically awesome."}, event="ping"))
    assert answer.status_code == 200
    [event] = server.rows(f"SELECT * FROM tb_webhook_events WHERE id = '{answer.json()['event']}'")
    assert answer.json() == {"status": "ignored", "event": event["id"], "reasons": ["a test delivery"]}
    assert (event["event_type"], event["verdict"]) == ("ping", "ignored")


def test_a_push_that_no_rule_wants_is_ignored_with_the_reason_of_each_rule(server: Server) -> None:
    answer = server.send(github(github_push(new_commit(), branch="elsewhere")))
    assert answer.status_code == 200
    assert answer.json()["status"] == "ignored"
    assert answer.json()["reasons"] == [
        'my_api production: "elsewhere" does not match "main"',
        'my_api staging: "elsewhere" does not match "next"',
    ]


def test_a_deleted_branch_is_ignored(server: Server) -> None:
    payload = github_push("0" * 40) | {"head_commit": None}
    answer = server.send(github(payload))
    assert answer.status_code == 200
    assert "a deletion never deploys" in answer.json()["reasons"][0]


def test_a_duplicate_names_the_first_deployment_and_how_to_deploy_again(server: Server) -> None:
    commit = new_commit()
    hook = github(github_push(commit))
    first = server.send(hook).json()
    again = server.send(hook)
    assert again.status_code == 200
    assert again.json() == {
        "status": "duplicate",
        "event": first["event"],
        "deployments": first["deployments"],
        "deploy_again": [f"fraisier deploy my_api production --commit {commit}"],
    }
    assert len(deployments_of(server, commit)) == 1


def test_a_duplicate_shows_what_became_of_the_first_deployment(server: Server) -> None:
    hook = github(github_push(new_commit(), branch="next"))
    server.send(hook)
    server.send(github(github_push(new_commit(), branch="next")))
    assert server.send(hook).json()["deployments"][0]["status"] == "superseded"


def test_a_known_body_under_a_fresh_id_is_accepted_on_a_condition(server: Server) -> None:
    commit = new_commit()
    hook = github(github_push(commit))
    first = server.send(hook).json()
    again = server.send(hook.with_headers(x_github_delivery=f"fresh-{commit}"))
    assert again.status_code == 202
    found = again.json()
    assert (found["status"], found["repeats"]) == ("accepted", first["event"])
    assert found["condition"] == (
        "this body was accepted before: its commit is deployed only if the ref is there, and had left it or"
        " nothing else was requested since"
    )
    assert found["deploy_again"] == [f"fraisier deploy my_api production --commit {commit}"]
    assert found["deployments"][0]["status"] == "pending"
    assert server.send(hook.with_headers(x_github_delivery=f"fresh-{commit}")).json()["status"] == "duplicate"


def test_the_same_id_with_another_body_is_a_conflict_and_the_first_is_kept(server: Server) -> None:
    first, second = new_commit(), new_commit()
    accepted = server.send(github(github_push(first), delivery=f"id-of-{first}")).json()
    answer = server.send(github(github_push(second), delivery=f"id-of-{first}"))
    assert answer.status_code == 409
    assert answer.json()["event"] == accepted["event"]
    assert deployments_of(server, first)
    assert not deployments_of(server, second)
    [alert] = server.rows(f"SELECT * FROM tb_refused_deliveries WHERE reason LIKE '%{accepted['event']}%'")
    assert alert["provider"] == "github"
    assert f"it has the delivery id of event {accepted['event']}, and another body" in server.log.read_text()


def test_of_many_equal_deliveries_at_once_one_is_accepted(server: Server) -> None:
    commit = new_commit()
    hook = github(github_push(commit))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(server.send, [hook] * 50))
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [202]
    assert len({answer.json()["deployments"][0]["id"] for answer in answers}) == 1
    assert len(deployments_of(server, commit)) == 1


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[1]", b'{"ref": 1}', b"[" * 100_000, b'{"ref": "\xff"}']
)
def test_a_verified_body_that_is_no_payload_is_malformed(server: Server, body: bytes) -> None:
    answer = server.send(github(body))
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the payload is not what the forge sends")


def test_a_delivery_without_the_name_of_its_event_is_malformed(server: Server) -> None:
    hook = github(github_push(new_commit()))
    del hook.headers["x-github-event"]
    assert server.send(hook).status_code == 400


UNWANTED = "c" * 40


def _unverified() -> dict[str, Hook]:
    hook = github(github_push(UNWANTED))
    signature = hook.headers["x-hub-signature-256"]
    without = Hook(hook.path, hook.body, {"content-type": "application/json", "x-github-event": "push"})
    sha1 = without.with_headers(x_hub_signature="sha1=" + "0" * 40)
    return {
        "missing": without,
        "empty": hook.with_headers(x_hub_signature_256=""),
        "prefix alone": hook.with_headers(x_hub_signature_256="sha256="),
        "half": hook.with_headers(x_hub_signature_256=signature[:39]),
        "upper case": hook.with_headers(x_hub_signature_256=signature.upper()),
        "without prefix": hook.with_headers(x_hub_signature_256=signature[7:]),
        "sha1": sha1,
        "another secret": github(github_push(UNWANTED), secret="guessed"),
        "empty secret": github(github_push(UNWANTED), secret=""),
        "another body": Hook(hook.path, hook.body + b" ", hook.headers),
        "look-alike": hook.with_headers(x_gitea_event="push"),
        "wrong token": gitlab_with_token(gitlab_push(UNWANTED), token="guessed"),
        "no token": gitlab_with_token(gitlab_push(UNWANTED), token=""),
        "too old": gitlab_signed(gitlab_push(UNWANTED), age_seconds=400),
        "from the future": gitlab_signed(gitlab_push(UNWANTED), age_seconds=-7200),
        "truncated": gitlab_signed(gitlab_push(UNWANTED)).with_headers(webhook_signature="v1,"),
    }


UNVERIFIED = _unverified()


@pytest.mark.parametrize("cause", UNVERIFIED)
def test_whatever_the_cause_an_unverified_delivery_gets_the_same_answer(server: Server, cause: str) -> None:
    answer = server.send(UNVERIFIED[cause])
    assert answer.status_code == 401
    assert answer.json() == {"error": "the delivery does not verify: check the secret on both sides"}
    assert not deployments_of(server, UNWANTED)


def test_a_signature_sent_twice_is_refused(server: Server) -> None:
    hook = github(github_push(BEFORE))
    signature = ("x-hub-signature-256", hook.headers["x-hub-signature-256"])
    headers = [*hook.headers.items(), signature]
    assert server.client.post("/webhook", content=hook.body, headers=headers).status_code == 401


def test_an_unknown_provider_is_not_found(server: Server) -> None:
    for path in ("/webhook/gitea", "/webhook/GitHub", "/webhook/%2e%2e"):
        assert server.send(Hook(path, b"{}", {"content-type": "application/json"})).status_code == 404


def test_an_unknown_path_is_not_found_and_never_redirected(server: Server) -> None:
    for path in ("/", "/webhooks", "/webhook//", "/webhook/github/x", "/webhook/github//"):
        answer = server.send(Hook(path, b"{}", {"content-type": "application/json"}))
        assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


@pytest.mark.parametrize("path", ["/webhook/", "/webhook/github/"])
def test_a_final_slash_changes_nothing(server: Server, path: str) -> None:
    assert server.send(github(github_push(new_commit()), path=path)).status_code == 202
    answer = server.get(path)
    assert (answer.status_code, answer.json()) == (405, {"error": "only POST"})


def test_a_test_delivery_that_is_never_signed_is_answered_and_leaves_nothing(server: Server) -> None:
    headers = {"content-type": "application/json; charset=UTF-8", "x-event-key": "diagnostics:ping"}
    tables = ("tb_webhook_events", "tb_deployments", "tb_refused_deliveries")
    before = [server.rows(f"SELECT * FROM {table}") for table in tables]
    answer = server.send(Hook("/webhook/bitbucket", b'{"test": true}', headers))
    assert (answer.status_code, answer.json()["status"]) == (200, "ignored")
    assert answer.json()["reasons"] == ["a test delivery, which Bitbucket does not sign"]
    assert [server.rows(f"SELECT * FROM {table}") for table in tables] == before
    assert server.send(Hook("/webhook/bitbucket", b'{"test": 1}', headers)).status_code == 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_any_method_but_post_is_refused(server: Server, method: str) -> None:
    answer = server.client.request(method, "/webhook")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/form-data", "application/jsonp"])
def test_another_content_type_is_refused(server: Server, content_type: str) -> None:
    hook = github(github_push(BEFORE)).with_headers(content_type=content_type)
    assert server.send(hook).status_code == 415


def test_a_content_type_may_have_parameters(server: Server) -> None:
    hook = github(github_push(new_commit())).with_headers(content_type="Application/JSON; charset=utf-8")
    assert server.send(hook).status_code == 202


def test_an_encoded_body_is_refused(server: Server) -> None:
    hook = github(github_push(BEFORE)).with_headers(content_encoding="gzip")
    assert server.send(hook).status_code == 415


def test_without_a_default_provider_only_its_own_url_means_one(installation: Installation) -> None:
    installation.config.write_text(installation.config.read_text().replace("  provider: github\n", ""))
    with installation.serving() as server:
        answer = server.send(github(github_push(BEFORE)))
        assert answer.status_code == 404
        assert answer.json() == {"error": "no git.provider is configured"}
        assert server.send(github(github_push(BEFORE), path="/webhook/github")).status_code == 202


def test_every_route_is_public_by_signature_or_says_nothing(server: Server) -> None:
    assert server.get("/healthz").json() == {"status": "ok"}
    assert set(server.get("/readyz").json()) == {"status", "problems"}
    for path in ("/docs", "/openapi.json", "/metrics", "/graphql", "/.env"):
        assert server.get(path).status_code == 404
