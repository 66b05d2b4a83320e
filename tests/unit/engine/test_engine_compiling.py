"""How kernels are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numba

from membergate.engine.graph.compiling import drop_outdated


def test_kernels_older_than_any_source_are_dropped(tmp_path: Path) -> None:
    """A change anywhere in the engine drops every kernel compiled before it, and no other."""
    cache = tmp_path / "graph" / "__pycache__"
    cache.mkdir(parents=True)
    ages = {tmp_path / "source.py": 100, cache / "old.nbi": 99, cache / "new.nbi": 101}
    for file, age in ages.items():
        file.touch()
        os.utime(file, (age, age))
    assert drop_outdated(tmp_path) == 1
    assert [file.name for file in cache.iterdir()] == ["new.nbi"]


def test_numba_still_knows_how_not_to_count_references() -> None:
    """The one option of numba without a promise behind it is there; where it is not, searches take twice as long."""

    def first(values: tuple[int, int]) -> int:
        return values[0]

    compile_so: Any = numba.njit
    assert compile_so(_nrt=False)(first)((3, 4)) == 3
