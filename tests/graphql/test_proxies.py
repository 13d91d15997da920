"""What a reverse proxy is told that asks whether a client may use fraiseql-server."""

from __future__ import annotations

from contextlib import closing
from uuid import uuid4

import pytest
from fraisier_core.access.issuing import issue
from fraisier_core.access.scope import Scope
from fraisier_core.store.tokens import Token

from tests.graphql.serving import Api, Host


def issued(host: Host, scope: str) -> tuple[str, Token]:
    """Return a new token, with its secret."""
    secret, token = issue(f"proxy {scope} {uuid4()}", Scope.parse(scope), "ada")
    with closing(host.open()) as store:
        store.create_token(token)
    return secret, token


def asked(api: Api, authorization: str | None = None) -> int:
    headers = {"Authorization": authorization} if authorization else {}
    return api.client.get("/graphql/admission", headers=headers).status_code


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("deploy", 204),
        ("read", 403),
        ("deploy:my_api", 403),
        ("deploy:my_api/production", 403),
        ("read:my_api/staging", 403),
    ],
)
def test_a_client_is_admitted_who_may_do_everything_everywhere(host: Host, scope: str, status: int) -> None:
    host.configure(development=False)
    secret, _ = issued(host, scope)
    with host.serving() as api:
        assert asked(api, f"Bearer {secret}") == status


def test_a_client_is_not_admitted_without_a_token_or_with_a_revoked_one(host: Host) -> None:
    host.configure(development=False)
    secret, token = issued(host, "deploy")
    with host.serving() as api:
        assert asked(api, f"Bearer {secret}") == 204
        assert (asked(api), asked(api, f"Bearer {secret}x"), asked(api, f"Basic {secret}")) == (401,) * 3
        with closing(host.open()) as store:
            assert store.revoke_token(token, "ada")
        assert asked(api, f"Bearer {secret}") == 401
