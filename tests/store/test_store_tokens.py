"""Tokens and the audit: what a store keeps of them, and what it lets nobody do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from fraisier_core.access.issuing import issue
from fraisier_core.access.scope import Scope
from fraisier_core.errors import ConflictError, StoreError
from fraisier_core.store.tokens import AuditEvent, Token
from fraisier_core.system.host import utc_now

from tests.databases import Database
from tests.stores import OpenStore

NOON = "2026-01-31T12:00:00.000000Z"


@pytest.fixture
def store(database: Database) -> Iterator[OpenStore]:
    with closing(database.open()) as store:
        yield store


def made(store: OpenStore, name: str = "laptop", scope: str = "deploy:api/live") -> Token:
    _, token = issue(name, Scope.parse(scope), "ada", "2030-01-31T12:00:00.000000Z")
    store.create_token(token)
    return token


def test_a_token_is_returned_as_it_was_stored(store: OpenStore) -> None:
    first, second = made(store), made(store, "ci", "read")
    assert store.tokens() == [first, second]
    assert store.token(second.prefix) == second
    assert store.token(second.prefix[:-1]) is None
    assert store.token(second.prefix.swapcase()) is None


def test_a_name_has_one_token_that_is_not_revoked(store: OpenStore) -> None:
    token = made(store)
    with pytest.raises(ConflictError, match='a token "laptop" already'):
        made(store)
    assert store.revoke_token(token, "ada")
    again = made(store)
    assert [each.revoked_at is None for each in store.tokens()] == [False, True]
    assert store.token(again.prefix) == again


def test_a_token_is_revoked_once(store: OpenStore) -> None:
    token = made(store)
    assert store.revoke_token(token, "ada")
    (revoked,) = store.tokens()
    assert revoked.revoked_at is not None
    assert revoked.revoked_at <= utc_now()
    assert not store.revoke_token(token, "bob")
    assert store.tokens() == [revoked]
    assert [each.action for each in store.audit_events(9)] == ["token_revoked", "token_created"]


CHANGES = (
    "revoked_at = NULL",
    "expires_at = NULL",
    f"expires_at = '{NOON}'",
    "level = 'read'",
    "fraise_id = NULL",
    "environment = 'trial'",
    "name = 'other'",
    "prefix = 'frs_12345678'",
    "sha256 = ''",
    f"created_at = '{NOON}'",
    "created_by = 'eve'",
    f"revoked_at = '{NOON}', expires_at = NULL",
)


def test_a_token_is_never_changed_otherwise(store: OpenStore) -> None:
    token = made(store)
    for change in CHANGES:
        with pytest.raises(StoreError, match="only be revoked"):
            store.execute(f"UPDATE tb_tokens SET {change}")
    store.revoke_token(token, "ada")
    before = store.tokens()
    for change in (*CHANGES, f"revoked_at = '{NOON}'"):
        with pytest.raises(StoreError, match="only be revoked"):
            store.execute(f"UPDATE tb_tokens SET {change}")
    assert store.tokens() == before


def test_neither_tokens_nor_the_audit_are_deleted_or_rewritten(store: OpenStore) -> None:
    made(store)
    store.audit(AuditEvent(NOON, None, "not_admitted", None, "no token", 3))
    for change in (
        "DELETE FROM tb_tokens",
        "DELETE FROM tb_audit_events",
        "UPDATE tb_audit_events SET actor = 'eve'",
    ):
        with pytest.raises(StoreError, match="append-only"):
            store.execute(change)
    assert [each.occurrences for each in store.audit_events(9)] == [1, 3]


def test_a_token_does_not_replace_another(store: OpenStore) -> None:
    token = made(store)
    _, other = issue("other", Scope("read"), "eve")
    columns = ", ".join(Token._fields)
    values = ", ".join(f":{name}" for name in Token._fields)
    insert = f"INTO tb_tokens ({columns}) VALUES ({values})"
    forms = ["INSERT"] if "postgres" in type(store).__name__.lower() else ["INSERT", "INSERT OR REPLACE"]
    for form in forms:
        for column in ("name", "prefix", "id"):
            with pytest.raises(StoreError):
                store.execute(f"{form} {insert}", other._asdict() | {column: getattr(token, column)})
    assert store.tokens() == [token]


def test_hostile_text_is_kept_as_text(store: OpenStore) -> None:
    for text in ("'; DROP TABLE tb_tokens; --", "\x1b[31m", "Ä\n" * 1000, "%s :name ${x}"):
        _, token = issue("x", Scope("read", text, text), text)
        token = token._replace(name=text)
        store.create_token(token)
        store.audit(AuditEvent(NOON, text, "forbidden", text, text, 1))
        assert store.tokens()[-1] == token
        assert store.token(text) is None
        assert text in {each.subject for each in store.audit_events(9)}


def test_the_audit_is_newest_first_and_as_long_as_asked_for(store: OpenStore) -> None:
    for minute in (3, 1, 2):
        at = f"2026-01-31T12:0{minute}:00.000000Z"
        store.audit(AuditEvent(at, "token ci", "forbidden", "deploy api live", "", minute))
    assert [each.occurrences for each in store.audit_events(2)] == [3, 2]
