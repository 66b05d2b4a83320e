"""Orders on record: the question, what it uses of limits, and its decision, all in one transaction.

How a member stands and what is left of a limit are read in the transaction that writes; so no order is decided on what
another is about to change, and orders that come together share both the reading and the wait for the disk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import bindparam

from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint
from membergate.domain.errors import MembergateError
from membergate.domain.limits import Ask
from membergate.store.caps import Draws
from membergate.store.committing import Committer, Writing
from membergate.store.outbox import Outbox
from membergate.store.packing import CHECKPOINTS, key_of, pack, unpack
from membergate.store.questions import Question, keep_questions, known_questions, reused
from membergate.store.tables import CAP_USES, DECISIONS
from membergate.store.writing import ROWS, insert_decisions, known_decisions, slices

_STANDING = ROWS.where(
    DECISIONS.c.account_key.in_(bindparam("keys", expanding=True)),
    DECISIONS.c.checkpoint != CHECKPOINTS.index(Checkpoint.ORDER),
)


class JudgedOrder(Protocol):
    """An order that was judged, before its limits are known to leave anything."""

    @property
    def at(self) -> datetime:
        """When it uses up what it is granted."""

    @property
    def asks(self) -> Sequence[Ask]:
        """What it asks of its limits."""

    def unused(self, granted: Mapping[str, int]) -> Collection[str]:
        """Name the uses that nothing came of, given what was granted."""

    def decision(self, granted: Mapping[str, int]) -> Decision:
        """Give the decision, given what was granted."""


class AskedOrder(Protocol):
    """An order that waits to be judged."""

    @property
    def question(self) -> Question:
        """What was asked, under the order's id, with the id of the decision that will answer it."""

    @property
    def account_id(self) -> str:
        """Whose order it is."""

    def judged(self, decisions: Sequence[Decision]) -> JudgedOrder:
        """Judge it, given all that was decided about the account at admission and at sweeps.

        Raises
        ------
        MembergateError
            If it cannot be decided.
        """


@dataclass(frozen=True, slots=True)
class Settled:
    """The decision about an order as it stands on record, and whether it was put there now."""

    decision: Decision
    is_new: bool


Outcome = Settled | None | Exception
"""What became of an order: None where it was asked before, at another instant, and never answered."""


class OrderRecord:
    """Orders on SQLite or PostgreSQL; `OperationalRecord.orders` is one. Threads may share it.

    Parameters
    ----------
    committer
        Writes.
    outbox
        Tells others of decisions, in the same transaction.
    """

    def __init__(self, committer: Committer, outbox: Outbox) -> None:
        self._committer = committer
        self._outbox = outbox

    def settle(self, order: AskedOrder) -> Settled | None:
        """Decide an order and put everything about it on record; when it returns, that is on disk.

        Returns
        -------
        Settled or None
            None where the order was asked about at another instant, and never answered.

        Raises
        ------
        KeyReusedError
            If the order's id stands for another question.
        BadInputError
            If something of it cannot be kept without loss.
        WorkspaceError
            If the database does not answer. Nothing was recorded, and nothing used.
        """
        (outcome,) = self._committer.run(lambda writing: settle_orders(writing, [order], self._outbox))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def settle_orders(writing: Writing, orders: Sequence[AskedOrder], outbox: Outbox) -> list[Outcome]:
    """Decide orders one after the other, and put everything about them on record."""
    batch = _Batch(writing, orders)
    outcomes = batch.outcomes(orders)
    insert_decisions(writing, batch.new, batch.packed)
    if batch.uses:
        writing.insert(CAP_USES, batch.uses)
    keep_questions(writing.connection, batch.asked)
    outbox.tell_of_decisions(writing.connection, batch.new)
    return outcomes


class _Batch:
    """What is known, and what is new, while orders are decided one after the other."""

    def __init__(self, writing: Writing, orders: Sequence[AskedOrder]) -> None:
        self._writing = writing
        self._questions = known_questions(writing.connection, [one.question for one in orders])
        ids = [question.decision_id for question in self._questions.values()]
        self._decisions = known_decisions(writing, ids) if ids else {}
        self.new: list[Decision] = []
        self.packed: list[dict[str, Any]] = []
        self.uses: list[dict[str, Any]] = []
        self.asked: list[Question] = []

    def outcomes(self, orders: Sequence[AskedOrder]) -> list[Outcome]:
        first = {one.question.key: one for one in reversed(orders)}  # a repeat may come in the same batch
        judged = self._judged([one for one in first.values() if self._is_open(one.question)])
        asks = [ask for one in judged.values() if not isinstance(one, Exception) for ask in one.asks]
        repeated = [ask.use_id for ask in asks] if self._questions else ()
        draws = Draws(self._writing.connection, asks, repeated) if asks else None
        found = [self._outcome(one, judged.get(one.question.key), draws) for one in orders]
        self.uses = draws.rows if draws is not None else []
        return found

    def _is_open(self, question: Question) -> bool:
        """Tell whether nothing stands on record under a question's key, but at most the question itself."""
        known = self._questions.get((question.scope, question.key))
        return known is None or (
            known.decision_id not in self._decisions
            and (known.digest, known.asked_at) == (question.digest, question.asked_at)
        )

    def _judged(self, orders: Sequence[AskedOrder]) -> dict[str, JudgedOrder | Exception]:
        about = _about(self._writing, {one.account_id for one in orders}) if orders else {}
        judged: dict[str, JudgedOrder | Exception] = {}
        for one in orders:
            try:
                judged[one.question.key] = one.judged(about.get(one.account_id, ()))
            except Exception as error:  # noqa: BLE001  # it is told to who asked, and hurts nobody else in the batch
                judged[one.question.key] = error
        return judged

    def _outcome(self, asked: AskedOrder, judged: JudgedOrder | Exception | None, draws: Draws | None) -> Outcome:
        question = asked.question
        known = self._questions.get((question.scope, question.key))
        if known is not None and known.digest != question.digest:
            return reused(known)
        if known is not None and known.decision_id in self._decisions:
            return Settled(self._decisions[known.decision_id], is_new=False)
        if judged is None or isinstance(judged, Exception):
            return judged
        try:
            return self._settled(judged, known or question, draws, is_asked=known is not None)
        except MembergateError as error:
            return error

    def _settled(self, judged: JudgedOrder, question: Question, draws: Draws | None, *, is_asked: bool) -> Settled:
        drawn = draws.draw(judged.asks, judged.at) if draws is not None else None
        granted = drawn.units if drawn is not None else {}
        decision = replace(judged.decision(granted), decision_id=question.decision_id, decided_at=question.asked_at)
        self.packed.append(pack(decision, self._writing.terms))
        self.new.append(decision)
        if draws is not None and drawn is not None:
            draws.charge(drawn, unused=judged.unused(granted))
        if not is_asked:
            self.asked.append(question)
        self._questions[question.scope, question.key] = question
        self._decisions[question.decision_id] = decision
        return Settled(decision, is_new=True)


def _about(writing: Writing, account_ids: Collection[str]) -> dict[str, list[Decision]]:
    """Give what was decided about accounts, but for their orders."""
    about: dict[str, list[Decision]] = {}
    for some in slices(sorted({key_of(account_id) for account_id in account_ids})):
        for row in writing.connection.execute(_STANDING, {"keys": some}).mappings():
            decision = unpack(row, writing.terms)
            about.setdefault(decision.account_id, []).append(decision)
    return about
