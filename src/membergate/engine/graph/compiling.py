"""How the engine compiles: lazily, without the interpreter lock, kept on disk between runs.

What is kept is dropped when any source of the engine is newer: numba looks at
the file of a kernel alone, and would go on with old copies of what it calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
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


def drop_outdated(engine: Path) -> int:
    """Drop the indices of compiled kernels that are older than the newest source below a folder.

    Parameters
    ----------
    engine
        Folder of the sources; compiled kernels lie in `__pycache__` folders below it.

    Returns
    -------
    int
        Indices dropped. One that cannot be dropped, in a folder that is not ours to write, is left.
    """
    newest, dropped = max((source.stat().st_mtime_ns for source in engine.rglob("*.py")), default=0), 0
    for index in engine.rglob("__pycache__/*.nbi"):
        with contextlib.suppress(OSError):
            if index.stat().st_mtime_ns < newest:
                index.unlink()
                dropped += 1
    return dropped


drop_outdated(Path(__file__).parents[1])
