"""How the engine compiles: lazily, without the interpreter lock, kept on disk between runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_COMPILE: Any = numba.njit
F = TypeVar("F", bound=Callable[..., Any])

REORDERED_ARITHMETIC = {"reassoc", "contract", "nsz", "arcp", "nnan"}
"""Fast-math without "no infinities": infinity is our sentinel. NaN is refused before any kernel runs."""


def kernel(function: F) -> F:
    """Compile at the first call; arithmetic in the order written, so results are the same on every machine."""
    return cast("F", _COMPILE(cache=True, nogil=True, error_model="numpy")(function))


def screening_kernel(function: F) -> F:
    """Compile with reordered arithmetic: for bounds and screens only, whose slack covers the rounding."""
    options = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": REORDERED_ARITHMETIC}
    return cast("F", _COMPILE(**options)(function))


def part(function: F) -> F:
    """Compile into its caller: for a step of a loop, written apart to be read; it allocates nothing."""
    return cast("F", _COMPILE(nogil=True, error_model="numpy", forceinline=True, _nrt=False)(function))


def inner(function: F) -> F:
    """Compile without counting references: for the inner functions of searches; they allocate nothing.

    Handing the index to a function counts a reference to each of its arrays,
    there and back: measured 200 ns a call, three quarters of a whole search.
    """
    return cast("F", _COMPILE(nogil=True, error_model="numpy", _nrt=False)(function))
