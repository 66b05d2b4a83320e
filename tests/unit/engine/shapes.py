"""The data shapes on which every algorithm is compared with an independent implementation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

Rows = NDArray[np.float64]


def _blobs(d: int, seed: int, n: int = 240) -> Rows:
    generator = np.random.default_rng(seed)
    scales = np.array([0.3, 0.6, 1.0, 1.5])
    centres = generator.uniform(-8, 8, size=(4, d))
    which = np.arange(n) % 4
    rows = centres[which] + generator.normal(size=(n, d)) * scales[which][:, None]
    rows[: n // 10] = generator.uniform(-12, 12, size=(n // 10, d))
    return np.asarray(rows)


def _moons() -> Rows:
    angle = np.random.default_rng(2).uniform(0, np.pi, size=200)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    rows = np.where(np.arange(200)[:, None] % 2 == 0, upper, [1.0, 0.5] - upper)
    return np.asarray(rows + np.random.default_rng(3).normal(scale=0.05, size=rows.shape))


def _rings() -> Rows:
    generator = np.random.default_rng(4)
    angle, radius = generator.uniform(0, 2 * np.pi, size=240), np.repeat([1.0, 3.0], 120)
    rows = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return rows + generator.normal(scale=0.08, size=rows.shape)


def _chain() -> Rows:
    generator = np.random.default_rng(5)
    rows = np.cumsum(generator.normal(loc=0.4, scale=0.2, size=(200, 3)), axis=0)
    return np.concatenate([rows, generator.uniform(-60, 120, size=(20, 3))])


def _duplicates() -> Rows:
    generator = np.random.default_rng(6)
    few = generator.normal(size=(40, 5))
    return np.concatenate([few[generator.integers(0, 8, size=400)], few, few + 6.0])


def _heavy_tails() -> Rows:
    return np.random.default_rng(7).standard_t(1.2, size=(260, 6))


def _lattice() -> Rows:
    axis = np.arange(7.0)
    return np.array(np.meshgrid(axis, axis, axis[:4])).reshape(3, -1).T.copy()


def _digits() -> Rows:
    rows: Rows = load_digits().data[:240].astype(np.float64)
    return rows


def _far_away() -> Rows:
    return _blobs(4, 9) * 1e-3 + 1e5


SHAPES: dict[str, Callable[[], Rows]] = {
    "one axis": lambda: _blobs(1, 10),
    "two axes": lambda: _blobs(2, 11),
    "eight axes": lambda: _blobs(8, 12),
    "forty-eight axes": lambda: _blobs(48, 13),
    "a hundred axes": lambda: _blobs(100, 14, n=160),
    "moons": _moons,
    "rings": _rings,
    "chain": _chain,
    "duplicates": _duplicates,
    "heavy tails": _heavy_tails,
    "lattice full of ties": _lattice,
    "handwritten digits": _digits,
    "far from the origin": _far_away,
    "several cells": lambda: _blobs(6, 15, n=480),
    "tiny": lambda: _blobs(3, 16, n=8),
}


def scale_of(rows: Rows, k: int = 8) -> float:
    """Give a radius at which a good half of the points is dense."""
    distances = np.sort(np.linalg.norm(rows[:, None] - rows[None], axis=2), axis=1)
    radii = distances[:, min(k, len(rows) - 1)]
    return float(np.quantile(radii, 0.6)) * 1.0001 or 1.0


def layouts(rows: Rows) -> dict[str, Any]:
    """Give the same rows in every layout that a caller may hand in."""
    frozen = rows.copy()
    frozen.flags.writeable = False
    wide = np.zeros((len(rows), rows.shape[1] * 2))
    wide[:, ::2] = rows
    return {"F": np.asfortranarray(rows), "read-only": frozen, "strided": wide[:, ::2], "list": rows.tolist()}
