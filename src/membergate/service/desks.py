"""Setting up the desks of a workspace, with what is live in it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from threading import Lock

from membergate.domain.decision import Decision
from membergate.domain.instants import Clock
from membergate.operations.admit import live_desk
from membergate.operations.failing_open import FailOpenDesk
from membergate.operations.history import History
from membergate.operations.keeping import enter
from membergate.operations.members import Members
from membergate.operations.orders import OrderDesk
from membergate.operations.reviewing import ReviewBudget
from membergate.operations.workspace import Workspace
from membergate.service.door import Desks
from membergate.store import OperationalRecord


def desks_of(
    workspace: Workspace,
    history: History,
    record: OperationalRecord,
    clock: Clock,
    *,
    lock: AbstractContextManager[object] | None = None,
    fill_as_of: datetime | None = None,
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
    fill_as_of
        Look up those who hold a membership at this instant ahead of their orders; nobody where None.

    Raises
    ------
    WorkspaceError
        If nothing is live.
    ModelError
        If the model was altered.
    """
    desk = live_desk(workspace, history, record=record)
    lock = lock or Lock()
    members = Members(desk, record, lock=lock)
    if fill_as_of is not None:
        members.fill(desk.ledger.accounts(fill_as_of), fill_as_of)

    def on_recorded(decision: Decision) -> None:
        enter(record, desk.policy, [decision], clock)

    return Desks(FailOpenDesk(desk, ReviewBudget(record)), OrderDesk(members), on_recorded, lock)
