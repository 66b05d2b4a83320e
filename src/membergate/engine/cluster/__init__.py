"""Density clusterers, each fitted from rows or from one shared neighbour graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from membergate.engine.loading import on_demand

if TYPE_CHECKING:
    from membergate.engine.cluster.dbscan import DBSCAN
    from membergate.engine.cluster.density_peaks import DensityPeaks
    from membergate.engine.cluster.hdbscan import HDBSCAN
    from membergate.engine.cluster.mdca import MDCA
    from membergate.engine.cluster.optics import OPTICS

__all__ = ["DBSCAN", "HDBSCAN", "MDCA", "OPTICS", "DensityPeaks"]

__getattr__ = on_demand(
    __name__,
    {"DBSCAN": "dbscan", "HDBSCAN": "hdbscan", "MDCA": "mdca", "OPTICS": "optics", "DensityPeaks": "density_peaks"},
)
