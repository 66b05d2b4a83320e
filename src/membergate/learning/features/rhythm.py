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
    Feature(
        id="C1",
        name="interpurchase_cv",
        summary=(
            "variation coefficient of the days between purchases of one SKU, mean over gaps; SKUs with three "
            "purchases or more"
        ),
        rationale="restocking is regular, or comes in bursts",
        unit="ratio",
        grain="sku_rhythm",
        sql=(
            "FIXED_SUM(gaps * SQRT(GREATEST(0, gaps * squares - total * total)) / total) FILTER (WHERE gaps > "
            "1) / SUM(gaps) FILTER (WHERE gaps > 1)"
        ),
        evidence="SUM(gaps) FILTER (WHERE gaps > 1)",
        sense=0,
        harms=("office", "large_family"),
        robust_variant="without a sense of risk: subscriptions are regular as well",
        minimum_evidence=2,
        window_days=180,
    ),
    Feature(
        id="C3",
        name="business_hours_share",
        summary=(
            "share of orders placed Monday to Friday between 9 and 18 o'clock, local time as the population's "
            "nights show it"
        ),
        rationale="shops keep hours",
        unit="ratio",
        grain="order",
        sql="COUNT(*) FILTER (WHERE is_business_hour) / COUNT(*)",
        evidence="COUNT(*)",
        sense=+1,
        harms=("office", "rural_pickup"),
        robust_variant="weak; shrunk",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*)", strength=5),
    ),
    Feature(
        id="C4",
        name="on_the_hour_share",
        summary="share of orders in the very minute in which a promotion starts",
        rationale="bots and professionals are there first",
        unit="ratio",
        grain="order",
        sql="COUNT(*) FILTER (WHERE is_opening) / COUNT(*)",
        evidence="COUNT(*)",
        sense=+1,
        harms=("bargain_hunter", "collector"),
        robust_variant="genuine fans do it too: believed only with A2; shrunk",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*)", strength=5),
    ),
    Feature(
        id="C5",
        name="burstiness",
        summary="(sd - mean) / (sd + mean) of the days between orders (Goh and Barabasi), promotion days left out",
        rationale="buying in batches",
        unit="ratio",
        grain="quiet_order_day",
        sql=(
            "(SQRT(GREATEST(0, COUNT(silence_days) * SUM(silence_days * silence_days) - SUM(silence_days) * "
            "SUM(silence_days))) - SUM(silence_days)) / NULLIF(SQRT(GREATEST(0, COUNT(silence_days) * "
            "SUM(silence_days * silence_days) - SUM(silence_days) * SUM(silence_days))) + SUM(silence_days), 0)"
        ),
        evidence="COUNT(silence_days)",
        sense=+1,
        harms=("bargain_hunter", "gift_giver"),
        robust_variant="promotion days dropped",
        minimum_evidence=3,
        window_days=180,
    ),
    Feature(
        id="C7",
        name="dormant_reactivation",
        summary="log of the days of silence that ended in the last 30 days, where three buying days or more followed",
        rationale="bought and aged accounts wake up all at once",
        unit="log_days",
        grain="order_day",
        sql=(
            "CASE WHEN COUNT(*) FILTER (WHERE age_days < 30) >= 3 THEN LN(1 + COALESCE(MAX(silence_days) FILTER "
            "(WHERE age_days < 30), 0)) ELSE 0.0 END"
        ),
        evidence="COUNT(*)",
        sense=+1,
        harms=("newcomer",),
        robust_variant="together with F2 or F3 ++",
        scope="account",
    ),
    Feature(
        id="C8",
        name="price_responsiveness",
        summary="slope of units on the discount, line by line",
        rationale="buys only where it can be sold on for more",
        unit="units_per_ratio",
        grain="line",
        sql=(
            "(COUNT(discount_ratio) * FIXED_SUM(units * discount_ratio) - SUM(units) FILTER (WHERE "
            "discount_ratio IS NOT NULL) * FIXED_SUM(discount_ratio)) / (COUNT(discount_ratio) * "
            "FIXED_SUM(discount_ratio * discount_ratio) - FIXED_SUM(discount_ratio) * FIXED_SUM(discount_ratio) "
            "+ 0.0025 * COUNT(discount_ratio) * COUNT(discount_ratio))"
        ),
        evidence="COUNT(discount_ratio)",
        sense=+1,
        harms=("bargain_hunter",),
        robust_variant="a ridge of five points of discount keeps few lines from extremes +++",
        minimum_evidence=5,
        window_days=180,
    ),
)
"""The family's declarations."""
