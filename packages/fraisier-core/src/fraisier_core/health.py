"""The verdict of a health check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a service is healthy.

    Args:
        healthy: the verdict; if it is unknown, the service counts as unhealthy.
        detail: what was seen, such as `200 from http://localhost:8000/health`.
        final: whether a later probe cannot say otherwise: a failure ends the verification at once, and after
            a success there is nothing to wait for.
    """

    healthy: bool
    detail: str
    final: bool = False
