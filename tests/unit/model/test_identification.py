"""The identification model learns from much, little and nothing, and says which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from membergate.domain.errors import ModelError, NotEnoughDataError
from membergate.learning.features import Norms
from membergate.learning.model import IdentificationModel, Labelling, load_model, save_model
from membergate.learning.model.identification import folds_of

if TYPE_CHECKING:  # pytest would take a class of this name for a test
    from tests.unit.model.conftest import Population

    from membergate.learning.model import Testimony


def arrays(testimony: Testimony) -> list[np.ndarray]:
    """List everything that a testimony says."""
    placement = testimony.placement
    return [
        testimony.risk_score,
        testimony.merchant_probability,
        testimony.uncalibrated_probability,
        testimony.probability_low,
        testimony.probability_high,
        testimony.detector_disagreement,
        testimony.contributions,
        placement.cluster_ids,
        placement.types,
        placement.merchant_share,
        placement.prior_mean,
    ]


def test_with_a_review_sample_it_is_calibrated_and_orders_strangers(
    reviewed: IdentificationModel, others: Population
) -> None:
    """Probabilities on people it never met average to their merchant share, and merchants score higher."""
    said = reviewed.witness(others.table)
    assert reviewed.is_calibrated
    assert roc_auc_score(others.is_merchant, said.risk_score) > 0.85
    assert abs(said.merchant_probability.mean() - others.is_merchant.mean()) < 0.05
    assert np.all(said.probability_low <= said.merchant_probability + 1e-12)
    assert np.all(said.merchant_probability <= said.probability_high + 1e-12)


def test_without_labels_it_still_orders_and_says_that_it_is_uncalibrated(
    unlabelled: IdentificationModel, others: Population
) -> None:
    """Economics, clusters and outliers order people better than chance; no probability is called calibrated."""
    said = unlabelled.witness(others.table)
    assert not unlabelled.is_calibrated
    assert any("uncalibrated" in note for note in unlabelled.notes)
    assert np.isnan(said.merchant_probability).all()
    assert roc_auc_score(others.is_merchant, said.risk_score) > 0.75
    assert np.all((said.uncalibrated_probability > 0) & (said.uncalibrated_probability < 1))


def test_unlabelled_is_not_genuine(people: Population, others: Population, norms: Norms) -> None:
    """With proofs of resale only and nobody known to be genuine, it still learns, and does not push everyone down."""
    proved = people.is_merchant & (np.arange(len(people.is_merchant)) % 3 == 0)
    nothing = np.full(len(proved), np.nan)
    labels = Labelling(np.where(proved, 1.0, np.nan), np.where(proved, "L4", ""), nothing)
    model = people.learn(labels, norms)
    said = model.witness(others.table)
    assert not model.is_calibrated
    assert model.head is not None
    assert roc_auc_score(others.is_merchant, said.risk_score) > 0.8


def test_a_row_is_witnessed_alone_as_in_a_batch(
    reviewed: IdentificationModel, unlabelled: IdentificationModel, others: Population
) -> None:
    """The service asks one at a time, the batch all at once; both hear the same, bit for bit."""
    for model in (reviewed, unlabelled):
        batch = arrays(model.witness(others.table))
        for row in (0, 7, 311):
            alone = arrays(model.witness(others.some(slice(row, row + 1))))
            for together, single in zip(batch, alone, strict=True):
                np.testing.assert_array_equal(together[row : row + 1], single)


def test_learning_twice_gives_the_same_model(
    people: Population, norms: Norms, reviewed: IdentificationModel, tmp_path: Path
) -> None:
    """The version is a digest of the content, and the same learning has the same content."""
    again = people.learn(people.labels(), norms)
    assert save_model(reviewed, tmp_path / "one") == save_model(again, tmp_path / "two")


def test_a_loaded_model_says_what_the_saved_one_said(
    reviewed: IdentificationModel, unlabelled: IdentificationModel, others: Population, tmp_path: Path
) -> None:
    """Saving loses nothing: arrays, curves, calibration and notes come back."""
    for model in (reviewed, unlabelled):
        loaded = load_model(tmp_path / save_model(model, tmp_path))
        assert (loaded.notes, loaded.settings, loaded.features) == (model.notes, model.settings, model.features)
        for before, after in zip(
            arrays(model.witness(others.table)), arrays(loaded.witness(others.table)), strict=True
        ):
            np.testing.assert_array_equal(before, after)


def test_a_changed_byte_is_refused(reviewed: IdentificationModel, tmp_path: Path) -> None:
    """Whatever file of a model is altered, removed or added, it does not load, and the error names the file."""
    folder = tmp_path / save_model(reviewed, tmp_path)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        original = file.read_bytes()
        middle = len(original) // 2
        file.write_bytes(original[:middle] + bytes([original[middle] ^ 1]) + original[middle + 1 :])
        with pytest.raises(ModelError):
            load_model(folder)
        file.write_bytes(original)
    (folder / "arrays.npz").rename(folder / "others.npz")
    with pytest.raises(ModelError, match="altered") as caught:
        load_model(folder)
    assert "others.npz" in caught.value.where


def test_no_model_file_can_hold_code(reviewed: IdentificationModel, tmp_path: Path) -> None:
    """Arrays load without pickle; the rest is JSON and Parquet."""
    folder = tmp_path / save_model(reviewed, tmp_path)
    with np.load(folder / "arrays.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype.kind in "fiuUb" for name in stored.files)
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".npz", ".json", ".parquet"}


def test_contributions_explain_the_score(reviewed: IdentificationModel, others: Population) -> None:
    """Contributions and intercept add up to the log-odds, and merchants' contributions point up."""
    assert reviewed.head is not None
    said = reviewed.witness(others.table)
    intercept = np.mean([member.intercept for member in reviewed.head.members])
    np.testing.assert_allclose(intercept + said.contributions.sum(axis=1), logit(said.risk_score), atol=1e-9)
    assert said.contributions[others.is_merchant].sum(axis=1).mean() > 0


def test_more_risk_is_never_less_suspect(reviewed: IdentificationModel, others: Population) -> None:
    """The head is monotone: raising a feature in its sense of risk never lowers the score."""
    table = others.some(slice(0, 200))
    base = reviewed.witness(table).risk_score
    worse = others.some(slice(0, 200))
    worse.values[:, worse.features.index("D5")] += 1.5
    assert np.all(reviewed.witness(worse).risk_score >= base - 1e-12)


def test_too_little_history_is_refused_with_what_is_needed(people: Population, norms: Norms) -> None:
    """Fewer than fifty rows end in one error that says so."""
    few = replace(people, table=people.some(slice(0, 20)))
    with pytest.raises(NotEnoughDataError) as caught:
        few.learn(people.labels().take(np.arange(20)), norms)
    assert "50" in caught.value.allowed


def test_an_operator_is_never_in_two_folds() -> None:
    """Folds are drawn by operator and do not depend on who else is there."""
    names = np.array(["op-a", "op-b", "op-a", "op-c"])
    assert folds_of(names)[0] == folds_of(names)[2]
    assert folds_of(names[1:2])[0] == folds_of(names)[1]
