"""Reviewers' agreement is that of the textbooks, with an interval over operators, or a typed absence."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from membergate.verification.reviewers import Opinion, measure_reviewers


def opinions(said: np.ndarray, operators: np.ndarray | None = None) -> list[Opinion]:
    """Lay out judgements, a row a case and a column a reviewer; -1 is none."""
    names = np.arange(len(said)) if operators is None else operators
    return [
        Opinion(f"c{case}", f"o{names[case]}", f"r{reviewer}", bool(word))
        for case, row in enumerate(said)
        for reviewer, word in enumerate(row)
        if word >= 0
    ]


def pairs(rows: int, error: float, seed: int) -> np.ndarray:
    """Draw cases, a fifth of them merchants, and two reviewers who err each by themselves."""
    generator = np.random.default_rng(seed)
    truth = generator.random(rows) < 0.2
    return np.stack([truth ^ (generator.random(rows) < error) for _ in range(2)], axis=1).astype(int)


def test_two_reviewers_are_compared_by_cohens_kappa() -> None:
    """Equal to scikit-learn's, inside its interval; who agrees by chance alone has a kappa round 0."""
    said = pairs(300, 0.08, 0)
    found = measure_reviewers(opinions(said), seed=1)
    assert (found.index, found.cases, found.shared_cases, found.reviewers, found.absence) == ("cohen", 300, 300, 2, "")
    assert found.kappa is not None
    assert found.agreement is not None
    assert found.kappa.value == pytest.approx(cohen_kappa_score(said[:, 0], said[:, 1]))
    assert found.kappa.low is not None
    assert found.kappa.high is not None
    assert found.kappa.low < cohen_kappa_score(said[:, 0], said[:, 1]) < found.kappa.high
    assert found.agreement.value == pytest.approx((said[:, 0] == said[:, 1]).mean())
    chance = measure_reviewers(opinions(np.random.default_rng(2).integers(0, 2, (400, 2))), seed=1)
    assert chance.kappa is not None
    assert abs(chance.kappa.value or 0.0) < 0.15


def test_many_reviewers_are_compared_by_fleiss_kappa() -> None:
    """With as many judgements a case it is Fleiss' own; with different numbers it is still 1 where all agree."""
    said = np.hstack([pairs(200, 0.1, 3), pairs(200, 0.1, 3)[:, :1]])
    found = measure_reviewers(opinions(said), seed=1)
    count, share = 3, said.mean()
    agreeing = 1 - 2 * (said.sum(axis=1) * (count - said.sum(axis=1))).mean() / (count * (count - 1))
    by_chance = share**2 + (1 - share) ** 2
    assert found.index == "fleiss"
    assert found.kappa is not None
    # with as many judgements a case, Fleiss and Cuzick's is Fleiss' own
    assert found.kappa.value == pytest.approx((agreeing - by_chance) / (1 - by_chance))
    uneven = np.repeat(np.random.default_rng(4).integers(0, 2, (60, 1)), 4, axis=1)
    uneven[::2, 3] = -1
    alike = measure_reviewers(opinions(uneven), seed=1)
    assert alike.kappa is not None
    assert alike.kappa.value == pytest.approx(1.0)


def test_a_ring_is_one_observation() -> None:
    """Cases of one operator are drawn together: the interval is wider than over as many strangers."""
    said = np.repeat(pairs(60, 0.2, 5), 5, axis=0)
    strangers = measure_reviewers(opinions(said), seed=1).kappa
    rings = measure_reviewers(opinions(said, np.repeat(np.arange(60), 5)), seed=1).kappa
    assert strangers is not None
    assert rings is not None
    assert strangers.value == rings.value
    assert (rings.high or 0) - (rings.low or 0) > 1.5 * ((strangers.high or 0) - (strangers.low or 0))


def test_what_cannot_be_told_is_a_typed_absence() -> None:
    """One joint judgement a case, too few shared cases, and judgements that never vary are told apart from 0."""
    alone = measure_reviewers(opinions(np.ones((50, 1), dtype=int)), seed=1)
    assert (alone.cases, alone.shared_cases, alone.kappa, alone.absence) == (50, 0, None, "not_applicable")
    few = measure_reviewers(opinions(pairs(9, 0.1, 0)), seed=1)
    assert (few.shared_cases, few.kappa, few.absence) == (9, None, "not_observed")
    constant = measure_reviewers(opinions(np.ones((50, 2), dtype=int)), seed=1)
    assert (constant.kappa, constant.absence) == (None, "not_observed")
    assert measure_reviewers([], seed=1).absence == "not_applicable"
