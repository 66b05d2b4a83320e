"""Runs a kernel over ranges of items on several threads; tells progress; leaves no thread behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from numbers import Integral

from membergate.engine.checking import checked_integer

Progress = Callable[[str, float], None]
"""Called with the name of a phase and the share of it that is done, in [0, 1]."""

_CHUNKS = 64


def available_threads(n_jobs: int | None) -> int:
    """Give the number of threads for `n_jobs`: None or -1 means every core that this process may use."""
    if n_jobs is not None and not (isinstance(n_jobs, Integral) and n_jobs == -1):
        return checked_integer("n_jobs", n_jobs, 1, otherwise="or None or -1 for every core")
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)


def over_ranges(
    work: Callable[[int, int], object],
    n_items: int,
    *,
    n_jobs: int | None = None,
    progress: Progress | None = None,
    phase: str = "",
) -> None:
    """Call `work(first, last)` on consecutive ranges that cover `n_items`.

    The items must be independent of each other. On any error, an interrupt
    included, ranges not begun are dropped and running ones end, before the
    error goes on.
    """
    step = max(1, -(-n_items // _CHUNKS))
    ranges = [(first, min(first + step, n_items)) for first in range(0, n_items, step)]
    n_threads = min(available_threads(n_jobs), len(ranges))
    if n_threads <= 1:
        for done, (first, last) in enumerate(ranges, start=1):
            work(first, last)
            if progress is not None:
                progress(phase, done / len(ranges))
        return
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="engine")
    try:
        futures = [pool.submit(work, first, last) for first, last in ranges]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if progress is not None:
                progress(phase, done / len(ranges))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
