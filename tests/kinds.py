"""Further kinds of deployments, as other rows of the table."""

from __future__ import annotations

from fraisier_core.store.vocabulary import Kind

AUDIT = Kind(
    name="audit",
    hook="health_check",
    source="serving",
    done="audited",
    again=("audit", "--of", "release"),
    lane=None,
    shown=False,
)
"""Activates nothing, and excludes nothing."""
INSPECTION = Kind(
    name="inspection",
    hook="run_job",
    source="serving",
    done="inspected",
    again=("inspect", "--", "arguments"),
    lane="inspection",
    supersedes=False,
    shown=False,
    job=True,
)
"""A job of another name, with a lane of its own."""
