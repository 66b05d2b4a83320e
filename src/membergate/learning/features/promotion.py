"""Family M, promotion dynamics: what an account does when everything is cheap."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature

FEATURES = (
    Feature(
        id="M2",
        name="promo_lift_vs_self",
        summary=(
            "log of the units bought on promotion days over those to be expected from its own other days and "
            "the calendar"
        ),
        rationale="abnormal even for a promotion",
        unit="log_ratio",
        grain="buying_day",
        sql=(
            "LN((COALESCE(SUM(units) FILTER (WHERE is_promotion), 0) + 1.0) / (COALESCE(SUM(units) FILTER "
            "(WHERE NOT is_promotion), 0) * PRIOR('promotion_odds') + 1.0))"
        ),
        evidence="SUM(units)",
        sense=+1,
        harms=("bargain_hunter",),
        robust_variant="one unit of prior on both sides (Gamma-Poisson); against peers' lift",
        minimum_evidence=3,
        window_days=180,
    ),
    Feature(
        id="M3",
        name="cross_account_rush_overlap",
        summary=(
            "rarity of the (SKU, quarter of an hour) purchases on promotion days shared with the closest "
            "account outside the operator, twice or more, as a share of all"
        ),
        rationale="a ring strikes together",
        unit="nats",
        grain="rush_companion",
        sql=(
            "COALESCE(MAX(rarity) FILTER (WHERE other IS NOT NULL AND buckets > 1), 0) / (5.0 + MAX(rarity) "
            "FILTER (WHERE other IS NULL))"
        ),
        evidence="MAX(buckets) FILTER (WHERE other IS NULL)",
        sense=+1,
        harms=("collector", "bargain_hunter"),
        robust_variant="hot SKUs are crowds and count nothing +++",
        window_days=90,
    ),
    Feature(
        id="M4",
        name="stock_capture_share",
        summary=(
            "largest share of a limited SKU's units sold in a week that the operator bought, with twenty units of prior"
        ),
        rationale="what one operator takes of a limited offer, genuine members do not get",
        unit="ratio",
        grain="limited_week",
        sql="MAX(units / (sold + 20.0))",
        evidence="SUM(units)",
        sense=+1,
        harms=("collector",),
        robust_variant="units sold stand for the stock; summed over the operator, answered by a hard cap +++",
        window_days=90,
    ),
    Feature(
        id="M5",
        name="real_time_velocity",
        summary="orders of the operator in the last hour",
        rationale="streams are steered by what happens now",
        unit="orders",
        grain="order",
        sql="COUNT(*) FILTER (WHERE age_minutes < 60)",
        evidence="COUNT(*)",
        evidence_grain="subject",
        sense=+1,
        harms=("office",),
        robust_variant="summed over the operator",
        window_days=7,
        value_of_nothing=0.0,
    ),
)
"""The family's declarations."""
