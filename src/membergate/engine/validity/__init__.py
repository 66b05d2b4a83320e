"""How good a clustering is: density-based validity, silhouette, stability, agreement, a null."""

from membergate.engine.validity.density import density_validity
from membergate.engine.validity.resampling import (
    Estimate,
    NullTest,
    agreement,
    cluster_stability,
    permuted_null,
    sampled_silhouette,
)

__all__ = [
    "Estimate",
    "NullTest",
    "agreement",
    "cluster_stability",
    "density_validity",
    "permuted_null",
    "sampled_silhouette",
]
