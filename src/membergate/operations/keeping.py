"""Keeping decisions: they go on record, and what their rules enter on the watch list goes on the list."""

from __future__ import annotations

from collections.abc import Sequence

from membergate.deciding.lists.automatic import entries_from
from membergate.deciding.policy import Policy
from membergate.domain.decision import Decision
from membergate.domain.instants import Clock
from membergate.store import OperationalRecord

MOST_CUT_OFF = 4_096
"""Decisions that a crash can have cut off from their entries, at most: those that were being answered."""


def keep(record: OperationalRecord, policy: Policy, decisions: Sequence[Decision], clock: Clock) -> int:
    """Record decisions and the list entries that follow from them; both once, however often it is repeated.

    Parameters
    ----------
    record
        The operational record.
    policy
        The policy that decided.
    decisions
        Its decisions.
    clock
        Gives the present, from which the entries are known.

    Returns
    -------
    int
        How many list entries are new.
    """
    record.record(decisions)
    return enter(record, policy, decisions, clock)


def enter(record: OperationalRecord, policy: Policy, decisions: Sequence[Decision], clock: Clock) -> int:
    """Enter what the rules of recorded decisions put on the watch list; gives how many entries are new."""
    now = clock()
    entries = [entry for decision in decisions for entry in entries_from(policy, decision, now)]
    return record.lists.change(entries, at=now, by=f"policy {policy.name}-{policy.version}") if entries else 0


def enter_what_was_cut_off(record: OperationalRecord, policy: Policy, clock: Clock) -> int:
    """Enter what a crash left out, between a decision that was on record and its entries; gives how many are new."""
    if not any(rule.watch for rule in policy.rules):
        return 0
    last = record.recorded_last(MOST_CUT_OFF)
    return enter(record, policy, [one for one in last if one.policy_version == policy.full_version], clock)
