"""The door: a question becomes a decision, the decision goes on record, and only then is it answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from threading import Lock
from typing import Generic, TypeVar

import msgspec
import structlog

from membergate.deciding.policy.allowances import OrderLine
from membergate.domain.decision import Decision
from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.domain.instants import Clock, format_instant, parse_instant
from membergate.operations.admission import AdmissionRequest
from membergate.operations.order_cases import OrderRequest
from membergate.operations.orders import OrderAnswer, granted_lines
from membergate.operations.witnessing import KeptTestimony
from membergate.operations.workspace import Workspace
from membergate.service.desk import AdmissionDesk, OrderDesk
from membergate.service.documents import AdmissionQuestion, OrderQuestion
from membergate.service.problems import NotHereError
from membergate.service.settings import ServiceSettings
from membergate.store import Kept, OperationalRecord, Question, RecordConflictError, Settled

_ADMISSION = "admission"
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_log = structlog.get_logger("membergate.service")
_T = TypeVar("_T")


Told = Callable[[Decision], object]
"""Is told of a decision that is on record."""


@dataclass(frozen=True)
class Desks:
    """Whoever decides now; a door changes them all at one stroke.

    Parameters
    ----------
    admission
        Decides applications; asked by one thread at a time.
    orders
        Decides orders; None where only applications are decided here.
    on_recorded
        Told of every decision once it is on record, before it is answered.
    lock
        Held while the admission desk works; who shares its warehouse shares it.
    at_once
        Decides an application from memory alone, without the lock, and gives None where it cannot; None where nobody
        does.
    asks_for_entries
        Tells whether `on_recorded` has something to write about a decision; it is asked where waiting costs.
    follow
        Takes over what others changed of lists and counters; any thread may call it.
    memory
        What the desks know by heart.
    warm
        Looks up ahead of time whoever is likely to come, until it is told that it is over; gives how many.
    """

    admission: AdmissionDesk
    orders: OrderDesk | None = None
    on_recorded: Told | None = None
    lock: AbstractContextManager[object] = field(default_factory=Lock)
    at_once: Callable[[AdmissionRequest, datetime], Decision | None] | None = None
    asks_for_entries: Callable[[Decision], bool] | None = None
    follow: Callable[[], object] | None = None
    warm: Callable[[Callable[[], bool]], int] | None = None
    memory: KeptTestimony | None = None


class Door:
    """Asks the desks and keeps the record. Its methods block, and any thread may call them; `decided` is awaited.

    Parameters
    ----------
    desks
        Who decides; may be exchanged while others are being answered.
    store
        Where decisions go on record.
    clock
        Our own clock, against which a client's instants are held.
    settings
        The door's limits.
    on_decided
        Told of every decision that is answered, repeats too.
    workspace
        Whose lists and policies may be led from here; None where nothing but decisions is given.
    """

    def __init__(
        self,
        desks: Desks,
        store: OperationalRecord,
        clock: Clock,
        settings: ServiceSettings,
        *,
        on_decided: Told | None = None,
        workspace: Workspace | None = None,
    ) -> None:
        self.desks = desks
        self.store = store
        self.clock = clock
        self.settings = settings
        self._on_decided = on_decided or _tell_nobody
        self._workspace = workspace

    @property
    def place(self) -> Workspace:
        """The workspace.

        Raises
        ------
        NotHereError
            If there is none.
        """
        if self._workspace is None:
            raise NotHereError("lists and policies are not led from here", next_step="membergate serve")
        return self._workspace

    def decide(self, question: AdmissionQuestion, key: str | None = None) -> Decision:
        """Decide a question, put the decision on record, and give it back as it stands there.

        Under an idempotency key a question is decided once: asked again, its first answer is given, whatever was
        published or loaded since.

        A question that was answered before under the same versions keeps its first answer, even if what was visible as
        of its instant has changed since: what was acknowledged stands until a new model or policy decides.

        Raises
        ------
        BadInputError
            If the instant cannot be read, or lies in the future.
        UnknownSubjectError
            If nobody knows the account or the application.
        KeyReusedError
            If the key stands for another question.
        WorkspaceError
            If the decision cannot be put on record. None was given then.
        """
        request = self._request(question)
        decision = self._decide(request) if key is None else self._decide_once(question, request, key)
        self._on_decided(decision)
        return decision

    async def decided(self, question: AdmissionQuestion, key: str | None = None) -> Decision:
        """Decide as `decide` does: where memory is enough, without a thread, and on record with whatever else has come.

        Raises
        ------
        MembergateError
            As `decide` does.
        """
        request, desks = self._request(question), self.desks
        decision = None if desks.at_once is None else desks.at_once(request, self.clock())
        if decision is None:
            return await asyncio.to_thread(self.decide, question, key)
        asked = None if key is None else _question(question, key, decision.decision_id, self.clock())
        kept = await self._on_record(decision, asked)
        if desks.on_recorded is not None and kept.is_new and _has_entries(desks, kept.decision):
            await asyncio.to_thread(desks.on_recorded, kept.decision)
        self._on_decided(kept.decision)
        return kept.decision

    async def ordered(self, question: OrderQuestion) -> OrderAnswer:
        """Decide an order as `order` does: where memory is enough, without a thread, and with whatever else has come.

        Raises
        ------
        MembergateError
            As `order` does.
        """
        request, desks = self._order_request(question), self.desks
        case = self._orders(desks).at_hand(request, self.clock())
        if case is None:
            return await asyncio.to_thread(self.order, question)
        waiting: _Waiting[Settled | None] = _Waiting()
        self.store.soon.settle(case, waiting.done)
        try:
            settled = await waiting.outcome
        except WorkspaceError:
            settled = None
        if settled is None:  # asked before and never answered, or the ledger does not answer
            return await asyncio.to_thread(self.order, question)
        decision = settled.decision
        if desks.on_recorded is not None and settled.is_new and _has_entries(desks, decision):
            await asyncio.to_thread(desks.on_recorded, decision)
        self._on_decided(decision)
        return OrderAnswer(decision, granted_lines(request, decision))

    async def _on_record(self, decision: Decision, question: Question | None) -> Kept:
        waiting: _Waiting[Kept] = _Waiting()
        self.store.soon.record(decision, waiting.done, question)
        kept = await waiting.outcome
        if kept.conflict is not None:
            _log.warning("first_answer_stands", **kept.conflict.as_record())
        return kept

    def lists_changed(self) -> None:
        """Take a change of a list over at once, from the next question on."""
        if self.desks.follow is not None:
            self.desks.follow()

    def _request(self, question: AdmissionQuestion) -> AdmissionRequest:
        instant = self._instant(question.as_of, "body.as_of")
        return AdmissionRequest(question.account_id, question.application_id, instant)

    def _decide_once(self, question: AdmissionQuestion, request: AdmissionRequest, key: str) -> Decision:
        asked = _question(question, key, "", self.clock())
        known = self.store.questions.find(_ADMISSION, key, asked.digest)
        if known is None:
            decision_id = self._decide(request).decision_id
            known = self.store.questions.keep(replace(asked, decision_id=decision_id))
        return self.store.decision(known.decision_id)

    def _decide(self, request: AdmissionRequest) -> Decision:
        desks = self.desks
        with desks.lock:
            decision = desks.admission.decide(request, self.clock)
        try:
            is_new = self.store.record([decision]) == 1
        except RecordConflictError as conflict:
            _log.warning("first_answer_stands", **conflict.as_record())
            is_new = False
        kept = decision if is_new else self.store.decision(decision.decision_id)
        if desks.on_recorded is not None:
            desks.on_recorded(kept)
        return kept

    def order(self, question: OrderQuestion) -> OrderAnswer:
        """Decide an order, with its use of limits and its decision on record before the answer.

        Raises
        ------
        NotHereError
            If no orders are decided here.
        BadInputError
            If the instant cannot be read, or lies in the future.
        UnknownSubjectError
            If nobody knows the account.
        KeyReusedError
            If the order was asked about with other content.
        WorkspaceError
            If the record does not answer. No decision was given.
        """
        request, desks = self._order_request(question), self.desks
        answered = self._orders(desks).decide(request, self.clock)
        if desks.on_recorded is not None:
            desks.on_recorded(answered.decision)
        self._on_decided(answered.decision)
        return answered

    def _order_request(self, question: OrderQuestion) -> OrderRequest:
        lines = tuple(
            OrderLine(line.line_id, line.sku_id, line.units, line.benefit_minor, line.promotion_stock)
            for line in question.lines
        )
        at = self._instant(question.ordered_at, "body.ordered_at")
        return OrderRequest(question.order_id, question.account_id, lines, at, question.promotion_id or "")

    def release(self, order_id: str) -> int:
        """Give back what a cancelled order used of its limits.

        Raises
        ------
        NotHereError
            If no orders are decided here.
        UnknownSubjectError
            If nobody asked about the order.
        """
        return self._orders(self.desks).release(order_id, self.clock)

    @staticmethod
    def _orders(desks: Desks) -> OrderDesk:
        if desks.orders is None:
            raise NotHereError("no orders are decided here", next_step="membergate serve")
        return desks.orders

    def decision(self, decision_id: str) -> Decision:
        """Read a decision again.

        Raises
        ------
        UnknownSubjectError
            If there is none with this id.
        """
        return self.store.decision(decision_id)

    def readiness(self) -> tuple[str, str]:
        """Give the model's and the policy's version, once desk and record have shown that they answer.

        Raises
        ------
        MembergateError
            If one of them does not.
        """
        self.store.check()
        desk = self.desks.admission
        return desk.model_version, desk.policy_version

    def _instant(self, text: str | None, where: str) -> datetime | None:
        if text is None:
            return None
        latest = self.clock() + self.settings.clock_tolerance
        try:
            instant = parse_instant(text)
        except (BadInputError, OverflowError) as error:  # an offset can carry year 1 or 9999 over the calendar's edge
            allowed = error.allowed if isinstance(error, BadInputError) else "years from 1970"
            raise BadInputError(f"cannot read {text!r} as an instant", where=where, allowed=allowed) from None
        if not _EARLIEST <= instant <= latest:
            raise BadInputError(
                f"nothing can be judged as of {text!r}",
                where=where,
                allowed=f"from {format_instant(_EARLIEST)} to the present, {format_instant(latest)}",
            )
        return instant


class _Waiting(Generic[_T]):
    """Waits in an event loop for what another thread will say."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[_T] = self._loop.create_future()

    def done(self, outcome: _T | BaseException) -> None:
        """Say it; any thread may."""
        self._loop.call_soon_threadsafe(self._settle, outcome)

    def _settle(self, outcome: _T | BaseException) -> None:
        if self.outcome.done():  # whoever asked has gone; the decision is on record nevertheless
            return
        if isinstance(outcome, BaseException):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


def _question(question: AdmissionQuestion, key: str, decision_id: str, at: datetime) -> Question:
    body = msgspec.json.encode(question, order="sorted").decode()
    return Question(_ADMISSION, key, sha256(body.encode()).hexdigest(), body, decision_id, at)


def _has_entries(desks: Desks, decision: Decision) -> bool:
    return desks.asks_for_entries is None or desks.asks_for_entries(decision)


def _tell_nobody(_decision: Decision) -> None:
    """Do nothing: nobody counts."""
