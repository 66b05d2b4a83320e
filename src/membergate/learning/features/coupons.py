"""Family of coupons (D8, M1): how fast and when they are claimed."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Shrinkage

FEATURES = (
    Feature(
        id="D8",
        name="coupon_first_seen_lag",
        summary=(
            "log of the seconds between a coupon template's first sighting and the account's claim, 10th percentile"
        ),
        rationale="scripts and tip-off groups claim at once",
        unit="log_seconds",
        grain="coupon",
        sql="LN(1 + QUANTILE_DISC(lag_s, 0.1) FILTER (WHERE is_claim))",
        evidence="COUNT(*) FILTER (WHERE is_claim)",
        sense=-1,
        harms=("bargain_hunter",),
        robust_variant="weak: readers of push messages are quick too",
        minimum_evidence=2,
        window_days=180,
    ),
    Feature(
        id="M1",
        name="pre_heat_hoarding_of_rights",
        summary="share of coupons claimed in the days of warm-up before a promotion",
        rationale="prepares for the day",
        unit="ratio",
        grain="coupon",
        sql="COUNT(*) FILTER (WHERE is_claim AND is_warm_up) / COUNT(*) FILTER (WHERE is_claim)",
        evidence="COUNT(*) FILTER (WHERE is_claim)",
        sense=+1,
        harms=("bargain_hunter",),
        robust_variant="against peers of the same campaign; shrunk",
        window_days=90,
        shrinkage=Shrinkage("COUNT(*) FILTER (WHERE is_claim)", strength=5),
    ),
)
"""The family's declarations."""
