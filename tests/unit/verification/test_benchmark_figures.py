"""Benchmarks print intervals of what a figure can be, and read kept figures only where the same was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import identify
from benchmarks.intervals import RATIO, SHARE, interval
from benchmarks.keeping import kept_in, source_digest
from scipy import stats

FOUND: identify.Figures = {(0, "membergate"): {"average precision": 0.5}}


def test_an_interval_of_differences_is_the_t_interval() -> None:
    """Nothing is cut where anything may be; scipy gives the same."""
    values = [-3.0, 1.0, 4.0, 2.5, 0.5]
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert interval(values) == f"{np.mean(values):.3f} [{low:.3f}, {high:.3f}]"
    assert interval([0.25], SHARE) == "0.250"


def test_an_interval_of_shares_stays_among_shares() -> None:
    """Its ends are cut at 0 and 1, those of a ratio at 0 alone; what lies inside stays as it was."""
    assert interval([1.0, 1.0, 0.9, 1.0, 1.0], SHARE) == "0.980 [0.924, 1.000]"
    assert interval([0.0, 0.0, 0.1, 0.0, 0.0], SHARE, digits=4) == "0.0200 [0.0000, 0.0755]"
    assert interval([0.0, 9.0, 0.0], RATIO).startswith("3.000 [0.000, 15.9")


@pytest.mark.parametrize("mean", [0.02, 0.5, 0.95])
def test_the_cut_loses_no_coverage(mean: float) -> None:
    """Over skewed shares of five markets the cut interval covers wherever the uncut one does."""
    markets = np.random.default_rng(0).beta(4 * mean, 4 * (1 - mean), (300, 5))
    for values in markets.tolist():
        told, free = ([float(end) for end in interval(values, *cut)[7:-1].split(",")] for cut in ((SHARE,), ()))
        assert (told[0] <= mean <= told[1]) is (free[0] <= mean <= free[1])


def test_kept_figures_are_read_where_the_same_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same budgets in any order read what was kept; other budgets, seeds or sizes are measured again."""
    measured: list[tuple[int, int, list[int]]] = []

    def run(seed: int, accounts: int, budgets: list[int]) -> identify.Figures:
        measured.append((seed, accounts, budgets))
        return FOUND

    monkeypatch.setattr(identify, "run", run)
    for asked in ((1, 100, [0, 50]), (1, 100, [50, 0]), (1, 100, [0]), (2, 100, [0, 50]), (1, 200, [0, 50])):
        assert identify.kept(tmp_path, *asked) == FOUND
    assert measured == [(1, 100, [0, 50]), (1, 100, [0]), (2, 100, [0, 50]), (1, 200, [0, 50])]
    assert len(list(tmp_path.iterdir())) == 4
    assert identify.kept(None, 1, 100, [0, 50]) == FOUND
    assert len(measured) == 5


def test_a_change_of_the_source_is_another_file(tmp_path: Path) -> None:
    """What is in a file, and what it is called, count; so does which benchmark asks; caches do not."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "module.py").write_text("A = 1\n", encoding="utf-8")
    before = source_digest.__wrapped__(package)
    (package / "module.pyc").write_bytes(b"cache")
    assert source_digest.__wrapped__(package) == before
    (package / "module.py").write_text("A = 2\n", encoding="utf-8")
    changed = source_digest.__wrapped__(package)
    (package / "module.py").rename(package / "other.py")
    assert len({before, changed, source_digest.__wrapped__(package)}) == 3
    names = [kept_in(tmp_path, "identify", asked, own) for asked in ([0], [0, 50]) for own in (("identify",), ())]
    assert len(set(names)) == 4
