"""Family H, graph and group: accounts that are one operator, or that act as one."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Shrinkage

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
    Feature(
        id="H2",
        name="soft_neighbourhood",
        summary=(
            "log of the accounts outside the operator that share two places, devices, networks or phones with "
            "it, or more; what more than 20 accounts share is none"
        ),
        rationale="rings leave more than one trace in common",
        unit="log_accounts",
        grain="neighbour",
        sql="LN(1 + COUNT(*) FILTER (WHERE other IS NOT NULL AND things > 1))",
        evidence="MAX(uses)",
        sense=+1,
        harms=("dorm", "large_family"),
        robust_variant="things of more than 20 accounts are crowds and link nobody; read with H5",
        window_days=90,
    ),
    Feature(
        id="H3",
        name="share_to_confirmed",
        summary=(
            "share of soft links, outside the operator, to accounts that people or proof had found to be "
            "merchants by then; a link through what few accounts share weighs more"
        ),
        rationale="association through rare links",
        unit="ratio",
        grain="judged_neighbour",
        sql="COALESCE(FIXED_SUM(closeness) FILTER (WHERE is_merchant), 0) / FIXED_SUM(closeness)",
        evidence="SUM(things)",
        sense=+1,
        harms=("dorm", "rural_pickup"),
        robust_variant="one step, weights 1 / log(2 + accounts), hubs capped, the operator's own labels out; shrunk",
        window_days=90,
        shrinkage=Shrinkage("SUM(things)", strength=5),
    ),
    Feature(
        id="H4",
        name="core_number",
        summary=(
            "how deep it lies in a group that shares places, devices, networks and phones: its rarity-weighted core "
            "number in the graph of accounts and things of the last 13 weeks, as of the start of the week"
        ),
        rationale="in a ring everyone shares several things with several others; a chance link has no depth",
        unit="weight",
        grain="subject",
        sql="MAX(link_core)",
        evidence="COUNT(*)",
        evidence_grain="order",
        sense=+1,
        harms=("dorm", "large_family"),
        robust_variant="weights 1 / log(2 + accounts), more than 100 accounts are a crowd; read with H5 ++",
        window_days=90,
        scope="account",
        value_of_nothing=0.0,
    ),
    Feature(
        id="H6",
        name="fraudar_suspiciousness",
        summary=(
            "the level to which greedy peeling leaves it in the graph of accounts and (SKU, day) purchases of the last "
            "13 weeks, rare ones weighing more, as of the start of the week"
        ),
        rationale="a ring buys the same things on the same days, whatever else it buys to look ordinary",
        unit="weight",
        grain="subject",
        sql="MAX(purchase_core)",
        evidence="COUNT(*)",
        evidence_grain="order",
        sense=+1,
        harms=("bargain_hunter", "collector"),
        robust_variant="weights 1 / log(2 + accounts), over 100 accounts are a crowd; density alone is no guilt +++",
        window_days=90,
        scope="account",
        value_of_nothing=0.0,
    ),
    Feature(
        id="H8",
        name="template_registration",
        summary="log of the accounts opened on the same day through the same channel by the same inviter",
        rationale="farms open accounts in rows",
        unit="log_accounts",
        grain="cohort",
        sql="MAX(LN(LEAST(accounts, 1000)))",
        evidence="COUNT(*)",
        evidence_grain="subject",
        sense=+1,
        harms=(),
        robust_variant="only invited accounts; influencers' guests do it too +",
        value_of_nothing=0.0,
    ),
    Feature(
        id="H9",
        name="neighbour_benefit_rate_minor",
        summary=(
            "mean, over the accounts outside the operator that share a soft link with it, rare links weighing more, of "
            "what reselling their units beyond the household norm would have earned in 90 days"
        ),
        rationale="the economics of the group that an account belongs to",
        unit="minor",
        grain="earning_neighbour",
        sql="FIXED_SUM(closeness * (gained_minor - gained_before_minor)) / FIXED_SUM(closeness)",
        evidence="COUNT(*)",
        sense=+1,
        harms=("dorm", "office"),
        robust_variant="the operator's own accounts left out, things of more than 20 accounts link nobody; shrunk ++",
        window_days=90,
        shrinkage=Shrinkage("COUNT(*)", strength=3),
    ),
    Feature(
        id="H10",
        name="ring_hub",
        summary=(
            "log of the accounts whose parcels were sent on to an address that this operator orders to, most "
            "over its addresses"
        ),
        rationale="goods converge on the hub of a ring",
        unit="log_accounts",
        grain="address_use",
        sql="LN(1 + MAX(LEAST(senders, 1000)))",
        evidence="SUM(orders)",
        sense=+1,
        harms=("rural_pickup", "group_buy_leader"),
        robust_variant="leaves are limited, hubs denied +++",
        window_days=180,
    ),
    Feature(
        id="H11",
        name="referral_tree_shape",
        summary="log of the most accounts invited in one week",
        rationale="tasks are handed out to hired accounts",
        unit="log_accounts",
        grain="invitation_week",
        sql="LN(1 + MAX(accounts))",
        evidence="COUNT(*)",
        evidence_grain="subject",
        sense=+1,
        harms=(),
        robust_variant="influencers do it too: never alone",
        value_of_nothing=0.0,
    ),
    Feature(
        id="H12",
        name="temporal_persistence",
        summary="log of the days over which the longest companionship of H5 lasts",
        rationale="operators persist, crowds pass",
        unit="log_days",
        grain="companion",
        sql="LN(1 + COALESCE(MAX(span_days) FILTER (WHERE other IS NOT NULL), 0))",
        evidence="MAX(buckets) FILTER (WHERE other IS NULL)",
        sense=+1,
        harms=("collector",),
        robust_variant="only what at most 20 accounts share",
        window_days=90,
        scope="account",
    ),
)
"""The family's declarations."""
