"""Setting up the desks of a workspace, with what is live in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Lock

import structlog

from membergate.domain.decision import Decision
from membergate.domain.instants import Clock
from membergate.operations.admission import AdmissionDesk
from membergate.operations.admit import live_desk
from membergate.operations.failing_open import FailOpenDesk
from membergate.operations.history import History
from membergate.operations.keeping import enter, enter_what_was_cut_off
from membergate.operations.members import Members
from membergate.operations.orders import OrderDesk
from membergate.operations.policy_lifecycle import shadow_policies
from membergate.operations.reviewing import ReviewBudget
from membergate.operations.warming import warm_up
from membergate.operations.workspace import Workspace
from membergate.service.door import Desks
from membergate.store import OperationalRecord

_log = structlog.get_logger("membergate.service")


def desks_of(
    workspace: Workspace,
    history: History,
    record: OperationalRecord,
    clock: Clock,
    *,
    lock: AbstractContextManager[object] | None = None,
    before: Desks | None = None,
) -> Desks:
    """Set up the desks with the live model and policy.

    Parameters
    ----------
    workspace
        Holds what is live.
    history
        The loaded market.
    record
        The operational record, whose lists are followed.
    clock
        Gives the present.
    lock
        The lock of this history, where other desks use it already.
    before
        The desks that these take over from. What those knew by heart is taken over while the market and the model stay,
        and otherwise looked up again, ahead of everybody else.

    Raises
    ------
    WorkspaceError
        If nothing is live.
    ModelError
        If the model was altered.
    """
    desk = _desk_to_open(workspace, history, record, clock, is_first=before is None)
    lock = lock or Lock()
    ahead = _taken_over(desk, before, lock)
    members = Members(desk, record, lock=lock)

    def on_recorded(decision: Decision) -> None:
        if enter(record, desk.policy, [decision], clock) and desk.lists is not None:
            desk.lists.refresh()

    watching = {rule.reason for rule in desk.policy.rules if rule.watch}

    def asks_for_entries(decision: Decision) -> bool:
        # a hit gives its reason, so that most decisions need not be looked at twice
        return "" in watching or not watching.isdisjoint(decision.reason_codes)

    def follow() -> None:
        if desk.lists is not None:
            desk.lists.refresh()
        desk.velocity.follow()
        record.let_in.follow()

    def warm(is_over: Callable[[], bool]) -> int:
        return warm_up(desk, ahead, clock, is_over)

    admission = FailOpenDesk(desk, ReviewBudget(record))
    return Desks(
        admission,
        OrderDesk(members),
        on_recorded,
        lock,
        at_once=admission.decide_at_once,
        asks_for_entries=asks_for_entries,
        follow=follow,
        warm=warm,
        memory=desk.kept,
    )


def _desk_to_open(
    workspace: Workspace, history: History, record: OperationalRecord, clock: Clock, *, is_first: bool
) -> AdmissionDesk:
    """Set up the desk of what is live, with all that takes long done before anybody is let in."""
    _ = history.links
    desk = live_desk(workspace, history, record=record)
    for policy, error in shadow_policies(workspace).unreadable.items():
        _log.warning("shadow_unreadable", policy=policy, **error.as_record())
    if is_first and enter_what_was_cut_off(record, desk.policy, clock) and desk.lists is not None:
        desk.lists.refresh()
    return desk


def _taken_over(desk: AdmissionDesk, before: Desks | None, lock: object) -> tuple[str, ...]:
    """Take over what other desks know by heart, where it is about the same market and model; gives whom they knew."""
    if before is None or before.memory is None:
        return ()
    is_same = lock is before.lock and before.admission.model_version == desk.model_version
    if is_same and desk.names <= before.memory.names:
        desk.kept = before.memory
    return before.memory.accounts()
