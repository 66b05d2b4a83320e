"""The additive head bends with labels, stays monotone where it must, and tells newcomers by newcomers."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from membergate.learning.model import Labelling, LearningSettings, Parts
from membergate.learning.model.additive import KNOTS, AdditiveLogit
from membergate.learning.model.prior import assumed_probability, assumed_rank
from membergate.learning.model.shrinkage import Shrinkage

if TYPE_CHECKING:  # pytest would take a class of this name for a test
    from tests.unit.model.conftest import Population

    from membergate.learning.features import Norms
    from membergate.learning.model import IdentificationModel


def drawn(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw three columns and labels that follow the first up, the second down, and the third not at all."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(0, 1.5, (rows, 3))
    merchant = rng.random(rows) < expit(1.2 * inputs[:, 0] - 0.8 * inputs[:, 1] - 1.0)
    return inputs, merchant.astype(np.float64)


def fitted(inputs: np.ndarray, target: np.ndarray, senses: tuple[int, ...]) -> AdditiveLogit:
    """Fit without a prior."""
    nothing = np.zeros(len(target))
    return AdditiveLogit.fit(inputs, target, np.ones(len(target)), nothing, 0.0, senses)


def test_with_many_labels_it_finds_what_a_logistic_regression_finds() -> None:
    """Where log-odds are linear, the curves are nearly straight and agree with scikit-learn's coefficients."""
    inputs, target = drawn(6000)
    oracle = LogisticRegression(C=np.inf).fit(inputs, target)
    new, _ = drawn(500, seed=1)
    found = fitted(inputs, target, (1, -1, 0)).margin(new, np.zeros(500))
    expected = oracle.decision_function(new)
    inner = np.abs(new).max(axis=1) < 3
    assert np.corrcoef(found[inner], expected[inner])[0, 1] > 0.99
    assert np.abs(found[inner] - expected[inner]).mean() < 0.2


def test_curves_never_turn_against_a_declared_sense() -> None:
    """A column that falls with risk in the data stays flat where the domain says that it may only rise."""
    inputs, target = drawn(2000)
    against = fitted(inputs, target, (-1, 1, 0))
    np.testing.assert_allclose(against.curves[:2], 0, atol=1e-6)
    along = fitted(inputs, target, (1, -1, 0))
    assert np.all(np.diff(along.curves[0]) >= 0)
    assert np.all(np.diff(along.curves[1]) <= 0)
    assert np.all(along.curves[:, KNOTS == 0] == 0)


def test_without_labels_the_prior_speaks_once() -> None:
    """No row at all leaves flat curves, the typical intercept, and the prior's own log-odds."""
    empty = AdditiveLogit.fit(np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros(0), -2.0, (1, 0))
    prior = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(empty.margin(np.zeros((3, 2)), prior), prior - 2.0, atol=1e-6)


def test_a_missing_value_has_a_level_of_its_own() -> None:
    """What a missing value says is learned, and is not what a typical value says."""
    inputs, target = drawn(3000)
    inputs[target == 1, 2] = np.where(np.arange(int(target.sum())) % 2, np.nan, inputs[target == 1, 2])
    model = fitted(inputs, target, (1, -1, 0))
    assert model.absent[2] > 0.5
    assert model.contributions(np.array([[0.0, 0.0, np.nan]]), np.zeros(1))[0, 2] == model.absent[2]


@pytest.mark.parametrize("orders", [0.0, 1.0, 5.0, 400.0])
def test_whoever_has_shown_little_is_told_by_newcomers(orders: float) -> None:
    """Without orders a third of what is said is one's own; with many, nearly all of it; the order of people stays."""
    shrinkage = Shrinkage(newcomer_share=0.1)
    said = np.array([0.001, 0.3, 0.9])
    shrunk = shrinkage.probability(said, np.full(3, orders))
    own = (orders + 0.5) / (orders + 1.5)
    np.testing.assert_allclose(shrunk, own * said + (1 - own) * 0.1)
    assert np.all(np.diff(shrunk) > 0)
    np.testing.assert_allclose(expit(shrinkage.margin(logit(said), np.full(3, orders))), shrunk, atol=1e-8)


def test_the_newcomers_share_is_theirs_once_enough_are_labelled() -> None:
    """Few labelled newcomers say little against everybody's share; thousands decide it."""

    def share(rows: int) -> float:
        orders = np.tile([0.0, 9.0], rows // 2)
        merchant = np.where(orders == 0, 0.0, np.arange(rows) % 10 == 1).astype(np.float64)
        labels = Labelling(merchant, np.full(rows, "L3"), np.full(rows, 0.5))
        return Shrinkage.fit(labels, orders, Parts()).newcomer_share

    assert share(20_000) < 0.01
    assert share(40) > 0.05


def test_an_assumed_probability_turns_back_into_its_rank() -> None:
    """The two are inverse to each other."""
    rank = np.array([0.01, 0.5, 0.97])
    np.testing.assert_allclose(assumed_rank(assumed_probability(rank)), rank)


@pytest.mark.parametrize("part", [field.name for field in fields(Parts)])
def test_each_part_can_be_left_out_and_is_then_gone(
    part: str, people: Population, others: Population, norms: Norms, reviewed: IdentificationModel
) -> None:
    """Without one part the model still learns and testifies, and it says something else somewhere."""
    settings = LearningSettings(parts=replace(Parts(), **{part: False}))
    without = people.learn(people.labels(), norms, settings=settings)
    said, before = without.witness(others.table), reviewed.witness(others.table)
    assert without.head is not None
    assert np.all((said.risk_score >= 0) & (said.risk_score <= 1))
    changed = {
        "clusters": not (said.placement.cluster_ids != "").any(),
        "jury": bool(np.isnan(said.detector_disagreement).all()),
        "prior": not said.contributions[:, said.columns.index("economic_prior")].any(),
        "shrinkage": bool(np.allclose(said.contributions[:, said.columns.index("little_history")], 0)),
    }
    assert changed.get(part, not np.allclose(said.risk_score, before.risk_score))
