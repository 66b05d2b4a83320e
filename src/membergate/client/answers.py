"""What the service answers, typed. Fields that are new to this client are left out, so that an older one goes on."""

from __future__ import annotations

from msgspec import Struct


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of an order that would use a member's benefit.

    Parameters
    ----------
    line_id, sku_id
        Which line, and what is bought.
    units
        How many.
    benefit_minor
        The benefit of one unit, in minor units.
    promotion_stock
        Units of the SKU that the promotion has; None outside promotions.
    """

    line_id: str
    sku_id: str
    units: int
    benefit_minor: int = 0
    promotion_stock: int | None = None


class Applied(Struct, frozen=True, kw_only=True):
    """The decision about an application.

    Parameters
    ----------
    decision_id, account_id, operator_id
        Which decision, about whom.
    disposition
        `admit`, `admit_capped`, `trial`, `step_up`, `review`, `business_lane` or `deny`.
    reason_codes
        Stable codes, strongest first.
    merchant_probability, risk_score
        What the model says; None where it says nothing.
    caps
        The limits that come with it; empty for none.
    explanation
        The same in sentences.
    policy_version, model_version
        What decided.
    degraded
        Whether a witness was missing because of a fault.
    decided_at, as_of
        When it was decided, and as of when; ISO 8601.
    """

    decision_id: str
    account_id: str
    operator_id: str
    disposition: str
    reason_codes: tuple[str, ...]
    merchant_probability: float | None
    risk_score: float | None
    caps: dict[str, float] | None
    explanation: tuple[str, ...]
    policy_version: str
    model_version: str
    degraded: bool
    decided_at: str
    as_of: str


class LineResult(Struct, frozen=True, kw_only=True):
    """A line, and how many of its units keep the member's price."""

    line_id: str
    sku_id: str
    units: int
    granted_units: int


class OrderResult(Applied, frozen=True, kw_only=True):
    """The decision about an order.

    Its dispositions are `full_benefit`, `limit_quantity`, `remove_member_price`, `hold_order` and `cancel_order`.

    Parameters
    ----------
    order_id
        Which order.
    lines
        What it leaves of each line.
    """

    order_id: str
    lines: tuple[LineResult, ...]


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a question, without the evidence."""

    decision_id: str
    checkpoint: str
    disposition: str
    reason_codes: tuple[str, ...]


class EventResult(Struct, frozen=True, kw_only=True):
    """What became of one event: `accepted`, `duplicate` or `refused`."""

    event_id: str
    state: str
    what: str = ""
    where: str = ""
    allowed: str = ""


class Problem(Struct, frozen=True, kw_only=True):
    """A refusal, as RFC 9457 writes it."""

    what: str = ""
    code: str = ""
    where: str = ""
    allowed: str = ""
    detail: str = ""


class Events(Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    events: tuple[EventResult, ...]


class Released(Struct, frozen=True, kw_only=True):
    """What a cancelled order gave back."""

    released_uses: int
