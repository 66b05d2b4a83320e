"""A number never travels without its interval, unit and sample size."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """An estimate with its uncertainty.

    Parameters
    ----------
    name
        What is estimated, in the field's standard terms.
    value
        The point estimate, in `unit`; None where the sample does not determine it.
    low, high
        The interval's ends, in `unit`; None where there is no interval.
    level
        The interval's nominal coverage, in (0, 1).
    unit
        `ratio`, `probability`, `count`, `minor`, `days`, …
    n
        Sample size: accounts, unless `method` says otherwise.
    operators
        Independent units: how many operators the sample holds.
    method
        How value and interval were made.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    level: float
    unit: str
    n: int
    operators: int
    method: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """The statement `leakage <= alpha with confidence 1 - delta`, or the honest absence of one.

    Parameters
    ----------
    holds
        Whether the statement is made.
    alpha
        The leakage bound, in (0, 1).
    delta
        The probability, in (0, 1), with which the procedure may certify a policy that leaks more.
    method
        How it was tested.
    n, operators
        Labelled accounts and operators that the test stood on.
    operator_cap
        Most accounts of one operator that may be admitted.
    needed_operators
        Clean operators that would have sufficed with no leak at all.
    assumptions
        What must be true for the statement to mean what it says.
    valid_until
        ISO 8601 instant after which nobody may rely on it.
    reason
        Why it does not hold; empty where it does.
    """

    holds: bool
    alpha: float
    delta: float
    method: str
    n: int
    operators: int
    operator_cap: int
    needed_operators: int
    assumptions: tuple[str, ...]
    valid_until: str
    reason: str = ""
