"""No clock of a machine matters: leases go by that of the database, the order by what was asked first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import psycopg
import pytest
from fraisier_core import Host, ProcessIdentity
from fraisier_core.store.events import Event
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_core.system.timing import LEASE
from fraisier_postgres.postgres_store import PostgresStore

from tests.postgres import Server
from tests.postgres_sql import request

ME = ProcessIdentity.of(os.getpid())
SHOP = ConfiguredEnvironment("shop", "site", None, None, "live", None, "main")
REQUEST = Request("shop", "live", "deploy", "manual", "ada", "main", "c" * 40)
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Shifted(Host):
    """A host whose clock is off."""

    by: float = 0.0

    def seconds(self) -> float:
        return Host.seconds(self) + self.by


@pytest.fixture
def store(store_url: str) -> Iterator[PostgresStore]:
    with closing(PostgresStore.open(store_url, Host())) as found:
        found.configure([SHOP, SHOP._replace(environment="test")])
        yield found


@pytest.mark.parametrize("by", [HOUR, -HOUR, 1000 * HOUR])
def test_f28_a_lease_and_a_heartbeat_hold_whatever_a_clock_says(
    store_url: str, store: PostgresStore, by: float
) -> None:
    with closing(PostgresStore.open(store_url, Shifted(by=by))) as other:
        _, ours = store.request_and_claim(REQUEST, ME)
        _, theirs = other.request_and_claim(REQUEST._replace(environment="test"), ME)
        assert ours is not None
        assert theirs is not None
        store.heartbeat(ME)
        for each in (store, other):
            assert [held.lease for held in each.leases()] == [ours.lease, theirs.lease]
            assert each.expired() == []
            assert each.live_workers() == 1
            each.renew(ours.lease)
            each.renew(theirs.lease)
            assert each.expired() == []


@pytest.mark.parametrize("years", [("2031", "2021"), ("2021", "2031"), ("2026", "2026")])
def test_f28_what_was_requested_first_is_claimed_first_and_last_is_shown_first(
    store_url: str, store: PostgresStore, years: tuple[str, str]
) -> None:
    with psycopg.connect(store_url, autocommit=True) as connection:
        first, second = (
            request(connection, "shop", environment, at=f"{year}-01-31T12:00:00Z")
            for environment, year in zip(("live", "test"), years, strict=True)
        )
    claimed = [store.claim(ME), store.claim(ME)]
    assert [each and each.deployment.id for each in claimed] == [first, second]
    assert [each.id for each in store.deployments()] == [second, first]
    for each in claimed:
        assert each is not None
        store.append(each.lease, Event("success"))
    assert [each.status for each in store.deployments()] == ["success", "success"]


def test_no_lease_expires_while_the_database_is_away(postgres_server: Server) -> None:
    with closing(PostgresStore.open(postgres_server.url(), Host())) as store:
        store.configure([SHOP])
        _, claimed = store.request_and_claim(REQUEST, ME)
        assert claimed is not None
        postgres_server.execute(
            f"UPDATE tb_leases SET expires = expires - make_interval(secs => {2 * LEASE})"
        )
        postgres_server.restart()
        assert store.expired() == []
        store.renew(claimed.lease)
        assert [held.lease for held in store.leases()] == [claimed.lease]
