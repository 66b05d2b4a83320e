"""The parts of the model that can be left out, one at a time, to see what each buys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parts:
    """Which parts of the model are in use; each may be left out, to see what it buys (`benchmarks/ablation.py`).

    Parameters
    ----------
    context
        Measure features against peers of like tenure and regime; else against everyone.
    prior
        Let resale economics speak before the labels.
    clusters, jury
        Ask the company that someone keeps, and the outlier detectors, where no label speaks.
    senses
        Hold the curves of features with a sense of risk monotone.
    shrinkage
        Draw whoever has shown little towards newcomers.
    """

    context: bool = True
    prior: bool = True
    clusters: bool = True
    jury: bool = True
    senses: bool = True
    shrinkage: bool = True
