"""What a door can do with someone, in order of severity, for each checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Checkpoint(StrEnum):
    """Where a decision is asked for."""

    ADMISSION = "admission"
    ORDER = "order"
    SWEEP = "sweep"


class Disposition(StrEnum):
    """What is done. Members are listed by checkpoint, from mildest to most severe."""

    ADMIT = "admit"
    ADMIT_CAPPED = "admit_capped"
    TRIAL = "trial"
    STEP_UP = "step_up"
    REVIEW = "review"
    BUSINESS_LANE = "business_lane"
    DENY = "deny"

    FULL_BENEFIT = "full_benefit"
    LIMIT_QUANTITY = "limit_quantity"
    REMOVE_MEMBER_PRICE = "remove_member_price"
    HOLD_ORDER = "hold_order"
    CANCEL_ORDER = "cancel_order"

    KEEP = "keep"
    SUSPEND_BENEFIT = "suspend_benefit"
    TERMINATE = "terminate"


_D = Disposition
LADDERS: dict[Checkpoint, tuple[Disposition, ...]] = {
    Checkpoint.ADMISSION: (
        _D.ADMIT,
        _D.ADMIT_CAPPED,
        _D.TRIAL,
        _D.STEP_UP,
        _D.REVIEW,
        _D.BUSINESS_LANE,
        _D.DENY,
    ),
    Checkpoint.ORDER: (
        _D.FULL_BENEFIT,
        _D.LIMIT_QUANTITY,
        _D.REMOVE_MEMBER_PRICE,
        _D.HOLD_ORDER,
        _D.CANCEL_ORDER,
    ),
    Checkpoint.SWEEP: (_D.KEEP, _D.ADMIT_CAPPED, _D.SUSPEND_BENEFIT, _D.TERMINATE),
}
"""The dispositions of each checkpoint, mildest first."""

FULL_ADMISSIONS = frozenset({_D.ADMIT, _D.ADMIT_CAPPED})
"""Dispositions that count as full admission in the headline figures."""
HOLDERS = FULL_ADMISSIONS | {_D.TRIAL}
"""Dispositions that let someone hold a membership at once, in full or on trial."""


def severity(disposition: Disposition, checkpoint: Checkpoint) -> int:
    """Give the rung on the checkpoint's ladder, 0 the mildest.

    Raises
    ------
    ValueError
        If the disposition does not belong to the checkpoint.
    """
    return LADDERS[checkpoint].index(disposition)


def strictest(dispositions: Iterable[Disposition], checkpoint: Checkpoint) -> Disposition:
    """Give the most severe of the dispositions; the mildest rung where there are none."""
    ladder = LADDERS[checkpoint]
    return max(dispositions, key=ladder.index, default=ladder[0])
