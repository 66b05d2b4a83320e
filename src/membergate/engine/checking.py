"""Checks of what comes in, so that every error names the parameter, what it got and what is allowed."""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, TypeGuard, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from membergate.engine.errors import InvalidInputError

T = TypeVar("T")
Table = NDArray[np.float64] | NDArray[np.float32]
"""Rows as they came: what is float32 is not copied, but read as float64 wherever it is reckoned with."""

_FLOATS = [np.float64, np.float32]
_LARGEST = 1e150
"""Coordinates beyond this overflow when squared."""
_LARGEST_INTEGER = 2**53
"""Beyond this not every integer is a float."""
_ROWS = "a dense table of finite numbers, shape (n, d) with d >= 1"


def checked_rows(X: ArrayLike, estimator: Any = None, *, reset: bool = True) -> NDArray[np.float64]:
    """Give `X` as a C-contiguous float64 table, or say what is wrong with it; see `checked_table`."""
    return np.asarray(checked_table(X, estimator, reset=reset), dtype=np.float64)


def checked_table(X: ArrayLike, estimator: Any = None, *, reset: bool = True) -> Table:
    """Give `X` as a C-contiguous table, float32 if it is so already, else float64, or say what is wrong with it.

    With an estimator, the number and the names of the features are kept
    (`reset`) or compared with those of the fit.
    """
    plain = _in_rows(X)
    if _is_plain(plain) and (estimator is None or _knows_width(plain, estimator, reset=reset)):
        return plain
    from sklearn.utils.validation import check_array, validate_data  # noqa: PLC0415 -- a plain table does not need it

    try:
        if estimator is None:
            checked = check_array(X, dtype=_FLOATS, order="C")
        else:
            checked = validate_data(estimator, X, reset=reset, dtype=_FLOATS, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError("X", got=_first_line(error), allowed=_ROWS) from error
    rows: Table = checked
    return rows


def checked_new_rows(X: Any, estimator: Any) -> NDArray[np.float64]:
    """Check rows to predict; the usual case, a plain float64 table, goes a short way of few microseconds."""
    rows = checked_rows(X, estimator, reset=False)
    refuse_overflow(rows)
    return rows


def refuse_overflow(rows: Table) -> None:
    """Refuse values whose squares are infinite: they have no distance to anything."""
    if max(float(rows.max()), -float(rows.min())) > _LARGEST:
        raise InvalidInputError("X", got=f"values beyond {_LARGEST:g}", allowed="values whose squares are finite")


def _in_rows(X: Any) -> Any:
    """Lay a table of floats out row by row, as columns of a data frame or slices are not; leave all else as it is."""
    is_array = type(X) is np.ndarray and X.dtype.type in _FLOATS and X.ndim == 2  # noqa: PLR2004 -- rows and columns
    return np.ascontiguousarray(X) if is_array else X


def _is_plain(X: Any) -> TypeGuard[Table]:
    """Tell whether nothing needs to be done to a table: numpy's own, of floats, in C order, finite, not empty."""
    if type(X) is not np.ndarray or X.dtype.type not in _FLOATS or X.ndim != 2:  # noqa: PLR2004 -- rows and columns
        return False
    with np.errstate(all="ignore"):
        return bool(
            X.size > 0 and X.flags.c_contiguous and X.dtype.isnative and np.isfinite(np.add.reduce(X, axis=None))
        )


def _knows_width(X: Table, estimator: Any, *, reset: bool) -> bool:
    """Keep or compare the number of columns; False where names of columns, or an error, must be looked at."""
    if reset:
        estimator.__dict__.pop("feature_names_in_", None)
        estimator.n_features_in_ = X.shape[1]
        return True
    return X.shape[1] == estimator.n_features_in_ and not hasattr(estimator, "feature_names_in_")


def _first_line(error: Exception) -> str:
    """Give what another library says is wrong and how to reshape it, without the rows and the long advice between."""
    first, *rest = str(error).splitlines() or [type(error).__name__]
    return ". ".join(line.rstrip(":. ") for line in (first, *rest) if line is first or line.startswith("Reshape"))


def checked_number(name: str, value: Any, above: float, *, up_to: float = np.inf) -> float:
    """Give a number in (above, up_to]."""
    number = np.nan
    if isinstance(value, Real) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # an integer beyond every float
            number = float(value)
    if not above < number <= up_to:
        raise InvalidInputError(name, got=reprlib.repr(value), allowed=f"a number > {above:g}, <= {up_to:g}")
    return number


def checked_integer(name: str, value: Any, least: int, *, otherwise: str = "") -> int:
    """Give an integer of at least `least`; `otherwise` tells what the caller allows besides."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= _LARGEST_INTEGER:
        allowed = f"an integer >= {least}, <= 2^53 {otherwise}".rstrip()
        raise InvalidInputError(name, got=reprlib.repr(value), allowed=allowed)
    return int(value)


def checked_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Give one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidInputError(name, got=reprlib.repr(value), allowed="one of " + ", ".join(choices))
    return value


def checked_flag(name: str, value: Any) -> bool:
    """Give True or False; a text such as 'no' is neither."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidInputError(name, got=reprlib.repr(value), allowed="True or False")
    return bool(value)


def checked_candidates(name: str, candidates: Any, check: Callable[[str, Any], T]) -> list[T]:
    """Give candidates in rising order, at least one, each of which passes a check."""
    try:
        found = list(candidates)
    except TypeError as error:
        got = f"{reprlib.repr(candidates)}, which is no sequence"
        raise InvalidInputError(name, got=got, allowed="a sequence of candidates, at least one") from error
    if not found:
        raise InvalidInputError(name, got="no candidate", allowed="at least one")
    return sorted(check(name, candidate) for candidate in found)  # type: ignore[type-var]  # numbers have an order


def checked_labels(name: str, labels: ArrayLike, n_rows: int | None = None) -> NDArray[Any]:
    """Give cluster numbers as a flat array, one for each of the rows."""
    try:
        found = np.asarray(labels)
    except ValueError as error:
        raise InvalidInputError(name, got=_first_line(error), allowed="one label a row") from error
    if found.ndim != 1 or n_rows not in (None, len(found)):
        allowed = "one label a row" if n_rows is None else f"{n_rows} labels, one a row"
        raise InvalidInputError(name, got=f"shape {found.shape}", allowed=allowed)
    if found.dtype.kind not in "biuf" or not np.isfinite(found).all():
        raise InvalidInputError(name, got=f"labels of type {found.dtype}", allowed="numbers of clusters; -1 is noise")
    return found


def checked_weights(sample_weight: ArrayLike | None, n_rows: int, *, least: float = 0.0) -> NDArray[np.float64] | None:
    """Give one finite weight of at least `least` a row, or None."""
    if sample_weight is None:
        return None
    try:
        given = np.asarray(sample_weight)
        weights = np.asarray(given.real if given.dtype.kind == "c" else given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError("sample_weight", got=_first_line(error), allowed="numbers") from error
    if given.dtype.kind == "c":
        raise InvalidInputError("sample_weight", got="complex numbers", allowed="real numbers")
    is_finite = bool((weights <= _LARGEST).all())  # so that sums are finite too; NaN is not
    if weights.shape != (n_rows,) or not is_finite or (weights < least).any():
        allowed = f"{n_rows} finite numbers >= {least:g}"
        if least > 0:
            allowed += "; leave out rows of weight zero"
        lowest = weights.min(initial=np.inf)
        raise InvalidInputError("sample_weight", got=f"shape {weights.shape}, smallest {lowest:g}", allowed=allowed)
    if not weights.any():
        raise InvalidInputError("sample_weight", got="zeros only", allowed="at least one weight > 0")
    return weights
