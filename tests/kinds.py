"""Further kinds of deployments, as other rows of the table."""

from __future__ import annotations

from fraisier_core.store.vocabulary import Kind

AUDIT = Kind(
    "audit", "health_check", "serving", "audited", ("audit", "--of", "release"), lane=None, shown=False
)
"""Activates nothing, and excludes nothing."""
INSPECTION = Kind(
    *("inspection", "run_job", "serving", "inspected", ("inspect", "--", "arguments"), "inspection"),
    supersedes=False,
    shown=False,
    job=True,
)
"""A job of another name, with a lane of its own."""
