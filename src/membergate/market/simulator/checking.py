"""Whether a scenario makes sense as a whole: every dial within its range, every day within the folder's."""

from __future__ import annotations

import math
from dataclasses import fields

from membergate.domain.errors import BadInputError
from membergate.market.schema import TABLES
from membergate.market.simulator.archetypes import ARCHETYPE_INDEX, GENUINE
from membergate.market.simulator.drift import Change, Drift
from membergate.market.simulator.population import RING_SIZE_LEAST
from membergate.market.simulator.scenario import FEWEST_ACCOUNTS, Scenario

NEXT_STEP = "the file scenario.yaml in the folder of any simulation shows every dial with its value"
"""Where the dials are to be seen."""
_SHARES = (
    "review_share", "review_share_spenders", "session_share", "applicant_share", "late_share", "address_kind_coverage",
    "address_kind_error", "declared_use_coverage", "market_price_coverage", "lane_error", "gift_error",
)  # fmt: skip
_LIMITS = {
    "accounts": (FEWEST_ACCOUNTS, 100_000_000), "seed": (0, 2**63 - 1), "skus": (300, 1_000_000),
    "stores": (16, 100_000), "days": (120, 4_000), "districts": (1, 1_000), "merchant_units": (1, 10_000),
    "truth_days": (7, 365), "ring_size": (RING_SIZE_LEAST, 10_000), "member_rate_factor": (0, 3),
    "market_price_error": (0, 2), "duplicate_share": (0, 1), "stream_from_day": (0, 4_000), "utc_offset_h": (-12, 14),
}  # fmt: skip
_SHARES_OF_EVASION = {
    "budget_share", "believed_detection", "reason_detail", "decoy_share", "split_share", "poses_share",
}  # fmt: skip
_MOST_ATTEMPTS = 6
_MOST_PROMOTIONS = 100


def check_scenario(scenario: Scenario, *, where: str = "") -> None:
    """Refuse a scenario that makes no sense.

    Parameters
    ----------
    scenario
        To be checked.
    where
        The file it came from.

    Raises
    ------
    BadInputError
        If a dial is out of its range, a day out of the folder's, or shares do not add up.
    """
    for name, low, high in _ranges():
        value = getattr(scenario, name)
        if not low <= value <= high:
            raise _refusal(f"{name} cannot be {value}", where=where, allowed=f"{low} to {high}")
    first, last = scenario.first_application_day, scenario.last_application_day
    if not 0 <= first < last - 1 <= scenario.days - 1:
        raise _refusal(
            f"applications cannot be taken from day {first} to {last}",
            where=where,
            allowed=f"two days in order, more than a day apart, within 0 to {scenario.days}",
        )
    if scenario.stream_from_day and (scenario.stream_from_day >= scenario.days or scenario.districts > 1):
        raise _refusal(
            f"no stream can begin on day {scenario.stream_from_day}",
            where=where,
            allowed=f"before day {scenario.days}, in a market of one district",
        )
    _check_crowd(scenario, where)
    _check_shares(scenario, where)
    _check_evasion(scenario, where)
    _check_promotions(scenario, where)
    for drift in scenario.drifts:
        _check_drift(drift, scenario, where)


def _refusal(what: str, *, where: str, allowed: str) -> BadInputError:
    return BadInputError(what, where=where, allowed=allowed, next_step=NEXT_STEP)


def _ranges() -> list[tuple[str, float, float]]:
    return [*((name, 0, 1) for name in _SHARES), *((name, *limits) for name, limits in _LIMITS.items())]


def _check_crowd(scenario: Scenario, where: str) -> None:
    fewest, most = scenario.crowd
    if not 1 <= fewest <= most:
        raise _refusal(f"a crowd cannot be of {fewest} to {most}", where=where, allowed="two sizes in order, from 1")


def _check_shares(scenario: Scenario, where: str) -> None:
    total = sum(share for _, share in scenario.shares)
    is_whole = len(scenario.shares) == len(ARCHETYPE_INDEX)
    is_negative = any(share < 0 for _, share in scenario.shares)
    if is_negative or total > 1 + 1e-9 or (is_whole and not math.isclose(total, 1.0, abs_tol=1e-6)):
        raise _refusal(
            f"the shares add up to {total:g}",
            where=where,
            allowed="shares from 0, together at most 1, or just 1",
        )
    genuine = dict(scenario.shares)
    if all(genuine.get(archetype.code, 1.0) == 0 for archetype in GENUINE):
        raise _refusal("nobody genuine is left", where=where, allowed="at least one G above 0")


def _check_evasion(scenario: Scenario, where: str) -> None:
    evasion = scenario.evasion
    for field in fields(evasion):
        value = getattr(evasion, field.name)
        if field.name in _SHARES_OF_EVASION:
            if not 0 <= value <= 1:
                raise _refusal(f"evasion.{field.name} cannot be {value}", where=where, allowed="0 to 1")
        elif field.name == "attempts":
            if not 1 <= value <= _MOST_ATTEMPTS:
                raise _refusal(f"evasion.attempts cannot be {value}", where=where, allowed=f"1 to {_MOST_ATTEMPTS}")
        elif value < 0:
            raise _refusal(f"evasion.{field.name} cannot be {value}", where=where, allowed="from 0")


def _check_promotions(scenario: Scenario, where: str) -> None:
    if len(scenario.promotions) > _MOST_PROMOTIONS:
        raise _refusal("there are too many promotions", where=where, allowed=f"at most {_MOST_PROMOTIONS}")
    for sale in scenario.promotions:
        inside = sale.start_day - sale.warm_up_days >= 0 and sale.start_day + sale.days <= scenario.days
        shares = all(0 <= share <= 1 for share in (sale.deal_share, sale.deal_depth))
        if not (inside and shares and sale.days > 0 and sale.warm_up_days >= 0 and 0 <= sale.strength <= 3):  # noqa: PLR2004  # the exponent on lifts
            raise _refusal(
                f"the promotion {sale.name!r} makes no sense",
                where=where,
                allowed=f"warm-up and sale within day 0 to {scenario.days}, shares 0 to 1, strength 0 to 3",
            )


def _check_drift(drift: Drift, scenario: Scenario, where: str) -> None:
    def refuse(what: str, allowed: str) -> BadInputError:
        return _refusal(f"the drift {drift.change.value} {what}", where=where, allowed=allowed)

    if not 0 <= drift.day < scenario.days:
        raise refuse(f"cannot come on day {drift.day}", f"0 to {scenario.days}")
    unknown = sorted(set(drift.archetypes) - set(ARCHETYPE_INDEX))
    if unknown:
        raise refuse(f"names the archetype {unknown[0]!r}", ", ".join(ARCHETYPE_INDEX))
    if drift.change is Change.OUTAGE:
        if drift.table not in TABLES:
            raise refuse(f"cannot concern the table {drift.table!r}", ", ".join(TABLES))
        if not drift.day < drift.until_day <= scenario.days:
            raise refuse(f"cannot last until day {drift.until_day:g}", f"after {drift.day:g}, up to {scenario.days}")
        return
    if not drift.archetypes:
        raise refuse("concerns nobody", "archetypes: [M6]")
    if drift.change is Change.EMERGES and drift.day >= scenario.last_application_day - 1:
        raise refuse("comes after the last application", f"before day {scenario.last_application_day - 1:g}")
    if drift.change is Change.RATE and not 0 <= drift.factor <= 10:  # noqa: PLR2004  # more would flood the folder
        raise refuse(f"cannot have the factor {drift.factor}", "0 to 10")
