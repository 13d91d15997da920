"""What every Git provider must do, as tests that a provider's own tests inherit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError

from fraisier_core.errors import MalformedPayloadError
from fraisier_core.plugins import PROVIDERS, Plugins, Provider
from fraisier_core.push import BRANCH_PREFIX, TAG_PREFIX, DeliveryId, Ignored, Push, Unverified, Verified
from fraisier_core.testing.hostile import HOSTILE_HEADERS, MALFORMED_BODIES, with_one_wrong

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXPECTED_SUFFIX = ".expected.json"
COMMIT_ID = re.compile("(?!0+$)(?:[0-9a-f]{40}|[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request as the hooks get it: its headers, names in lower case, and its raw body."""

    headers: Mapping[str, str]
    body: bytes

    def with_headers(self, headers: Mapping[str, str]) -> Delivery:
        """Return the same delivery with these headers added or replaced."""
        return replace(self, headers={**self.headers, **headers})

    def without_header(self, name: str) -> Delivery:
        """Return the same delivery without one of its headers."""
        return replace(self, headers={other: self.headers[other] for other in self.headers if other != name})


class ProviderConformance:
    """Base of a provider's tests: subclass it, say the following, and pytest runs the rest.

    A provider with two ways to sign a delivery has one subclass for each::

        class TestMyForge(ProviderConformance):
            plugin = fraisier_myforge
            secret, other_secret = "correct horse", "battery staple"
            signature_header = "x-signature"
            fixtures = Path(__file__).parent / "fixtures"

            def sign(self, body, secret, now):
                return {"x-signature": hmac.new(secret.encode(), body, "sha256").hexdigest()}

            def event_headers(self, event):
                return {"x-event": event}

    Args:
        plugin: the module that holds the hooks.
        secret: a secret as the forge would make it.
        other_secret: another one.
        signature_header: the header by which a delivery is verified, in lower case.
        signature_prefix: what that header's value must begin with, such as `sha256=`.
        signs_body: whether a changed body is noticed; False for a plain token.
        tolerance: how far a signed time may lie from now, on either side; None if no time is signed.
        fixtures: a folder of pairs `<event>.json`, a payload, and `<event>.expected.json`, what it becomes: a
            list of pushes with the fields of `Push`, or `{"ignored": {"event": ..., "reason": ...}}`. Several
            of one event are named `<event>-<detail>.json`. At least one holds a push.
    """

    plugin: ModuleType
    secret: str
    other_secret: str
    signature_header: str
    signature_prefix: str = ""
    signs_body: bool = True
    tolerance: timedelta | None = None
    fixtures: Path

    def sign(self, body: bytes, secret: str, now: datetime) -> dict[str, str]:
        """Return the headers with which the forge signs `body`.

        Args:
            body: the raw body.
            secret: the secret; also an empty one, with which any sender can sign.
            now: the time of sending.
        """
        raise NotImplementedError

    def event_headers(self, event: str) -> dict[str, str]:
        """Return the other headers that the hooks read, names in lower case.

        Args:
            event: the forge's name of the event, from the fixture's file name.
        """
        return {}

    def body(self, payload: bytes) -> bytes:
        """Return the body that carries a JSON payload: itself, unless the forge wraps it in a form."""
        return payload

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run a test of `fixture` once for each pair, and one of `push_fixture` for each that is a push."""
        for argument, paths in (("fixture", self._fixtures()), ("push_fixture", self._push_fixtures())):
            if argument in metafunc.fixturenames:
                metafunc.parametrize(argument, paths, ids=lambda path: path.stem)

    @pytest.fixture
    def provider(self) -> Provider:
        """The plugin under test, loaded as the application loads it."""
        entry_point = EntryPoint("conforming", self.plugin.__name__, PROVIDERS.group)
        return Plugins([entry_point]).provider(entry_point.name)

    @pytest.fixture
    def genuine(self) -> Delivery:
        """A push, signed with `secret` and sent at `NOW`."""
        delivery = self._delivery(self._push_fixtures()[0])
        return delivery.with_headers(self.sign(delivery.body, self.secret, NOW))

    def test_the_plugin_is_loaded(self, provider: Provider) -> None:
        assert provider.settings_model

    def test_the_settings_take_secrets_and_never_show_them(self, provider: Provider) -> None:
        secrets = [self.secret, self.other_secret]
        settings = provider.settings_model.model_validate({"webhook_secret": secrets})
        assert settings.secrets() == (self.secret, self.other_secret)
        assert not any(secret in repr(settings) for secret in secrets)

    @pytest.mark.parametrize("nothing", ["", [], [""]], ids=repr)
    def test_the_settings_refuse_an_empty_secret(self, provider: Provider, nothing: object) -> None:
        with pytest.raises(ValidationError):
            provider.settings_model.model_validate({"webhook_secret": nothing})

    def test_a_genuine_delivery_is_verified(self, provider: Provider, genuine: Delivery) -> None:
        assert _verify(provider, genuine, self.secret) == Verified(0, self.signs_body)

    def test_during_a_rotation_the_secret_that_matched_is_named(
        self, provider: Provider, genuine: Delivery
    ) -> None:
        verified = _verify(provider, genuine, self.other_secret, self.secret)
        assert verified == Verified(1, self.signs_body)

    def test_a_delivery_with_another_secret_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        assert isinstance(_verify(provider, genuine, self.other_secret), Unverified)

    def test_without_secrets_everything_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        assert isinstance(_verify(provider, genuine), Unverified)

    def test_a_delivery_with_an_empty_secret_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        forged = genuine.with_headers(self.sign(genuine.body, "", NOW))
        assert isinstance(_verify(provider, forged, self.secret), Unverified)

    def test_a_delivery_without_a_signature_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        assert isinstance(
            _verify(provider, genuine.without_header(self.signature_header), self.secret), Unverified
        )

    def test_a_delivery_without_headers_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        assert isinstance(_verify(provider, replace(genuine, headers={}), self.secret), Unverified)

    def test_a_damaged_signature_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        for damaged in self._damaged(genuine.headers[self.signature_header]):
            forged = genuine.with_headers({self.signature_header: damaged})
            assert isinstance(_verify(provider, forged, self.secret), Unverified), damaged

    def test_a_changed_body_is_refused_if_the_forge_signs_it(
        self, provider: Provider, genuine: Delivery
    ) -> None:
        for changed in (genuine.body + b" ", genuine.body[:-1], b""):
            verified = _verify(provider, replace(genuine, body=changed), self.secret)
            assert isinstance(verified, Unverified) is self.signs_body

    def test_a_signed_time_is_refused_beyond_the_tolerance(
        self, provider: Provider, genuine: Delivery
    ) -> None:
        if self.tolerance is None:
            verified = _verify(provider, genuine, self.secret, now=NOW + timedelta(days=365))
            assert isinstance(verified, Verified)
            return
        beyond = self.tolerance + timedelta(seconds=1)
        for age, verifies in {self.tolerance: True, beyond: False}.items():
            for now in (NOW + age, NOW - age):
                verified = _verify(provider, genuine, self.secret, now=now)
                assert isinstance(verified, Verified) is verifies

    def test_hostile_headers_are_refused_or_harmless(self, provider: Provider, genuine: Delivery) -> None:
        for name in genuine.headers:
            for value in HOSTILE_HEADERS:
                hostile = genuine.with_headers({name: value})
                assert (
                    isinstance(_verify(provider, hostile, self.secret), Unverified)
                    or name != self.signature_header
                )
                assert isinstance(provider.delivery_id(hostile.headers), DeliveryId | None)
                _assert_sound_or_malformed(provider, hostile)

    def test_a_payload_becomes_what_is_expected(self, provider: Provider, fixture: Path) -> None:
        assert _as_json(_normalize(provider, self._delivery(fixture))) == _expected(fixture)

    def test_a_malformed_body_is_called_malformed(self, provider: Provider, push_fixture: Path) -> None:
        delivery = self._delivery(push_fixture)
        for payload in MALFORMED_BODIES:
            with pytest.raises(MalformedPayloadError):
                _normalize(provider, replace(delivery, body=self.body(payload)))

    def test_a_payload_with_one_field_wrong_is_malformed_or_harmless(
        self, provider: Provider, push_fixture: Path
    ) -> None:
        delivery = self._delivery(push_fixture)
        for payload in with_one_wrong(json.loads(push_fixture.read_bytes())):
            body = self.body(json.dumps(payload).encode())
            _assert_sound_or_malformed(provider, replace(delivery, body=body))

    def test_the_error_does_not_quote_the_payload(self, provider: Provider, push_fixture: Path) -> None:
        body = re.sub(rb'"[0-9a-f]{40,64}"', b'"quoted content"', push_fixture.read_bytes())
        with pytest.raises(MalformedPayloadError) as caught:
            _normalize(provider, replace(self._delivery(push_fixture), body=self.body(body)))
        assert "quoted" not in str(caught.value)

    def _fixtures(self) -> list[Path]:
        expected = sorted(self.fixtures.glob(f"*{EXPECTED_SUFFIX}"))
        return [path.with_name(path.name.removesuffix(EXPECTED_SUFFIX) + ".json") for path in expected]

    def _push_fixtures(self) -> list[Path]:
        return [path for path in self._fixtures() if isinstance(_expected(path), list)]

    def _delivery(self, fixture: Path) -> Delivery:
        event = fixture.stem.partition("-")[0]
        return Delivery(self.event_headers(event), self.body(fixture.read_bytes()))

    def _damaged(self, signature: str) -> Iterator[str]:
        prefix, value = self.signature_prefix, signature.removeprefix(self.signature_prefix)
        middle = len(value) // 2
        other = "0" if value[middle] != "0" else "1"
        yield from ("", prefix, prefix + value[:middle], signature[:-1], signature + "0")
        yield prefix + value[:middle] + other + value[middle + 1 :]
        yield from (signature.upper(), prefix + value.upper(), f"{signature},{signature}")
        yield from (signature + "\xe9", "\xff" * len(signature))
        if prefix:
            yield value


def _verify(
    provider: Provider, delivery: Delivery, *secrets: str, now: datetime = NOW
) -> Verified | Unverified:
    return provider.verify(delivery.headers, delivery.body, secrets, now)


def _normalize(provider: Provider, delivery: Delivery) -> Sequence[Push] | Ignored:
    return provider.normalize(delivery.headers, delivery.body)


def _expected(fixture: Path) -> object:
    return json.loads(fixture.with_name(fixture.stem + EXPECTED_SUFFIX).read_bytes())


def _as_json(outcome: Sequence[Push] | Ignored) -> object:
    if isinstance(outcome, Ignored):
        return {"ignored": asdict(outcome)}
    return [asdict(push) | {"urls": list(push.urls)} for push in outcome]


def _assert_sound_or_malformed(provider: Provider, delivery: Delivery) -> None:
    with suppress(MalformedPayloadError):
        outcome = _normalize(provider, delivery)
        for push in () if isinstance(outcome, Ignored) else outcome:
            _assert_sound(push)


def _assert_sound(push: Push) -> None:
    texts = (push.event, push.repository, push.ref, push.pusher, *push.urls)
    assert all(isinstance(text, str) and text.isprintable() for text in texts), push
    assert push.repository, push
    assert push.ref.startswith((BRANCH_PREFIX, TAG_PREFIX)), push
    assert push.name, push
    commits = (push.before, push.after)
    assert all(commit is None or COMMIT_ID.fullmatch(commit) for commit in commits), push
