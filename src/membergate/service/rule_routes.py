"""The routes about what decisions are made by: risk lists and policies."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from membergate.deciding.policy import Policy, load_policy
from membergate.domain.access import Scope
from membergate.domain.errors import BadInputError, PolicyError, UnknownSubjectError
from membergate.domain.instants import format_instant
from membergate.domain.labels import LabelGrade
from membergate.domain.listing import ListEntry, RiskList, SubjectType
from membergate.operations import gating, lists, policy_lifecycle
from membergate.operations.testimony import vocabulary
from membergate.service.access import principal_in
from membergate.service.answers import WITH_BODY, asks_for, refusals
from membergate.service.documents import Identifier
from membergate.service.door import Door
from membergate.service.guarding import only_json

LARGEST_POLICY_BYTES = 524_288
Note = Annotated[str, Meta(max_length=4_000)]


class NewListEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """What a person enters. Who it is, the key or token says."""

    risk_list: RiskList
    subject_type: SubjectType
    key: Annotated[str, Meta(min_length=1, max_length=256)]
    reason_code: Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]{0,79}$")]
    grade: LabelGrade
    source: Annotated[str, Meta(max_length=256)] = ""
    confidence: Annotated[float, Meta(ge=0, le=1)] = 1.0
    days: Annotated[int, Meta(ge=1, le=3650)] = lists.DEFAULT_DAYS


class Reasoned(Struct, frozen=True, forbid_unknown_fields=True):
    """Why something is done."""

    note: Note = ""


class EntryAnswer(Struct, frozen=True):
    """An entry of a risk list."""

    entry_id: str
    risk_list: RiskList
    subject_type: SubjectType
    key: str
    reason_code: str
    grade: LabelGrade
    source: str
    is_manual: bool
    confidence: float
    starts_at: str
    expires_at: str
    review_at: str | None
    decision_id: str


class NewPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """A draft of a policy, as YAML."""

    text: Annotated[str, Meta(min_length=1, max_length=400_000)]


class PolicyChange(Struct, frozen=True):
    """Which policy came into which state, when, by whom and why."""

    name: str
    version: str
    digest: str
    state: str
    at: str
    by: str
    note: str


class PolicyAnswer(Struct, frozen=True):
    """A policy, and the state that it is in."""

    name: str
    version: str
    digest: str
    state: str


@get(
    "/v1/lists/entries",
    **asks_for(Scope.READ),
    sync_to_thread=True,
    tags=["lists"],
    summary="Entries in force",
    responses=refusals(HTTPStatus.NOT_FOUND),
)
def list_entries(door: NamedDependency[Door], key: FromQuery[str | None] = None) -> list[EntryAnswer]:
    """List the entries that are in force now, those to be reviewed first; of one subject, or all."""
    return [_entry(entry) for entry in lists.entries_in_force(door.place, door.clock(), key)]


@post(
    "/v1/lists/entries",
    **asks_for(Scope.LISTS),
    guards=[only_json],
    sync_to_thread=True,
    tags=["lists"],
    summary="Enter a subject on a list",
    responses=refusals(HTTPStatus.NOT_FOUND, *WITH_BODY),
)
def add_entry(
    data: JSONBody[NewListEntry], door: NamedDependency[Door], request: Request[Any, Any, Any]
) -> EntryAnswer:
    """Enter what a person says; it is in force for every question from now on."""
    said = lists.NewEntry(
        data.risk_list,
        data.subject_type,
        data.key,
        data.reason_code,
        data.grade,
        source=data.source,
        confidence=data.confidence,
        days=data.days,
    )
    added = lists.add_entry(door.place, said, by=principal_in(request).name, clock=door.clock)
    door.lists_changed()
    return _entry(added)


@post(
    "/v1/lists/entries/{entry_id:str}/retract",
    **asks_for(Scope.LISTS),
    guards=[only_json],
    status_code=HTTPStatus.OK,
    sync_to_thread=True,
    tags=["lists"],
    summary="Withdraw an entry",
    responses=refusals(HTTPStatus.NOT_FOUND, *WITH_BODY),
)
def retract_entry(
    entry_id: FromPath[str], data: JSONBody[Reasoned], door: NamedDependency[Door], request: Request[Any, Any, Any]
) -> list[Identifier]:
    """Withdraw an entry from now on; gives the decisions that it touched, which stand until they are asked again."""
    by = principal_in(request).name
    shown = lists.retract_entry(door.place, entry_id, by=by, reason=data.note, clock=door.clock)
    door.lists_changed()
    return [decision.decision_id for decision in shown.touched]


@get(
    "/v1/policies",
    **asks_for(Scope.READ),
    sync_to_thread=True,
    tags=["policies"],
    summary="What happened to policies",
    responses=refusals(HTTPStatus.NOT_FOUND),
)
def list_policies(door: NamedDependency[Door]) -> list[PolicyChange]:
    """List which policy came into which state, when, by whom and why, oldest first."""
    return [
        PolicyChange(e.name, e.version, e.digest, e.state.value, format_instant(e.at), e.by, e.note)
        for e in policy_lifecycle.history(door.place)
    ]


@post(
    "/v1/policies",
    **asks_for(Scope.POLICIES),
    guards=[only_json],
    request_max_body_size=LARGEST_POLICY_BYTES,
    sync_to_thread=True,
    tags=["policies"],
    summary="Submit a draft",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *WITH_BODY),
)
def submit_policy(
    data: JSONBody[NewPolicy], door: NamedDependency[Door], request: Request[Any, Any, Any]
) -> PolicyAnswer:
    """Put a draft on record, once its examples hold; a version's text never changes.

    Raises
    ------
    BadInputError
        If it is no policy, with the span.
    """
    try:
        policy = load_policy(data.text, origin="body.text", vocabulary=vocabulary())
    except PolicyError as error:
        raise BadInputError(error.what, where=error.where, allowed=error.allowed, next_step=error.next_step) from None
    policy_lifecycle.submit(door.place, policy, by=principal_in(request).name, clock=door.clock)
    return _policy(policy, "draft")


@post(
    "/v1/policies/{name:str}/{step:str}",
    **asks_for(Scope.APPROVE),
    guards=[only_json],
    status_code=HTTPStatus.OK,
    sync_to_thread=True,
    tags=["policies"],
    summary="Approve, shadow or activate a policy",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *WITH_BODY),
)
def advance_policy(
    name: FromPath[str],
    step: Annotated[Literal["approve", "shadow", "activate"], FromPath[str]],
    data: JSONBody[Reasoned],
    door: NamedDependency[Door],
    request: Request[Any, Any, Any],
) -> PolicyAnswer:
    """Lead a policy on record (NAME-VERSION, or its digest) a step further; the second person is another one.

    Raises
    ------
    UnknownSubjectError
        If no such policy is on record.
    """
    policy = policy_lifecycle.recorded_policy(door.place, name)
    if policy is None:
        raise UnknownSubjectError("no such policy is on record", where=f"policy {name[:80]!r}", allowed="NAME-VERSION")
    take = {
        "approve": policy_lifecycle.approve,
        "shadow": policy_lifecycle.shadow,
        "activate": gating.activate,
    }[step]
    take(door.place, policy, by=principal_in(request).name, clock=door.clock, note=data.note)
    return _policy(policy, {"approve": "approved", "shadow": "shadow", "activate": "live"}[step])


@post(
    "/v1/policies/rollback",
    **asks_for(Scope.APPROVE),
    guards=[only_json],
    status_code=HTTPStatus.OK,
    sync_to_thread=True,
    tags=["policies"],
    summary="Go back to the policy before",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *WITH_BODY),
)
def roll_back(data: JSONBody[Reasoned], door: NamedDependency[Door], request: Request[Any, Any, Any]) -> PolicyAnswer:
    """Go back to the policy that was live before this one, at once."""
    by = principal_in(request).name
    policy, _ = policy_lifecycle.rollback(door.place, by=by, clock=door.clock, note=data.note)
    return _policy(policy, "live")


RULE_ROUTES = [list_entries, add_entry, retract_entry, list_policies, submit_policy, advance_policy, roll_back]
"""The routes about lists and policies."""


def _entry(entry: ListEntry) -> EntryAnswer:
    return EntryAnswer(
        entry_id=entry.entry_id,
        risk_list=entry.risk_list,
        subject_type=entry.subject.subject_type,
        key=entry.subject.key,
        reason_code=entry.reason_code,
        grade=entry.grade,
        source=entry.source,
        is_manual=entry.is_manual,
        confidence=entry.confidence,
        starts_at=format_instant(entry.starts_at),
        expires_at=format_instant(entry.expires_at),
        review_at=_text(entry.review_at),
        decision_id=entry.decision_id,
    )


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _policy(policy: Policy, state: str) -> PolicyAnswer:
    return PolicyAnswer(policy.name, policy.version, policy.digest, state)
