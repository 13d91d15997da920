"""A further kind of deployment, as another row of the table: it activates nothing, and excludes nothing."""

from __future__ import annotations

from fraisier_core.store.vocabulary import Kind

AUDIT = Kind(
    "audit", "health_check", "serving", "audited", ("audit", "--of", "release"), lane=None, shown=False
)
