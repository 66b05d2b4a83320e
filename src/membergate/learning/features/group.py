"""Family H, graph and group: accounts that are one operator, or that act as one."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature

FEATURES = (
    Feature(
        id="H1",
        name="hard_component_size",
        summary="accounts of the operator that identity resolution found",
        rationale="one operator behind many accounts",
        unit="accounts",
        grain="subject",
        sql="MAX(operator_size)",
        evidence="COUNT(*)",
        sense=+1,
        harms=("large_family",),
        robust_variant="sizes up to 6 are normal households",
    ),
    Feature(
        id="H5",
        name="synchrony_score",
        summary=(
            "rarity of the (SKU, day) purchases shared with the closest other account, on two days or more, as a share"
            " of all purchases; promotion days and crowds left out"
        ),
        rationale="sustained lockstep with one other account is coordination, a crowd is not",
        unit="nats",
        grain="companion",
        sql=(
            "COALESCE(MAX(rarity) FILTER (WHERE other IS NOT NULL AND is_sustained), 0)"
            " / (5.0 + MAX(buckets) FILTER (WHERE other IS NULL))"
        ),
        evidence="MAX(buckets) FILTER (WHERE other IS NULL)",
        sense=+1,
        harms=("collector", "bargain_hunter"),
        robust_variant="only what at most 20 accounts share, rare SKUs weigh more, two distinct days +++",
        window_days=90,
        scope="account",
    ),
    Feature(
        id="H7",
        name="co_delivery_convergence",
        summary="surprise at accounts outside the operator that had the same SKU sent to the same place in one week",
        rationale="parcels of strangers that come together go to one buyer",
        unit="nats",
        grain="delivery_bucket",
        sql="FIXED_SUM(SURPRISE(accounts - members, weekly_share * (accounts_in_week - members)))",
        evidence="COUNT(*)",
        evidence_grain="parcel",
        value_of_nothing=0.0,
        sense=+1,
        harms=("rural_pickup", "dorm", "group_buy_leader"),
        robust_variant="what the place's size and the SKU's popularity explain is taken off +++",
        window_days=90,
    ),
)
"""The family's declarations."""
