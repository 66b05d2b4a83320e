"""What two accounts do together: shared purchases count as a link only while they fall on enough distinct days."""

from __future__ import annotations

import numpy as np

from membergate.learning.identity.rules import LinkRules
from membergate.learning.identity.sighting_queries import DAY_MARK, OPEN_END
from membergate.learning.identity.sightings import Sightings
from membergate.learning.identity.spells import Bools, Ints, SharedTokens, run_starts


def held_together(shared: SharedTokens, sightings: Sightings, rules: LinkRules) -> SharedTokens:
    """Keep of what is bought together only the spells in which a pair has enough distinct days in common.

    Parameters
    ----------
    shared
        All that pairs share.
    sightings
        Where the tokens, and so the days, are.
    rules
        How many days each rule asks for.

    Returns
    -------
    SharedTokens
        Entries of plain rules as they were; the others cut to those spells, ordered by pair as before.
    """
    first = len(rules.rules)
    is_together = shared.rule >= first
    if not is_together.any():
        return shared
    entries = shared.only(is_together)
    day = _days(sightings, sightings.token[entries.left])
    needed = np.array([0] * first + [rule.least_days for rule in rules.together])[entries.rule]
    cut = _cut(entries, day, needed)
    plain = shared.only(~is_together)
    names = ("pair", "rule", "left", "right", "since", "until")
    joined = SharedTokens(*(np.concatenate([getattr(plain, name), getattr(cut, name)]) for name in names))
    return joined.only(np.lexsort((joined.since, joined.rule, joined.pair)))


def _days(sightings: Sightings, token: Ints) -> Ints:
    """Give a number to the day that each token speaks of, shape as `token`."""
    tokens, of_entry = np.unique(token, return_inverse=True)
    texts = [str(text).rsplit(DAY_MARK, 1)[-1] for text in sightings.token_text[tokens]]
    number: Ints = np.unique(texts, return_inverse=True)[1].astype(np.int64)
    return number[of_entry]


def _cut(entries: SharedTokens, day: Ints, needed: Ints) -> SharedTokens:
    """Cut entries to the spells in which their pair has enough days, by rule; what is never in one is left out."""
    group = np.cumsum(run_starts(entries.pair, entries.rule)) - 1
    kept = _telling(group, entries, day, needed)
    of_group, since, until = _spells(group[kept], entries.since[kept], entries.until[kept], day[kept], needed[kept])
    low = np.searchsorted(of_group, group, side="left")
    count = np.searchsorted(of_group, group, side="right") - low
    entry = np.repeat(np.arange(len(group)), count)
    spell = np.arange(len(entry)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
    begins = np.maximum(entries.since[entry], since[spell])
    ends = np.minimum(entries.until[entry], until[spell])
    cut = SharedTokens(
        entries.pair[entry], entries.rule[entry], entries.left[entry], entries.right[entry], begins, ends
    )
    return cut.only(begins < ends)


def _telling(group: Ints, entries: SharedTokens, day: Ints, needed: Ints) -> Ints:
    """Choose the entries that decide: of those that end together, the earliest of each day, and as many days as needed.

    The others begin later and end no later than days enough, so they change no count that matters; and a pair that buys
    together every day stays as cheap as one that does so rarely.
    """
    by_day = np.lexsort((entries.since, day, entries.until, group))
    is_first = run_starts(group[by_day], entries.until[by_day], day[by_day])
    earliest = by_day[is_first]
    by_time = earliest[np.lexsort((entries.since[earliest], entries.until[earliest], group[earliest]))]
    starts = run_starts(group[by_time], entries.until[by_time])
    heads = np.flatnonzero(starts)
    rank = np.arange(len(by_time)) - np.repeat(heads, np.diff(heads, append=len(by_time)))
    chosen: Ints = by_time[rank < needed[by_time]]
    return chosen[np.argsort(group[chosen], kind="stable")]


def _spells(group: Ints, since: Ints, until: Ints, day: Ints, needed: Ints) -> tuple[Ints, Ints, Ints]:
    """Find for each group the spells with enough distinct days; gives group, since and until, in order."""
    ends = until < OPEN_END
    instants = np.concatenate([since, until[ends]])
    groups = np.concatenate([group, group[ends]])
    order = np.lexsort((instants, groups))
    groups, instants = groups[order], instants[order]
    is_new = run_starts(groups, instants)
    groups, instants = groups[is_new], instants[is_new]
    first = np.searchsorted(group, groups, side="left")
    count = np.searchsorted(group, groups, side="right") - first
    row = np.repeat(np.arange(len(groups)), count)
    entry = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    holds = (since[entry] <= instants[row]) & (instants[row] < until[entry])
    days = np.unique(np.stack([row[holds], day[entry[holds]]]), axis=1)
    counted = np.bincount(days[0], minlength=len(groups))
    is_enough: Bools = counted >= needed[first]
    flips = run_starts(groups, is_enough.astype(np.int64))
    groups, instants, is_enough = groups[flips], instants[flips], is_enough[flips]
    end = np.full(len(groups), OPEN_END)
    end[:-1] = np.where(groups[1:] == groups[:-1], instants[1:], OPEN_END)
    return groups[is_enough], instants[is_enough], end[is_enough]
