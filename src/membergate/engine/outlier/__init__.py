"""Outlier detectors: neighbour-based, each fitted from rows or from one shared graph; and those of other libraries."""

from membergate.engine.outlier.k_distance import KDistance
from membergate.engine.outlier.library import LibraryDetector, isolation_forest
from membergate.engine.outlier.local_outlier_factor import LocalOutlierFactor

__all__ = ["KDistance", "LibraryDetector", "LocalOutlierFactor", "isolation_forest"]
