"""Expected values: the formulas, and the places where the best disposition changes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from membergate.deciding.policy import Policy
from membergate.deciding.policy.economics import Economics, Stakes, best, expected_values, turning_points
from membergate.domain.disposition import Disposition


@pytest.fixture(scope="module")
def economics(default: Policy) -> Economics:
    """Give the default policy's economics."""
    assert default.economics is not None
    return default.economics


def test_expected_values_follow_the_formulas(economics: Economics) -> None:
    """Each disposition's value, worked by hand at p = 0.25 with V = 420, L = 2600 and d = 0.12."""
    values = expected_values(Stakes(economics, is_lane_offered=True), 0.25)
    expected = {
        Disposition.ADMIT: 0.75 * 42000 - 0.25 * 260000,
        Disposition.ADMIT_CAPPED: 0.75 * 0.97 * 42000 - 0.25 * 0.35 * 260000,
        Disposition.TRIAL: 0.75 * 0.90 * 42000 - 0.25 * 0.15 * 260000 - 400,
        Disposition.STEP_UP: 0.75 * 0.92 * 42000 - 0.25 * 0.60 * 260000 - 100,
        Disposition.REVIEW: 0.75 * (0.97 * 42000 - 0.03 * 0.12 * 42000) - 0.25 * 0.15 * 260000 - 1200 - 3000,
        Disposition.BUSINESS_LANE: 0.75 * (0.6 * 0.92 * 42000 - 0.4 * 0.12 * 42000) + 0.25 * 0.4 * 30000 - 200,
        Disposition.DENY: -0.75 * 0.12 * 42000,
    }
    assert values == pytest.approx(expected)


def test_multipliers_scale_value_and_loss(economics: Economics) -> None:
    """A promotion that quadruples L is the same as a policy with four times the L."""
    fourfold = replace(economics, merchant_loss_minor=4 * economics.merchant_loss_minor)
    assert expected_values(Stakes(economics, loss_multiplier=4), 0.1) == expected_values(Stakes(fourfold), 0.1)


@pytest.mark.parametrize(("loss_multiplier", "expected"), [(1, 0.1532), (4, 0.0433)])
def test_admit_and_deny_are_worth_the_same_at_the_two_way_threshold(
    economics: Economics, loss_multiplier: float, expected: float
) -> None:
    """The known threshold is (1 + d) V / ((1 + d) V + L)."""
    value, loss = 1.12 * 42000, 260000 * loss_multiplier
    threshold = value / (value + loss)
    values = expected_values(Stakes(economics, loss_multiplier=loss_multiplier), threshold)
    assert threshold == pytest.approx(expected, abs=1e-4)
    assert values[Disposition.ADMIT] == pytest.approx(values[Disposition.DENY])


def test_the_best_disposition_changes_only_at_turning_points(economics: Economics) -> None:
    """Between two neighbouring turning points one disposition is best throughout, and beyond each another."""
    for stakes in (Stakes(economics), Stakes(economics, 1.0, 4.0), Stakes(economics, is_lane_offered=True)):
        ends = (0.0, *turning_points(stakes), 1.0)
        found = []
        for low, high in pairwise(ends):
            inside = [low + (high - low) * share for share in (0.01, 0.5, 0.99)]
            found.append({best(expected_values(stakes, point)) for point in inside})
        assert all(len(dispositions) == 1 for dispositions in found)
        assert all(left != right for left, right in pairwise(found))


def test_equal_values_go_to_the_milder() -> None:
    """A tie is settled for the applicant."""
    assert best({Disposition.ADMIT: 1.0, Disposition.TRIAL: 1.0, Disposition.DENY: 0.0}) is Disposition.ADMIT


def test_the_default_figures_give_full_admission_caps_trial_and_refusal_in_turn(economics: Economics) -> None:
    """The default economics order by probability as the explanation page says, to three places."""
    grid = [point / 1000 for point in range(1001)]
    asked = [best(expected_values(Stakes(economics), point)) for point in grid]
    turns = [(point, now) for point, before, now in zip(grid[1:], asked, asked[1:], strict=False) if now is not before]
    assert asked[0] is Disposition.ADMIT
    assert turns == [(0.008, Disposition.ADMIT_CAPPED), (0.061, Disposition.TRIAL), (0.519, Disposition.DENY)]
