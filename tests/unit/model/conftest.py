"""A synthetic feature table with a known answer, small enough to learn from in a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from membergate.domain.instants import utc
from membergate.learning.features import CATALOGUE, FeatureTable, Norms, Spine
from membergate.learning.features.norms import TABLES
from membergate.learning.model import IdentificationModel, Labelling, LearningSettings
from membergate.learning.model.identification import Lineage

FEATURES = ("A2", "B3", "B4", "D5", "E2", "H5")


@dataclass(frozen=True)
class Population:
    """A table with who is who, and which operator each row belongs to."""

    table: FeatureTable
    is_merchant: NDArray[np.bool_]
    operators: NDArray[np.str_]

    def labels(self, *, sampled: float = 0.5, seed: int = 3) -> Labelling:
        """Review a probability sample; the rest stays unlabelled."""
        chosen = np.random.default_rng(seed).random(len(self.is_merchant)) < sampled
        return Labelling(
            np.where(chosen, self.is_merchant.astype(float), np.nan),
            np.where(chosen, "L3", ""),
            np.where(chosen, sampled, np.nan),
        )

    def some(self, rows: slice) -> FeatureTable:
        """Cut rows out of the table."""
        whole = self.table
        spine = Spine(whole.spine.subject_ids[rows], whole.spine.account_ids[rows], whole.spine.as_of[rows])
        context = {name: values[rows] for name, values in whole.context.items()}
        return FeatureTable(
            spine, whole.operator_ids[rows], whole.features, whole.values[rows], whole.absences[rows], context
        )

    def learn(self, labels: Labelling, norms: Norms, settings: LearningSettings | None = None) -> IdentificationModel:
        """Learn from it."""
        lineage = Lineage(utc(2025, 6, 1), utc(2025, 5, 1), "0" * 64, self.table.spine.account_ids, 0.4)
        return IdentificationModel.learn(
            self.table, labels, self.operators, norms, lineage, settings or LearningSettings()
        )


def population(rows: int = 600, seed: int = 0) -> Population:
    """Draw genuine rows round zero and merchants shifted towards risk, with some values absent."""
    rng = np.random.default_rng(seed)
    is_merchant = rng.random(rows) < 0.2
    senses = np.array([CATALOGUE[feature].sense for feature in FEATURES])
    values = np.abs(rng.normal(1.0, 0.5, (rows, len(FEATURES)))) + is_merchant[:, None] * senses * rng.gamma(
        2.0, 0.6, (rows, len(FEATURES))
    )
    values[rng.random(values.shape) < 0.1] = np.nan
    names = np.array([f"a{row:04d}" for row in range(rows)])
    spine = Spine(names, names, np.full(rows, np.datetime64("2025-04-01", "us")))
    context = {
        "tenure_days": rng.uniform(1, 400, rows),
        "history_days": rng.uniform(0, 300, rows),
        "orders": rng.poisson(6, rows).astype(float),
        "regime": rng.choice(["ordinary", "burst"], rows),
        "look_alike": np.where(is_merchant, "", rng.choice(["", "dorm", "dorm", "newcomer"], rows)),
    }
    table = FeatureTable(spine, names, FEATURES, values, np.isnan(values).astype(np.uint8), context)
    operators = np.array([f"op{row // 2 if merchant else row}" for row, merchant in enumerate(is_merchant)])
    return Population(table, is_merchant, operators)


@pytest.fixture(scope="session")
def people() -> Population:
    """Give the population that most tests learn from."""
    return population()


@pytest.fixture(scope="session")
def others() -> Population:
    """Give a population that no test learns from."""
    return population(seed=1)


@pytest.fixture(scope="session")
def norms() -> Norms:
    """Give norms with nothing in them: the table is computed already."""
    return Norms(utc(2025, 5, 1), {name: pa.table({"key": pa.array([], pa.string())}) for name in TABLES}, {}, {})


@pytest.fixture(scope="session")
def reviewed(people: Population, norms: Norms) -> IdentificationModel:
    """Give a model that learned from a review sample."""
    return people.learn(people.labels(), norms)


@pytest.fixture(scope="session")
def unlabelled(people: Population, norms: Norms) -> IdentificationModel:
    """Give a model that saw no label."""
    return people.learn(people.labels(sampled=0.0), norms)
