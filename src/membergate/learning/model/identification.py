"""The member identification model: learned once from a feature table, then a witness about anyone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from membergate.domain.errors import NotEnoughDataError
from membergate.learning.features import CATALOGUE, FeatureTable, Norms
from membergate.learning.model.calibration import SigmoidCalibration
from membergate.learning.model.clusters import Placement, TypedClusters
from membergate.learning.model.head import FOLDS, SupervisedHead
from membergate.learning.model.jury import Jury, disagreement
from membergate.learning.model.labelling import Labelling
from membergate.learning.model.prior import EconomicPrior, assumed_probability
from membergate.learning.model.space import ContextSpace

FEWEST_ROWS = 50
"""Applications below which there is nothing to be typical of."""
MASS_COLUMNS = ("orders", "history_days")
"""Context that the head sees beside the features: how much there is to judge by. It has no sense of risk."""
UNLABELLED_MIX = (0.6, 0.2, 0.2)
"""Without labels: shares of economics, of the cluster's economics, and of oddness in the risk score."""
UNSURE_SPREAD = 0.15
"""An uncalibrated probability is quoted plus or minus this on the probit-rank scale's probability."""


@dataclass(frozen=True)
class LearningSettings:
    """What a learning run may be told.

    Parameters
    ----------
    seed
        Makes every random draw of learning repeatable.
    use_labels
        Whether labels may be looked at; False learns as an unlabelled market would.
    """

    seed: int = 0
    use_labels: bool = True


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from.

    Parameters
    ----------
    as_of
        Nothing later was known to it.
    trained_until
        Applications submitted from here on were kept for verification.
    warehouse
        Fingerprint of the data.
    accounts
        Accounts that took part in training or calibration, shape (n,).
    holdout_share
        Share of operators that were kept out of training.
    """

    as_of: datetime
    trained_until: datetime
    warehouse: str
    accounts: NDArray[np.str_]
    holdout_share: float


@dataclass(frozen=True)
class Testimony:
    """What the model says about each of n subjects; every array has shape (n,) unless said otherwise.

    Parameters
    ----------
    risk_score
        Ordering in [0, 1], larger is riskier.
    merchant_probability
        Calibrated, in [0, 1]; NaN where the model is uncalibrated.
    uncalibrated_probability
        Rests on stated assumptions only; always there.
    probability_low, probability_high
        How far the model's own members disagree about the probability.
    evidence_mass
        Visible orders behind the statement.
    detector_disagreement
        Spread of the jury's opinions, in [0, 1]; NaN where there is no jury.
    placement
        Clusters.
    contributions
        Shape (n, f): what each column adds to the log-odds, larger is riskier.
    columns
        Names of the columns, shape (f,).
    """

    risk_score: NDArray[np.float64]
    merchant_probability: NDArray[np.float64]
    uncalibrated_probability: NDArray[np.float64]
    probability_low: NDArray[np.float64]
    probability_high: NDArray[np.float64]
    evidence_mass: NDArray[np.float64]
    detector_disagreement: NDArray[np.float64]
    placement: Placement
    contributions: NDArray[np.float64]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class IdentificationModel:
    """A learned model; see the module for the order of its parts."""

    features: tuple[str, ...]
    norms: Norms
    space: ContextSpace
    prior: EconomicPrior
    clusters: TypedClusters
    jury: Jury | None
    unlabelled_ranks: NDArray[np.float64]
    head: SupervisedHead | None
    calibration: SigmoidCalibration | None
    lineage: Lineage
    settings: LearningSettings
    notes: tuple[str, ...]

    @classmethod
    def learn(
        cls,
        table: FeatureTable,
        labels: Labelling,
        operators: NDArray[np.str_],
        norms: Norms,
        lineage: Lineage,
        settings: LearningSettings,
    ) -> Self:
        """Learn from what was known.

        Parameters
        ----------
        table
            Features of n past applications, each as of its own instant.
        labels
            What is known of them by now.
        operators
            Shape (n,): operator of each row by now; no operator is split between folds.
        norms
            The population tables that the features were measured against.
        lineage, settings
            Kept with the model.

        Raises
        ------
        NotEnoughDataError
            With fewer than 50 applications.
        """
        if len(table.spine) < FEWEST_ROWS:
            raise NotEnoughDataError(
                f"{len(table.spine)} past applications are too few to learn from",
                allowed=f"at least {FEWEST_ROWS}",
                next_step="ingest more history, or learn as of a later instant",
            )
        rng = np.random.default_rng(settings.seed)
        if not settings.use_labels:
            nothing = np.full(len(table.spine), np.nan)
            labels = Labelling(nothing, np.full(len(table.spine), "", dtype="<U2"), nothing)
        space = ContextSpace.fit(table)
        deviations = space.transform(table)
        prior = EconomicPrior.fit(table.features, deviations)
        rank = prior.score(deviations)
        clusters = TypedClusters.fit(deviations, rank, labels, rng)
        jury = Jury.fit(deviations, rng)
        unlabelled_ranks = np.sort(_unlabelled_risk(rank, clusters.place(deviations, rank), jury, deviations))
        fitted = SupervisedHead.fit(
            _inputs(table, deviations, rank),
            _columns(table.features),
            _senses(table.features),
            labels,
            assumed_probability(rank),
            folds_of(operators),
            settings.seed,
        )
        head, margins = fitted if fitted is not None else (None, None)
        calibration = None
        if margins is not None:
            calibration = SigmoidCalibration.fit(margins, labels.is_merchant, labels.sampling_weight)
        return cls(
            table.features,
            norms,
            space,
            prior,
            clusters,
            jury,
            unlabelled_ranks,
            head,
            calibration,
            lineage,
            settings,
            _notes(labels, head, calibration),
        )

    @property
    def is_calibrated(self) -> bool:
        """Whether its probabilities rest on a probability sample of reviewed applications."""
        return self.calibration is not None

    def witness(self, table: FeatureTable) -> Testimony:
        """Testify about every row of a feature table; a row's testimony does not depend on the other rows."""
        deviations = self.space.transform(table)
        rank = self.prior.score(deviations)
        placement = self.clusters.place(deviations, rank)
        opinions = self.jury.hear(deviations) if self.jury is not None else ()
        unlabelled = _unlabelled_risk(rank, placement, self.jury, deviations)
        unlabelled_rank = np.clip(
            np.searchsorted(self.unlabelled_ranks, unlabelled) / (self.unlabelled_ranks.size + 1.0), 1e-4, 1 - 1e-4
        )
        assumed = assumed_probability(unlabelled_rank)
        mass = table.context["orders"].astype(np.float64)
        spread = disagreement(rank, *opinions) if opinions else np.full(rank.size, np.nan)
        if self.head is None:
            signed = np.maximum(self.prior.weights * deviations, 0.0)
            return Testimony(
                unlabelled_rank,
                np.full(rank.size, np.nan),
                assumed,
                np.clip(assumed - UNSURE_SPREAD, 0, 1),
                np.clip(assumed + UNSURE_SPREAD, 0, 1),
                mass,
                spread,
                placement,
                signed,
                self.features,
            )
        inputs = _inputs(table, deviations, rank)
        margins = self.head.margins(inputs)
        members = self.calibration.probability(margins) if self.calibration else expit(margins)
        mean = margins.mean(axis=0)
        probability = self.calibration.probability(mean) if self.calibration else np.full(rank.size, np.nan)
        return Testimony(
            np.asarray(expit(mean), dtype=np.float64),
            probability,
            np.asarray(expit(mean), dtype=np.float64),
            np.asarray(members.min(axis=0), dtype=np.float64),
            np.asarray(members.max(axis=0), dtype=np.float64),
            mass,
            spread,
            placement,
            self.head.contributions(inputs)[:, :-1],
            self.head.columns,
        )


def folds_of(operators: NDArray[np.str_]) -> NDArray[np.int64]:
    """Deal operators to folds by a digest of their id, so that the deal never depends on who else is there."""
    return np.array([int.from_bytes(sha256(b"fold" + name.encode()).digest()[:4]) % FOLDS for name in operators])


def _unlabelled_risk(
    rank: NDArray[np.float64],
    placement: Placement,
    jury: Jury | None,
    deviations: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mix economics, the economics of one's cluster, and oddness; what is missing leaves its share to economics."""
    economics, company, oddness = UNLABELLED_MIX
    neighbours = np.where(np.isfinite(placement.prior_mean), placement.prior_mean, rank)
    odd = np.mean(jury.hear(deviations), axis=0) if jury is not None else rank
    # Oddness alone is no guilt: it only sharpens what economics already suspects.
    return np.asarray(economics * rank + company * neighbours + oddness * odd * rank, dtype=np.float64)


def _inputs(table: FeatureTable, deviations: NDArray[np.float64], rank: NDArray[np.float64]) -> NDArray[np.float64]:
    absent = ~np.isfinite(table.values)
    mass = [np.log1p(table.context[name].astype(np.float64)) for name in MASS_COLUMNS]
    return np.column_stack([np.where(absent, np.nan, deviations), *mass, rank])


def _columns(features: tuple[str, ...]) -> tuple[str, ...]:
    return (*features, *MASS_COLUMNS, "economic_prior")


def _senses(features: tuple[str, ...]) -> tuple[int, ...]:
    return (*(CATALOGUE[feature].sense for feature in features), *(0 for _ in MASS_COLUMNS), 1)


def _notes(labels: Labelling, head: SupervisedHead | None, calibration: SigmoidCalibration | None) -> tuple[str, ...]:
    known = int(labels.is_labelled.sum())
    notes = [f"{known} of {labels.is_merchant.size} training applications carry a label"]
    if head is None:
        notes.append("too few labelled merchants for a supervised head: clusters, outliers and resale economics decide")
    if calibration is None:
        notes.append("uncalibrated: no probability sample of reviewed applications is large enough")
    return tuple(notes)
