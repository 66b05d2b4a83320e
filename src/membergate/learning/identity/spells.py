"""Turns sightings into spells: the half-open spans of time in which two accounts have evidence enough to be linked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from membergate.learning.identity.rules import LinkRules
from membergate.learning.identity.sighting_queries import OPEN_END
from membergate.learning.identity.sightings import Sightings

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SharedTokens:
    """Pairs of accounts and the tokens that they share, one entry a pair of sightings, ordered by pair.

    Parameters
    ----------
    pair
        (e,) smaller account code * number of accounts + larger account code.
    rule
        (e,) index of the rule.
    left, right
        (e,) the sightings of the smaller and of the larger account code.
    since, until
        (e,) the half-open span in which both hold and the token is no hub.
    """

    pair: Ints
    rule: Ints
    left: Ints
    right: Ints
    since: Ints
    until: Ints

    def only(self, rows: Bools | Ints) -> SharedTokens:
        """Keep, or reorder, some entries."""
        columns = (self.pair, self.rule, self.left, self.right, self.since, self.until)
        return SharedTokens(*(column[rows] for column in columns))


@dataclass(frozen=True, slots=True, eq=False)
class LinkSpells:
    """When which pairs are linked, one entry a spell, ordered by pair, then time; (m,) each."""

    pair: Ints
    since: Ints
    until: Ints


def shared_tokens(sightings: Sightings) -> SharedTokens:
    """Pair up the accounts of each token; a token holds at most `cap` of them here, so the work stays bounded."""
    left, right = _pairs_within_runs(sightings.token)
    is_swapped = sightings.account[left] > sightings.account[right]
    left, right = np.where(is_swapped, right, left), np.where(is_swapped, left, right)
    token = sightings.token[left]
    pair = sightings.account[left] * len(sightings.account_ids) + sightings.account[right]
    since = np.maximum(sightings.seen_at[left], sightings.seen_at[right])
    ended_at = np.minimum(sightings.ended_at[left], sightings.ended_at[right])
    until = np.minimum(ended_at, sightings.hub_at[token])
    rule = sightings.rule[token]
    overlap = np.flatnonzero((since < until) & (sightings.account[left] != sightings.account[right]))
    order = overlap[np.lexsort((since[overlap], rule[overlap], pair[overlap]))]
    return SharedTokens(pair, rule, left, right, since, until).only(order)


def link_spells(shared: SharedTokens, rules: LinkRules) -> LinkSpells:
    """Find the spells in which the points of a pair, the best of each facet added up, reach the threshold."""
    facet_of, weight_of = _codes(rules)
    shared = shared.only(_can_reach(shared.pair, facet_of[shared.rule], weight_of[shared.rule], rules.threshold))
    shared = shared.only(_undominated(shared, facet_of))
    instant_pair, instant = _instants(shared)
    points = _points_at(instant_pair, instant, shared, facet_of, weight_of)
    return _spells(instant_pair, instant, points >= rules.threshold)


def _codes(rules: LinkRules) -> tuple[Ints, Ints]:
    facets = sorted({rule.facet for rule in rules.every})
    return (
        np.array([facets.index(rule.facet) for rule in rules.every], dtype=np.int64),
        np.array([rule.weight for rule in rules.every], dtype=np.int64),
    )


def _pairs_within_runs(token: Ints) -> tuple[Ints, Ints]:
    """Give the positions of all pairs, left before right, within runs of equal tokens; runs of one size at a time."""
    starts = np.flatnonzero(run_starts(token))
    sizes = np.diff(starts, append=len(token))
    none = np.empty(0, dtype=np.int64)
    lefts, rights = [none], [none]
    for size in np.unique(sizes[sizes > 1]):
        left, right = np.triu_indices(size, k=1)
        heads = starts[sizes == size][:, None]
        lefts.append((heads + left).ravel())
        rights.append((heads + right).ravel())
    return np.concatenate(lefts), np.concatenate(rights)


def run_starts(*keys: Ints) -> Bools:
    """Mark where a run of equal keys starts, in arrays ordered by them."""
    is_start = np.ones(len(keys[0]), dtype=bool)
    if len(is_start):
        is_start[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return is_start


def _can_reach(pair: Ints, facet: Ints, weight: Ints, threshold: int) -> Bools:
    """Keep the entries of pairs that would reach the threshold if everything they ever share held at once."""
    if not len(pair):
        return np.empty(0, dtype=bool)
    order = np.lexsort((-weight, facet, pair))
    is_best = run_starts(pair[order], facet[order])
    number = np.cumsum(run_starts(pair)) - 1
    points = np.bincount(number[order][is_best], weights=weight[order][is_best], minlength=number[-1] + 1)
    return np.asarray(points[number] >= threshold)


def _undominated(shared: SharedTokens, facet_of: Ints) -> Ints:
    """Leave out what starts after an entry of the same pair and rule that lasts at least as long; order by facet.

    Most evidence never ends, so that one entry per pair and rule remains and the sweep over instants stays small.
    """
    if not len(shared.pair):
        return np.empty(0, dtype=np.int64)
    order: Ints = np.lexsort((shared.since, -shared.until, shared.rule, facet_of[shared.rule], shared.pair))
    is_longest = run_starts(shared.pair[order], shared.rule[order])
    since = shared.since[order]
    since_of_longest = since[is_longest][np.cumsum(is_longest) - 1]
    kept: Ints = order[is_longest | (since < since_of_longest)]
    return kept


def _instants(shared: SharedTokens) -> tuple[Ints, Ints]:
    """List the instants at which the evidence of a pair changes, ordered by pair, then time."""
    ends = shared.until < OPEN_END
    pair = np.concatenate([shared.pair, shared.pair[ends]])
    instant = np.concatenate([shared.since, shared.until[ends]])
    order = np.lexsort((instant, pair))
    pair, instant = pair[order], instant[order]
    is_new = run_starts(pair, instant)
    return pair[is_new], instant[is_new]


def _points_at(pair: Ints, instant: Ints, shared: SharedTokens, facet_of: Ints, weight_of: Ints) -> Ints:
    """Add up, at each instant of a pair, the best weight of each facet that holds then."""
    if not len(pair):
        return np.empty(0, dtype=np.int64)
    first = np.searchsorted(shared.pair, pair, side="left")
    count = np.searchsorted(shared.pair, pair, side="right") - first
    row = np.repeat(np.arange(len(pair)), count)
    entry = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + first[row]
    holds = (shared.since[entry] <= instant[row]) & (instant[row] < shared.until[entry])
    rule = shared.rule[entry]
    is_new_facet = np.flatnonzero(run_starts(row, facet_of[rule]))
    best = np.maximum.reduceat(weight_of[rule] * holds, is_new_facet)
    points: Ints = np.add.reduceat(best, np.flatnonzero(run_starts(row[is_new_facet])))
    return points


def _spells(pair: Ints, instant: Ints, is_linked: Bools) -> LinkSpells:
    """Join the instants of a pair into spells; what holds at the last instant of a pair holds for good."""
    flips = np.ones(len(pair), dtype=bool)
    flips[1:] = (pair[1:] != pair[:-1]) | (is_linked[1:] != is_linked[:-1])
    pair, instant, is_linked = pair[flips], instant[flips], is_linked[flips]
    until = np.full(len(pair), OPEN_END, dtype=np.int64)
    until[:-1] = np.where(pair[1:] == pair[:-1], instant[1:], OPEN_END)
    return LinkSpells(pair[is_linked], instant[is_linked], until[is_linked])
