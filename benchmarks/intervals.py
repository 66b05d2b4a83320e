"""Means over seeds or markets with 95 % t intervals, as benchmarks print them."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from scipy import stats

ANY, RATIO, SHARE = (-inf, inf), (0.0, inf), (0.0, 1.0)
"""What a figure can be: a difference, a ratio of counts, a share."""


def interval(values: Sequence[float], within: tuple[float, float] = ANY, digits: int = 3) -> str:
    """Write a mean over markets with its 95 % t interval, cut at what the figure can be.

    With five to ten markets the t interval of a share near 0 or 1 reaches beyond them. The true mean does not, so the
    cut loses no coverage. Where all markets agree the interval has no width: it then tells no more than that.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.{digits}f}"
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    low, high = (float(np.clip(end, *within)) for end in (mean - half, mean + half))
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
