"""What was decided about an account, or its operator, before (J8, K5, K6): read as of the instant, never the label."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature

FEATURES = (
    Feature(
        id="J8",
        name="verified_false_alarm",
        summary="1 where an appeal of the account was upheld or a false alarm verified by then",
        rationale="wronged once, it should not be wronged again",
        unit="flag",
        grain="verdict",
        sql="MAX(CAST(is_cleared AS INTEGER))",
        evidence="COUNT(*)",
        evidence_grain="subject",
        sense=-1,
        harms=(),
        robust_variant="it can only lower risk",
        scope="account",
        value_of_nothing=0.0,
    ),
    Feature(
        id="K5",
        name="price_slip_report",
        summary="1 where a complaint with the platform's price slip was traced to the account by then",
        rationale="proof of resale",
        unit="flag",
        grain="verdict",
        sql="MAX(CAST(is_price_slip AS INTEGER))",
        evidence="COUNT(*)",
        evidence_grain="subject",
        sense=+1,
        harms=(),
        robust_variant="it is a source of labels: it must not predict those that it made",
        scope="account",
        value_of_nothing=0.0,
    ),
    Feature(
        id="K6",
        name="risk_list_hit",
        summary=(
            "1 where another account of the operator was found to be a merchant, by people or proof, in the last 180 "
            "days, and not cleared since"
        ),
        rationale="a prior breach that has not expired",
        unit="flag",
        grain="breach",
        sql="MAX(CAST(NOT is_self AS INTEGER))",
        evidence="COUNT(*)",
        evidence_grain="subject",
        sense=+1,
        harms=("large_family",),
        robust_variant="never the sole reason; the account's own label is left out; no target for its operator",
        window_days=180,
        value_of_nothing=0.0,
    ),
)
"""The family's declarations."""
