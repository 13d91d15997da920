"""The hook specs of a Git provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from fraisier_core.markers import hookspec
from fraisier_core.provider_settings import ProviderSettings
from fraisier_core.push import DeliveryId, Ignored, Push, SampleDelivery, Unverified, Verified


class ProviderHooks:
    """The hooks of a Git provider: verify a delivery, and return what was pushed."""

    @hookspec(firstresult=True)
    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> Verified | Unverified | Ignored | None:
        """Return which secret verifies a delivery, or why none does; None gives no reason. Required.

        Called first, for every delivery, before anything of the body is parsed. `Ignored` is for a test
        delivery that the forge never signs: anybody can send it, so it must carry nothing. It is answered
        with 200, and not stored.

        Args:
            headers: the request's headers, names in lower case, values decoded as Latin-1.
            body: the raw body.
            secrets: the configured secrets, none of them empty.
            now: the current time in UTC, for schemes that sign a timestamp.

        Must not raise. Compare as bytes with `hmac.compare_digest`.

        Example::

            @hookimpl
            def verify(headers, body, secrets, now):
                given = headers.get("x-signature", "").encode("latin-1")
                for index, secret in enumerate(secrets):
                    digest = hmac.new(secret.encode(), body, "sha256").hexdigest().encode()
                    if hmac.compare_digest(digest, given):
                        return Verified(index)
                return Unverified("wrong secret" if given else "no X-Signature header")
        """

    @hookspec(firstresult=True)
    def normalize(self, headers: Mapping[str, str], body: bytes) -> Sequence[Push] | Ignored:
        """Return the pushes of a verified delivery, or why it requests nothing. Required. A deleted ref is a
        push whose `after` is None, also if the forge tells of it by an event of its own.

        Args:
            headers: as in `verify`.
            body: the raw body.

        Raises `MalformedPayloadError` if the body is not what the forge sends.

        Example::

            @hookimpl
            def normalize(headers, body):
                if headers.get("x-event") != "push":
                    return Ignored(headers.get("x-event", ""), "only pushes deploy")
                return [Push(...)]
        """

    @hookspec(firstresult=True)
    def delivery_id(self, headers: Mapping[str, str]) -> DeliveryId | None:
        """Return the forge's id of a delivery, or None if it sends none. Optional.

        Called for verified deliveries, so that one that arrives twice deploys once.

        Args:
            headers: as in `verify`.

        Example::

            @hookimpl
            def delivery_id(headers):
                value = headers.get("x-delivery")
                return DeliveryId(value, signed=False) if value else None
        """

    @hookspec(firstresult=True)
    def sample_delivery(self, secret: str, now: datetime) -> SampleDelivery | None:
        """Return a push of `SAMPLE_REF`, signed as the forge signs. Optional.

        Called for `fraisier webhooks test`. `verify` must verify it, and `normalize` ignore it.

        Args:
            secret: one of the configured secrets.
            now: the current time in UTC, for schemes that sign a timestamp.

        Example::

            @hookimpl
            def sample_delivery(secret):
                body = json.dumps({"ref": SAMPLE_REF}).encode()
                signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
                return SampleDelivery({"x-event": "push", "x-signature": signature}, body)
        """

    @hookspec(firstresult=True)
    def settings(self) -> type[ProviderSettings]:
        """Return the model of this provider's section under `git:`. Optional.

        Called when the configuration is loaded. Without it the section is a plain `ProviderSettings`.

        Example::

            @hookimpl
            def settings():
                return MyForgeSettings
        """
