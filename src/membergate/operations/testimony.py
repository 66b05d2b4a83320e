"""Testimony becomes evidence: the names a policy may read, their types, and each subject's values or typed absences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from membergate.deciding import velocity
from membergate.domain.evidence import Absence, Evidence, EvidenceKind, EvidenceValue, Vocabulary
from membergate.learning.features import CATALOGUE, FeatureTable, evidence_name
from membergate.learning.model import IdentificationModel, Testimony
from membergate.operations.history import aware

_NUMBERS_OF_THE_MODEL = (
    "risk_score",
    "merchant_probability",
    "uncalibrated_probability",
    "probability_low",
    "probability_high",
    "members_probability_high",
    "evidence_mass",
    "detector_disagreement",
    "cluster_merchant_share",
)
_NUMBERS_OF_THE_OPERATOR = ("operator_accounts", "operator_holders", "operator_recent_applications")
_NUMBERS_OF_THE_CONTEXT = ("tenure_days", "history_days", "company_invoice_ratio")
_NUMBERS_OF_THE_ORDER = ("order_units", "order_units_of_one_sku", "order_benefit_minor")
_TEXTS_OF_THE_CLUSTER = ("cluster_id", "cluster_type")
_TEXTS_OF_THE_MEMBER = ("member_standing",)
_TEXTS_OF_THE_CONTEXT = ("declared_use", "regime", "look_alike", "region_code")
_BOOLEANS = ("list_allow", "list_watch", "list_deny", "is_calibrated")
_ABSENCES = tuple(Absence)


def vocabulary() -> Vocabulary:
    """Give every evidence name that this house can witness, with its type."""
    numbers = (
        *_NUMBERS_OF_THE_MODEL,
        *_NUMBERS_OF_THE_OPERATOR,
        *_NUMBERS_OF_THE_CONTEXT,
        *_NUMBERS_OF_THE_ORDER,
        *(evidence_name(feature) for feature in CATALOGUE.values()),
        *velocity.NAMES,
    )
    return (
        dict.fromkeys(numbers, EvidenceKind.NUMBER)
        | dict.fromkeys((*_TEXTS_OF_THE_CLUSTER, *_TEXTS_OF_THE_CONTEXT, *_TEXTS_OF_THE_MEMBER), EvidenceKind.TEXT)
        | dict.fromkeys(_BOOLEANS, EvidenceKind.BOOLEAN)
    )


@dataclass(frozen=True)
class Witnesses:
    """The feature table and the model's testimony about the same rows, one row's evidence at a time.

    Parameters
    ----------
    table
        Features and context.
    testimony
        What the model says of the same rows.
    model
        The model that testifies.
    model_version
        Its name, the origin of its evidence.
    """

    table: FeatureTable
    testimony: Testimony
    model: IdentificationModel
    model_version: str

    def about(self, row: int, operator: Mapping[str, EvidenceValue | Absence]) -> dict[str, Evidence]:
        """Collect all evidence about one row.

        Parameters
        ----------
        row
            Row of the table.
        operator
            Evidence about the row's operator, which depends on what was decided before.
        """
        observed_at = aware(self.table.spine.as_of[row])
        said: dict[str, tuple[EvidenceValue | Absence, str]] = {}
        said |= {name: (value, f"model:{self.model_version}") for name, value in self._model_says(row).items()}
        said |= {name: (value, "identity") for name, value in operator.items()}
        said |= {name: (_number(self.table.context[name][row]), "market") for name in _NUMBERS_OF_THE_CONTEXT}
        said |= {name: (_text(self.table.context[name][row]), "market") for name in _TEXTS_OF_THE_CONTEXT}
        said |= dict.fromkeys(("list_allow", "list_watch", "list_deny"), (Absence.NOT_APPLICABLE, "lists"))
        said |= self._features_say(row)
        return {name: Evidence(name, value, origin, observed_at) for name, (value, origin) in said.items()}

    def _model_says(self, row: int) -> dict[str, EvidenceValue | Absence]:
        testimony = self.testimony
        return {
            "risk_score": _number(testimony.risk_score[row]),
            "merchant_probability": _number(testimony.merchant_probability[row]),
            "uncalibrated_probability": _number(testimony.uncalibrated_probability[row]),
            "probability_low": _number(testimony.probability_low[row]),
            "probability_high": _number(testimony.probability_high[row]),
            "members_probability_high": _number(testimony.members_probability_high[row]),
            "evidence_mass": _number(testimony.evidence_mass[row]),
            "detector_disagreement": _number(testimony.detector_disagreement[row]),
            "cluster_merchant_share": _number(testimony.placement.merchant_share[row]),
            "cluster_id": _text(testimony.placement.cluster_ids[row]),
            "cluster_type": _text(testimony.placement.types[row]),
            "is_calibrated": self.model.is_calibrated,
        }

    def _features_say(self, row: int) -> dict[str, tuple[EvidenceValue | Absence, str]]:
        said: dict[str, tuple[EvidenceValue | Absence, str]] = {}
        for feature in CATALOGUE.values():
            said[evidence_name(feature)] = (Absence.NOT_APPLICABLE, f"feature:{feature.id}")
        for column, feature_id in enumerate(self.table.features):
            absence = int(self.table.absences[row, column])
            value = _ABSENCES[absence - 1] if absence else _number(self.table.values[row, column])
            said[evidence_name(CATALOGUE[feature_id])] = (value, f"feature:{feature_id}")
        return said


def _number(value: float) -> float | Absence:
    return float(value) if np.isfinite(value) else Absence.NOT_OBSERVED


def _text(value: object) -> str | Absence:
    return str(value) or Absence.NOT_OBSERVED
