"""The space: features seen relative to peers, so that distance means 'behaves differently', not 'shops in November'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from membergate.learning.features import FeatureTable
from membergate.learning.features.peers import PEER_KEYS, PEERS, peer_group_count, peer_groups

TENURE_EDGES_DAYS = PEER_KEYS["tenure"].edges
"""Peers are accounts of like age: newcomers, settling in, settled."""
SHRINKAGE_ROWS = 50.0
"""A peer group of this many rows is believed half, the whole population the other half."""
CLIP = 6.0
"""Robust deviations beyond this say nothing more; outliers must not own the metric."""
_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class ContextSpace:
    """Robust z-scores against peers, with thin peer groups shrunk towards everyone.

    Parameters
    ----------
    features
        Feature ids, the columns.
    centres, scales
        Shape (peer groups, f): median and robust standard deviation of the signed logarithm of each feature.
    peers
        The keys that make peers.
    """

    features: tuple[str, ...]
    centres: NDArray[np.float64]
    scales: NDArray[np.float64]
    peers: tuple[str, ...] = PEERS

    @classmethod
    def fit(cls, table: FeatureTable, *, by_peers: bool = True, peers: tuple[str, ...] = PEERS) -> Self:
        """Learn centres and scales from a training table; features that are always absent get centre 0 and scale 1.

        Parameters
        ----------
        table
            Features of n past applications.
        by_peers
            Whether peer groups have centres of their own; else everyone is everyone's peer.
        peers
            The keys that make peers; a model is stored with `PEERS`.
        """
        values = signed_log(table.values)
        groups = peer_groups(table.context, peers)
        everyone = _robust_location(values, (np.zeros(values.shape[1]), np.ones(values.shape[1])))
        centres = np.empty((peer_group_count(peers), values.shape[1]))
        scales = np.empty_like(centres)
        for group in range(len(centres)):
            rows = values[groups == group]
            centre, scale = _robust_location(rows, everyone)
            observed = np.isfinite(rows).sum(axis=0)
            belief = observed / (observed + SHRINKAGE_ROWS) if by_peers else np.zeros(observed.shape)
            centres[group] = belief * centre + (1 - belief) * everyone[0]
            scales[group] = belief * scale + (1 - belief) * everyone[1]
        return cls(table.features, centres, scales, peers)

    def typical(self, table: FeatureTable) -> NDArray[np.float64]:
        """Give what is typical of each row's peers, in the features' own units, shape (n, f)."""
        return from_signed_log(self.centres[peer_groups(table.context, self.peers)])

    def transform(self, table: FeatureTable) -> NDArray[np.float64]:
        """Place rows in the space.

        Returns
        -------
        ndarray of shape (n, f)
            Robust deviations in [-6, 6]; 0 where the feature is absent: an absence is as typical as the peers are.
        """
        groups = peer_groups(table.context, self.peers)
        deviations = (signed_log(table.values) - self.centres[groups]) / self.scales[groups]
        # Rounded, so that the last bit of a logarithm never makes one row differ from the same row in a batch.
        return np.round(np.clip(np.where(np.isfinite(deviations), deviations, 0.0), -CLIP, CLIP), 9)


def from_signed_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn `signed_log` round."""
    return np.asarray(np.sign(values) * np.expm1(np.abs(values)))


def signed_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compress heavy tails on both sides of zero; NaN stays NaN."""
    return np.sign(values) * np.log1p(np.abs(values))


def _robust_location(
    rows: NDArray[np.float64],
    fallback: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and scale per column; the fallback where a column has no value, or no spread worth the name."""
    centre, scale = fallback[0].copy(), fallback[1].copy()
    for column in range(rows.shape[1]):
        seen = rows[np.isfinite(rows[:, column]), column]
        if seen.size == 0:
            continue
        centre[column] = np.median(seen)
        # A feature that is zero for most people has no median deviation; its standard deviation still orders the rest.
        spread = max(_TO_SIGMA * float(np.median(np.abs(seen - centre[column]))), 0.5 * float(np.std(seen)))
        if spread > 0:
            scale[column] = spread
    return centre, scale
