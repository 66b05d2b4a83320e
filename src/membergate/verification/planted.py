"""Planted rings and innocents: real applicants whose rows were altered on purpose, decided again by the same door.

What was planted is known, so recall and false discovery are known without any label. The same applicants, as they
really are, are the comparison; all of them hold a membership before they are altered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, OperatorBootstrap
from membergate.verification.gate import Control
from membergate.verification.shares import Share, measure_shares

TOLERATED_LOSS = 0.05
"""Share of innocents that may lose their membership to what they share with strangers."""
FOUND_AT_LEAST = 0.5
"""Share of the bluntest planted rings that a door must keep from full admission."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to plant a ring.

    Parameters
    ----------
    name, words
        Short and long name.
    units_per_order
        Units of one article in each planted order.
    shares_devices, shares_addresses, keeps_past
        Whether the ring's accounts trade from one device, line and card; deliver to one place; and go on buying for
        their own household as they did.
    cost_minor
        What an account costs the attacker, at the stated prices.
    """

    name: str
    words: str
    units_per_order: int
    shares_devices: bool
    shares_addresses: bool
    keeps_past: bool
    cost_minor: int


@dataclass(frozen=True)
class Planted:
    """What became of planted accounts, one a row, shape (n,).

    Parameters
    ----------
    scenario
        The attack's name, or the kind of innocents.
    group
        The ring, or the roof.
    is_full, is_capped, is_holder
        Whether the door still admits it in full (with caps or without), whether with caps, and whether at least on
        trial.
    was_full
        Whether it was admitted in full before it was altered.
    merged
        Accounts of its operator, as identity resolution sees it afterwards.
    units
        Units a month that it gets at the member's price if it goes on as planted, under the caps of its decision.
    """

    scenario: NDArray[np.str_]
    group: NDArray[np.str_]
    is_full: NDArray[np.bool_]
    is_capped: NDArray[np.bool_]
    is_holder: NDArray[np.bool_]
    was_full: NDArray[np.bool_]
    merged: NDArray[np.int64]
    units: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RingRow:
    """How the rings of one attack fared.

    Parameters
    ----------
    attack
        What was planted.
    rings, accounts
        How many.
    caught
        Share of accounts not admitted in full: the recall.
    kept_out
        Share that does not even get a trial.
    merged
        Share of accounts that identity resolution joins with another of the ring.
    units_asked
        Planted units an account and month.
    units_uncapped, units_capped, units_on_trial
        Those of them that come in at the member's price: admitted without caps, within the caps of an admission, and
        within those of a trial.
    cost_per_unit_minor
        What a unit at the member's price costs the attacker beside that price, spread over a year; None where none
        comes in.
    """

    attack: Attack
    rings: int
    accounts: int
    caught: Measurement
    kept_out: Measurement
    merged: Measurement
    units_asked: float
    units_uncapped: float
    units_capped: float
    units_on_trial: float
    cost_per_unit_minor: float | None


@dataclass(frozen=True, slots=True)
class InnocentRow:
    """How innocents fared who were made to share things with strangers.

    Parameters
    ----------
    name, words
        `hostel` or `shuffled`, and what was done to them.
    accounts
        How many.
    lost
        Share that held a membership before, and does not any more.
    demoted
        Share of those admitted in full before who no longer are.
    merged
        Share that identity resolution joins with a stranger.
    """

    name: str
    words: str
    accounts: int
    lost: Measurement
    demoted: Measurement
    merged: Measurement


@dataclass(frozen=True, slots=True)
class PlantedReport:
    """Everything planted.

    Parameters
    ----------
    rings
        Attacks, from the cheapest to the dearest.
    innocents
        The hostel and the shuffled.
    orders_per_month
        Planted orders an account and month.
    """

    rings: tuple[RingRow, ...]
    innocents: tuple[InnocentRow, ...]
    orders_per_month: float


def measure_planted(
    planted: Planted,
    attacks: Sequence[Attack],
    innocents: Mapping[str, str],
    orders_per_month: float,
    *,
    seed: int,
    level: float = LEVEL,
) -> PlantedReport:
    """Measure recall ring by ring, and what innocents lost.

    Parameters
    ----------
    planted
        What became of whom.
    attacks
        What was planted, from the cheapest to the dearest.
    innocents
        Kind -> what was done to them.
    orders_per_month
        Planted orders an account and month.
    seed
        Seed of the bootstrap over rings and roofs.
    level
        Nominal coverage of intervals.
    """
    # A ring stands or falls together; innocents knew nothing of one another until they were altered.
    is_innocent = np.isin(planted.scenario, list(innocents))
    unit = np.where(is_innocent, np.char.add("innocent-", np.arange(len(is_innocent)).astype(np.str_)), planted.group)
    bootstrap = OperatorBootstrap.draw(unit, np.random.default_rng(seed))
    shares = []
    for name in (*(attack.name for attack in attacks), *innocents):
        whole = (planted.scenario == name).astype(np.float64)
        before = whole * planted.was_full
        shares += [
            Share(f"{name}_not_full", whole * ~planted.is_full, whole),
            Share(f"{name}_no_holder", whole * ~planted.is_holder, whole),
            Share(f"{name}_merged", whole * (planted.merged > 1), whole),
            Share(f"{name}_demoted", before * ~planted.is_full, before),
        ]
    measured = iter(measure_shares(shares, bootstrap, level=level))
    rows = [(next(measured), next(measured), next(measured), next(measured)) for _ in range(len(shares) // 4)]
    rings = [_ring_row(planted, attack, row, orders_per_month) for attack, row in zip(attacks, rows, strict=False)]
    spared = [
        InnocentRow(name, words, int((planted.scenario == name).sum()), lost, demoted, merged)
        for (name, words), (_, lost, merged, demoted) in zip(innocents.items(), rows[len(rings) :], strict=True)
    ]
    return PlantedReport(tuple(rings), tuple(spared), orders_per_month)


def planted_controls(report: PlantedReport) -> tuple[Control, ...]:
    """Turn what was planted into the gate's checks: innocents are spared, and the bluntest ring is found."""
    found = []
    for row in report.innocents:
        low = row.lost.low if row.lost.low is not None else row.lost.value or 0.0
        sentence = (
            f"Negative control: {row.lost.value or 0.0:.0%} of {row.accounts} innocents lose their membership when "
            f"{row.words} (refused where it is clearly more than {TOLERATED_LOSS:.0%})."
        )
        found.append(Control(f"innocents_{row.name}", low <= TOLERATED_LOSS, sentence))
    if report.rings:
        first = report.rings[0]
        high = first.caught.high if first.caught.high is not None else first.caught.value or 0.0
        sentence = (
            f"Planted rings: {first.caught.value or 0.0:.0%} of {first.accounts} accounts that share everything are "
            f"kept from full admission (refused where it is clearly less than {FOUND_AT_LEAST:.0%})."
        )
        found.append(Control("planted_rings", high >= FOUND_AT_LEAST, sentence))
    return tuple(found)


def _ring_row(planted: Planted, attack: Attack, row: tuple[Measurement, ...], orders_per_month: float) -> RingRow:
    of_attack = planted.scenario == attack.name
    caught, kept_out, merged, _ = row
    capped, full, holder = planted.is_capped, planted.is_full, planted.is_holder
    units = [
        float((planted.units * taken)[of_attack].mean()) if of_attack.any() else 0.0
        for taken in (full & ~capped, capped, holder & ~full)
    ]
    return RingRow(
        attack=attack,
        rings=len(np.unique(planted.group[of_attack])),
        accounts=int(of_attack.sum()),
        caught=caught,
        kept_out=replace(kept_out, name=f"{attack.name}_kept_out"),
        merged=merged,
        units_asked=attack.units_per_order * orders_per_month,
        units_uncapped=units[0],
        units_capped=units[1],
        units_on_trial=units[2],
        cost_per_unit_minor=attack.cost_minor / (12 * sum(units)) if sum(units) > 0 else None,
    )
