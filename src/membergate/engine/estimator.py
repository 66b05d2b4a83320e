"""An estimator as scikit-learn knows it, without loading scikit-learn: parameters, tags, and state as plain arrays.

Inheriting from scikit-learn's base class costs 4 CPU seconds and 140 MB at
import, four times what a fit of 20,000 rows costs. scikit-learn asks for
methods, not for ancestors: `check_estimator` passes. It is loaded where it is
needed: for input that is not a plain table, and when it asks for tags.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from membergate.engine.errors import InvalidInputError
from membergate.engine.graph.points import IndexedPoints

_POINTS = "points."


def _plain(number: Any) -> Any:
    """Give a number of NumPy's, or a fraction, as Python's own, which JSON can write."""
    return number.item() if isinstance(number, np.generic) else float(number)


class Estimator:
    """Parameters by name, and fitted state given out by `to_arrays`, taken back by `from_arrays`; never pickled.

    A class names its fitted attributes in `_state`; every one of them is an
    array or a number. Constructor parameters travel as one JSON text, the
    indexed points under names that begin with `points.`.
    """

    _kind: ClassVar[str]
    _state: ClassVar[tuple[str, ...]] = ()
    _points: IndexedPoints
    n_features_in_: int

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 -- scikit-learn's name and order
        """Give the constructor's parameters by name; no parameter is an estimator, so `deep` changes nothing."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters; they are checked by `fit`."""
        names = self._parameter_names()
        for name, value in parameters.items():
            if name not in names:
                raise InvalidInputError(name, got=repr(value), allowed="one of " + ", ".join(names))
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Write the call that makes it; parameters at their default are left out."""
        defaults = inspect.signature(type(self)).parameters
        told = [f"{name}={value!r}" for name, value in self.get_params().items() if value != defaults[name].default]
        return f"{type(self).__name__}({', '.join(told)})"

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn what kind of estimator this is."""
        from sklearn.utils import Tags, TargetTags  # noqa: PLC0415 -- only scikit-learn asks

        return Tags(estimator_type=self._kind, target_tags=TargetTags(required=False))

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether `fit` was called."""
        return hasattr(self, "_points")

    def _check_is_fitted(self) -> None:
        if not hasattr(self, "_points"):
            from sklearn.exceptions import NotFittedError  # noqa: PLC0415 -- the error that callers catch

            raise NotFittedError(f"{type(self).__name__}: got an estimator that is not fitted; call fit first")

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
        arrays["parameters"] = np.asarray(json.dumps(self.get_params(), default=_plain))
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
        needed = ("parameters", "n_features_in_", *cls._state, *(_POINTS + name for name in IndexedPoints.kept_names()))
        missing = [name for name in needed if name not in arrays]
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
