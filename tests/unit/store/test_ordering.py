"""Orders on record, on both backends: question, uses of limits and decision together, and no limit overshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.errors import BadInputError, PolicyError, WorkspaceError
from membergate.domain.instants import utc
from membergate.domain.limits import Ask, Limit
from membergate.store import Kept, KeyReusedError, OperationalRecord, Question, Settled

MakeDecision = Callable[..., Decision]
NOW = utc(2026, 1, 15)
SKU = Limit("sku", 10, NOW - timedelta(days=30))


@dataclass(frozen=True)
class Till:
    """An order of some units under one limit; it is its own judgement, and its decision says what was granted."""

    model: Decision
    question: Question
    units: int = 1
    limits: tuple[Limit, ...] = (SKU,)
    gives_back: bool = False
    fault: Exception | None = None
    at = NOW

    @property
    def account_id(self) -> str:
        """Whose order it is."""
        return self.model.account_id

    @property
    def asks(self) -> tuple[Ask, ...]:
        """Ask once."""
        return (Ask(f"use-{self.question.key}", self.units, self.limits),) if self.limits else ()

    def judged(self, decisions: Sequence[Decision]) -> Till:
        """Note what was decided before."""
        if self.fault is not None:
            raise self.fault
        return replace(self, model=replace(self.model, reason_codes=tuple(d.disposition.value for d in decisions)))

    def unused(self, granted: Mapping[str, int]) -> tuple[str, ...]:
        """Use nothing, if told so."""
        return tuple(granted) if self.gives_back else ()

    def decision(self, granted: Mapping[str, int]) -> Decision:
        """Say how much was granted, as the score."""
        return replace(self.model, order_id=self.question.key, risk_score=sum(granted.values()) / 100)


@pytest.fixture
def till(make_decision: MakeDecision) -> Callable[..., Till]:
    """Give a maker of orders by number."""

    def make(number: int, *, digest: str = "1", **changes: Any) -> Till:
        model = make_decision(number, checkpoint=Checkpoint.ORDER, disposition=Disposition.FULL_BENEFIT, as_of=NOW)
        return Till(model, Question("order", f"o-{number}", digest, "{}", f"d-order-{number}", NOW), **changes)

    return make


def soon(store: OperationalRecord, orders: Sequence[Till]) -> list[Any]:
    """Send everything, and wait for all outcomes, in order."""
    futures: list[Future[Any]] = [Future() for _ in orders]
    for order, future in zip(orders, futures, strict=True):
        store.soon.settle(order, future.set_result)
    return [future.result(60) for future in futures]


def granted(outcomes: Sequence[Any]) -> list[int]:
    """Give the units."""
    return [round((outcome.decision.risk_score or 0) * 100) for outcome in outcomes]


def test_an_order_is_on_record_whole(store: OperationalRecord, till: Callable[..., Till]) -> None:
    """Decision, question and use are there, the chain holds, and a repeat is answered with what stands there."""
    store.record([till(1).model])  # an order of the same account says nothing of its standing
    store.record([replace(till(1).model, decision_id="d-a", checkpoint=Checkpoint.SWEEP, disposition=Disposition.KEEP)])
    settled = store.orders.settle(till(1, units=3))
    assert settled is not None
    assert settled.is_new
    assert settled.decision.reason_codes == ("keep",)
    assert store.decision("d-order-1") == settled.decision
    assert store.questions.find("order", "o-1", "1") == till(1).question
    assert store.caps.used("sku", SKU.since) == 3
    assert store.orders.settle(till(1, units=9)) == Settled(settled.decision, is_new=False)
    with pytest.raises(KeyReusedError):
        store.orders.settle(till(1, digest="2"))
    assert store.caps.used("sku", SKU.since) == 3
    assert store.audit.verify().fault == ""


def test_an_order_that_was_asked_and_never_answered(store: OperationalRecord, till: Callable[..., Till]) -> None:
    """It is decided as of when it was asked, and gets what its use was granted then; as of another instant, not."""
    store.questions.keep(till(1).question)
    store.caps.draw([Ask("use-o-1", 2, (SKU,))], at=NOW)
    later = replace(till(1), question=replace(till(1).question, asked_at=NOW + timedelta(days=1)))
    assert soon(store, [later]) == [None]
    assert store.orders.settle(later) is None
    assert granted([store.orders.settle(till(1, units=9))]) == [2]
    assert store.caps.used("sku", SKU.since) == 2


@pytest.mark.parametrize("by_threads", [False, True])
def test_64_orders_race_for_the_last_units(
    store: OperationalRecord, till: Callable[..., Till], *, by_threads: bool
) -> None:
    """In one batch or from 64 threads: ten units are granted, one after the other, and none more."""
    orders = [till(number) for number in range(64)]
    if by_threads:
        with ThreadPoolExecutor(64) as clients:
            outcomes: list[Any] = list(clients.map(store.orders.settle, orders))
    else:
        outcomes = soon(store, orders)
    assert sorted(granted(outcomes)) == [0] * 54 + [1] * 10
    assert store.caps.used("sku", SKU.since) == 10
    assert len({outcome.decision.decision_id for outcome in outcomes}) == 64
    assert store.audit.verify().fault == ""


def test_what_is_wrong_with_one_order_hurts_no_other(
    store: OperationalRecord, till: Callable[..., Till], make_decision: MakeDecision
) -> None:
    """Nothing is used by an order that is not decided, and a repeat in the same batch is one."""
    orders = [
        till(1, units=2),
        till(2, fault=PolicyError("no policy is in effect")),
        till(3, fault=ZeroDivisionError()),
        Till(make_decision(4, promotion_id="\x00"), till(4).question),
        till(1, units=2),
        till(1, digest="2"),
        till(5, gives_back=True),
        till(6, limits=()),
    ]
    outcomes = soon(store, orders)
    kinds = [Settled, PolicyError, ZeroDivisionError, BadInputError, Settled, KeyReusedError, Settled, Settled]
    assert [type(outcome) for outcome in outcomes] == kinds
    assert outcomes[4] == Settled(outcomes[0].decision, is_new=False)
    assert store.caps.used("sku", SKU.since) == 2
    assert store.questions.of_key("order", "o-4") is None
    assert store.audit.verify().fault == ""


def test_a_key_that_the_database_refuses_hurts_no_other(store: OperationalRecord, till: Callable[..., Till]) -> None:
    """PostgreSQL keeps no NUL in a text, SQLite does: whichever, the orders beside it are decided."""
    odd = till(1, limits=(replace(SKU, key="a\x00b"),))
    outcomes = soon(store, [odd, till(2)])
    assert granted(outcomes[1:]) == [1]
    is_refused = isinstance(outcomes[0], BadInputError)
    assert is_refused == store.origin.startswith("postgresql")


def test_a_ledger_that_does_not_answer_keeps_nobody_from_the_door(
    store: OperationalRecord, till: Callable[..., Till], make_decision: MakeDecision
) -> None:
    """The order is told, and the decision in the same batch is on record."""
    with store._writing.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE cap_uses RENAME TO gone")
    waiting: list[Future[Any]] = [Future(), Future()]
    with store._committer._turn:  # nobody writes meanwhile, so that both wait together
        store.soon.settle(till(1), waiting[0].set_result)
        store.soon.record(make_decision(2), waiting[1].set_result)
    order, kept = (future.result(60) for future in waiting)
    assert isinstance(order, WorkspaceError | BadInputError)
    assert kept == Kept(make_decision(2), is_new=True)
    assert granted([store.orders.settle(till(1, limits=()))]) == [0]
