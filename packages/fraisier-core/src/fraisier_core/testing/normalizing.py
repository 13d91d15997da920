"""Tests of the hook `normalize`: that a provider reads what the forge sends, and only that, as what it is."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from fraisier_core.errors import MalformedPayloadError
from fraisier_core.plugins import Provider
from fraisier_core.push import BRANCH_PREFIX, TAG_PREFIX, Ignored, Push, Verified
from fraisier_core.testing.fixtures import (
    Delivery,
    ProviderDeliveries,
    expected_outcome,
    normalize,
    payload_of,
    verify,
)
from fraisier_core.testing.hostile import (
    HOSTILE_NAMES,
    HOSTILE_URLS,
    MALFORMED_BODIES,
    bodies_with_a_key_twice,
    bodies_with_one_wrong,
    huge_bodies,
)
from fraisier_core.testing.positions import at, positions, replaced, with_strings

COMMIT_ID = re.compile("(?!0+$)(?:[0-9a-f]{40}|[0-9a-f]{64})")
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
HUGE_SECONDS = 2


class NormalizeTests(ProviderDeliveries):
    """The part of `ProviderConformance` about what a payload becomes."""

    def test_a_payload_becomes_what_is_expected(self, provider: Provider, fixture: Path) -> None:
        assert _as_json(normalize(provider, self._delivery(fixture))) == expected_outcome(fixture)

    def test_a_relabelled_event_pushes_nothing_else(self, provider: Provider, fixture: Path) -> None:
        delivery = self._delivery(fixture)
        own = _pushes(normalize(provider, delivery))
        for headers in ({}, *map(self.event_headers, self._events())):
            with suppress(MalformedPayloadError):
                relabelled = _pushes(normalize(provider, replace(delivery, headers=headers)))
                assert _unlabelled(relabelled) in ([], _unlabelled(own)), headers

    def test_every_ref_of_a_push_is_reported(self, provider: Provider, push_fixture: Path) -> None:
        payload = payload_of(push_fixture)
        refs = self._refs(provider, push_fixture, payload)
        for position in positions(payload):
            items = at(payload, position)
            without = replaced(payload, position, [])
            if isinstance(items, list) and not self._refs(provider, push_fixture, without):
                doubled = replaced(payload, position, items * 2)
                assert self._refs(provider, push_fixture, doubled) in ([], refs * 2), position

    def test_a_ref_whose_new_id_is_zero_is_deleted(self, provider: Provider, push_fixture: Path) -> None:
        payload = payload_of(push_fixture)
        pushes = self._outcome(provider, push_fixture, payload)
        for commit in {push.after for push in pushes if push.after}:
            zeroed = with_strings(payload, {commit: "0" * len(commit)})
            deleted = self._outcome(provider, push_fixture, zeroed)
            _assert_sound(deleted)
            before = {push.before for push in pushes if push.before}
            assert not {push.after for push in deleted} & before, "what was before the deletion is reported"

    def test_a_tag_is_never_reported_as_a_branch(self, provider: Provider, push_fixture: Path) -> None:
        payload = payload_of(push_fixture)
        refs = self._refs(provider, push_fixture, payload)
        tags = with_strings(payload, {ref: ref.replace(BRANCH_PREFIX, TAG_PREFIX, 1) for ref in refs})
        if tags != payload:
            assert all(ref.startswith(TAG_PREFIX) for ref in self._refs(provider, push_fixture, tags))

    def test_names_stay_inert_text(self, provider: Provider, push_fixture: Path) -> None:
        payload = payload_of(push_fixture)
        refs = {*self._refs(provider, push_fixture, payload)}
        for push in self._outcome(provider, push_fixture, payload):
            prefix = push.ref.removesuffix(push.name)
            for name in HOSTILE_NAMES:
                renamed = with_strings(payload, {push.ref: prefix + name, push.name: name})
                assert renamed != payload, "the payload does not say the name of what was pushed"
                found = {*self._refs(provider, push_fixture, renamed)}
                assert found <= refs - {push.ref} | {prefix + name}

    def test_addresses_stay_inert_text(self, provider: Provider, push_fixture: Path) -> None:
        payload = payload_of(push_fixture)
        for push in self._outcome(provider, push_fixture, payload):
            for url in HOSTILE_URLS:
                moved = with_strings(payload, dict.fromkeys(push.urls, url))
                found = {each for one in self._outcome(provider, push_fixture, moved) for each in one.urls}
                assert found <= {url, *push.urls}

    def test_a_malformed_body_is_called_malformed(self, provider: Provider, push_fixture: Path) -> None:
        for payload in MALFORMED_BODIES:
            with pytest.raises(MalformedPayloadError):
                normalize(provider, self._delivery_of(push_fixture, payload))

    def test_a_payload_with_one_field_wrong_is_malformed_or_harmless(
        self, provider: Provider, push_fixture: Path
    ) -> None:
        for payload in bodies_with_one_wrong(payload_of(push_fixture)):
            _assert_sound_or_malformed(provider, self._delivery_of(push_fixture, payload))

    def test_of_a_key_that_is_there_twice_the_last_counts(
        self, provider: Provider, push_fixture: Path
    ) -> None:
        for twice, last in bodies_with_a_key_twice(payload_of(push_fixture)):
            with suppress(MalformedPayloadError):
                found = normalize(provider, self._delivery_of(push_fixture, twice))
                assert found == normalize(provider, self._delivery_of(push_fixture, last)), twice

    def test_a_huge_body_is_done_with_in_time(self, provider: Provider, genuine: Delivery) -> None:
        for payload in huge_bodies(payload_of(self._push_fixtures()[0])):
            delivery = self._signed(replace(genuine, body=self.body(payload)))
            with _processor_seconds(HUGE_SECONDS):
                assert isinstance(verify(provider, delivery, self.secret), Verified)
                _assert_sound_or_malformed(provider, delivery)

    def test_the_error_does_not_quote_the_payload(self, provider: Provider, push_fixture: Path) -> None:
        payload, commits = re.subn(rb'"[0-9a-f]{40,64}"', b'"quoted content"', push_fixture.read_bytes())
        if commits:  # a deletion may name none
            with pytest.raises(MalformedPayloadError) as caught:
                normalize(provider, self._delivery_of(push_fixture, payload))
            assert "quoted" not in str(caught.value)

    def test_a_mutated_payload_is_malformed_or_harmless(self, provider: Provider, genuine: Delivery) -> None:
        from fraisier_core.testing.mutations import for_each_mutation, mutated_payloads

        def check(payload: bytes, event: str) -> None:
            delivery = Delivery(self.event_headers(event), self.body(payload))
            assert isinstance(verify(provider, self._signed(delivery), self.secret), Verified)
            self._assert_harmless(provider, delivery, genuine)

        payloads = [payload_of(fixture) for fixture in self._fixtures()]
        for_each_mutation(check, mutated_payloads(payloads), self._events())

    def test_a_mutated_body_is_malformed_or_harmless(self, provider: Provider, genuine: Delivery) -> None:
        from fraisier_core.testing.mutations import for_each_mutation, mutated_bytes

        def check(body: bytes, event: str) -> None:
            self._assert_harmless(provider, Delivery(self.event_headers(event), body), genuine)

        bodies = [self._delivery(fixture).body for fixture in self._fixtures()]
        for_each_mutation(check, mutated_bytes(bodies), self._events())

    def _outcome(self, provider: Provider, fixture: Path, payload: Any) -> list[Push]:
        """Return what the payload pushes as an event like the fixture: nothing if it is malformed."""
        try:
            return _pushes(normalize(provider, self._delivery_of(fixture, json.dumps(payload).encode())))
        except MalformedPayloadError:
            return []

    def _refs(self, provider: Provider, fixture: Path, payload: Any) -> list[str]:
        return [push.ref for push in self._outcome(provider, fixture, payload)]

    def _assert_harmless(self, provider: Provider, delivery: Delivery, genuine: Delivery) -> None:
        """Assert that a delivery is sound or malformed, and that with the signature of a genuine one it is
        refused, unless it says the same in other bytes, as a form can.
        """
        _assert_sound_or_malformed(provider, delivery)
        forged = replace(genuine, body=delivery.body)
        if self.signs_body and isinstance(verify(provider, forged, self.secret), Verified):
            assert normalize(provider, forged) == normalize(provider, genuine), "forged, and verified"


def _pushes(outcome: Sequence[Push] | Ignored) -> list[Push]:
    return [] if isinstance(outcome, Ignored) else [*outcome]


def _unlabelled(pushes: Sequence[Push]) -> list[Push]:
    return [replace(push, event="") for push in pushes]


def _as_json(outcome: Sequence[Push] | Ignored) -> object:
    if isinstance(outcome, Ignored):
        return {"ignored": asdict(outcome)}
    return [asdict(push) | {"urls": list(push.urls)} for push in outcome]


def _assert_sound_or_malformed(provider: Provider, delivery: Delivery) -> None:
    try:
        outcome = normalize(provider, delivery)
    except MalformedPayloadError:
        return
    if isinstance(outcome, Ignored):
        assert isinstance(outcome.event, str)
        assert outcome.reason.isprintable()
    else:
        _assert_sound(outcome)


def _assert_sound(pushes: Sequence[Push]) -> None:
    for push in pushes:
        texts = (push.event, push.repository, push.ref, push.pusher, *push.urls)
        assert all(isinstance(text, str) and not CONTROLS.search(text) for text in texts), push
        assert push.repository, push
        assert push.ref.startswith((BRANCH_PREFIX, TAG_PREFIX)), push
        assert push.name, push
        commits = (push.before, push.after)
        assert all(commit is None or COMMIT_ID.fullmatch(commit) for commit in commits), push


@contextmanager
def _processor_seconds(limit: int) -> Iterator[None]:
    """Fail the block if it takes more processor time: a bound that a busy machine does not exceed."""

    def fail(*_: object) -> None:
        pytest.fail(f"it takes more than {limit} s of processor time")

    before = signal.signal(signal.SIGVTALRM, fail)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
