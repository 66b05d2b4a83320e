"""admit: decide every application of a window, each as of its own submission."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from membergate.domain.decision import Decision
from membergate.domain.disposition import Disposition
from membergate.domain.errors import BadInputError
from membergate.domain.instants import Clock, format_instant
from membergate.learning.model import load_model
from membergate.operations.admission import AdmissionDesk
from membergate.operations.history import History
from membergate.operations.keeping import keep
from membergate.operations.list_witness import ListWitness
from membergate.operations.policies import live_policy, read_policy
from membergate.operations.policy_lifecycle import earlier_policies, shadow_policies
from membergate.operations.reviewing import decide_within_capacity
from membergate.operations.velocity import VelocityWitness
from membergate.operations.workspace import Workspace
from membergate.store import OperationalRecord, open_store, write_decisions


@dataclass(frozen=True)
class Admitted:
    """What a batch decided.

    Parameters
    ----------
    decisions
        One an application, in the order of submission.
    out
        The file they were written to; None where none was asked for.
    shadows
        How often (a shadow policy's version, our disposition, its disposition) came together.
    unread_shadows
        Name and version of each policy that stands in shadow and cannot be read, so that it decided nothing.
    """

    decisions: tuple[Decision, ...]
    out: Path | None
    shadows: Mapping[tuple[str, Disposition, Disposition], int] = field(default_factory=dict)
    unread_shadows: tuple[str, ...] = ()

    @property
    def mix(self) -> dict[str, int]:
        """Decisions by disposition."""
        return dict(Counter(decision.disposition.value for decision in self.decisions).most_common())

    @property
    def reasons(self) -> dict[str, int]:
        """Decisions other than full admission that name each reason code."""
        return dict(
            Counter(
                code for decision in self.decisions if decision.disposition != "admit" for code in decision.reason_codes
            ).most_common()
        )


def live_desk(
    workspace: Workspace,
    history: History,
    model_version: str | None = None,
    *,
    record: OperationalRecord | None = None,
) -> AdmissionDesk:
    """Set up the desk with what is live, or with a named model under the live policy (the default before the first).

    Parameters
    ----------
    workspace
        Holds models, policies and the operational record.
    history
        The loaded market.
    model_version
        Another model than the live one.
    record
        The record whose risk lists the desk follows as they change; where None, it takes the lists as they are now.

    Raises
    ------
    WorkspaceError
        If nothing is live and no model is named.
    ModelError
        If the named model is missing, or the model was altered.
    """
    live = workspace.live()
    if model_version is None:
        version = workspace.required_live().model_version
    else:
        version = workspace.chosen_model(model_version)
    policy = live_policy(workspace) if live is not None else read_policy(None)
    lists = ListWitness.now(workspace, history) if record is None else ListWitness(history, record.lists)
    is_dated = policy.effective_from is not None or policy.effective_until is not None
    return AdmissionDesk(
        history,
        load_model(workspace.models / version),
        version,
        policy,
        lists=lists,
        velocity=VelocityWitness.now(workspace) if record is None else VelocityWitness(record.velocity),
        standby=earlier_policies(workspace) if is_dated else (),
        shadows=shadow_policies(workspace).readable,
        let_in=None if record is None else record.let_in,
    )


def admit(
    workspace: Workspace,
    *,
    clock: Clock,
    since: datetime | None = None,
    until: datetime | None = None,
    out: Path | None = None,
    model_version: str | None = None,
    history: History | None = None,
) -> Admitted:
    """Decide the applications submitted in [since, until) and keep the decisions.

    Parameters
    ----------
    workspace
        Holds the market and what is live.
    clock
        Dates the list entries that follow from the decisions.
    since, until
        The window; open where None.
    out
        A Parquet file to write; two runs over the same data give identical files.
    model_version
        Decide with this model instead of the live one; the operational record is then left alone.
    history
        The market, if it is open already.

    Raises
    ------
    BadInputError
        If the window ends before it begins.
    WorkspaceError
        If nothing is live, or nothing was ingested.
    """
    if since is not None and until is not None and since >= until:
        raise BadInputError(
            "the window is empty",
            where=f"since {format_instant(since)}, until {format_instant(until)}",
            allowed="since before until",
        )
    history = history or History(workspace.warehouse())
    desk = live_desk(workspace, history, model_version)
    decisions = tuple(decide_within_capacity(desk, since, until))
    if out is not None:
        write_decisions(decisions, out)
    if model_version is None:
        with open_store(workspace.record) as record:
            keep(record, desk.policy, decisions, clock)
    return Admitted(decisions, out, desk.shadow_counts, tuple(shadow_policies(workspace).unreadable))
