"""Family I, browsing: how goods are found."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Shrinkage

FEATURES = (
    Feature(
        id="I2",
        name="direct_to_sku_rate",
        summary="share of ordering sessions without search or list",
        rationale="buys from a list",
        unit="ratio",
        grain="session",
        sql="COUNT(*) FILTER (WHERE ordered AND NOT looked_round) / COUNT(*) FILTER (WHERE ordered)",
        evidence="COUNT(*) FILTER (WHERE ordered)",
        sense=+1,
        harms=("office",),
        robust_variant="shrunk; links in an app lead straight to goods as well",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*) FILTER (WHERE ordered)", strength=5),
    ),
    Feature(
        id="I6",
        name="discovery_share",
        summary="share of page events that are favourites or reading of reviews",
        rationale="a consumer evaluates; who resells knows",
        unit="ratio",
        grain="page",
        sql="COUNT(*) FILTER (WHERE is_interest) / COUNT(*)",
        evidence="COUNT(*)",
        sense=-1,
        harms=("office",),
        robust_variant="it can only lower risk",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*)", strength=20),
    ),
)
"""The family's declarations."""
