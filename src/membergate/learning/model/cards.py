"""Cards: a cluster and a score's columns in words, for whoever must explain them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.learning.features import CATALOGUE
from membergate.learning.model.clusters import GENUINE, MERCHANTS, UNTYPED, TypedClusters

TRAITS = 5
"""How many of what sets a cluster apart its card names."""
TELLING = 0.5
"""Mean deviation, in robust standard deviations, from which a trait is named."""
OTHER_COLUMNS = {
    "orders": "orders that are visible",
    "history_days": "days since the first order",
    "tenure_days": "days since registration",
    "economic_prior": "what resale economics say before any label is asked",
    "little_history": "drawn towards newcomers' own merchant share, for having shown little",
}
"""What the columns that are no feature mean."""


@dataclass(frozen=True)
class Trait:
    """What sets a cluster apart.

    Parameters
    ----------
    feature, summary
        Id and summary in the catalogue.
    deviation
        Mean of the members, in robust standard deviations from their peers.
    """

    feature: str
    summary: str
    deviation: float


@dataclass(frozen=True)
class ClusterCard:
    """Who is like this, why the cluster is typed so, and whether it is there at all.

    Parameters
    ----------
    cluster_id, type
        As in evidence.
    why
        A sentence: what the type rests on.
    size, labelled
        Applications that were learned from, and those of them with a label.
    merchant_share
        Shrunken share of merchants among the labelled; None where nobody is.
    stability
        Mean Jaccard overlap with its like in subsamples, in [0, 1]; 0.75 and more is stable.
    traits
        What sets its members apart, most telling first.
    """

    cluster_id: str
    type: str
    why: str
    size: int
    labelled: int
    merchant_share: float | None
    stability: float
    traits: tuple[Trait, ...]


def card_of(clusters: TypedClusters, features: tuple[str, ...], cluster_id: str) -> ClusterCard:
    """Write the card of a cluster that a placement named.

    Parameters
    ----------
    clusters
        The model's clusters.
    features
        Ids of the columns of its space.
    cluster_id
        Not empty: noise has no card.
    """
    region, number = clusters.find(cluster_id)
    share = float(region.merchant_shares[number])
    centre = region.centres[number]
    telling = [int(column) for column in np.argsort(-np.abs(centre), kind="stable") if abs(centre[column]) >= TELLING]
    name = str(region.types[number])
    known = int(region.labelled[number])
    of_guard = f"{region.look_alike_shares[number]:.0%} of its members satisfy the guard {region.look_alikes[number]!r}"
    because = {
        MERCHANTS: f"of {known} members with a label, a (shrunken) share of {share:.0%} are merchants",
        GENUINE: f"of {known} members with a label, a (shrunken) share of {share:.0%} are merchants",
        UNTYPED: "neither labels nor guards say what its members have in common; being dense says nothing",
    }
    return ClusterCard(
        cluster_id, name, because.get(name, of_guard), int(region.sizes[number]), known,
        share if np.isfinite(share) else None, float(region.stability[number]),
        tuple(
            Trait(features[column], CATALOGUE[features[column]].summary, float(centre[column]))
            for column in telling[:TRAITS]
        ),
    )  # fmt: skip


def words_of(column: str) -> str:
    """Say what a column of the contributions measures, in the catalogue's words."""
    return CATALOGUE[column].summary if column in CATALOGUE else OTHER_COLUMNS[column]
