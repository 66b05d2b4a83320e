"""Family L, application context: what else the same operator has just asked for."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Shrinkage

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
    Feature(
        id="L1",
        name="join_timing_to_promo",
        summary="days until the next promotion that is announced; 0 while one is running",
        rationale="joins for the promotion",
        unit="days",
        grain="calendar",
        sql="MIN(days_ahead)",
        evidence="COUNT(days_ahead)",
        sense=0,
        harms=("bargain_hunter",),
        robust_variant="without a sense of risk: everyone joins before promotions",
        scope="account",
    ),
    Feature(
        id="L4",
        name="invite_source_risk",
        summary="share of the accounts with the same inviter that people or proof had found to be merchants by then",
        rationale="task groups invite each other",
        unit="ratio",
        grain="judged_sibling",
        sql="COALESCE(SUM(openings) FILTER (WHERE is_merchant), 0) / SUM(openings)",
        evidence="SUM(openings)",
        sense=+1,
        harms=(),
        robust_variant="the operator's own labels and inviters of more than 100 left out; shrunk",
        shrinkage=Shrinkage("SUM(openings)", strength=5),
    ),
    Feature(
        id="L5",
        name="evidence_mass",
        summary="log of the orders behind everything else",
        rationale="little evidence leads to a trial, not to a denial",
        unit="log_orders",
        grain="order",
        sql="LN(1 + COUNT(*))",
        evidence="COUNT(*)",
        evidence_grain="subject",
        sense=0,
        harms=("newcomer",),
        robust_variant="without a sense of risk",
        scope="account",
        value_of_nothing=0.0,
    ),
)
"""The family's declarations."""
