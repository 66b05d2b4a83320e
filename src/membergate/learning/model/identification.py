"""The member identification model: learned once from a feature table, then a witness about anyone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from membergate.domain.errors import NotEnoughDataError
from membergate.learning.features import FeatureTable, Norms
from membergate.learning.model.calibration import SigmoidCalibration
from membergate.learning.model.groundwork import Groundwork, Sight
from membergate.learning.model.head import FOLDS, HeadInputs, SupervisedHead
from membergate.learning.model.labelling import Labelling
from membergate.learning.model.leaks import leaks_in
from membergate.learning.model.parts import Parts
from membergate.learning.model.prior import assumed_probability, assumed_rank, rank_among
from membergate.learning.model.settling import ASSUMED, Settling
from membergate.learning.model.shrinkage import Shrinkage
from membergate.learning.model.testimony import Testimony

FEWEST_ROWS = 50
"""Applications below which there is nothing to be typical of."""
UNSURE_SPREAD = 0.15
"""A probability of a model without labels is quoted plus or minus this at least, and twice this without any history."""


@dataclass(frozen=True)
class LearningSettings:
    """What a learning run may be told.

    Parameters
    ----------
    seed
        Makes every random draw of learning repeatable.
    use_labels
        Whether labels may be looked at; False learns as an unlabelled market would.
    parts
        Which parts of the model are in use.
    """

    seed: int = 0
    use_labels: bool = True
    parts: Parts = field(default_factory=Parts)


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
class IdentificationModel:
    """A learned model; see the package for the order of its parts.

    Parameters
    ----------
    features
        Ids of the features that it reads, in catalogue order.
    norms
        The population tables that they are measured against.
    groundwork
        Space, prior, clusters and jury.
    head
        Learned from labels; None where there were too few.
    calibration
        From margins to probabilities; None where no review sample is large enough.
    lineage, settings, notes
        Where it comes from, how it was made, and what its reader should know.
    settling
        How far its margins move as more is seen; None where too few histories were long enough to tell.
    """

    features: tuple[str, ...]
    norms: Norms
    groundwork: Groundwork
    head: SupervisedHead | None
    calibration: SigmoidCalibration | None
    lineage: Lineage
    settings: LearningSettings
    notes: tuple[str, ...]
    settling: Settling | None = None

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
        if not settings.use_labels:
            labels = labels.only(())
        groundwork = Groundwork.fit(table, labels, np.random.default_rng(settings.seed), settings.parts)
        model = cls(table.features, norms, groundwork, None, None, lineage, settings, ())
        model = model._supervised(table, labels, operators)
        leaks = tuple(str(leak) for leak in leaks_in(table, labels))
        return replace(model, notes=(*_notes(labels, model.head, model.calibration), *leaks))

    @property
    def is_calibrated(self) -> bool:
        """Whether its probabilities rest on a probability sample of reviewed applications."""
        return self.calibration is not None

    def witness(self, table: FeatureTable) -> Testimony:
        """Testify about every row of a feature table; a row's testimony does not depend on the other rows."""
        sight = self.groundwork.see(table)
        return self._assumed(table, sight) if self.head is None else self._judged(table, sight, self.head)

    def margin(self, table: FeatureTable) -> NDArray[np.float64]:
        """Give the log-odds that the probability is made of, before calibration, shape (n,)."""
        sight = self.groundwork.see(table)
        if self.head is None:
            return np.asarray(logit(self._assumed_probability(table, sight)), dtype=np.float64)
        margins, _ = self.head.judge(HeadInputs.of(table, sight, self.settings.parts))
        return np.asarray(margins[0], dtype=np.float64)

    def _supervised(self, table: FeatureTable, labels: Labelling, operators: NDArray[np.str_]) -> Self:
        """Add head and calibration, as far as the labels carry them."""
        inputs = HeadInputs.of(table, self.groundwork.see(table), self.settings.parts)
        fitted = SupervisedHead.fit(inputs, table.features, labels, folds_of(operators), self.settings.parts)
        if fitted is None:
            return self
        head, margins = fitted
        calibration = SigmoidCalibration.fit(margins, labels.is_merchant, labels.sampling_weight)
        return replace(self, head=head, calibration=calibration)

    def _assumed(self, table: FeatureTable, sight: Sight) -> Testimony:
        """Testify without labels, on stated assumptions."""
        orders = table.context["orders"].astype(np.float64)
        assumed = self._assumed_probability(table, sight)
        unsure = UNSURE_SPREAD * (1.0 + 1.0 / (1.0 + orders))
        low, high = assumed - unsure, assumed + unsure
        if self.settling is not None:
            settled = self.settling.around(np.asarray(logit(assumed)), orders)
            low, high = np.minimum(low, expit(settled[0])), np.maximum(high, expit(settled[1]))
        return Testimony(
            risk_score=assumed_rank(assumed),
            merchant_probability=np.full(orders.size, np.nan),
            uncalibrated_probability=assumed,
            probability_low=np.clip(low, 0, 1),
            probability_high=np.clip(high, 0, 1),
            members_probability_high=np.clip(assumed + UNSURE_SPREAD, 0, 1),
            evidence_mass=orders,
            detector_disagreement=sight.disagreement,
            placement=sight.placement,
            contributions=np.maximum(self.groundwork.prior.weights * sight.deviations, 0.0),
            columns=self.features,
        )

    def _assumed_probability(self, table: FeatureTable, sight: Sight) -> NDArray[np.float64]:
        orders = table.context["orders"].astype(np.float64)
        return Shrinkage.of(self.settings.parts).probability(assumed_probability(sight.unlabelled_rank), orders)

    def _judged(self, table: FeatureTable, sight: Sight, head: SupervisedHead) -> Testimony:
        """Testify from labels; how scores settle, and the members' spread, are the uncertainty."""
        inputs = HeadInputs.of(table, sight, self.settings.parts)
        margins, contributions = head.judge(inputs)
        margins = np.vstack([margins, *(self.settling or ASSUMED).around(margins[0], inputs.orders)])
        assumed = assumed_probability(rank_among(head.ranks, margins))
        probability = assumed if self.calibration is None else self.calibration.probability(margins)
        unknown = np.full(inputs.orders.size, np.nan)
        return Testimony(
            risk_score=np.asarray(expit(margins[0]), dtype=np.float64),
            merchant_probability=unknown if self.calibration is None else probability[0],
            uncalibrated_probability=assumed[0],
            probability_low=probability.min(axis=0),
            probability_high=probability.max(axis=0),
            members_probability_high=probability[:-2].max(axis=0),
            evidence_mass=inputs.orders,
            detector_disagreement=sight.disagreement,
            placement=sight.placement,
            contributions=contributions,
            columns=head.columns,
        )


def folds_of(operators: NDArray[np.str_]) -> NDArray[np.int64]:
    """Deal operators to folds by a digest of their id, so that the deal never depends on who else is there.

    Parameters
    ----------
    operators
        Shape (n,).

    Returns
    -------
    ndarray of shape (n,)
        Folds in [0, 5).
    """
    return np.array([int.from_bytes(sha256(b"fold" + name.encode()).digest()[:4]) % FOLDS for name in operators])


def _notes(labels: Labelling, head: SupervisedHead | None, calibration: SigmoidCalibration | None) -> tuple[str, ...]:
    known = int(labels.is_labelled.sum())
    notes = [f"{known} of {labels.is_merchant.size} training applications carry a label"]
    if head is None:
        notes.append("too few labelled merchants for a supervised head: clusters, outliers and resale economics decide")
    if calibration is None:
        notes.append("uncalibrated: no probability sample of reviewed applications is large enough")
    return tuple(notes)
