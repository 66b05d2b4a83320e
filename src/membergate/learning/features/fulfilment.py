"""Family E, fulfilment: where the parcels go, and to whom."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Shrinkage

_IS_PRIVATE = "place_kind NOT IN ('warehouse', 'forwarder', 'shop')"
FEATURES = (
    Feature(
        id="E2",
        name="one_time_recipient_share",
        summary="recipients used once, the main one left out, as a share of all recipients",
        rationale="who sells first and ships to the buyer never ships there again",
        unit="ratio",
        grain="recipient",
        sql="(COUNT(*) FILTER (WHERE orders = 1) - CAST(MAX(orders) = 1 AS INTEGER)) / COUNT(*)",
        evidence="COUNT(*)",
        sense=+1,
        harms=("gift_giver",),
        robust_variant="shrunk by eight recipients' worth of the population's share +++",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*)", strength=8),
    ),
    Feature(
        id="E4",
        name="ship_to_self_share",
        summary="share of units sent to habitual places of living or work, or to the main one if none is habitual yet",
        rationale="stands for consumption",
        unit="ratio",
        grain="destination",
        sql=(
            f"CASE WHEN COUNT(*) FILTER (WHERE {_IS_PRIVATE} AND is_habit) = 0"
            f" THEN COALESCE(MAX(units) FILTER (WHERE {_IS_PRIVATE}), 0)"
            f" ELSE SUM(units) FILTER (WHERE {_IS_PRIVATE} AND is_habit) END / SUM(units)"
        ),
        evidence="SUM(units)",
        sense=-1,
        harms=("gift_giver", "family_abroad"),
        robust_variant="dorms, schools, offices, pickup points and lockers count as one's own place",
        window_days=180,
        shrinkage=Shrinkage("SUM(units)", strength=5),
    ),
    Feature(
        id="E5",
        name="addr_account_degree",
        summary="log of the accounts that use the delivery addresses, above what is typical of the kind of address",
        rationale="rings and warehouses gather accounts at one place",
        unit="log_ratio",
        grain="address_use",
        sql="FIXED_SUM(orders * (LN(1 + LEAST(accounts, 1000)) - typical_log_accounts)) / SUM(orders)",
        evidence="SUM(orders)",
        sense=+1,
        harms=("dorm", "rural_pickup", "office"),
        robust_variant="logarithmic, capped, normalised by kind; believed only together with H5 ++",
        window_days=180,
    ),
    Feature(
        id="E7",
        name="warehouse_like_address",
        summary="share of units sent to warehouses and shops",
        rationale="where stock is kept",
        unit="ratio",
        grain="destination",
        sql="COALESCE(SUM(units) FILTER (WHERE place_kind IN ('warehouse', 'shop')), 0) / SUM(units)",
        evidence="SUM(units)",
        sense=+1,
        harms=("office",),
        robust_variant="by the kind of the address; shrunk",
        window_days=180,
        shrinkage=Shrinkage("SUM(units)", strength=5),
    ),
    Feature(
        id="E8",
        name="forwarder_share",
        summary="share of units sent to forwarders",
        rationale="resale abroad",
        unit="ratio",
        grain="destination",
        sql="COALESCE(SUM(units) FILTER (WHERE place_kind = 'forwarder'), 0) / SUM(units)",
        evidence="SUM(units)",
        sense=0,
        harms=("family_abroad",),
        robust_variant="without a sense of risk: families abroad do it as well",
        window_days=180,
        shrinkage=Shrinkage("SUM(units)", strength=5),
    ),
)
"""The family's declarations."""
