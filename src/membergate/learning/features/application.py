"""Family L, application context: what else the same operator has just asked for."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature

FEATURES = (
    Feature(
        id="L2",
        name="linked_recent_applications",
        summary="other applications of the operator's accounts in the last 30 days",
        rationale="a ring joins in a wave",
        unit="applications",
        grain="application",
        sql="COUNT(*) FILTER (WHERE is_other)",
        evidence="COUNT(*)",
        sense=+1,
        harms=("large_family",),
        robust_variant="answered by a cap on the operator",
        minimum_evidence=0,
        window_days=30,
        value_of_nothing=0.0,
    ),
)
"""The family's declarations."""
