"""Family J, after the purchase: what paper is asked for."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Shrinkage

FEATURES = (
    Feature(
        id="J5",
        name="company_invoice_share",
        summary="share of orders with a company invoice",
        rationale="merchants book what they buy",
        unit="ratio",
        grain="order",
        sql="COUNT(*) FILTER (WHERE is_company_invoice) / COUNT(*)",
        evidence="COUNT(*)",
        sense=0,
        harms=("office",),
        robust_variant="without a sense of risk: offices do it as well, and have a lane of their own",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*)", strength=5),
    ),
)
"""The family's declarations."""
