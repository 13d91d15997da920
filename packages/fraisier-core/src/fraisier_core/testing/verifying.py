"""Tests of the hooks `verify`, `delivery_id` and `settings`: that nothing forged is taken for genuine."""

from __future__ import annotations

import hashlib
import hmac
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import FrameType

import pytest
from pydantic import ValidationError

from fraisier_core.plugins import Provider
from fraisier_core.push import DeliveryId, Ignored, Unverified, Verified
from fraisier_core.testing.fixtures import NOW, Delivery, ProviderDeliveries, normalize, verify
from fraisier_core.testing.hostile import HOSTILE_HEADERS
from fraisier_core.testing.skipping import not_for_this_type


class VerifyTests(ProviderDeliveries):
    """The part of `ProviderConformance` about what is verified before anything is parsed."""

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
        assert _matched(verify(provider, genuine, self.secret)) == (0, self.signs_body)

    def test_a_sample_delivery_verifies_and_requests_nothing(self, provider: Provider) -> None:
        if not provider.makes_samples:
            not_for_this_type("it makes no sample deliveries")
        for secret in (self.secret, self.other_secret):
            sample = provider.sample_delivery(secret, NOW)
            delivery = Delivery(sample.headers, sample.body)
            assert isinstance(verify(provider, delivery, secret), Verified)
            assert isinstance(normalize(provider, delivery), Ignored)
            assert secret not in repr(sample)

    def test_during_a_rotation_the_secret_that_matched_is_named(
        self, provider: Provider, genuine: Delivery
    ) -> None:
        verified = verify(provider, genuine, self.other_secret, self.secret)
        assert _matched(verified) == (1, self.signs_body)

    def test_a_delivery_with_another_secret_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        alike = {self.secret[:-1], f"{self.secret}x", self.secret.swapcase()} - {self.secret}
        for other in (self.other_secret, *alike):
            assert isinstance(verify(provider, genuine, other), Unverified), other

    def test_without_secrets_everything_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        assert isinstance(verify(provider, genuine), Unverified)

    def test_a_delivery_with_an_empty_secret_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        forged = genuine.with_headers(self.sign(genuine.body, "", NOW))
        assert isinstance(verify(provider, forged, self.secret), Unverified)

    def test_a_delivery_without_a_signature_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        unsigned = genuine.without_header(self.signature_header)
        assert isinstance(verify(provider, unsigned, self.secret), Unverified)

    def test_a_delivery_without_headers_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        assert isinstance(verify(provider, replace(genuine, headers={}), self.secret), Unverified)

    def test_a_damaged_signature_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        for damaged in self._damaged(genuine):
            assert isinstance(verify(provider, damaged, self.secret), Unverified), damaged.headers

    def test_a_weaker_signature_is_refused(self, provider: Provider, genuine: Delivery) -> None:
        for weaker in self._weaker(genuine):
            assert isinstance(verify(provider, weaker, self.secret), Unverified), weaker.headers

    def test_signatures_are_compared_in_constant_time(self, provider: Provider, genuine: Delivery) -> None:
        called: list[str] = []

        def record(_: FrameType, event: str, function: object) -> None:
            called.extend([getattr(function, "__name__", "")] if event == "c_call" else [])

        before = sys.getprofile()
        sys.setprofile(record)
        try:
            verify(provider, genuine, self.other_secret)
        finally:
            sys.setprofile(before)
        assert any(name.endswith("compare_digest") for name in called), "use hmac.compare_digest"

    def test_a_changed_body_is_refused_if_the_forge_signs_it(
        self, provider: Provider, genuine: Delivery
    ) -> None:
        body = genuine.body
        flipped = (body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] for at in range(len(body)))
        for changed in (body + b" ", body[:-1], b"", *flipped):
            verified = verify(provider, replace(genuine, body=changed), self.secret)
            assert isinstance(verified, Unverified) is self.signs_body

    def test_a_signed_time_is_refused_beyond_the_tolerance(
        self, provider: Provider, genuine: Delivery
    ) -> None:
        if self.tolerance is None:
            verified = verify(provider, genuine, self.secret, now=NOW + timedelta(days=365))
            assert isinstance(verified, Verified)
            return
        beyond = self.tolerance + timedelta(seconds=1)
        for age, verifies in {self.tolerance: True, beyond: False}.items():
            for now in (NOW + age, NOW - age):
                verified = verify(provider, genuine, self.secret, now=now)
                assert isinstance(verified, Verified) is verifies

    def test_a_delivery_id_is_called_signed_only_if_a_fresh_one_is_refused(
        self, provider: Provider, genuine: Delivery
    ) -> None:
        identity = provider.delivery_id(genuine.headers)
        assert identity or not hasattr(self.plugin, "delivery_id"), "the headers of the tests hold no id"
        for name, value in genuine.headers.items():
            for replayed in (genuine.with_headers({name: f"{value}0"}), genuine.without_header(name)):
                fresh = provider.delivery_id(replayed.headers)
                if fresh and fresh.signed and fresh != identity:
                    assert isinstance(verify(provider, replayed, self.secret), Unverified), name

    def test_hostile_headers_are_refused_or_harmless(self, provider: Provider, genuine: Delivery) -> None:
        for name in genuine.headers:
            for value in HOSTILE_HEADERS:
                hostile = genuine.with_headers({name: value})
                verified = verify(provider, hostile, self.secret)
                assert not isinstance(verified, Verified) or name != self.signature_header
                identity = provider.delivery_id(hostile.headers)
                assert identity is None or identity.value, f"an empty {name} is no id"

    def test_any_headers_are_refused_or_harmless(self, provider: Provider, genuine: Delivery) -> None:
        from fraisier_core.testing.mutations import for_any_headers

        def check(headers: dict[str, str]) -> None:
            hostile = genuine.with_headers(headers)
            kept = hostile.headers[self.signature_header] == genuine.headers[self.signature_header]
            assert not isinstance(verify(provider, hostile, self.secret), Verified) or kept
            assert isinstance(provider.delivery_id(headers), DeliveryId | None)

        for_any_headers(check, [*genuine.headers])

    def test_a_refusal_says_why_in_one_line_without_secrets(
        self, provider: Provider, genuine: Delivery
    ) -> None:
        signature = genuine.headers[self.signature_header].removeprefix(self.signature_prefix)
        for forged in (replace(genuine, headers={}), *self._damaged(genuine), *self._weaker(genuine)):
            self._assert_reason(verify(provider, forged, self.secret, self.other_secret), signature)
        self._assert_reason(verify(provider, genuine, self.other_secret), signature)
        self._assert_reason(verify(provider, genuine, self.secret, now=NOW.replace(year=2030)), signature)

    def test_nothing_secret_is_printed_or_logged(
        self,
        provider: Provider,
        genuine: Delivery,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        with caplog.at_level(0):
            verify(provider, genuine, self.other_secret, self.secret)
            verify(provider, genuine, self.other_secret)
        written = caplog.text + "".join(capfd.readouterr())
        assert not any(secret in written for secret in (self.secret, self.other_secret))

    def _assert_reason(self, verdict: object, signature: str) -> None:
        if isinstance(verdict, Unverified):
            assert verdict.reason
            assert verdict.reason.isprintable(), verdict
            told = [
                secret for secret in (self.secret, self.other_secret, signature) if secret in verdict.reason
            ]
            assert not told

    def _damaged(self, genuine: Delivery) -> Iterator[Delivery]:
        """Yield the delivery without its signature, with every beginning and end of it, and with each
        character changed.
        """
        signature = genuine.headers[self.signature_header]
        yield genuine.without_header(self.signature_header)
        for damaged in _damaged(signature, self.signature_prefix):
            yield genuine.with_headers({self.signature_header: damaged})

    def _weaker(self, genuine: Delivery) -> Iterator[Delivery]:
        """Yield the delivery signed by weak digests, without a key and, if a signature is expected, by the
        secret itself, in this header and in that of SHA-1.
        """
        unsigned = genuine.without_header(self.signature_header)
        key = self.secret.encode()
        digests = [hmac.new(key, genuine.body, weak).hexdigest() for weak in (hashlib.sha1, hashlib.md5)]
        digests += [hashlib.sha256(genuine.body).hexdigest(), *([self.secret] if self.signs_body else [])]
        for digest in digests:
            for prefix in {self.signature_prefix, "sha1=", ""}:
                yield unsigned.with_headers({self.signature_header: prefix + digest})
                yield unsigned.with_headers({"x-hub-signature": prefix + digest})


def _matched(verdict: object) -> tuple[int, bool] | None:
    """Return which secret verifies a delivery, and whether it covers the body; None if none does."""
    return (verdict.secret, verdict.signs_body) if isinstance(verdict, Verified) else None


def _damaged(signature: str, prefix: str) -> Iterator[str]:
    yield from (signature[:end] for end in range(len(signature)))
    yield from (signature[start:] for start in range(1, len(signature)))
    for at, character in enumerate(signature):
        yield signature[:at] + ("0" if character != "0" else "1") + signature[at + 1 :]
    value = signature.removeprefix(prefix)
    yield from (signature + "0", signature.upper(), prefix + value.upper(), f"{signature},{signature}")
    yield from (f"{signature}\xe9", "\xff" * len(signature), f"{signature}\x00")
