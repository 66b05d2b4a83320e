"""Family G, payment: who pays."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature

FEATURES = (
    Feature(
        id="G1",
        name="payer_account_degree",
        summary="log of the accounts that pay with the same instruments",
        rationale="one payer behind a ring",
        unit="log_accounts",
        grain="payer_use",
        sql="FIXED_SUM(orders * LN(LEAST(accounts, 1000))) / SUM(orders)",
        evidence="SUM(orders)",
        sense=+1,
        harms=("large_family",),
        robust_variant="weighed by orders; families share a card ++",
        window_days=180,
    ),
)
"""The family's declarations."""
