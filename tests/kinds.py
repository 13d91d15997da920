"""Further kinds of deployments, as other rows of the table."""

from __future__ import annotations

from fraisier_core.store.vocabulary import Kind

AUDIT = Kind(
    "audit", "health_check", "serving", "audited", ("audit", "--of", "release"), lane=None, shown=False
)
"""Activates nothing, and excludes nothing."""
BACKUP = Kind(
    *("backup", "run_job", "serving", "backed up", ("backup", "--", "arguments"), "backup"),
    supersedes=False,
    shown=False,
    job=True,
)
"""A job of another name, with a lane of its own."""
