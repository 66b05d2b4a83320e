"""What decisions are worth, and what becomes of rings: against sums done by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from membergate.domain.disposition import LADDERS, Checkpoint, Disposition
from membergate.verification.net_value import NetValueRow, measure_net_value
from membergate.verification.rings import Company, measure_rings
from membergate.verification.sample import EvaluationSample

SampleMaker = Callable[..., EvaluationSample]

VALUE, LOSS, HARM = 420.0, 2600.0, 0.12


def worth_of(sample: EvaluationSample) -> dict[Disposition, np.ndarray]:
    """Price every disposition: admitted is V or -L, trial keeps 0.9 and 0.15, all others refuse."""
    admitted = np.where(sample.is_merchant, -LOSS, VALUE)
    tried = np.where(sample.is_merchant, -0.15 * LOSS, 0.9 * VALUE)
    refused = np.where(sample.is_merchant, 0.0, -HARM * VALUE)
    priced = {Disposition.ADMIT: admitted, Disposition.ADMIT_CAPPED: admitted, Disposition.TRIAL: tried}
    return {each: priced.get(each, refused) for each in LADDERS[Checkpoint.ADMISSION]}


@pytest.fixture(scope="module")
def rows(market: EvaluationSample) -> dict[str, NetValueRow]:
    """Weigh the made-up market."""
    return {row.policy: row for row in measure_net_value(market, worth_of(market), seed=3)}


def test_each_way_to_decide_is_worth_what_its_decisions_are(
    market: EvaluationSample, rows: dict[str, NetValueRow]
) -> None:
    """The candidate's value, admitting everybody and the oracle are weighted means that one can do by hand."""
    weight, worth = market.rate_weight, worth_of(market)
    taken = np.array([worth[Disposition(name)][row] for row, name in enumerate(market.disposition.tolist())])
    assert rows["candidate"].value.value == pytest.approx(np.average(taken, weights=weight))
    everybody = np.average(worth[Disposition.ADMIT], weights=weight)
    assert rows["admit_all"].value.value == pytest.approx(everybody)
    assert rows["oracle"].value.value == pytest.approx(VALUE * np.average(~market.is_merchant, weights=weight))
    assert rows["admit_all"].lead is not None
    assert rows["admit_all"].lead.value == pytest.approx(np.average(taken, weights=weight) - everybody)
    assert rows["candidate"].lead is None


def test_one_threshold_is_the_best_of_all_thresholds(market: EvaluationSample, rows: dict[str, NetValueRow]) -> None:
    """Trying each score as a threshold, and refusing everybody, finds nothing better and finds the same."""
    weight, worth = market.rate_weight, worth_of(market)
    tried = [
        np.average(
            np.where(market.risk_score <= bound, worth[Disposition.ADMIT], worth[Disposition.DENY]), weights=weight
        )
        for bound in (-1.0, *np.unique(market.risk_score))
    ]
    assert rows["best_two_way"].value.value == pytest.approx(max(tried))


def test_intervals_hold_their_values_and_nothing_beats_who_knows_all(rows: dict[str, NetValueRow]) -> None:
    """Every way has an interval around its value; the oracle leads the candidate for sure."""
    for row in rows.values():
        assert row.value.low is not None
        assert row.value.high is not None
        assert row.value.value is not None
        assert row.value.low < row.value.value < row.value.high
        assert row.value.unit == "minor"
    lead = rows["oracle"].lead
    assert lead is not None
    assert lead.high is not None
    assert lead.high < 0
    assert set(rows) == {"candidate", "incumbent", "strict", "admit_all", "best_two_way", "oracle"}


def test_a_leak_that_nobody_saw_is_in_the_interval(make_sample: SampleMaker) -> None:
    """A hundred operators, ten of them merchants, none let in: a leak in twenty-five cannot be excluded, and costs."""
    is_merchant = np.arange(100) < 10
    sample = make_sample(100, is_merchant=is_merchant, disposition=np.where(is_merchant, "deny", "admit"))
    value = {row.policy: row.value for row in measure_net_value(sample, worth_of(sample), seed=2)}["candidate"]
    assert value.value == pytest.approx(0.9 * VALUE)
    assert value.low is not None
    assert value.low == pytest.approx(0.9 * VALUE - 0.037 * LOSS, rel=0.1)
    assert "losses that nobody saw" in value.method


def test_without_reviews_by_chance_nothing_is_weighed(make_sample: SampleMaker) -> None:
    """A sample of proofs alone has no value per applicant."""
    sample = make_sample(3, grade=np.full(3, "L4"), weight=np.full(3, np.nan))
    assert measure_net_value(sample, worth_of(sample), seed=0) == ()


def company_of_two_rings() -> Company:
    """Give a ring of four, half of them refused; one of three with one refused; a stranger; and a family of two."""
    return Company(
        operator_ids=np.array(["a", "a", "a", "a", "b", "b", "b", "c", "d", "d"]),
        is_known_merchant=np.array([True, False, False, False, False, True, False, True, False, False]),
        disposition=np.array(["deny", "review", "admit", "trial", "deny", "admit", "admit", "admit", "admit", "admit"]),
        cluster_ids=np.array(["x", "x", "y", "", "x", "y", "", "x", "x", "x"]),
        benefit_minor=np.array([10.0, np.nan, 20.0, 30.0, 5.0, 5.0, 30.0, 900.0, 1.0, 1.0]),
    )


def test_a_ring_is_caught_where_half_of_it_is_kept_out(make_sample: SampleMaker) -> None:
    """Of two known rings the one of four is caught, by value three fifths; one account alone is no ring."""
    found = measure_rings(make_sample(6), company_of_two_rings(), seed=1)
    assert (found.rings, found.accounts) == (2, 7)
    full, holders = found.scopes
    assert (full.scope, full.recall.value, full.recall_by_value) == ("full", 0.5, 0.6)
    assert holders.recall.value == 0.5
    assert full.recall.low is not None
    assert full.recall.high is not None
    assert full.recall.low < 0.05
    assert full.recall.high > 0.95
    assert full.recall.operators == 2


def test_clusters_are_held_against_rings_with_strangers_among_them(make_sample: SampleMaker) -> None:
    """By hand: cluster x holds two of a, one of b and three strangers, y one of each, and two are in none."""
    found = measure_rings(make_sample(6), company_of_two_rings(), seed=1)
    assert found.clustered.value == pytest.approx(5 / 7)
    assert found.cluster_precision.value == pytest.approx((2 / 6 + 2 / 6 + 1 / 2 + 1 / 6 + 1 / 2) / 5)
    assert found.cluster_recall.value == pytest.approx((2 / 4 + 2 / 4 + 1 / 4 + 0 + 1 / 3 + 1 / 3 + 0) / 7)
    assert found.fragmentation == 2.0


def test_contamination_counts_the_genuine_for_each_merchant_kept_out(market: EvaluationSample) -> None:
    """The weighted ratio, done by hand, with an interval around it."""
    found = measure_rings(market, company_of_two_rings(), seed=1)
    out = market.rate_weight * ~np.isin(market.disposition, ["admit", "admit_capped"])
    by_hand = out[~market.is_merchant].sum() / out[market.is_merchant].sum()
    contamination = found.scopes[0].contamination
    assert contamination.value == pytest.approx(by_hand)
    assert contamination.low is not None
    assert contamination.high is not None
    assert contamination.low < by_hand < contamination.high


def test_without_rings_nothing_is_said_of_them(make_sample: SampleMaker) -> None:
    """Nobody is known: no recall, no clusters, and no division by nothing."""
    nobody = Company(np.array(["a", "b"]), np.zeros(2, dtype=np.bool_), np.array(["admit", "deny"]), np.array(["", ""]))
    found = measure_rings(make_sample(4), nobody, seed=1)
    assert (found.rings, found.accounts, found.fragmentation) == (0, 0, None)
    assert found.scopes[0].recall.value is None
    assert found.scopes[0].recall_by_value is None
    assert found.cluster_recall.value is None
    assert found.scopes[0].contamination.value is None
