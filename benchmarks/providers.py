"""What each provider adds to the HMAC and the parsing of a push, which are its floor.

A push is that of the provider's own tests, made as long as pushes are: they know how its forge signs.
"""

from __future__ import annotations

import hmac
import importlib.util
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import msgspec
from fraisier_core import Payload, Verified
from fraisier_core.plugins import PROVIDERS, Plugins
from fraisier_core.testing import ProviderConformance

from benchmarks.figures import Figure, median
from benchmarks.payload import push_body

ROUNDS, CALLS = 40, 250
PACKAGES = Path(__file__).parents[1] / "packages"
LONG = ("repository", "sender", "commits")


def figures(_: Path) -> Iterator[Figure]:
    """Measure, a provider and its floor in turn, and yield the figure of each way in which it is signed."""
    for tests in _conformance_tests():
        headers, body = _push(tests)
        ours, floor = _receiving(tests, headers, body), _floor(tests, body)
        pairs = [(_seconds(ours), _seconds(floor)) for _ in range(ROUNDS)]
        mine, bare = median([mine for mine, _ in pairs]), median([bare for _, bare in pairs])
        name = (
            f"{tests.plugin.__name__.removeprefix('fraisier_')}, {type(tests).__name__.removeprefix('Test')}"
        )
        yield Figure(
            f"verify and normalise a push of {len(body) / 1000:.0f} KB ({name}), against HMAC and parsing",
            "<=",
            3,
            median([mine / bare for mine, bare in pairs]),
            "x",
            f"{mine * 1e6:.1f} µs; floor {bare * 1e6:.1f} µs",
        )


def _conformance_tests() -> Iterator[ProviderConformance]:
    """Yield the tests of each provider here whose body is the JSON itself."""
    for path in sorted(PACKAGES.glob("*/tests/test_*.py")):
        if path.parts[-3] != "fraisier-core" and "(ProviderConformance)" in path.read_text():
            for each in vars(_module(path)).values():
                if isinstance(each, type) and issubclass(each, ProviderConformance) and _sends_json(each):
                    yield each()


def _module(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"benchmarked_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _sends_json(tests: type[ProviderConformance]) -> bool:
    return tests is not ProviderConformance and tests.body is ProviderConformance.body


def _push(tests: ProviderConformance) -> tuple[Mapping[str, str], bytes]:
    """Return the first push of the fixtures, signed, with what a forge sends beside what is read."""
    pushes = (path for path in sorted(tests.fixtures.glob("*.expected.json")) if path.read_text()[0] == "[")
    name = next(pushes).name.removesuffix(".expected.json")
    more: Any = json.loads(push_body("0" * 40))
    payload = json.loads((tests.fixtures / f"{name}.json").read_bytes())
    body = json.dumps(payload | {"more": {key: more[key] for key in LONG}}).encode()
    signature = tests.sign(body, tests.secret, datetime.now(UTC))
    return tests.event_headers(name.partition("-")[0]) | signature, body


def _receiving(tests: ProviderConformance, headers: Mapping[str, str], body: bytes) -> Callable[[], object]:
    entry_point = EntryPoint("benchmarked", tests.plugin.__name__, PROVIDERS.group)
    provider = Plugins([entry_point]).provider(entry_point.name)
    secrets, now = (tests.secret,), datetime.now(UTC)
    assert isinstance(provider.verify(headers, body, secrets, now), Verified)

    def receive() -> object:
        return provider.verify(headers, body, secrets, now), provider.normalize(headers, body)

    return receive


def _floor(tests: ProviderConformance, body: bytes) -> Callable[[], object]:
    key, model = tests.secret.encode(), _model(tests, body)

    def floor() -> object:
        return hmac.digest(key, body, "sha256"), msgspec.json.decode(body, type=model)

    return floor


def _model(tests: ProviderConformance, body: bytes) -> type[Payload]:
    """Return the provider's model of this push: of those that fit, the one that reads most of it."""
    models = [
        each for each in vars(tests.plugin).values() if isinstance(each, type) and issubclass(each, Payload)
    ]
    return max(
        (model for model in models if _fits(model, body)), key=lambda model: len(model.__struct_fields__)
    )


def _fits(model: type[Payload], body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=model)
    except msgspec.ValidationError:
        return False
    return True


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(CALLS):
        function()
    return (time.perf_counter() - started) / CALLS
