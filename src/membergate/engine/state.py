"""Fitted state as plain arrays: given out by `to_arrays`, taken back by `from_arrays`; never pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from membergate.engine.errors import InvalidInputError
from membergate.engine.graph.points import IndexedPoints

_POINTS = "points."


class ArrayState:
    """Gives an estimator `to_arrays` and `from_arrays`.

    A class names its fitted attributes in `_state`; every one of them is an
    array or a number. Constructor parameters travel as one JSON text, the
    indexed points under names that begin with `points.`.
    """

    _state: ClassVar[tuple[str, ...]] = ()
    _points: IndexedPoints

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Give everything that prediction needs, as arrays that `numpy.savez` writes without pickle.

        Returns
        -------
        dict of str to numpy.ndarray
            Fitted attributes, `parameters` (a text in a 0-d array), and the indexed points.

        Raises
        ------
        InvalidInputError
            Before `fit`.
        """
        if not hasattr(self, "_points"):
            raise InvalidInputError(
                type(self).__name__, got="an estimator that is not fitted", allowed="call fit first"
            )
        arrays = {name: np.asarray(getattr(self, name)) for name in ("n_features_in_", *self._state)}
        arrays["parameters"] = np.asarray(json.dumps(self.get_params()))  # type: ignore[attr-defined]
        return arrays | {_POINTS + name: array for name, array in self._points.to_arrays().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild the fitted estimator that gave these arrays.

        Parameters
        ----------
        arrays
            What `to_arrays` gave.

        Returns
        -------
        Self
            An estimator whose predictions are those of the original, bit for bit.

        Raises
        ------
        InvalidInputError
            When the arrays are not those of this class.
        """
        missing = [name for name in ("parameters", "n_features_in_", *cls._state) if name not in arrays]
        if missing:
            allowed = f"what {cls.__name__}.to_arrays gave"
            raise InvalidInputError("arrays", got="no " + ", ".join(missing), allowed=allowed)
        estimator = cls(**json.loads(str(arrays["parameters"])))
        for name in ("n_features_in_", *cls._state):
            value = arrays[name]
            setattr(estimator, name, value.item() if value.ndim == 0 else value)
        points = {name.removeprefix(_POINTS): array for name, array in arrays.items() if name.startswith(_POINTS)}
        estimator._points = IndexedPoints.from_arrays(points)
        estimator._restore()
        return estimator

    def _restore(self) -> None:
        """Make again what is derived from the stored arrays."""
