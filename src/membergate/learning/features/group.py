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
            "surprise, in nats, at the accounts that bought the same SKU on the same day; top SKUs and promotion days left"
            " out; nothing unless it happened on two days"
        ),
        rationale="sustained lockstep is coordination",
        unit="nats",
        grain="quiet_bucket",
        sql=(
            "CASE WHEN COUNT(DISTINCT day) FILTER (WHERE SURPRISE(accounts - 1, usual_accounts) > 1) >= 2"
            " THEN FIXED_SUM(SURPRISE(accounts - 1, usual_accounts)) ELSE 0.0 END"
        ),
        evidence="COUNT(*)",
        sense=+1,
        harms=("collector", "bargain_hunter"),
        robust_variant="what the SKU's own popularity explains is taken off, one bucket is bounded +++",
        window_days=90,
    ),
    Feature(
        id="H7",
        name="co_delivery_convergence",
        summary="surprise, in nats, at accounts outside the operator that had the same SKU sent to the same place in a week",
        rationale="parcels of strangers that come together go to one buyer",
        unit="nats",
        grain="delivery_bucket",
        sql="FIXED_SUM(SURPRISE(accounts - members, weekly_share * (accounts_at_place - members)))",
        evidence="COUNT(*)",
        sense=+1,
        harms=("rural_pickup", "dorm", "group_buy_leader"),
        robust_variant="what the place's size and the SKU's popularity explain is taken off +++",
        window_days=90,
    ),
)
"""The family's declarations."""
