"""What a provider's tests say of it, and the deliveries that are made of that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fraisier_core.plugins import PROVIDERS, Plugins, Provider
from fraisier_core.push import Ignored, Push, Unverified, Verified

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXPECTED_SUFFIX = ".expected.json"


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


class ProviderDeliveries:
    """What of `ProviderConformance` takes from a provider's tests; its attributes are explained there."""

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
        return self._signed(self._delivery(self._push_fixtures()[0]))

    def _fixtures(self) -> list[Path]:
        expected = sorted(self.fixtures.glob(f"*{EXPECTED_SUFFIX}"))
        return [path.with_name(path.name.removesuffix(EXPECTED_SUFFIX) + ".json") for path in expected]

    def _push_fixtures(self) -> list[Path]:
        return [path for path in self._fixtures() if isinstance(expected_outcome(path), list)]

    def _events(self) -> list[str]:
        return sorted({_event(fixture) for fixture in self._fixtures()})

    def _delivery(self, fixture: Path) -> Delivery:
        return Delivery(self.event_headers(_event(fixture)), self.body(fixture.read_bytes()))

    def _delivery_of(self, fixture: Path, payload: bytes) -> Delivery:
        """Return a delivery of the fixture's event with another payload."""
        return replace(self._delivery(fixture), body=self.body(payload))

    def _signed(self, delivery: Delivery) -> Delivery:
        return delivery.with_headers(self.sign(delivery.body, self.secret, NOW))


def verify(
    provider: Provider, delivery: Delivery, *secrets: str, now: datetime = NOW
) -> Verified | Unverified | Ignored:
    """Return what the provider says of a delivery that arrives at `now`, with these secrets configured."""
    return provider.verify(delivery.headers, delivery.body, secrets, now)


def normalize(provider: Provider, delivery: Delivery) -> Sequence[Push] | Ignored:
    """Return what the provider makes of a delivery. Raises `MalformedPayloadError`."""
    return provider.normalize(delivery.headers, delivery.body)


def payload_of(fixture: Path) -> Any:
    """Return the parsed payload of a fixture."""
    return json.loads(fixture.read_bytes())


def expected_outcome(fixture: Path) -> object:
    """Return the content of the file beside a fixture that says what it becomes."""
    return json.loads(fixture.with_name(fixture.stem + EXPECTED_SUFFIX).read_bytes())


def _event(fixture: Path) -> str:
    return fixture.stem.partition("-")[0]
