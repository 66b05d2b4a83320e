"""The way through the gate: nothing decides at the door that was not measured with just this model, policy and data."""

from __future__ import annotations

from membergate.deciding.policy import Policy
from membergate.domain.errors import RefusedError
from membergate.domain.instants import Clock
from membergate.operations.policies import live_policy, policy_file_name
from membergate.operations.policy_lifecycle import go_live, note_live
from membergate.operations.signing import report_digest
from membergate.operations.verify import name_of, read_judgement
from membergate.operations.workspace import Live, Workspace
from membergate.store import PolicyState


def require_open_gate(workspace: Workspace, model_version: str, policy: Policy) -> None:
    """Hold a model with a policy to what its verification found, against what is live now, on the data there is.

    Raises
    ------
    RefusedError
        If it was not verified so, its report is not the one that the gate judged, or the gate stayed shut.
    WorkspaceError
        If its report is missing or damaged.
    """
    live, judgement = workspace.live(), read_judgement(workspace, model_version)
    again = f"membergate verify --model {model_version}"
    if judgement is None:
        raise RefusedError(f"model {model_version} was not verified", next_step=again)
    if judgement.policy_digest != policy.digest:
        raise RefusedError(
            f"model {model_version} was verified with another policy than {policy_file_name(policy)}",
            next_step=f"{again} --policy FILE, with the policy that is to go live",
        )
    if judgement.warehouse != workspace.warehouse().fingerprint:
        raise RefusedError(f"data came in after model {model_version} was verified", next_step=again)
    if judgement.incumbent != name_of(live):
        raise RefusedError(
            f"model {model_version} was compared with {judgement.incumbent or 'nothing'}; something else is live now",
            next_step=again,
        )
    if judgement.report_digest != report_digest(workspace, model_version):
        raise RefusedError(
            f"the report of model {model_version} is not the one that the gate judged",
            where=str(workspace.report_folder(model_version)),
            next_step=again,
        )
    if not judgement.opens:
        raise RefusedError(
            f"the gate refuses model {model_version} with {policy_file_name(policy)}",
            where="; ".join(judgement.reasons),
            next_step="read the report; nothing was changed",
        )


def activate(workspace: Workspace, policy: Policy, *, by: str, clock: Clock, note: str = "") -> Live:
    """Make a policy live that was approved by a second person, stood in shadow, and passes the gate; the model stays.

    Raises
    ------
    RefusedError
        If it did not go through these steps, or was not verified with the live model, or the gate stayed shut.
    WorkspaceError
        If nothing is live that it could join, or the live model's report is missing or damaged.
    """
    live = workspace.required_live()
    note_live(workspace, live_policy(workspace), by="membergate", clock=clock, unless_recorded=True)
    allowed = (PolicyState.SHADOW, PolicyState.LIVE)

    def gate() -> None:
        require_open_gate(workspace, live.model_version, policy)

    return go_live(workspace, policy, allowed, by=by, clock=clock, note=note, gate=gate)
