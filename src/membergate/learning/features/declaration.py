"""How a feature is declared: once, in SQL over a grain, and everything else is read off that declaration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["account", "operator"]
"""Whose rows a measure sees: the asked account's, or those of every account of its operator."""


@dataclass(frozen=True)
class Measure:
    """One number per spine row: an SQL aggregate over one grain, inside one window.

    Parameters
    ----------
    grain
        The relation it aggregates; see `grains`.
    sql
        The aggregate, in DuckDB's dialect, over columns of the grain. Sums of reals are written `FIXED_SUM`.
    window_days
        Only rows of the last so many days before the instant; None is everything the grain holds.
    scope
        Whose rows it sees.
    """

    grain: str
    sql: str
    window_days: int | None = None
    scope: Scope = "operator"


@dataclass(frozen=True)
class Shrinkage:
    """Empirical-Bayes shrinkage of a rate towards the population's (Beta-binomial or Gamma-Poisson mean).

    The value is `(rate * evidence + strength * prior) / (evidence + strength)`; the prior is the ordinary population's
    pooled rate, fitted with the norms and published there.

    Parameters
    ----------
    evidence
        SQL aggregate over the feature's grain: the rate's denominator. Not read where the feature declares `per`, which
        is its denominator.
    strength
        How much evidence the prior is worth, in the denominator's unit.
    """

    evidence: str
    strength: float


@dataclass(frozen=True)
class Feature:
    """A behaviour feature: what it measures, why it may mean risk, and whom it may harm.

    Parameters
    ----------
    id
        Its id in the catalogue, `A2`.
    name
        Its name there, lower-case words joined by underscores.
    summary
        What it measures, one sentence.
    rationale
        Why a merchant shows it.
    unit
        Unit of the value.
    grain
        The relation its SQL aggregates; see `grains`.
    sql
        One SQL aggregate over the grain's columns, the value of one spine row.
    evidence
        SQL aggregate: how many rows, orders or units stand behind the value (`n_eff`).
    evidence_grain
        What the evidence aggregates, where it is another relation than the value's; empty for the same.
    minimum_evidence
        Below this the value is `not_observed`.
    sense
        +1 riskier when larger, -1 safer when larger, 0 no sense; also the monotone constraint of supervised heads.
    harms
        Look-alikes that it makes look like merchants, by their names in `lookalikes`.
    robust_variant
        What makes it dearer to evade, and how dear: + cheap, ++ moderate, +++ destroys the profit.
    window_days
        Only rows of the last so many days; None where the grain has no time.
    scope
        `operator` where splitting over accounts would evade it.
    shrinkage
        How a rate on little evidence is pulled to the population's; None where it is not.
    value_of_nothing
        The value where there is evidence enough but no row of the grain; None is the absence `not_observed`.
    per
        What the SQL's value is divided by, where that is measured on another grain; nothing over something is then 0.
    """

    id: str
    name: str
    summary: str
    rationale: str
    unit: str
    grain: str
    sql: str
    evidence: str
    sense: Literal[-1, 0, 1]
    harms: tuple[str, ...]
    robust_variant: str
    evidence_grain: str = ""
    minimum_evidence: int = 1
    window_days: int | None = None
    scope: Scope = "operator"
    shrinkage: Shrinkage | None = None
    value_of_nothing: float | None = None
    per: Measure | None = None

    @property
    def value(self) -> Measure:
        """The measure of the value, before shrinkage."""
        return Measure(self.grain, self.sql, self.window_days, self.scope)

    @property
    def evidence_count(self) -> Measure:
        """The measure of the evidence behind it."""
        return Measure(self.evidence_grain or self.grain, self.evidence, self.window_days, self.scope)

    @property
    def denominator(self) -> Measure | None:
        """The measure that shrinkage weighs the value by, or None."""
        if self.shrinkage is None or self.per is not None:
            return self.per if self.shrinkage else None
        return Measure(self.grain, self.shrinkage.evidence, self.window_days, self.scope)


def evidence_name(feature: Feature) -> str:
    """Give the name under which policies read the feature: `a2_excess_units_ratio`."""
    return f"{feature.id.lower()}_{feature.name}"
