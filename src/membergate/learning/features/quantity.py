"""Family A, quantity and depth: how much more of one thing than a household could use."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Shrinkage

FEATURES = (
    Feature(
        id="A2",
        name="excess_units_ratio",
        summary="share of units of a SKU in 30 days beyond the household norm of its category",
        rationale="what lies beyond consumption must go somewhere else",
        unit="ratio",
        grain="sku_month",
        sql="SUM(GREATEST(0, units - allowance)) / SUM(units)",
        evidence="SUM(units)",
        sense=+1,
        harms=("large_family", "office", "group_buy_leader"),
        robust_variant="norm by category and window, of households of ordinary breadth; summed over the operator +++",
        window_days=90,
        shrinkage=Shrinkage("SUM(units)", strength=10),
    ),
    Feature(
        id="A3",
        name="same_sku_same_day_max",
        summary="most units of one SKU bought on one day, gift orders left out",
        rationale="restocking comes in bursts",
        unit="units",
        grain="sku_day",
        sql="MAX(ungifted_units)",
        evidence="COUNT(ungifted_units)",
        sense=+1,
        harms=("gift_giver", "office", "group_buy_leader"),
        robust_variant="summed over the operator, gift orders dropped +",
        window_days=90,
    ),
    Feature(
        id="A4",
        name="purchase_limit_hit_rate",
        summary="share of purchases of limited SKUs that go up to the limit inside its window",
        rationale="who resells takes all that is allowed",
        unit="ratio",
        grain="limit_window",
        sql="COUNT(*) FILTER (WHERE units >= limit_units) / COUNT(*)",
        evidence="COUNT(*)",
        sense=+1,
        harms=("collector", "bargain_hunter"),
        robust_variant="Beta-shrunk, each account of the operator against its own limit ++",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*)", strength=4),
    ),
)
"""The family's declarations."""
