"""Recording for those who cannot wait: decisions go on record in a thread of their own, all that came together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any

from membergate.domain.decision import Decision
from membergate.domain.errors import BadInputError, MembergateError, WorkspaceError
from membergate.store.committing import Committer, Writing
from membergate.store.errors import RecordConflictError
from membergate.store.ordering import AskedOrder, Settled, settle_orders
from membergate.store.outbox import Outbox
from membergate.store.packing import pack
from membergate.store.questions import Question, keep_questions, known_questions, reused
from membergate.store.writing import differences, insert_decisions, known_decisions

MOST_TOGETHER = 512
"""Decisions that share a transaction, at most."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A decision as it stands on record.

    Parameters
    ----------
    decision
        The decision; an earlier one where the question, or its id, is on record already.
    is_new
        Whether it was put there now.
    conflict
        What differs from what is there under the same id; None where nothing does.
    """

    decision: Decision
    is_new: bool
    conflict: RecordConflictError | None = None


Done = Callable[[Kept | BaseException], None]
"""Is told, in the recorder's thread, what stands on disk, or why nothing does."""


SettledDone = Callable[[Settled | BaseException | None], None]
"""Is told what became of an order: `Settled`, or None where it must be asked about anew."""


@dataclass(frozen=True, slots=True)
class _Entry:
    decision: Decision
    question: Question | None
    done: Done


@dataclass(frozen=True, slots=True)
class _OrderEntry:
    order: AskedOrder
    done: SettledDone


_Waiting = _Entry | _OrderEntry


class Recorder:
    """Takes decisions and orders from anywhere, and tells each one's sender once it is safe on disk.

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
        self._queue: deque[_Waiting] = deque()
        self._changed = Condition()
        self._is_closed = False
        self._thread: Thread | None = None

    def record(self, decision: Decision, done: Done, question: Question | None = None) -> None:
        """Put a decision on record soon, and the question that it answers with it.

        Parameters
        ----------
        decision
            The decision.
        done
            Is told what became of it: `Kept`, `KeyReusedError` where the question's key stands for another question,
            `BadInputError` where the decision cannot be kept without loss, or `WorkspaceError`.
        question
            Under its key the first decision stands; None for a question without a key.

        Raises
        ------
        WorkspaceError
            If the record is closed.
        """
        self._take(_Entry(decision, question, done))

    def settle(self, order: AskedOrder, done: SettledDone) -> None:
        """Decide an order soon, in this thread of its own, and put everything about it on record.

        Parameters
        ----------
        order
            The order.
        done
            Is told what became of it; an error as `OrderRecord.settle` raises it, or as judging it does.

        Raises
        ------
        WorkspaceError
            If the record is closed.
        """
        self._take(_OrderEntry(order, done))

    def _take(self, entry: _Waiting) -> None:
        with self._changed:
            if self._is_closed:
                raise WorkspaceError("the record is closed", next_step="ask again, once the service is up")
            if self._thread is None:
                self._thread = Thread(target=self._work, name="membergate-record", daemon=True)
                self._thread.start()
            self._queue.append(entry)
            self._changed.notify()

    def close(self) -> None:
        """Put on record what was taken, and take nothing more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._is_closed:
                    self._changed.wait()
                some = [self._queue.popleft() for _ in range(min(len(self._queue), MOST_TOGETHER))]
            if not some:
                return
            for waiting, outcome in zip(some, self._outcomes(some), strict=True):
                with suppress(RuntimeError):  # a sender whose event loop is closed must not stop the others'
                    waiting.done(outcome)

    def _outcomes(self, waiting: Sequence[_Waiting], *, is_again: bool = False) -> Sequence[Any]:
        try:
            return self._committer.run(lambda writing: self._write(writing, waiting))
        except BaseException as error:  # noqa: BLE001  # each sender is told
            kinds = {type(one) for one in waiting}
            if len(kinds) > 1:  # what breaks the ledger of limits must not close the door
                parts = [[one for one in waiting if type(one) is kind] for kind in kinds]
            elif isinstance(error, BadInputError) and not is_again:
                # the database refuses one of them, or another process answered one of the questions at this moment
                parts = [[one] for one in waiting]
            else:
                return [error] * len(waiting)
            told: dict[int, Any] = {}
            for part in parts:
                outcomes = self._outcomes(part, is_again=len(kinds) == 1)
                told |= {id(one): outcome for one, outcome in zip(part, outcomes, strict=True)}
            return [told[id(one)] for one in waiting]

    def _write(self, writing: Writing, waiting: Sequence[_Waiting]) -> list[Any]:
        """Put decisions and orders on record; gives the outcomes in the order of who waits for them."""
        decisions = [one for one in waiting if isinstance(one, _Entry)]
        orders = [one.order for one in waiting if isinstance(one, _OrderEntry)]
        kept = iter(self._keep(writing, decisions) if decisions else ())
        settled = iter(settle_orders(writing, orders, self._outbox) if orders else ())
        return [next(kept if isinstance(one, _Entry) else settled) for one in waiting]

    def _keep(self, writing: Writing, entries: Sequence[_Entry]) -> list[Kept | BaseException]:
        questions = known_questions(writing.connection, [one.question for one in entries if one.question is not None])
        ids = [one.decision.decision_id for one in entries] + [one.decision_id for one in questions.values()]
        batch = _Batch(writing, questions, known_decisions(writing, ids))
        outcomes = [batch.outcome(entry) for entry in entries]
        insert_decisions(writing, batch.new, batch.rows)
        keep_questions(writing.connection, batch.asked)
        self._outbox.tell_of_decisions(writing.connection, batch.new)
        return outcomes


class _Batch:
    """What is known, and what is new, while entries are taken one after the other."""

    def __init__(
        self, writing: Writing, questions: dict[tuple[str, str], Question], known: dict[str, Decision]
    ) -> None:
        self._writing = writing
        self._questions = questions
        self._known = known
        self.new: list[Decision] = []
        self.rows: list[dict[str, object]] = []
        self.asked: list[Question] = []

    def outcome(self, entry: _Entry) -> Kept | BaseException:
        try:
            return self._outcome(entry)
        except MembergateError as error:
            return error

    def _outcome(self, entry: _Entry) -> Kept:
        question, decision = entry.question, entry.decision
        before = None if question is None else self._questions.get((question.scope, question.key))
        if question is not None and before is not None:
            if before.digest != question.digest:
                raise reused(before)
            if before.decision_id in self._known:
                return Kept(self._known[before.decision_id], is_new=False)
        known = self._known.get(decision.decision_id)
        if known is None:
            self.rows.append(pack(decision, self._writing.terms))
            self.new.append(decision)
            self._known[decision.decision_id] = decision
        if question is not None:
            self._questions[question.scope, question.key] = question
            self.asked.append(question)
        if known is None:
            return Kept(decision, is_new=True)
        return Kept(known, is_new=False, conflict=differences(known, decision))
