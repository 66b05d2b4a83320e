"""publish: make a verified model and policy live, or refuse and say why. A refusal changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from membergate.deciding.policy import Policy
from membergate.domain.instants import Clock, format_instant
from membergate.learning.model.storage import read_manifest
from membergate.operations.gating import require_open_gate
from membergate.operations.policies import read_policy, store_policy
from membergate.operations.policy_lifecycle import note_live, tested
from membergate.operations.signing import checked_name, report_of, require_fresh, sign
from membergate.operations.verify import name_of
from membergate.operations.workspace import Live, Workspace
from membergate.verification.report import SignOff


@dataclass(frozen=True)
class Published:
    """What went live, what it replaced (None for nothing), and who signed for it."""

    live: Live
    replaced: Live | None
    sign_off: SignOff


def publish(
    workspace: Workspace,
    *,
    clock: Clock,
    model_version: str | None = None,
    policy: Policy | None = None,
    signed_by: str = "",
    max_age_days: float | None = None,
) -> Published:
    """Make a candidate live if its verification opened the gate.

    Parameters
    ----------
    workspace
        Holds the candidate and its report.
    clock
        Dates the change.
    model_version
        The candidate; the model learned last where None.
    policy
        The policy it goes live with; the shipped default where None. It must be the one it was verified with.
    signed_by
        Who answers for it, in the report and on the record; empty where nobody is named.
    max_age_days
        Days that the newest application evaluated may be old; None refuses no age, and warns of more than the gate
        allows between evidence and the end of the data.

    Raises
    ------
    BadInputError
        If the name is too long, or holds characters that cannot be seen; or the age allowed is no number of days.
    RefusedError
        If the candidate was not verified with this policy against what is live now, the gate stayed shut, its evidence
        is older than allowed, or an example that the policy carries does not hold.
    RecordConflictError
        If this version of the policy has another text on record.
    ModelError
        If the candidate is missing or was altered.
    WorkspaceError
        If its report is missing or damaged.
    """
    version = workspace.chosen_model(model_version)
    policy = policy or read_policy(None)
    read_manifest(workspace.models / version)
    signed_by = checked_name(signed_by)
    with workspace.going_live():
        live = workspace.live()
        require_open_gate(workspace, version, policy)
        tested(policy)
        report = report_of(workspace, version)
        require_fresh(report, at=clock(), max_age_days=max_age_days)
        by = signed_by or "membergate publish"
        note_live(workspace, policy, by=by, clock=clock, note=f"published with model {version}")
        new = Live(version, store_policy(workspace, policy), format_instant(clock()))
        signed = sign(workspace, report, new, by=signed_by, replaced=name_of(live))
        workspace.set_live(new)
        return Published(new, live, signed)
