"""Family K, links to sellers."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature

FEATURES = (
    Feature(
        id="K1",
        name="seller_entity_link",
        summary="1 where the account is known to belong to a seller, 0 where it is known not to",
        rationale="restocks a shop of its own",
        unit="flag",
        grain="subject",
        sql="MAX(CAST(is_seller AS INTEGER))",
        evidence="COUNT(is_seller)",
        sense=+1,
        harms=("collector",),
        robust_variant="hobby sellers are linked too: never the sole reason",
    ),
    Feature(
        id="K2",
        name="buy_sell_category_overlap",
        summary="cosine between what a seller's accounts buy and what its shop lists, over categories",
        rationale="restocks its own shop",
        unit="ratio",
        grain="traded_category",
        sql="SUM(bought * listed) / NULLIF(SQRT(SUM(bought * bought)) * SQRT(SUM(listed * listed)), 0)",
        evidence="SUM(bought)",
        sense=+1,
        harms=("collector",),
        robust_variant="only where both are known +++",
        window_days=180,
    ),
    Feature(
        id="K3",
        name="own_listing_after_buy",
        summary="log of the SKUs that its shop listed above the purchase price within 60 days of buying them",
        rationale="proof of resale",
        unit="log_skus",
        grain="resold_sku",
        sql="LN(1 + COUNT(*))",
        evidence="COUNT(*)",
        evidence_grain="subject",
        sense=+1,
        harms=("collector",),
        robust_variant="three SKUs or more are proof, one is decluttering +++",
        window_days=180,
        value_of_nothing=0.0,
    ),
)
"""The family's declarations."""
