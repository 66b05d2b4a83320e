"""Hindsight: a column that knows the answer, evidence that is later than its decision, rows seen before they happened.

Any of the three makes every other figure of a report worthless, so the gate refuses for it, whatever else was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from membergate.learning.features import CATALOGUE, evidence_name
from membergate.learning.model.leaks import Leak
from membergate.verification.gate import Control

_NEXT = (
    "Find out where its columns come from and when they are filled in; correct that, or leave them out of the mapping, "
    "then ingest, learn and verify again."
)


@dataclass(frozen=True, slots=True)
class EarlyRows:
    """Rows of one table that may be seen before their own event."""

    table: str
    rows: int


@dataclass(frozen=True, slots=True)
class Hindsight:
    """What was looked for, and what was found.

    Parameters
    ----------
    features, labelled, labelled_merchants
        Features whose values were held against labels, and how many labels there were.
    leaks
        Features that alone tell merchants from genuine applicants.
    statements
        Statements of evidence behind the decisions.
    late_statements, late_example
        Those observed after the instant of their decision, and where the first is; "" for none.
    early_rows
        Tables with rows that may be seen before they happened.
    """

    features: int
    labelled: int
    labelled_merchants: int
    leaks: tuple[Leak, ...]
    statements: int
    late_statements: int
    late_example: str
    early_rows: tuple[EarlyRows, ...]

    @property
    def controls(self) -> tuple[Control, ...]:
        """What the gate is told; every sentence of a failure ends with the next step."""
        return (self._about_columns(), self._about_statements(), self._about_rows())

    def _about_columns(self) -> Control:
        if not self.leaks:
            return Control("no_leak", True, f"Leaks: none of {self.features} features knows the answer.")
        told = "; ".join(
            f"the {leak.by} of {leak.feature} ({evidence_name(CATALOGUE[leak.feature])}) alone tells merchants from "
            f"genuine applicants (area under the ROC curve {leak.area:.3f})"
            for leak in self.leaks
        )
        return Control("no_leak", False, f"Leak suspected: {told}. {_NEXT}")

    def _about_statements(self) -> Control:
        if not self.late_statements:
            return Control(
                "no_late_evidence", True, f"None of {self.statements} statements is later than the decision."
            )
        sentence = (
            f"{self.late_statements} of {self.statements} statements of evidence are later than the decision they "
            f"speak for, first {self.late_example}. The witness looked into the future: mend it, and learn again."
        )
        return Control("no_late_evidence", False, sentence)

    def _about_rows(self) -> Control:
        if not self.early_rows:
            return Control("no_early_rows", True, "No row may be seen before it happened.")
        tables = ", ".join(f"{each.rows} of {each.table}" for each in self.early_rows)
        sentence = f"Rows may be seen before they happened ({tables}). Ingest the market again, then learn and verify."
        return Control("no_early_rows", False, sentence)
