"""Family I, browsing: how goods are found."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Measure, Shrinkage

FEATURES = (
    Feature(
        id="I2",
        name="direct_to_sku_rate",
        summary="share of ordering sessions without search or list",
        rationale="buys from a list",
        unit="ratio",
        grain="session",
        sql="COUNT(*) FILTER (WHERE ordered AND NOT looked_round) / COUNT(*) FILTER (WHERE ordered)",
        evidence="COUNT(*) FILTER (WHERE ordered)",
        sense=+1,
        harms=("office",),
        robust_variant="shrunk; links in an app lead straight to goods as well",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*) FILTER (WHERE ordered)", strength=5),
    ),
    Feature(
        id="I6",
        name="discovery_share",
        summary="share of page events that are favourites or reading of reviews",
        rationale="a consumer evaluates; who resells knows",
        unit="ratio",
        grain="page",
        sql="COUNT(*) FILTER (WHERE is_interest) / COUNT(*)",
        evidence="COUNT(*)",
        sense=-1,
        harms=("office",),
        robust_variant="it can only lower risk",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*)", strength=20),
    ),
    Feature(
        id="I1",
        name="views_per_unit",
        summary="product views per unit bought",
        rationale="merchants do not browse",
        unit="ratio",
        grain="page",
        sql="COUNT(*) FILTER (WHERE is_view)",
        evidence="SUM(units)",
        evidence_grain="line",
        sense=-1,
        harms=("office",),
        robust_variant="shrunk",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*)", strength=5),
        per=Measure("line", "SUM(units)", 180),
    ),
    Feature(
        id="I3",
        name="review_dwell",
        summary="milliseconds spent reading reviews per order",
        rationale="a consumer evaluates",
        unit="ms",
        grain="page",
        sql="SUM(reading_ms)",
        evidence="COUNT(*)",
        evidence_grain="order",
        sense=-1,
        harms=("office",),
        robust_variant="experts read nothing either +",
        window_days=180,
        per=Measure("order", "COUNT(*)", 180),
    ),
    Feature(
        id="I4",
        name="checkout_latency_p10",
        summary="log of the milliseconds from basket to checkout, 10th percentile over sessions",
        rationale="scripts do not hesitate",
        unit="log_ms",
        grain="session",
        sql="LN(1 + GREATEST(0, QUANTILE_DISC(checkout_ms - cart_ms, 0.1) FILTER (WHERE checkout_ms >= cart_ms)))",
        evidence="COUNT(*) FILTER (WHERE checkout_ms >= cart_ms)",
        sense=-1,
        harms=("office",),
        robust_variant="a saved card is quick as well",
        minimum_evidence=2,
        window_days=180,
    ),
    Feature(
        id="I5",
        name="path_entropy",
        summary=(
            "entropy of the shapes of sessions: how many searches, lists, views and signs of interest each has "
            "(Miller-Madow)"
        ),
        rationale="scripts always walk the same way",
        unit="nats",
        grain="session_shape",
        sql=(
            "LN(SUM(sessions)) - FIXED_SUM(sessions * LN(sessions)) / SUM(sessions) + (COUNT(*) - 1) / (2.0 * "
            "SUM(sessions))"
        ),
        evidence="SUM(sessions)",
        sense=-1,
        harms=("office",),
        robust_variant="counts instead of order, so that clocks of one second do not matter +",
        minimum_evidence=3,
        window_days=180,
    ),
)
"""The family's declarations."""
