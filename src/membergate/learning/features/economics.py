"""Family D, price and benefit economics: whether it pays to resell what was bought."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Shrinkage

FEATURES = (
    Feature(
        id="D3",
        name="benefit_share_of_gmv",
        summary="what was taken off list prices (member price, coupon, subsidy), as a share of what was paid",
        rationale="a trade that only pays because it is subsidised",
        unit="ratio",
        grain="line",
        sql="SUM(benefit_minor) / NULLIF(SUM(paid_minor), 0)",
        evidence="COUNT(*)",
        sense=+1,
        harms=("bargain_hunter",),
        robust_variant="shrunk, against peers",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*)", strength=5),
    ),
    Feature(
        id="D4",
        name="arbitrage_margin",
        summary="mean of (resale price - net price) / net price over units where both are known, each within [-1, 3]",
        rationale="the profit motive",
        unit="ratio",
        grain="line",
        sql="FIXED_SUM(units * margin_ratio) / SUM(units) FILTER (WHERE margin_ratio IS NOT NULL)",
        evidence="SUM(units) FILTER (WHERE margin_ratio IS NOT NULL)",
        sense=+1,
        harms=("collector", "bargain_hunter"),
        robust_variant="where there is no market price, the median price that non-members paid +++",
        window_days=180,
        shrinkage=Shrinkage("SUM(units) FILTER (WHERE margin_ratio IS NOT NULL)", strength=5),
    ),
    Feature(
        id="D5",
        name="arbitrage_profit_90d_minor",
        summary="what reselling the units beyond the household norm would have earned in 90 days",
        rationale="the loss to expect; the best single scalar",
        unit="minor",
        grain="sku_month",
        sql="FIXED_SUM(gain_minor * GREATEST(0, units - allowance) / units)",
        evidence="SUM(units)",
        sense=+1,
        harms=("office", "group_buy_leader"),
        robust_variant="excess units only, summed over the operator +++",
        window_days=90,
    ),
)
"""The family's declarations."""
