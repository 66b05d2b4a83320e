"""The confusion zone: the labelled applicants about whom the door is most wrong, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from membergate.domain.disposition import FULL_ADMISSIONS, HOLDERS
from membergate.verification.sample import EvaluationSample, is_among

MOST_CASES = 8
"""Cases of each kind that are shown at most."""


@dataclass(frozen=True, slots=True)
class ConfusedCase:
    """One applicant whom the door treats as what they are not.

    Parameters
    ----------
    account_id
        Ask `membergate explain` about it.
    is_merchant, grade
        What the label says, and how well it is founded.
    look_alike
        The genuine group whose guard the applicant satisfies; "" for none.
    risk_score
        In [0, 1], larger is riskier.
    merchant_probability
        Calibrated, in [0, 1]; None where the model is not.
    disposition, reason_codes
        What the door says, and why, strongest first.
    """

    account_id: str
    is_merchant: bool
    grade: str
    look_alike: str
    risk_score: float
    merchant_probability: float | None
    disposition: str
    reason_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfusionZone:
    """Where genuine applicants and merchants look alike.

    Parameters
    ----------
    genuine_kept_out, merchants_let_in
        Labelled rows: genuine people without any membership, and merchants admitted in full. Counts, not rates.
    genuine, merchants
        Labelled rows of either kind.
    cases
        The riskiest of the former, then the safest of the latter, at most eight each.
    """

    genuine_kept_out: int
    merchants_let_in: int
    genuine: int
    merchants: int
    cases: tuple[ConfusedCase, ...]


def find_confusion(sample: EvaluationSample, reasons: Mapping[str, tuple[str, ...]]) -> ConfusionZone:
    """Find the labelled applicants about whom the door is most wrong.

    Parameters
    ----------
    sample
        The evaluation sample.
    reasons
        Application id -> reason codes of its decision, strongest first.
    """
    kept_out = np.flatnonzero(~sample.is_merchant & ~is_among(sample.disposition, HOLDERS))
    let_in = np.flatnonzero(sample.is_merchant & is_among(sample.disposition, FULL_ADMISSIONS))
    riskiest = kept_out[np.argsort(-sample.risk_score[kept_out], kind="stable")][:MOST_CASES]
    safest = let_in[np.argsort(sample.risk_score[let_in], kind="stable")][:MOST_CASES]
    look_alikes = sample.groups.get("look_alike", np.full(len(sample), ""))
    return ConfusionZone(
        genuine_kept_out=len(kept_out),
        merchants_let_in=len(let_in),
        genuine=int((~sample.is_merchant).sum()),
        merchants=int(sample.is_merchant.sum()),
        cases=tuple(
            ConfusedCase(
                account_id=str(sample.account_ids[row]),
                is_merchant=bool(sample.is_merchant[row]),
                grade=str(sample.grade[row]),
                look_alike=str(look_alikes[row]),
                risk_score=float(sample.risk_score[row]),
                merchant_probability=_known(float(sample.merchant_probability[row])),
                disposition=str(sample.disposition[row]),
                reason_codes=reasons.get(str(sample.application_ids[row]), ()),
            )
            for row in (*riskiest.tolist(), *safest.tolist())
        ),
    )


def _known(probability: float) -> float | None:
    return probability if np.isfinite(probability) else None
