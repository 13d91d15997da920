"""Test the provider `acme`."""

import hmac
from datetime import datetime
from pathlib import Path

import acme_forge
from fraisier_core.testing import ProviderConformance


class TestAcme(ProviderConformance):
    """What every provider must do."""

    plugin = acme_forge
    secret, other_secret = "a secret of ours", "another one"
    signature_header = "x-acme-signature"
    fixtures = Path(__file__).parent

    def sign(self, body: bytes, secret: str, now: datetime) -> dict[str, str]:
        """Sign as the forge does."""
        return {"x-acme-signature": hmac.digest(secret.encode(), body, "sha256").hex()}

    def event_headers(self, event: str) -> dict[str, str]:
        """Return what the forge sends beside the signature."""
        return {"x-acme-event": event}
