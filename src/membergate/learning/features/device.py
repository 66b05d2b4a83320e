"""Family F, devices and networks: what accounts are used with."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature, Shrinkage

FEATURES = (
    Feature(
        id="F1",
        name="device_account_degree",
        summary="log of the accounts that order with the same devices",
        rationale="farms run many accounts on few devices",
        unit="log_accounts",
        grain="device_use",
        sql="FIXED_SUM(orders * LN(LEAST(accounts, 1000))) / SUM(orders)",
        evidence="SUM(orders)",
        sense=+1,
        harms=("large_family", "dorm"),
        robust_variant="weighed by orders, so that a borrowed device counts little +",
        window_days=180,
    ),
    Feature(
        id="F4",
        name="emulator_share",
        summary="share of sign-ins from an emulator or an altered device",
        rationale="scripts and farms",
        unit="ratio",
        grain="login",
        sql="COUNT(*) FILTER (WHERE is_emulated) / COUNT(*)",
        evidence="COUNT(*)",
        sense=+1,
        harms=(),
        robust_variant="shrunk; enthusiasts do it too",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*)", strength=5),
    ),
    Feature(
        id="F5",
        name="ip_class_risk",
        summary="share of sign-ins from data centres and proxies",
        rationale="scripts hide behind them",
        unit="ratio",
        grain="login",
        sql="COUNT(*) FILTER (WHERE is_hidden_network) / COUNT(*)",
        evidence="COUNT(*)",
        sense=+1,
        harms=("office",),
        robust_variant="shrunk; never the sole reason: the privacy-minded do it too",
        window_days=180,
        shrinkage=Shrinkage("COUNT(*)", strength=5),
    ),
)
"""The family's declarations."""
