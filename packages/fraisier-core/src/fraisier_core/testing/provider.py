"""What every Git provider must do, as tests that a provider's own tests inherit."""

from __future__ import annotations

from fraisier_core.testing.normalizing import NormalizeTests
from fraisier_core.testing.verifying import VerifyTests


class ProviderConformance(VerifyTests, NormalizeTests):
    """Base of a provider's tests: subclass it, say the following, and pytest runs the rest. Needs
    `hypothesis`.

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

    The environment variable `FRAISIER_EXAMPLES` sets how many mutated deliveries each test of them sends: 100
    by default.

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
