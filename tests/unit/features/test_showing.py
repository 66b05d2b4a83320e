"""What a feature's page says: its statements for both engines, and its separating power with an interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from membergate.domain.errors import UnknownSubjectError
from membergate.domain.instants import utc
from membergate.domain.labels import Label, LabelGrade
from membergate.learning.features import CATALOGUE
from membergate.operations.features import statements_of
from membergate.operations.features_power import _of_operators, power_of


@pytest.mark.parametrize("feature", ["A2", "H7", "E5"])
def test_statements_are_shown_for_both_engines(feature: str) -> None:
    """Both are there, name the market's tables and leave the norms' scalars as parameters."""
    said = statements_of(feature)
    assert "HASH(" in said["duckdb"]
    assert "XXHASH64(" in said["spark"]
    assert all("visible_at" in text for text in said.values())
    with pytest.raises(UnknownSubjectError):
        statements_of("Z9")


def test_every_feature_has_statements() -> None:
    """No declaration is left that only one engine could read."""
    assert all(text for feature in CATALOGUE for text in statements_of(feature).values())


def test_power_is_the_area_under_the_curve() -> None:
    """It equals scikit-learn's, ties included; its interval covers the truth about as often as it says."""
    draw = np.random.default_rng(4)
    merchants, genuine = draw.integers(2, 9, 40).astype(float), draw.integers(0, 8, 60).astype(float)
    power = power_of(merchants, genuine)
    assert power is not None
    truth = np.r_[np.ones(40), np.zeros(60)]
    assert power.area == pytest.approx(roc_auc_score(truth, np.r_[merchants, genuine]))
    hits = 0
    for _ in range(300):
        found = power_of(draw.normal(1, 1, 40), draw.normal(0, 1, 60))
        assert found is not None
        hits += found.low <= 0.76025 <= found.high  # the normal distribution function of 1 / sqrt(2)
    assert 0.9 <= hits / 300 <= 0.99


def test_an_upheld_appeal_takes_a_label_back() -> None:
    """An account's latest label counts, as everywhere."""
    proof = Label("account", "a", True, LabelGrade.L4, "proof", utc(2025, 5, 1))
    appeal = replace(proof, is_merchant=False, grade=LabelGrade.L0, decided_at=utc(2025, 6, 1))
    names = np.array(["a"])
    for labels in ([proof, appeal], [appeal, proof]):
        merchants, genuine = _of_operators(np.array([3.0]), names, names, labels)
        assert (len(merchants), genuine.tolist()) == (0, [3.0])


def test_too_few_labels_state_no_power() -> None:
    """Four merchants are too few."""
    assert power_of(np.ones(4), np.ones(50)) is None
