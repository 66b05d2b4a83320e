"""Neighbour-based outlier detectors, each fitted from rows or from one shared neighbour graph."""

from membergate.engine.outlier.k_distance import KDistance
from membergate.engine.outlier.local_outlier_factor import LocalOutlierFactor

__all__ = ["KDistance", "LocalOutlierFactor"]
