"""The monitor: closed forms, false alarms within delta at all times, and a state that survives a restart."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

from membergate.domain.errors import BadInputError
from membergate.verification.monitoring import STAKES, Audit, Monitor, watch


def audits(leaks: np.ndarray, *, start: int = 0) -> list[Audit]:
    """Make audits of single-account operators."""
    return [Audit(f"d{start + i}", f"o{start + i}", bool(leak), 1.0) for i, leak in enumerate(leaks)]


def watched(leaks: np.ndarray, **terms: float) -> Monitor:
    """Watch one batch."""
    given = {"alpha": 0.02, "delta": 0.05, "operator_cap": 1, "largest_weight": 1.0} | terms
    return watch(Monitor(**given), audits(leaks), at="2025-10-01")  # type: ignore[arg-type]


def test_the_wealth_has_its_closed_form() -> None:
    """Clean operators cost each stake its share, and a leak multiplies it by 1 + stake (1 - alpha) / alpha."""
    clean = watched(np.zeros(30, dtype=bool))
    assert clean.e_value == pytest.approx(float(np.mean((1 - STAKES) ** 30)))
    leaked = watched(np.arange(30) == 4)
    assert leaked.e_value == pytest.approx(float(np.mean((1 - STAKES) ** 29 * (1 + STAKES * 0.98 / 0.02))))
    assert leaked.leaked_operators == 1


def test_a_cap_and_weights_slow_the_bet() -> None:
    """With cap 5 and weights up to 2, one leak of weight 1 moves the wealth a tenth as far."""
    leaked = watched(np.ones(1, dtype=bool), operator_cap=5, largest_weight=2.0)
    assert leaked.e_value == pytest.approx(float(np.mean(1 + STAKES * 0.98 / 0.02 / 10)))


def test_a_design_with_rarer_draws_is_taken_up() -> None:
    """Larger weights than before make bets smaller from then on; what was won before stays. Undeclared, they refuse."""
    first = watched(np.zeros(20, dtype=bool))
    rare = [Audit("r", "r", is_merchant=True, weight=8.0)]
    with pytest.raises(BadInputError, match="not of the design"):
        watch(first, rare, at="2025-10-02")
    after = watch(first, rare, at="2025-10-02", largest_weight=8.0)
    assert after.e_value == pytest.approx(float(np.mean((1 - STAKES) ** 20 * (1 + STAKES * 0.98 / 0.02))))
    later = watch(after, [Audit("s", "s", is_merchant=True, weight=1.0)], at="2025-10-03")
    won = 1 + STAKES * 0.98 / 0.02
    assert later.e_value == pytest.approx(float(np.mean((1 - STAKES) ** 20 * won * (1 + STAKES * 0.98 / 0.02 / 8))))


def test_false_alarms_stay_within_delta_where_the_design_changes() -> None:
    """Draws of one in four, then of one in nine by a plan: of 300 streams at alpha, no more than delta alarm."""
    generator, alarms = np.random.default_rng(9), 0
    for _ in range(300):
        state = Monitor(0.05, 0.05, 1, 1.0)
        for batch, chance in enumerate((1 / 4, 1 / 9, 1 / 4)):
            drawn = np.flatnonzero(generator.random(2_000) < chance)
            leaks = generator.random(len(drawn)) < 0.05
            names = [f"{batch}-{place}" for place in drawn.tolist()]
            audits = [Audit(name, name, bool(leak), 1 / chance) for name, leak in zip(names, leaks, strict=True)]
            state = watch(state, audits, at=str(batch), largest_weight=1 / chance)
        alarms += bool(state.alarmed_at)
    assert stats.binomtest(alarms, 300).proportion_ci(0.95).low <= 0.05


def test_false_alarms_stay_within_delta_at_all_times() -> None:
    """Where leakage is exactly alpha, no more than delta of 300 streams ever alarm, and the interval covers as often.

    Where it is four times alpha, nearly all alarm.
    """
    generator = np.random.default_rng(8)
    alarms, misses = 0, 0
    for _ in range(300):
        found = watched(generator.random(600) < 0.02)
        alarms += bool(found.alarmed_at)
        misses += not found.interval[0] <= 0.02 <= found.interval[1]
    assert stats.binomtest(alarms, 300).proportion_ci(0.95).low <= 0.05
    assert stats.binomtest(misses, 300).proportion_ci(0.95).low <= 0.05
    assert sum(bool(watched(generator.random(600) < 0.08).alarmed_at) for _ in range(40)) >= 36


def test_it_resumes_from_what_was_written_down() -> None:
    """Half a stream, written as JSON, read back and continued, is the whole stream; a repeat of it changes nothing."""
    leaks = np.random.default_rng(1).random(400) < 0.03
    half = watched(leaks[:200])
    resumed = msgspec.json.decode(msgspec.json.encode(half), type=Monitor)
    assert resumed == half
    both = watch(resumed, audits(leaks[200:], start=200), at="2025-10-02")
    whole = watched(leaks)
    assert both.e_value == pytest.approx(whole.e_value)
    assert both.interval == whole.interval
    assert watch(both, audits(leaks), at="2025-10-03") == both


def test_an_operator_counts_once() -> None:
    """A ring that was seen places no second bet; within its batch it counts up to the cap."""
    ring = [Audit(f"d{i}", "ring", True, 1.0) for i in range(4)]
    first = watch(Monitor(0.02, 0.05, 3, 1.0), ring, at="")
    again = watch(first, [Audit("d9", "ring", True, 1.0)], at="")
    assert (first.repeats, again.repeats) == (1, 2)
    assert again.e_value == first.e_value


def test_what_is_not_of_the_design_is_refused() -> None:
    """A weight beyond the largest declared breaks the bounds, and impossible terms are refused when stated."""
    with pytest.raises(BadInputError, match="weight"):
        watch(Monitor(0.02, 0.05, 1, 2.0), [Audit("d", "o", False, 3.0)], at="")
    with pytest.raises(BadInputError):
        Monitor(0.0, 0.05, 1, 1.0)
