"""Mutations of genuine deliveries, drawn and shrunk by Hypothesis; `FRAISIER_EXAMPLES` sets how many."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraisier_core.testing.hostile import HOSTILE_NAMES
from fraisier_core.testing.positions import at, positions, removed, replaced

EXAMPLES = 100
MUTATIONS = 4

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(HOSTILE_NAMES)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


def for_each_mutation(
    check: Callable[[bytes, str], None], bodies: st.SearchStrategy[bytes], events: Sequence[str]
) -> None:
    """Call `check` with bodies that are drawn, and one of the events for each."""
    _run(given(bodies, st.sampled_from(events))(check))


def for_any_headers(check: Callable[[dict[str, str]], None], names: Sequence[str]) -> None:
    """Call `check` with one or two headers of these names, whose values are any bytes."""
    values = st.binary(max_size=80).map(lambda value: value.decode("latin-1"))
    _run(given(st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=2))(check))


@st.composite
def mutated_payloads(draw: st.DrawFn, payloads: Sequence[Any]) -> bytes:
    """Draw JSON of one of these objects with positions left out, or replaced by any JSON or part of another.

    Args:
        draw: given by Hypothesis.
        payloads: parsed JSON.
    """
    payload = draw(st.sampled_from(payloads))
    for _ in range(draw(st.integers(1, MUTATIONS))):
        position = draw(st.sampled_from([*positions(payload)][1:] or [()]))
        if draw(st.booleans()) and position:
            payload = removed(payload, position)
        else:
            payload = replaced(payload, position, draw(_JSON | _parts(payloads)))
    return json.dumps(payload).encode()


@st.composite
def mutated_bytes(draw: st.DrawFn, bodies: Sequence[bytes]) -> bytes:
    """Draw one of these bodies with slices left out, repeated or replaced by any bytes.

    Args:
        draw: given by Hypothesis.
        bodies: raw bodies.
    """
    body = draw(st.sampled_from(bodies))
    for _ in range(draw(st.integers(1, MUTATIONS))):
        start, end = sorted(draw(st.lists(st.integers(0, len(body)), min_size=2, max_size=2)))
        body = body[:start] + draw(st.binary(max_size=8) | st.just(body[start:end] * 2)) + body[end:]
    return body


def _parts(payloads: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([at(payload, position) for payload in payloads for position in positions(payload)])


def _run(test: Callable[[], None]) -> None:
    settings(
        max_examples=int(os.environ.get("FRAISIER_EXAMPLES", EXAMPLES)),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )(test)()
