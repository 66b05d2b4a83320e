"""The life of a policy: draft, approved by a second person, shadow, live, retired; and back at one stroke."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from membergate.deciding.policy import ExampleOutcome, Policy, load_policy, run_examples
from membergate.deciding.policy.conformance import check_policy
from membergate.domain.errors import PolicyError, RefusedError, UnknownSubjectError
from membergate.domain.instants import Clock, format_instant
from membergate.operations.opening import open_record, standing_record
from membergate.operations.policies import SHIPPED, live_policy, read_policy, shipped_policy, store_policy
from membergate.operations.testimony import vocabulary
from membergate.operations.workspace import Live, Workspace
from membergate.store import OperationalRecord, PolicyEvent, PolicyState

_ANY = tuple(PolicyState)
_ON_THE_WAY = (PolicyState.DRAFT, PolicyState.APPROVED, PolicyState.SHADOW)
_ROLLBACK = "rollback from "


@dataclass(frozen=True)
class Shadows:
    """The policies that stand in shadow.

    Parameters
    ----------
    readable
        Those that can decide.
    unreadable
        Name and version of each of the others -> what is wrong with its text.
    """

    readable: tuple[Policy, ...] = ()
    unreadable: Mapping[str, PolicyError] = field(default_factory=dict)


def tested(policy: Policy) -> tuple[ExampleOutcome, ...]:
    """Ask a policy its own examples, and hold it to what every policy promises.

    Raises
    ------
    RefusedError
        If an example does not hold, or a promise is broken, with the first case.
    """
    outcomes = run_examples(policy)
    failed = [outcome for outcome in outcomes if not outcome.holds]
    if failed:
        first = failed[0]
        raise RefusedError(
            f"{len(failed)} of {len(outcomes)} examples of policy {policy.name} do not hold",
            where=f"example {first.example.example_id}: {'; '.join(first.complaints)}",
            next_step="membergate policy test FILE",
        )
    try:
        check_policy(policy)
    except AssertionError as broken:
        raise RefusedError(f"policy {policy.name} breaks a promise of every policy", where=str(broken)) from None
    return outcomes


def find_policy(workspace: Workspace, name: str) -> Policy:
    """Load a policy by what people call it: a file, a shipped name, `live`, or NAME-VERSION on record.

    Raises
    ------
    PolicyError
        If nothing answers to the name, or it holds no valid policy.
    """
    if name in SHIPPED:
        return shipped_policy(name)
    if name == "live":
        return live_policy(workspace)
    if Path(name).is_file():
        return read_policy(Path(name))
    recorded = recorded_policy(workspace, name)
    if recorded is not None:
        return recorded
    allowed = f"a file, {', '.join(SHIPPED)}, live, or NAME-VERSION of membergate policy history"
    raise PolicyError(f"there is no policy {name!r}", where=str(workspace.root), allowed=allowed)


def recorded_policy(workspace: Workspace, name: str) -> Policy | None:
    """Load a policy that is on record by NAME-VERSION or digest; None where there is none. No file is looked for."""
    if not workspace.record.exists():
        return None
    with open_record(workspace) as record:
        for event in reversed(record.policies.history()):
            if name in {f"{event.name}-{event.version}", event.digest}:
                return _recorded(record, event.digest)
    return None


def submit(workspace: Workspace, policy: Policy, *, by: str, clock: Clock) -> bool:
    """Put a draft on record, once its examples hold; gives whether it is new.

    Raises
    ------
    RefusedError
        If an example does not hold, or a promise is broken.
    RecordConflictError
        If this version has another text on record.
    """
    tested(policy)
    with open_record(workspace) as record:
        return record.policies.submit(policy.name, policy.version, policy.digest, policy.text, at=clock(), by=by)


def approve(workspace: Workspace, policy: Policy, *, by: str, clock: Clock, note: str = "") -> None:
    """Approve a draft, as somebody else than who submitted it.

    Raises
    ------
    RefusedError
        If it is no draft, or the same person would approve it.
    """
    _advance(workspace, policy, PolicyState.APPROVED, (PolicyState.DRAFT,), by=by, clock=clock, note=note)


def shadow(workspace: Workspace, policy: Policy, *, by: str, clock: Clock, note: str = "") -> None:
    """Let an approved policy decide beside the live one: `admit` tells where it would have decided otherwise.

    Raises
    ------
    RefusedError
        If it was not approved.
    """
    _advance(workspace, policy, PolicyState.SHADOW, (PolicyState.APPROVED,), by=by, clock=clock, note=note)


def retire(workspace: Workspace, name: str, *, by: str, clock: Clock, note: str = "") -> PolicyEvent:
    """Take a policy that never went live out of its way there; gives where it stood. Its text need not be readable.

    Parameters
    ----------
    workspace
        Where.
    name
        NAME-VERSION, or its digest, on record.
    by, note
        Who does it, and why.
    clock
        Dates the change.

    Raises
    ------
    UnknownSubjectError
        If no such policy is on record.
    RefusedError
        If it is live, or retired already.
    """
    with open_record(workspace) as record:
        events = [e for e in record.policies.history() if name in {f"{e.name}-{e.version}", e.digest}]
        if not events:
            raise UnknownSubjectError("no such policy is on record", where=name[:80], allowed="NAME-VERSION")
        digest = events[-1].digest
        record.policies.advance(digest, PolicyState.RETIRED, allowed_from=_ON_THE_WAY, at=clock(), by=by, note=note)
        return events[-1]


def rollback(workspace: Workspace, *, by: str, clock: Clock, note: str = "") -> tuple[Policy, Live]:
    """Go back to the policy that was live before this one, at once.

    Raises
    ------
    RefusedError
        If there is none.
    """
    with workspace.going_live():
        current = live_policy(workspace)
        told = f"{_ROLLBACK}{current.name}-{current.version}"
        last = next((event for event in reversed(history(workspace)) if event.state is PolicyState.LIVE), None)
        if last is not None and last.digest != current.digest and last.note.partition(":")[0] == told:
            with open_record(workspace) as record:  # a rollback was cut off between the record and the pointer
                policy = _recorded(record, last.digest)
            return policy, _point_at(workspace, policy, clock)
        before = earlier_policies(workspace)
        if not before:
            raise RefusedError(f"no policy was live before {current.name}-{current.version}", where=str(workspace.root))
        told = f"{told}{f': {note}' if note else ''}"
        return before[0], _go_live(workspace, before[0], _ANY, by=by, clock=clock, note=told)


def earlier_policies(workspace: Workspace) -> tuple[Policy, ...]:
    """Give the policies that were live before the present one, the latest first; those rolled back do not count."""
    if not workspace.record.exists():
        return ()
    with open_record(workspace) as record:
        standing: list[str] = []
        for event in record.policies.history():
            if event.state is not PolicyState.LIVE:
                continue
            if event.note.startswith(_ROLLBACK) and standing:
                standing.pop()
            if event.digest not in standing[-1:]:
                standing.append(event.digest)
        return tuple(_recorded(record, digest) for digest in reversed(standing[:-1]))


def shadow_policies(workspace: Workspace) -> Shadows:
    """Give the policies that stand in shadow now; one that cannot be read keeps nobody from deciding without it."""
    if not workspace.record.exists():
        return Shadows()
    readable, unreadable = [], {}
    with open_record(workspace) as record:
        last = {event.digest: event for event in record.policies.history()}
        for event in last.values():
            if event.state is PolicyState.SHADOW:
                try:
                    readable.append(_recorded(record, event.digest))
                except PolicyError as error:
                    unreadable[f"{event.name}-{event.version}"] = error
    return Shadows(tuple(readable), unreadable)


def history(workspace: Workspace) -> tuple[PolicyEvent, ...]:
    """Give everything that happened to policies here, oldest first."""
    with standing_record(workspace) as record:
        return record.policies.history()


def note_live(
    workspace: Workspace, policy: Policy, *, by: str, clock: Clock, note: str = "", unless_recorded: bool = False
) -> None:
    """Put on record that a policy is live which did not come through the steps: the first, or one that was published.

    Raises
    ------
    RecordConflictError
        If this version has another text on record.
    """
    with open_record(workspace) as record:
        if unless_recorded and record.policies.state_of(policy.digest) is not None:
            return
        record.policies.submit(policy.name, policy.version, policy.digest, policy.text, at=clock(), by=by)
        record.policies.advance(policy.digest, PolicyState.LIVE, allowed_from=_ANY, at=clock(), by=by, note=note)


def go_live(
    workspace: Workspace,
    policy: Policy,
    allowed_from: tuple[PolicyState, ...],
    *,
    by: str,
    clock: Clock,
    note: str,
    gate: Callable[[], object] | None = None,
) -> Live:
    """Make a policy live beside the model that is.

    Parameters
    ----------
    workspace
        Where.
    policy
        Which.
    allowed_from
        The states from which it may.
    by, note
        Who does it, and why.
    clock
        Dates the change.
    gate
        Raises where it may not, once it is known to have gone through its steps.

    Raises
    ------
    RefusedError
        If it is in another state.
    """
    workspace.required_live()
    with workspace.going_live():
        if gate is not None:
            with open_record(workspace) as record:
                if record.policies.state_of(policy.digest) in allowed_from:
                    gate()
        return _go_live(workspace, policy, allowed_from, by=by, clock=clock, note=note)


def _go_live(
    workspace: Workspace,
    policy: Policy,
    allowed_from: tuple[PolicyState, ...],
    *,
    by: str,
    clock: Clock,
    note: str,
) -> Live:
    store_policy(workspace, policy)
    _advance(workspace, policy, PolicyState.LIVE, allowed_from, by=by, clock=clock, note=note)
    return _point_at(workspace, policy, clock)


def _point_at(workspace: Workspace, policy: Policy, clock: Clock) -> Live:
    live = workspace.required_live()
    new = Live(live.model_version, store_policy(workspace, policy), format_instant(clock()))
    workspace.set_live(new)
    return new


def _advance(
    workspace: Workspace,
    policy: Policy,
    to: PolicyState,
    allowed_from: tuple[PolicyState, ...],
    *,
    by: str,
    clock: Clock,
    note: str,
) -> None:
    with open_record(workspace) as record:
        try:
            record.policies.advance(
                policy.digest,
                to,
                allowed_from=allowed_from,
                at=clock(),
                by=by,
                note=note,
                by_another=to is PolicyState.APPROVED,
            )
        except UnknownSubjectError:
            raise RefusedError(
                f"policy {policy.name}-{policy.version} was not submitted", next_step="membergate policy submit FILE"
            ) from None


def _recorded(record: OperationalRecord, digest: str) -> Policy:
    return load_policy(record.policies.text_of(digest), origin=digest[:12], vocabulary=vocabulary())
