"""Family B, basket composition: homes are broad, merchants deep and narrow."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Shrinkage

FEATURES = (
    Feature(
        id="B1",
        name="category_entropy",
        summary="entropy of the categories of order lines, corrected for few lines (Miller-Madow)",
        rationale="homes buy from many categories, merchants from few",
        unit="nats",
        grain="category",
        sql="LN(SUM(lines)) - FIXED_SUM(lines * LN(lines)) / SUM(lines) + (COUNT(*) - 1) / (2.0 * SUM(lines))",
        evidence="SUM(lines)",
        sense=-1,
        harms=("newcomer", "collector", "office"),
        robust_variant="beaten by decoys, which cost margin +",
        window_days=180,
        minimum_evidence=3,
    ),
    Feature(
        id="B3",
        name="depth_over_breadth",
        summary="log of units plus one, less log of distinct SKUs plus one",
        rationale="the core axis between stocking and shopping",
        unit="log_ratio",
        grain="sku",
        sql="LN(SUM(units) + 1) - LN(COUNT(*) + 1)",
        evidence="SUM(lines)",
        sense=+1,
        harms=("large_family", "office", "group_buy_leader"),
        robust_variant="against peers, over the operator ++",
        minimum_evidence=2,
        window_days=90,
    ),
    Feature(
        id="B4",
        name="resellability_index",
        summary="mean resale score of the units bought: repeat concentration over accounts, price spread, liquidity",
        rationale="arbitrage picks what others will buy",
        unit="ratio",
        grain="line",
        sql="FIXED_SUM(units * resale_score) / SUM(units)",
        evidence="SUM(units)",
        sense=+1,
        harms=("bargain_hunter", "collector"),
        robust_variant="SKUs are scored by what many accounts do, each counted once +++",
        window_days=180,
        shrinkage=Shrinkage("SUM(units)", strength=5),
    ),
    Feature(
        id="B5",
        name="subsidised_sku_share",
        summary="share of units bought with a subsidy of platform or store",
        rationale="arbitrage picks what is subsidised",
        unit="ratio",
        grain="line",
        sql="COALESCE(SUM(units) FILTER (WHERE is_subsidised), 0) / SUM(units)",
        evidence="SUM(units)",
        sense=+1,
        harms=("bargain_hunter",),
        robust_variant="units beyond a household's needs are A2's matter; shrunk",
        window_days=180,
        shrinkage=Shrinkage("SUM(units)", strength=10),
    ),
)
"""The family's declarations."""
