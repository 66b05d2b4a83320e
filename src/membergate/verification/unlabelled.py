"""Verification without labels, gathered: structure, agreement, controls, planted rings, and what the gate is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from membergate.verification.gate import Control
from membergate.verification.planted import PlantedReport, planted_controls
from membergate.verification.prediction_powered import PlanRow, PoweredShare
from membergate.verification.structure import Agreement, RegionStructure

PERMUTATIONS = 1999
CHANCE_OF_A_FALSE_ALARM = 0.005
"""How often a score that does depend on nothing but behaviour fails its negative controls, all of them together."""
MERCHANTS_FROM = 0.8
"""Merchant share from which a cluster's name speaks against those in it."""
MOST_DISSOLVED = 0.5


@dataclass(frozen=True, slots=True)
class Roof:
    """Places of one kind that many real applicants share.

    Parameters
    ----------
    kind
        The address kind.
    places, applicants
        Places with several applicants each, and those applicants.
    merged
        Places of which identity resolution makes one operator out of more than half of the applicants.
    kept_out, kept_out_elsewhere
        Share of applicants without a membership, at these places and everywhere.
    """

    kind: str
    places: int
    applicants: int
    merged: int
    kept_out: float
    kept_out_elsewhere: float


@dataclass(frozen=True, slots=True)
class ScoreControl:
    """The score against something that cannot matter.

    Parameters
    ----------
    against
        What it is held against.
    correlation
        Spearman's, in [-1, 1].
    p_value
        By permutation of operators.
    passes
        Whether it is no smaller than the bound for all controls together allows.
    """

    against: str
    correlation: float
    p_value: float
    passes: bool


@dataclass(frozen=True, slots=True)
class WithoutLabels:
    """Everything that is verified without asking a label, and the few estimates that labels only correct.

    Parameters
    ----------
    regions
        Nulls and stability of clusters.
    agreements
        Between clusterings, and between the risk tiers of detectors.
    score_controls
        The score against what cannot matter.
    planted
        Rings and innocents planted in the market; None where there were too few applicants.
    roofs
        Real shared places by kind.
    powered
        Merchant shares from all scores and the reviews.
    plan
        What further reviews would buy.
    """

    regions: tuple[RegionStructure, ...]
    agreements: tuple[Agreement, ...]
    score_controls: tuple[ScoreControl, ...]
    planted: PlantedReport | None
    roofs: tuple[Roof, ...]
    powered: tuple[PoweredShare, ...]
    plan: tuple[PlanRow, ...]

    @property
    def controls(self) -> tuple[Control, ...]:
        """What the gate is told."""
        planted = () if self.planted is None else planted_controls(self.planted)
        return (*_cluster_controls(self.regions), *_score_controls(self.score_controls), *planted)


def control_score(
    score: NDArray[np.float64],
    irrelevant: Mapping[str, NDArray[np.float64]],
    operator_ids: NDArray[np.str_],
    *,
    seed: int,
) -> tuple[ScoreControl, ...]:
    """Hold the score against quantities that cannot matter; constant ones say nothing and are left out.

    Parameters
    ----------
    score
        Shape (n,).
    irrelevant
        Name -> quantity, shape (n,) each.
    operator_ids
        Shape (n,): an operator counts once, with its first row, for its accounts' scores are alike.
    seed
        Seed of the permutations.
    """
    first = np.unique(operator_ids, return_index=True)[1]
    wanted = {name: values[first] for name, values in irrelevant.items() if len(np.unique(values[first])) > 1}
    if len(first) < 3:  # noqa: PLR2004 -- no correlation of two
        return ()
    generator, mine = np.random.default_rng(seed), _standard_ranks(score[first])
    found = []
    for name, values in wanted.items():
        theirs = _standard_ranks(values)
        correlation = float(mine @ theirs) / len(mine)
        null = np.array([abs(mine @ generator.permutation(theirs)) for _ in range(PERMUTATIONS)]) / len(mine)
        p = (1 + int((null >= abs(correlation)).sum())) / (PERMUTATIONS + 1)
        found.append(ScoreControl(name, correlation, p, p > CHANCE_OF_A_FALSE_ALARM / len(wanted)))
    return tuple(found)


def _standard_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give ranks (ties share their mean) with mean 0 and deviation 1, shape (n,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    spread = float(ranks.std())
    return np.asarray((ranks - ranks.mean()) / (spread or 1.0), dtype=np.float64)


def _cluster_controls(regions: Sequence[RegionStructure]) -> tuple[Control, ...]:
    """Refuse clusters that do not come back: most of them, or one that calls its people merchants."""
    placed, dissolved = sum(each.placed for each in regions), sum(each.dissolved for each in regions)
    if not placed:
        return ()
    share = dissolved / placed
    sentence = (
        f"Clusters: {share:.0%} of the applicants in a cluster are in one that dissolves when other operators are "
        f"drawn (at most {MOST_DISSOLVED:.0%} may)."
    )
    found = [Control("cluster_stability", share <= MOST_DISSOLVED, sentence)]
    accusing = [
        row
        for region in regions
        for row in region.clusters
        if row.merchant_share is not None and row.merchant_share >= MERCHANTS_FROM and row.verdict != "too few"
    ]
    found += [
        Control(
            f"cluster_{row.cluster}",
            row.verdict != "dissolved",
            f"Cluster {row.cluster} calls {row.rows} applicants merchants; when other operators are drawn it overlaps "
            f"with itself by {row.jaccard:.2f} (0.50 is needed).",
        )
        for row in accusing
    ]
    return tuple(found)


def _score_controls(controls: Sequence[ScoreControl]) -> tuple[Control, ...]:
    return tuple(
        Control(
            f"score_against_{control.against.replace(' ', '_')}",
            control.passes,
            f"Negative control: the score goes with {control.against} (rank correlation {control.correlation:+.3f}, "
            f"p {control.p_value:.4f}), which cannot matter.",
        )
        for control in controls
    )
