"""Learning cannot cheat unseen: shuffled labels teach nothing, and truth that leaked into a column is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from membergate.learning.model import Labelling, LearningSettings, Parts
from membergate.learning.model.leaks import leaks_in

if TYPE_CHECKING:  # pytest would take a class of this name for a test
    from tests.unit.model.conftest import Population

    from membergate.learning.features import FeatureTable, Norms
    from membergate.learning.model import IdentificationModel


def with_column(table: FeatureTable, values: np.ndarray) -> FeatureTable:
    """Overwrite the column of A2."""
    changed = table.values.copy()
    changed[:, table.features.index("A2")] = values
    return replace(table, values=changed)


def test_with_shuffled_labels_quality_falls_to_chance(people: Population, others: Population, norms: Norms) -> None:
    """What was learned from labels dealt out at random, without economics' help, orders strangers like a coin.

    Without the prior and without senses of risk nothing but labels can speak; five deals are averaged, since each is
    lucky or unlucky.
    """
    settings = LearningSettings(parts=replace(Parts(), prior=False, senses=False, shrinkage=False))
    areas = []
    for seed in range(5):
        labels = people.labels(sampled=1.0)
        shuffled = replace(labels, is_merchant=np.random.default_rng(seed).permutation(labels.is_merchant))
        model = people.learn(shuffled, norms, settings)
        areas.append(roc_auc_score(others.is_merchant, model.witness(others.table).risk_score))
    honest = people.learn(people.labels(sampled=1.0), norms, settings).witness(others.table).risk_score
    assert abs(float(np.mean(areas)) - 0.5) < 0.2
    assert roc_auc_score(others.is_merchant, honest) > 0.9
    assert roc_auc_score(others.is_merchant, honest) > max(areas) + 0.05


def test_truth_in_a_column_is_said(people: Population, norms: Norms) -> None:
    """A feature that was filled in from the truth is named when the model is learned; honest features are not."""
    noise = np.random.default_rng(0).normal(0, 0.1, len(people.is_merchant))
    leaked = with_column(people.table, people.is_merchant + noise)
    found = leaks_in(leaked, people.labels())
    assert [(leak.feature, leak.by) for leak in found] == [("A2", "value")]
    assert found[0].area > 0.99
    assert leaks_in(people.table, people.labels()) == ()
    model = replace(people, table=leaked).learn(people.labels(), norms)
    assert any("leak suspected" in note and "A2" in note for note in model.notes)


def test_nothing_is_suspected_by_chance(people: Population) -> None:
    """Of 600 deals of shuffled labels over six features none raises an alarm: at most 1 table in 160 does."""
    labels = people.labels()
    generator = np.random.default_rng(0)
    alarms = sum(
        bool(leaks_in(people.table, replace(labels, is_merchant=generator.permutation(labels.is_merchant))))
        for _ in range(600)
    )
    assert binomtest(alarms, 600).proportion_ci(0.95, "exact").high < 1 / 160


@pytest.mark.parametrize("merchants", [10, 30, 200])
def test_the_best_honest_feature_is_not_suspected(people: Population, merchants: int) -> None:
    """A behaviour that reaches an area of 0.9, the most that honest ones do, is hardly ever called a leak."""
    generator = np.random.default_rng(merchants)
    rows = len(people.is_merchant)
    is_merchant = (np.arange(rows) < merchants).astype(float)
    labels = Labelling(is_merchant, np.full(rows, "L3"), np.ones(rows))
    draws = 300
    alarms = 0
    for _ in range(draws):
        behaviour = generator.normal(1.812 * is_merchant, 1.0)
        found = leaks_in(with_column(people.table, behaviour), labels)
        alarms += any(leak.feature == "A2" for leak in found)
    assert binomtest(alarms, draws).proportion_ci(0.95, "exact").high < 0.05


def test_having_a_value_at_all_may_be_the_leak(people: Population) -> None:
    """A column that is only looked up for suspects says who they are by being there."""
    looked_up = with_column(people.table, np.where(people.is_merchant, 1.0, np.nan))
    assert [(leak.feature, leak.by) for leak in leaks_in(looked_up, people.labels())] == [("A2", "presence")]


@pytest.mark.parametrize("grade", ["L1", "L2"])
def test_what_a_rule_said_is_no_leak(people: Population, grade: str) -> None:
    """A feature agrees with the rule that reads it; labels of rules and penalties do not convict it."""
    nothing = np.full(len(people.is_merchant), np.nan)
    labels = Labelling(people.is_merchant.astype(float), np.full(nothing.size, grade), nothing)
    assert leaks_in(with_column(people.table, people.is_merchant * 1.0), labels) == ()


def test_an_honest_model_has_no_such_note(reviewed: IdentificationModel) -> None:
    """No false alarm on features that only help."""
    assert not any("leak" in note for note in reviewed.notes)
