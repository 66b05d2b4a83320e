"""Where a sorted curve bends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def elbow(values: NDArray[np.float64]) -> float:
    """Give the value where the sorted curve is farthest from its chord."""
    curve = np.sort(values[np.isfinite(values)])
    if len(curve) == 0:
        return 0.0
    rise = curve[-1] - curve[0]
    if rise <= 0:
        return float(curve[-1])
    chord = np.linspace(0.0, 1.0, len(curve))
    return float(curve[np.argmax(np.abs(chord - (curve - curve[0]) / rise))])
