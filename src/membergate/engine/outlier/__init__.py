"""Outlier detectors: neighbour-based, each fitted from rows or from one shared graph; and those of other libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from membergate.engine.loading import on_demand

if TYPE_CHECKING:
    from membergate.engine.outlier.k_distance import KDistance
    from membergate.engine.outlier.library import LibraryDetector, isolation_forest
    from membergate.engine.outlier.local_outlier_factor import LocalOutlierFactor

__all__ = ["KDistance", "LibraryDetector", "LocalOutlierFactor", "isolation_forest"]

__getattr__ = on_demand(
    __name__,
    {
        "KDistance": "k_distance",
        "LibraryDetector": "library",
        "LocalOutlierFactor": "local_outlier_factor",
        "isolation_forest": "library",
    },
)
