"""Family C, time and replenishment: buying faster than anyone can use, and only when it is cheap."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Shrinkage

FEATURES = (
    Feature(
        id="C2",
        name="cadence_vs_depletion",
        summary="log of how many times faster than the category's households it restocks the SKUs that it buys again",
        rationale="what is bought again before it can be used up was not used up",
        unit="log_ratio",
        grain="sku",
        sql=(
            "LN((SUM(units - last_units) FILTER (WHERE days > 1) + 1.0)"
            " / (FIXED_SUM(daily_units * (first_age_days - last_age_days)) FILTER (WHERE days > 1) + 1.0))"
        ),
        evidence="COUNT(*) FILTER (WHERE days > 1)",
        sense=+1,
        harms=("large_family", "office", "group_buy_leader"),
        robust_variant="excess cumulated over 180 days and over the operator +++",
        window_days=180,
    ),
    Feature(
        id="C6",
        name="promo_concentration",
        summary="share of units bought on the three promotion days with the most units",
        rationale="arbitrage pays in promotions only",
        unit="ratio",
        grain="buying_day",
        sql="COALESCE(LIST_SUM(MAX(units, 3) FILTER (WHERE is_promotion)), 0) / SUM(units)",
        evidence="SUM(units)",
        sense=+1,
        harms=("bargain_hunter", "newcomer"),
        robust_variant="against peers of the same regime",
        window_days=180,
        minimum_evidence=3,
        shrinkage=Shrinkage("SUM(units)", strength=10),
    ),
)
"""The family's declarations."""
