"""Fitted state as plain arrays: given out by `to_arrays`, taken back by `from_arrays`; never pickled."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from membergate.engine.errors import InvalidInputError


class ArrayState:
    """Gives an estimator `to_arrays` and `from_arrays`.

    A class names its fitted attributes in `_state`; every one of them is an
    array or a number. Constructor parameters travel as one JSON text.
    """

    _state: ClassVar[tuple[str, ...]] = ()

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Give everything that prediction needs, as arrays that `numpy.savez` writes without pickle.

        Returns
        -------
        dict of str to numpy.ndarray
            Fitted attributes, and `parameters`, a text in a 0-d array.
        """
        arrays = {name: np.asarray(getattr(self, name)) for name in self._state if hasattr(self, name)}
        if not arrays:
            raise InvalidInputError(
                type(self).__name__, got="an estimator that is not fitted", allowed="call fit first"
            )
        arrays["parameters"] = np.asarray(json.dumps(self.get_params(), default=float))  # type: ignore[attr-defined]
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
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
        if "parameters" not in arrays:
            raise InvalidInputError("arrays", got=sorted(arrays), allowed=f"what {cls.__name__}.to_arrays gave")
        estimator = cls(**json.loads(str(arrays["parameters"])))
        for name in cls._state:
            if name in arrays:
                value = arrays[name]
                setattr(estimator, name, value.item() if value.ndim == 0 else value)
        estimator._restore()
        return estimator

    def _restore(self) -> None:
        """Make again what is derived from the stored arrays."""
