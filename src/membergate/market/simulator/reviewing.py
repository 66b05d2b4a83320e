"""The label channel: proof, double review, penalties, rule hits and appeals, each late, partial and sometimes wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.archetypes import ARCHETYPE_INDEX, ARCHETYPES
from membergate.market.simulator.door import Door
from membergate.market.simulator.ordering import Ledger
from membergate.market.simulator.population import Population
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import Bools, Floats, Ints, happens, stream
from membergate.market.simulator.truth import RESOLD, OperatorTruth, UnitTruth

GRADES = ("L0", "L1", "L2", "L3", "L4")
SOURCES = (
    "appeal_upheld", "legacy_rule", "penalty_not_appealed", "appeal_rejected", "double_review", "proof_of_resale",
    "price_slip",
)  # fmt: skip
_APPEAL_UPHELD, _LEGACY_RULE, _NOT_APPEALED, _APPEAL_REJECTED, _DOUBLE_REVIEW, _PROOF, _PRICE_SLIP = range(7)
_GRADE_OF_SOURCE = np.array([0, 1, 2, 2, 3, 4, 4])

_SENSITIVITY = 0.85
_MAJORITY = 2
_SHARED_ERROR = 0.5
"""Probability that the reviewers of one ring's accounts see the same evidence, and so err together."""
_OBSERVATION_DAYS = (30.0, 60.0)
_DECISION_DAYS = (1.0, 7.0)
_RECENT_DAYS = 90.0
_PROOF_PER_UNIT = (0.005, 0.05)
_PROOF_NEEDS_CARELESSNESS = 0.45
_PROOF_DELAY_DAYS = 30.0
_RULE_UNITS = 10
_RULE_WINDOW_DAYS = 30
_RULE_NOTICES = 0.6
_PENALTY_SHARE = 0.35
_APPEAL_GENUINE, _APPEAL_MERCHANT = 0.25, 0.05
_UPHELD_GENUINE, _UPHELD_MERCHANT = 0.95, 0.10
_VILLAGE_APPEALS = 0.4
_SILENCE_DAYS = 30.0


@dataclass(frozen=True, slots=True)
class Judgements:
    """Labels on accounts, shape (n,) each.

    Parameters
    ----------
    account
        Who is labelled.
    is_merchant
        As what: what someone says, not the truth.
    source
        Index into SOURCES; it decides the grade.
    decided
        When, in local days.
    propensity
        Probability of having been sampled; NaN where it was no sample.
    """

    account: Ints
    is_merchant: Bools
    source: Ints
    decided: Floats
    propensity: Floats

    @property
    def grade(self) -> Ints:
        """Index into GRADES, shape (n,)."""
        return _GRADE_OF_SOURCE[self.source]


def label(
    population: Population, door: Door, ledger: Ledger, units: UnitTruth, truth: OperatorTruth, scenario: Scenario
) -> Judgements:
    """Let everyone who labels do so; what is decided after the last day is not known yet, and left out.

    Reviewers judge what members do, so of those whom the door kept out there is no review: the labels are selective.
    """
    parts = (
        _double_reviews(population, door, ledger, truth, scenario),
        _proofs(population, ledger, units, scenario),
        *_penalties(population, door, ledger, truth, scenario),
    )
    merged = [np.concatenate([getattr(part, name) for part in parts]) for name in Judgements.__dataclass_fields__]
    is_known = merged[3] < scenario.days
    return Judgements(*(column[is_known] for column in merged))


def _double_reviews(
    population: Population, door: Door, ledger: Ledger, truth: OperatorTruth, scenario: Scenario
) -> Judgements:
    """Sample applicants at a known rate; two reviewers judge each after some time, and a third where they differ."""
    rng = stream(scenario.chance, "reviewers")
    count = len(population)
    propensity = _sampling_rates(population, ledger, scenario)
    sampled = np.flatnonzero((rng.random(count) < propensity) & door.holds)
    specificity = np.array([a.reviewer_specificity for a in ARCHETYPES])[population.archetype[sampled]]
    is_merchant = truth.is_merchant_account[sampled]
    error = np.where(is_merchant, 1 - _SENSITIVITY, 1 - specificity)
    wrong = rng.random((3, len(sampled))) < error
    # one ring, one mistake: its members are seen through the same evidence
    ring = population.ring[sampled]
    ring_wrong = rng.random((3, int(population.ring.max(initial=-1)) + 2)) < 1 - _SENSITIVITY
    shares = (ring >= 0) & is_merchant & (rng.random(len(sampled)) < _SHARED_ERROR)
    wrong = np.where(shares, ring_wrong[:, ring], wrong)
    verdict = is_merchant ^ (wrong.sum(axis=0) >= _MAJORITY)
    decided = (
        population.applied[sampled]
        + rng.uniform(*_OBSERVATION_DAYS, len(sampled))
        + rng.uniform(*_DECISION_DAYS, len(sampled))
    )
    return Judgements(sampled, verdict, np.full(len(sampled), _DOUBLE_REVIEW), decided, propensity[sampled])


def _sampling_rates(population: Population, ledger: Ledger, scenario: Scenario) -> Floats:
    """Sample the tenth of the applicants that spent most in the quarter before they applied at a higher rate."""
    since = population.applied[ledger.account] - ledger.time
    recent = (since > 0) & (since <= _RECENT_DAYS)
    spent = np.bincount(ledger.account[recent], weights=ledger.goods_minor[recent], minlength=len(population))
    applicants = np.isfinite(population.applied)
    spends_much = spent > np.quantile(spent[applicants], 0.9)
    return np.where(spends_much, scenario.review_share_spenders, scenario.review_share)


def _proofs(population: Population, ledger: Ledger, units: UnitTruth, scenario: Scenario) -> Judgements:
    """Find proof on some resold units of the careless, about a month after they were sold."""
    rng = stream(scenario.chance, "proofs")
    sold = np.flatnonzero(units.use == RESOLD)
    account = ledger.account[ledger.order[units.line[sold]]]
    low, high = _PROOF_PER_UNIT
    careless = population.carelessness[account]
    per_unit = np.where(careless > _PROOF_NEEDS_CARELESSNESS, low + (high - low) * (careless - 0.45) / 0.55, 0.0)
    found = rng.random(len(sold)) < 1 - (1 - per_unit) ** units.quantity[sold]
    found &= population.is_reseller_life[account]
    account, when = (
        account[found],
        units.resold[sold][found] + rng.gamma(1.5, _PROOF_DELAY_DAYS / 1.5, int(found.sum())),
    )
    first = np.lexsort((when, account))
    accounts, position = np.unique(account[first], return_index=True)
    source = np.where(happens(rng, 0.3, len(accounts)), _PRICE_SLIP, _PROOF)
    missing = np.full(len(accounts), np.nan)
    return Judgements(accounts, np.ones(len(accounts), dtype=bool), source, when[first][position], missing)


def _penalties(
    population: Population, door: Door, ledger: Ledger, truth: OperatorTruth, scenario: Scenario
) -> tuple[Judgements, Judgements]:
    """Let the old threshold rule hit members, penalise some of them, and let some of those appeal."""
    rng = stream(scenario.chance, "penalties")
    account, hit_at = _rule_hits(door, ledger)
    noticed = rng.random(len(account)) < _RULE_NOTICES
    account, hit_at = account[noticed], hit_at[noticed]
    missing = np.full(len(account), np.nan)
    hits = Judgements(account, np.ones(len(account), dtype=bool), np.full(len(account), _LEGACY_RULE), hit_at, missing)
    punished = rng.random(len(account)) < _PENALTY_SHARE
    account, punished_at = account[punished], hit_at[punished] + rng.uniform(0.1, 2.0, int(punished.sum()))
    is_merchant = truth.is_merchant_account[account]
    # village members appeal less, whoever they are
    willing = np.where(
        is_merchant,
        _APPEAL_MERCHANT,
        _APPEAL_GENUINE * np.where(population.life[account] == ARCHETYPE_INDEX["G7"], _VILLAGE_APPEALS, 1.0),
    )
    appeals = rng.random(len(account)) < willing
    upheld = appeals & (rng.random(len(account)) < np.where(is_merchant, _UPHELD_MERCHANT, _UPHELD_GENUINE))
    source = np.where(upheld, _APPEAL_UPHELD, np.where(appeals, _APPEAL_REJECTED, _NOT_APPEALED))
    decided = punished_at + np.where(appeals, rng.uniform(3.0, 30.0, len(account)), _SILENCE_DAYS)
    return hits, Judgements(account, ~upheld, source, decided, np.full(len(account), np.nan))


def _rule_hits(door: Door, ledger: Ledger) -> tuple[Ints, Floats]:
    """Find each member's first month with too many units of one SKU: the rule knows nothing of context."""
    account = ledger.account[ledger.order]
    time = ledger.time[ledger.order]
    is_member = door.is_member_at(account, time)
    account, time, sku, quantity = (
        account[is_member],
        time[is_member],
        ledger.sku[is_member],
        ledger.quantity[is_member],
    )
    month = (time // _RULE_WINDOW_DAYS).astype(np.int64)
    key = (account * 64 + month) * 100_000 + sku
    in_order = np.lexsort((time, key))
    groups, start, inverse = np.unique(key[in_order], return_index=True, return_inverse=True)
    units = np.bincount(inverse, weights=quantity[in_order], minlength=len(groups))
    hit = np.flatnonzero(units >= _RULE_UNITS)
    ends = np.r_[start[1:], len(key)] - 1
    who, when = account[in_order][start[hit]], time[in_order][ends[hit]]
    by_time = np.lexsort((when, who))
    first, position = np.unique(who[by_time], return_index=True)
    return first, when[by_time][position]
