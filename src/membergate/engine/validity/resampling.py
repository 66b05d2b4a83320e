"""Validity by resampling: silhouette of a sample, stability of clusters, agreement, and a null."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_samples

from membergate.engine.checking import checked_integer, checked_labels, checked_number, checked_rows
from membergate.engine.cluster.matching import overlaps
from membergate.engine.errors import InvalidInputError

LEAST_DRAWN = 20
"""Subsamples, or permuted tables, that are drawn before anybody may stop early."""
_CLEAR = 3.0


class Estimate(NamedTuple):
    """A value with its standard error."""

    value: float
    standard_error: float


class NullTest(NamedTuple):
    """A statistic, its mean and spread on tables without structure, how many spreads apart, and how rare it is."""

    value: float
    null_mean: float
    null_deviation: float
    z_score: float
    p_value: float
    n_tables: int


def sampled_silhouette(X: ArrayLike, labels: ArrayLike, *, size: int = 2000, seed: int = 0) -> Estimate:
    """Estimate the silhouette of the clustered rows from a sample; noise is left out.

    Parameters
    ----------
    X
        Rows, shape (n, d), finite.
    labels
        Cluster of each row, shape (n,); negative is noise.
    size
        Rows drawn, > 2; with fewer clustered rows, all are taken. The sample must meet two clusters or more.
    seed
        Seed of the sample, >= 0.

    Returns
    -------
    Estimate
        The mean silhouette width, in [-1, 1].
    """
    rows = checked_rows(X)
    found = checked_labels("labels", labels, len(rows))
    checked_integer("size", size, 3)
    generator = np.random.default_rng(checked_integer("seed", seed, 0))
    known = np.flatnonzero(found >= 0)
    if len(known) > size:
        known = generator.choice(known, size, replace=False)
    n_met = len(np.unique(found[known]))
    if not 1 < n_met < len(known):
        got = f"{n_met} clusters in a sample of {len(known)} rows"
        raise InvalidInputError("labels", got=got, allowed="at least two clusters, and fewer than rows")
    widths = silhouette_samples(rows[known], found[known])
    return Estimate(float(widths.mean()), float(widths.std(ddof=1) / len(widths) ** 0.5))


def cluster_stability(
    estimator: Any,
    X: ArrayLike,
    *,
    n_resamples: int = 20,
    share: float = 0.8,
    seed: int = 0,
    groups: ArrayLike | None = None,
    reference: ArrayLike | None = None,
    bounds: Sequence[float] = (),
) -> NDArray[np.float64]:
    """Give for each cluster its mean best Jaccard overlap with the clusters of subsamples (Hennig, 2007).

    Parameters
    ----------
    estimator
        A clusterer that scikit-learn can clone; it is not fitted itself.
    X
        Rows, shape (n, d), finite.
    n_resamples
        Subsamples, >= 1; each is clustered anew.
    share
        Share of the rows (of the groups, where given) in a subsample, drawn without replacement, in (0, 1]; never fewer
        than 2.
    seed
        Seed of the subsamples, >= 0.
    groups
        Group of each row, shape (n,): groups are drawn whole. None draws rows.
    reference
        Cluster of each row, shape (n,), to look for in the subsamples; that of all rows where None.
    bounds
        Where given, no more subsamples are drawn once 20 were and each mean lies three standard errors from them all.

    Returns
    -------
    numpy.ndarray
        One value in [0, 1] for each cluster of the reference, in the order of the labels; 0 for one that no subsample
        met.
    """
    rows = checked_rows(X)
    checked_integer("n_resamples", n_resamples, 1)
    checked_number("share", share, 0.0, up_to=1.0)
    found = clone(estimator).fit_predict(rows) if reference is None else np.asarray(reference)
    group = np.arange(len(rows)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if found.shape != (len(rows),) or group.shape != (len(rows),):
        raise InvalidInputError(
            "groups, reference", got=f"shapes {group.shape}, {found.shape}", allowed="one value a row"
        )
    n_groups = int(group.max(initial=-1)) + 1
    generator = np.random.default_rng(checked_integer("seed", seed, 0))
    names = np.unique(found[found >= 0])
    total, squared, met = np.zeros(len(names)), np.zeros(len(names)), np.zeros(len(names))
    for at in range(n_resamples):
        if bounds and at >= LEAST_DRAWN and _is_clear(total, squared, met, bounds):
            break
        drawn = generator.choice(n_groups, min(n_groups, max(2, round(share * n_groups))), replace=False)
        kept = np.flatnonzero(np.isin(group, drawn))
        present = np.isin(names, found[kept])
        overlap = overlaps(found[kept], clone(estimator).fit_predict(rows[kept]))
        best = overlap.max(axis=1, initial=0.0)
        total[present] += best
        squared[present] += best**2
        met += present
    return np.asarray(total / np.maximum(met, 1))


def _is_clear(
    total: NDArray[np.float64], squared: NDArray[np.float64], met: NDArray[np.float64], bounds: Sequence[float]
) -> bool:
    """Tell whether every mean lies three standard errors from every bound."""
    drawn = np.maximum(met, 1)
    mean = total / drawn
    error = np.sqrt(np.maximum(squared / drawn - mean**2, 0.0) / drawn)
    return all(bool(np.all(np.abs(mean - bound) > _CLEAR * error)) for bound in bounds)


def agreement(labels: ArrayLike, other: ArrayLike) -> dict[str, float]:
    """Compare two labellings by chance-corrected indices; 1 is equal, 0 is chance.

    Parameters
    ----------
    labels, other
        Cluster of each row, shape (n,); noise counts as one more cluster.

    Returns
    -------
    dict of str to float
        `adjusted_rand` and `adjusted_mutual_information`, at most 1; below 0 is less than chance.
    """
    one = checked_labels("labels", labels)
    two = checked_labels("other", other, len(one))
    return {
        "adjusted_rand": float(adjusted_rand_score(one, two)),
        "adjusted_mutual_information": float(adjusted_mutual_info_score(one, two)),
    }


def permuted_null(
    statistic: Callable[[NDArray[np.float64]], float],
    X: ArrayLike,
    *,
    n_tables: int = 20,
    seed: int = 0,
    stop_after: int | None = None,
) -> NullTest:
    """Compare a statistic of the rows with that of tables whose columns are permuted, each on its own.

    Parameters
    ----------
    statistic
        Gives a number for a table of shape (n, d).
    X
        Rows, shape (n, d), finite.
    n_tables
        Permuted tables, >= 2; at most so many where `stop_after` is given.
    seed
        Seed of the permutations, >= 0.
    stop_after
        No more tables are drawn once 20 were and so many of them reach the statistic, >= 1: the p-value of sequential
        sampling is as valid and large ones cost little. None draws them all.

    Returns
    -------
    NullTest
        `z_score` is NaN where the permuted tables all give the same value; `p_value` is in (0, 1], small where few
        tables reach the statistic.

    References
    ----------
    Besag and Clifford (1991), Sequential Monte Carlo p-values, 10.1093/biomet/78.2.301.
    """
    rows, generator = checked_rows(X), np.random.default_rng(checked_integer("seed", seed, 0))
    checked_integer("n_tables", n_tables, 2)
    if stop_after is not None:
        checked_integer("stop_after", stop_after, 1)
    value, nulls, reaching = float(statistic(rows)), list[float](), 0
    enough = n_tables + 1 if stop_after is None else stop_after
    while len(nulls) < n_tables and not (reaching >= enough and len(nulls) >= LEAST_DRAWN):
        nulls.append(float(statistic(generator.permuted(rows, axis=0))))
        reaching += nulls[-1] >= value
    mean, deviation = float(np.mean(nulls)), float(np.std(nulls, ddof=1))
    z_score = (value - mean) / deviation if deviation > 0 else float("nan")
    return NullTest(value, mean, deviation, z_score, (1 + reaching) / (1 + len(nulls)), len(nulls))
