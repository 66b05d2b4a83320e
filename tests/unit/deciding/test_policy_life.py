"""What a policy carries beside its rules: overlays for promotions, examples; and how two policies differ."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from membergate.deciding.policy import (
    Change,
    Policy,
    ReviewCase,
    allocate_reviews,
    decide,
    differing,
    review_gain,
    run_examples,
)
from membergate.domain.disposition import Checkpoint, Disposition, severity
from membergate.domain.errors import PolicyError
from membergate.domain.evidence import Evidence

Load = Callable[[str], Policy]
Witness = Callable[..., dict[str, Evidence]]
START = datetime(2025, 11, 9, tzinfo=UTC)
OVERLAY = """
overlays:
  - id: singles-day
    purpose: Hot goods; lower caps, and two accounts of an operator.
    starts_at: 2025-11-09
    ends_at: 2025-11-12
    loss_multiplier: 4
    operator_cap: 2
    caps: {trial: {units_per_sku: 1, window_days: 7}}
"""
SMALL = """
name: small
version: "1"
description: One rule.
rules:
  - {id: deep, purpose: Depth., when: a2_excess_units_ratio >= 0.5, at_least: review, reason: DEEP}
"""


@pytest.fixture(scope="module")
def overlaid(load: Load, default_text: str) -> Policy:
    """Give the default policy with an overlay of three days."""
    return load(default_text + OVERLAY)


def test_an_overlay_holds_from_its_start_up_to_its_end(overlaid: Policy) -> None:
    """Outside, the policy is itself; inside, caps satisfy both and the operator cap is the lower."""
    second = timedelta(seconds=1)
    for outside in (START - second, START + timedelta(days=3)):
        assert overlaid.at(outside) is overlaid
    inside = overlaid.at(START)
    assert inside.operator_cap == 2
    trial = inside.caps[Disposition.TRIAL]
    assert (trial.units_per_sku, trial.window_days, trial.orders_per_day) == (1, 30, 2)


@given(st.floats(0, 1), st.integers(0, 8))
def test_an_overlay_never_softens(overlaid: Policy, applicant: Witness, probability: float, holders: int) -> None:
    """Whoever asks, the answer inside is at least as strict as outside."""
    evidence = applicant(
        merchant_probability=probability,
        probability_low=probability,
        probability_high=probability,
        operator_holders=float(holders),
    )
    before, inside = (
        decide(policy, Checkpoint.ADMISSION, evidence, lottery=0.999) for policy in (overlaid, overlaid.at(START))
    )
    rungs = [severity(verdict.disposition, Checkpoint.ADMISSION) for verdict in (before, inside)]
    assert rungs[0] <= rungs[1]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("loss_multiplier: 4", "loss_multiplier: 0.5"), "1"),
        (("ends_at: 2025-11-12", "ends_at: 2025-11-09"), "end before it begins"),
        (("operator_cap: 2", "operator_cap: 0"), "1"),
        (("window_days: 7", "window_day: 7"), "window_day"),
    ],
)
def test_an_overlay_that_could_soften_or_never_holds_is_refused(
    load: Load, default_text: str, change: tuple[str, str], what: str
) -> None:
    """The error points at the place."""
    with pytest.raises(PolicyError, match=what) as caught:
        load(default_text + OVERLAY.replace(*change))
    assert "line" in caught.value.where


def test_an_example_that_holds_and_those_that_do_not(load: Load) -> None:
    """Each complaint says what was expected and what came instead; a typed absence can be witnessed too."""
    policy = load(
        SMALL
        + """
examples:
  - {id: holds, evidence: {a2_excess_units_ratio: 0.6}, expect: review, reasons: [DEEP], hits: [deep]}
  - {id: milder, evidence: {a2_excess_units_ratio: 0.4}, expect: review, reasons: [DEEP], hits: [deep]}
  - {id: failing, absent: {a2_excess_units_ratio: source_failed}, expect: trial, reasons: [WITNESS_FAILED]}
"""
    )
    outcomes = {outcome.example.example_id: outcome for outcome in run_examples(policy)}
    assert outcomes["holds"].holds
    assert outcomes["failing"].holds
    assert outcomes["milder"].complaints == (
        "expected review, decided admit",
        "no reason DEEP among: none",
        "rule deep did not hit: miss",
    )


@pytest.mark.parametrize(
    ("example", "what"),
    [
        ("{id: a, expect: keep}", "does not belong"),
        ("{id: a, expect: admit, hits: [depe]}", "no rule depe"),
        ("{id: a, expect: admit, evidence: {a2_exces: 1}}", "no evidence named a2_exces"),
        ("{id: a, expect: admit, evidence: {a2_excess_units_ratio: true}}", "is a number"),
        ("{id: a, expect: admit, absent: {a2_excess_units_ratio: gone}}", "gone"),
    ],
)
def test_an_example_about_nothing_is_refused(load: Load, example: str, what: str) -> None:
    """Names and kinds of an example are checked like those of a condition."""
    with pytest.raises(PolicyError, match=what):
        load(SMALL + f"examples:\n  - {example}\n")


def test_policies_differ_by_settings_and_not_by_order(load: Load, default: Policy, default_text: str) -> None:
    """Comments, order and spelling of numbers do not count; what changed is named by its path."""
    assert differing(default, load(default_text.replace("# V:", "# value:"))) == ()
    changed = load(default_text.replace("merchant_loss_minor: 260000", "merchant_loss_minor: 1"))
    assert differing(default, changed) == (Change("economics.merchant_loss_minor", 260000.0, 1.0),)
    rule = next(c for c in differing(load(SMALL), load(SMALL.replace("0.5", "0.7"))))
    assert rule.path == "rules[deep].when"


# --- review as a knapsack ------------------------------------------------------------------------------------

CASES = st.lists(
    st.builds(ReviewCase, st.uuids().map(str), st.floats(-100, 1000), st.sampled_from([3.0, 6.0, 12.0])), max_size=30
)


@given(CASES, st.floats(0, 100))
def test_capacity_is_kept_and_the_best_are_chosen(cases: list[ReviewCase], capacity: float) -> None:
    """Nobody is chosen whom a review makes worse, and what is left brings no more a minute than what was chosen."""
    found = allocate_reviews(cases, capacity)
    by_id = {case.case_id: case for case in cases}
    chosen = [by_id[case_id] for case_id in found.chosen]
    assert sum(case.minutes for case in chosen) <= capacity
    assert all(case.gain_minor > 0 for case in chosen)
    assert sorted(found.chosen + found.left) == sorted(by_id)
    fitting = [by_id[case_id] for case_id in found.left if found.minutes + by_id[case_id].minutes <= capacity]
    assert all(case.gain_minor <= 0 for case in fitting)


@given(st.lists(st.floats(0.01, 1000), max_size=12), st.integers(0, 12))
def test_equal_cases_are_solved_exactly(gains: list[float], places: int) -> None:
    """With cases of one length the chosen are the most valuable ones."""
    cases = [ReviewCase(str(number), gain, 6.0) for number, gain in enumerate(gains)]
    found = allocate_reviews(cases, places * 6.0)
    assert found.gain_minor == pytest.approx(sum(sorted(gains, reverse=True)[:places]))


def test_the_gain_of_a_review_leaves_the_price_of_its_place_aside(default: Policy, applicant: Witness) -> None:
    """It is the review's expected value above the best of the others."""
    verdict = decide(default, Checkpoint.ADMISSION, applicant(merchant_probability=0.2), lottery=0.5)
    values = verdict.expected_value_minor
    best = max(value for name, value in values.items() if name is not Disposition.REVIEW)
    assert review_gain(values, 3000.0) == values[Disposition.REVIEW] + 3000.0 - best
