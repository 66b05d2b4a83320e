"""The routes about members: appeals, notices, and taking back what a sweep did."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta, Struct

from membergate.domain.access import Scope
from membergate.domain.instants import format_instant
from membergate.domain.membership import Appeal, AppealState, Notice
from membergate.operations.appeals import LONGEST_STATEMENT, appeal_against, rule_on
from membergate.operations.sweep import reinstate_in
from membergate.service.access import principal_in
from membergate.service.answers import WITH_BODY, asks_for, refusals
from membergate.service.documents import DecisionAnswer, Identifier, answer
from membergate.service.door import Door
from membergate.service.guarding import only_json

Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_STATEMENT)]


class NewAppeal(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody holds against a decision."""

    decision_id: Identifier
    statement: Text


class NewRuling(Struct, frozen=True, forbid_unknown_fields=True):
    """What a person decides of an appeal. Who it is, the key or token says."""

    is_upheld: bool
    note: Text


class Reinstatement(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a member is brought back."""

    note: Text


class AppealAnswer(Struct, frozen=True):
    """An appeal, and the decision that holds since it was upheld."""

    appeal_id: str
    decision_id: str
    account_id: str
    opened_at: str
    statement: str
    state: AppealState
    decided_at: str | None
    decided_by: str
    note: str
    new_decision_id: str | None = None


class NoticeAnswer(Struct, frozen=True):
    """What a member is to be told."""

    notice_id: str
    decision_id: str
    account_id: str
    kind: str
    sentences: tuple[str, ...]
    created_at: str


@post(
    "/v1/appeals",
    **asks_for(Scope.APPEAL),
    guards=[only_json],
    sync_to_thread=True,
    tags=["members"],
    summary="Open an appeal against a decision",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *WITH_BODY),
)
def open_appeal(data: JSONBody[NewAppeal], door: NamedDependency[Door]) -> AppealAnswer:
    """Open an appeal. A decision has one: opening it again gives the one that there is."""
    return _appeal(appeal_against(door.store, data.decision_id, data.statement, clock=door.clock))


@get(
    "/v1/appeals",
    **asks_for(Scope.READ),
    sync_to_thread=True,
    tags=["members"],
    summary="Appeals, oldest first",
    responses=refusals(),
)
def list_appeals(
    door: NamedDependency[Door],
    only: Annotated[AppealState | None, QueryParameter(name="state", required=False)] = None,
) -> list[AppealAnswer]:
    """List the appeals of a state, or all."""
    return [_appeal(appeal) for appeal in door.store.memberships.appeals(only)]


@post(
    "/v1/appeals/{appeal_id:str}/ruling",
    **asks_for(Scope.RULE),
    guards=[only_json],
    status_code=HTTPStatus.OK,
    sync_to_thread=True,
    tags=["members"],
    summary="Uphold or reject an appeal",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *WITH_BODY),
)
def rule(
    appeal_id: FromPath[str],
    data: JSONBody[NewRuling],
    door: NamedDependency[Door],
    request: Request[Any, Any, Any],
) -> AppealAnswer:
    """Decide an appeal as a person. Upheld, the decision is reversed and becomes a label, genuine, L0."""
    state = AppealState.UPHELD if data.is_upheld else AppealState.REJECTED
    by = principal_in(request).name
    ruling = rule_on(door.store, appeal_id, state, by=by, note=data.note, clock=door.clock)
    return _appeal(ruling.appeal, None if ruling.decision is None else ruling.decision.decision_id)


@get(
    "/v1/notices",
    **asks_for(Scope.READ),
    sync_to_thread=True,
    tags=["members"],
    summary="What members are to be told",
    responses=refusals(),
)
def list_notices(door: NamedDependency[Door], account_id: FromQuery[str | None] = None) -> list[NoticeAnswer]:
    """List notices, oldest first: of one account, or all."""
    return [_notice(notice) for notice in door.store.memberships.notices(account_id)]


@post(
    "/v1/members/{account_id:str}/reinstate",
    **asks_for(Scope.RULE),
    guards=[only_json],
    status_code=HTTPStatus.OK,
    sync_to_thread=True,
    tags=["members"],
    summary="Take back what a sweep did",
    responses=refusals(HTTPStatus.CONFLICT, *WITH_BODY),
)
def reinstate(
    account_id: FromPath[str],
    data: JSONBody[Reinstatement],
    door: NamedDependency[Door],
    request: Request[Any, Any, Any],
) -> DecisionAnswer:
    """Bring a member back: it stands as before the sweep."""
    by = principal_in(request).name
    return answer(reinstate_in(door.store, account_id, by=by, note=data.note, clock=door.clock))


MEMBER_ROUTES = [open_appeal, list_appeals, rule, list_notices, reinstate]
"""The routes about members."""


def _appeal(appeal: Appeal, new_decision_id: str | None = None) -> AppealAnswer:
    return AppealAnswer(
        appeal_id=appeal.appeal_id,
        decision_id=appeal.decision_id,
        account_id=appeal.account_id,
        opened_at=format_instant(appeal.opened_at),
        statement=appeal.statement,
        state=appeal.state,
        decided_at=None if appeal.decided_at is None else format_instant(appeal.decided_at),
        decided_by=appeal.decided_by,
        note=appeal.note,
        new_decision_id=new_decision_id,
    )


def _notice(notice: Notice) -> NoticeAnswer:
    return NoticeAnswer(
        notice.notice_id,
        notice.decision_id,
        notice.account_id,
        notice.kind,
        notice.sentences,
        format_instant(notice.created_at),
    )
