"""The order checkpoint on a real market: benefits within limits, exactly, and the same answer to the same question."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from membergate.deciding.policy.allowances import OrderLine
from membergate.domain.decision import Caps, Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.errors import BadInputError, UnknownSubjectError
from membergate.domain.evidence import Absence
from membergate.operations.admission import AdmissionRequest
from membergate.operations.failing_open import FailOpenDesk
from membergate.operations.members import Members
from membergate.operations.order_cases import OrderRequest
from membergate.operations.orders import OrderAnswer, OrderDesk
from membergate.operations.witnessing import KeptTestimony
from membergate.service import Desks, ServiceSettings, create_app
from membergate.store import KeyReusedError, OperationalRecord, decision_to_record
from membergate.store.packing import CHECKPOINTS
from membergate.store.tables import DECISIONS

HOST = "testserver.local"


@pytest.fixture
def trialist(shop: Any) -> Decision:
    """Give somebody on trial: three units of a SKU in thirty days, two orders a day."""
    decisions: tuple[Decision, ...] = shop.decisions
    return next(decision for decision in decisions if decision.disposition is Disposition.TRIAL)


@pytest.fixture
def plain(members: Members, trialist: Decision, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the account of somebody whose orders no rule touches: testimony is kept, and says nothing remarkable."""
    at = members.desk.history.last_instant + timedelta(days=1)
    (witnessed,) = members.desk.testify([trialist.account_id], at)
    calm = {name: replace(e, value=Absence.NOT_OBSERVED) for name, e in witnessed.evidence.items()}
    kept = KeptTestimony(calm)
    kept.keep(replace(witnessed, evidence=calm), is_present=True)
    monkeypatch.setattr(members.desk, "kept", kept)
    return trialist.account_id


def order(order_id: str, account: str, *units: int, **more: Any) -> OrderRequest:
    """Ask for units of one SKU after another."""
    lines = tuple(OrderLine(f"l-{n}", f"s-{n}", each, 10) for n, each in enumerate(units))
    return OrderRequest(order_id, account, lines, **more)


def holders(decision: Decision) -> float:
    """Give how many accounts of the operator held a membership."""
    return next(float(e.value) for e in decision.evidence if e.name == "operator_holders")


def granted(answer: OrderAnswer) -> list[int]:
    """Give the units at the member's price."""
    return [line.granted_units for line in answer.lines]


def test_a_trial_is_limited_to_its_units(members: Members, plain: str, clock: Any) -> None:
    """Five units of a SKU are cut to three, the next order of it gets none; a third order on that day gets nothing."""
    desk = OrderDesk(members)
    first = desk.decide(order("o-1", plain, 5, 1), clock)
    assert first.decision.disposition is Disposition.LIMIT_QUANTITY
    assert first.decision.reason_codes == ("CAP_REACHED",)
    assert granted(first) == [3, 1]
    assert first.decision.caps is not None
    assert first.decision.caps.units_per_sku == 3
    second = desk.decide(order("o-2", plain, 1, 1), clock)
    assert granted(second) == [0, 1]
    third = desk.decide(order("o-3", plain, 1), clock)
    assert third.decision.disposition is Disposition.REMOVE_MEMBER_PRICE
    assert granted(third) == [0]


def test_an_order_that_gets_nothing_uses_nothing(members: Members, plain: str, clock: Any) -> None:
    """Beyond the day's last order no units are charged; what gets no unit is no order of the day."""
    desk = OrderDesk(members)
    assert granted(desk.decide(order("o-1", plain, 3), clock)) == [3]
    assert granted(desk.decide(order("o-2", plain, 1), clock)) == [0]
    other = OrderRequest("o-3", plain, (OrderLine("l", "another", 1),))
    assert granted(desk.decide(other, clock)) == [1]
    fourth = OrderRequest("o-4", plain, (OrderLine("l", "a third", 3),))
    assert granted(desk.decide(fourth, clock)) == [0]
    tomorrow = replace(fourth, order_id="o-5", ordered_at=clock() + timedelta(days=1))
    assert granted(desk.decide(tomorrow, clock)) == [3]


def test_a_repeat_gives_the_same_answer(members: Members, plain: str, clock: Any, record: OperationalRecord) -> None:
    """The same order again changes nothing and charges nothing; other content under its id is refused."""
    desk = OrderDesk(members)
    first = desk.decide(order("o-1", plain, 2), clock)
    assert desk.decide(order("o-1", plain, 2), lambda: clock() + timedelta(hours=1)) == first
    with pytest.raises(KeyReusedError, match="another question"):
        desk.decide(order("o-1", plain, 3), clock)
    assert granted(desk.decide(order("o-2", plain, 2), clock)) == [1]
    assert decision_to_record(record.decision(first.decision.decision_id)) == decision_to_record(first.decision)


def test_a_crash_between_the_steps_changes_no_answer(members: Members, plain: str, clock: Any) -> None:
    """The question and the use of limits are on record, the decision is not: asked again, it is completed."""
    desk, record = OrderDesk(members), members.record
    request = order("o-1", plain, 5)
    first = desk.decide(request, clock)
    with record._writing.begin() as connection:
        gone = connection.execute(
            DECISIONS.delete().where(DECISIONS.c.checkpoint == CHECKPOINTS.index(Checkpoint.ORDER))
        )
    assert gone.rowcount == 1
    again = desk.decide(request, lambda: clock() + timedelta(days=3))
    assert again == first


def test_a_cancelled_order_gives_back(members: Members, plain: str, clock: Any) -> None:
    """Its units are free again, once; nobody gives back an order that was never asked about."""
    desk = OrderDesk(members)
    desk.decide(order("o-1", plain, 3), clock)
    assert desk.release("o-1", clock) > 0
    assert desk.release("o-1", clock) == 0
    assert granted(desk.decide(order("o-2", plain, 3), clock)) == [3]
    with pytest.raises(UnknownSubjectError):
        desk.release("o-9", clock)


def test_64_clients_race_for_the_last_units(members: Members, plain: str, clock: Any) -> None:
    """Everybody asks for one unit of the same SKU: as many as the limit of units and of orders leaves are granted."""
    desk = OrderDesk(members)
    requests = [OrderRequest(f"o-{n}", plain, (OrderLine("l", "hot", 1),)) for n in range(64)]
    with ThreadPoolExecutor(64) as clients:
        answers = list(clients.map(lambda request: desk.decide(request, clock), requests))
    assert sum(granted(answer)[0] for answer in answers) == 2  # orders a day
    assert len({answer.decision.decision_id for answer in answers}) == 64


def test_who_holds_no_membership_pays_the_ordinary_price(members: Members, shop: Any, clock: Any) -> None:
    """Who never joined holds none; the suspended and the terminated are told apart."""
    names = (str(name) for name in members.desk.history.accounts(shop.now).account_ids)
    stranger = next(name for name in names if not members.desk.ledger.holds(name, shop.now))
    answer = OrderDesk(members).decide(order("o-1", stranger, 1), clock)
    assert answer.decision.disposition is Disposition.REMOVE_MEMBER_PRICE
    assert "NOT_A_MEMBER" in answer.decision.reason_codes
    holder = shop.someone("admit", "admit_capped", "trial")
    for number, (disposition, reason) in enumerate(
        [(Disposition.SUSPEND_BENEFIT, "BENEFIT_SUSPENDED"), (Disposition.TERMINATE, "MEMBERSHIP_ENDED")]
    ):
        at = shop.now - timedelta(hours=10 - number)
        swept = replace(
            holder, decision_id=f"s-{number}", checkpoint=Checkpoint.SWEEP, disposition=disposition, as_of=at
        )
        members.record.record([swept])
        answer = OrderDesk(members).decide(order(f"o-s{number}", holder.account_id, 1), clock)
        assert answer.decision.reason_codes[0] == reason
        assert granted(answer) == [0]


def test_caps_fail_closed(members: Members, plain: str, clock: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """When the ledger does not answer there is no member's price, and the decision says that it is degraded."""
    with members.record._writing.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE cap_uses RENAME TO gone")
    answer = OrderDesk(members).decide(order("o-1", plain, 1), clock)
    assert answer.decision.disposition is Disposition.REMOVE_MEMBER_PRICE
    assert answer.decision.reason_codes == ("CAPS_UNAVAILABLE",)
    assert answer.decision.degraded
    assert granted(answer) == [0]
    assert "caps_unavailable" in capsys.readouterr().out


def test_a_witness_that_breaks_limits_an_order(
    members: Members, trialist: Decision, clock: Any, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Features cannot be computed: the order keeps its limits, and is degraded."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("the warehouse is gone")

    monkeypatch.setattr(members.desk, "testify", broken)
    answer = OrderDesk(members).decide(order("o-1", trialist.account_id, 9), clock)
    assert answer.decision.disposition is Disposition.LIMIT_QUANTITY
    assert answer.decision.degraded
    assert granted(answer) == [3]
    assert "witness_failed" in capsys.readouterr().out


def test_admission_fails_open_to_trial(
    shop: Any, monkeypatch: Any, clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Features cannot be computed: the applicant goes on trial, degraded, unless the operator's cap is reached."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("the warehouse is gone")

    alone = next(d for d in shop.decisions if holders(d) == 0)
    desk = FailOpenDesk(shop.desk)
    monkeypatch.setattr(shop.desk, "decide", broken)
    decision = desk.decide(_question(alone), clock)
    assert decision.disposition is Disposition.TRIAL
    assert decision.degraded
    assert "WITNESS_FAILED" in decision.reason_codes
    assert {e.value for e in decision.evidence} >= {Absence.SOURCE_FAILED, 0.0}
    monkeypatch.setattr(shop.desk.ledger, "holds", lambda *_: True)
    crowded = max(shop.decisions, key=holders)
    held = desk.decide(_question(crowded), clock)
    assert (held.disposition is Disposition.REVIEW) == (holders(held) >= 5)
    assert "witness_failed" in capsys.readouterr().out


def _question(decision: Decision) -> Any:
    return AdmissionRequest(decision.account_id, decision.application_id)


@pytest.mark.parametrize(
    "lines", [(), tuple(OrderLine(f"l-{n}", "s", 1) for n in range(201)), (OrderLine("l", "s", 1),) * 2]
)
def test_an_impossible_order_is_refused(lines: tuple[OrderLine, ...]) -> None:
    """Without lines, with too many, or with one line twice."""
    with pytest.raises(BadInputError):
        OrderRequest("o-1", "a-1", lines)


def test_a_promotions_stock_is_shared(members: Members, plain: str, clock: Any) -> None:
    """One operator gets its share of the stock and no more."""
    desk = OrderDesk(members)
    members.record.record(
        [
            replace(
                members.record.decisions_of(plain)[-1],
                decision_id="d-capped",
                as_of=clock() - timedelta(hours=1),
                disposition=Disposition.ADMIT,
                caps=Caps(promotion_stock_ratio=0.01),
            )
        ]
    )
    line = OrderLine("l", "s", 5, 0, promotion_stock=200)
    assert granted(desk.decide(OrderRequest("o-1", plain, (line,), promotion_id="p"), clock)) == [2]
    assert granted(desk.decide(OrderRequest("o-2", plain, (line,), promotion_id="p"), clock)) == [0]
    assert granted(desk.decide(OrderRequest("o-3", plain, (line,), promotion_id="q"), clock)) == [2]


@pytest.fixture
def client(members: Members, shop: Any) -> Iterator[httpx.Client]:
    """Give a client of the application with real desks."""
    desks = Desks(FailOpenDesk(shop.desk), OrderDesk(members))
    app = create_app(desks, members.record, shop.clock, settings=ServiceSettings(allowed_hosts=(HOST,)))
    with TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False) as test_client:
        yield test_client


def test_orders_over_http(client: httpx.Client, plain: str) -> None:
    """The route answers the whole record with the lines, in words too; a repeat is equal, other content conflicts."""
    body = {"order_id": "o-1", "account_id": plain, "lines": [{"line_id": "l", "sku_id": "s", "units": 5}]}
    first = client.post("/v1/decisions/order", json=body)
    assert first.status_code == 200, first.text
    answer = first.json()
    assert (answer["disposition"], answer["lines"][0]["granted_units"]) == ("limit_quantity", 3)
    assert "3 of 5 units of s keep the member's price." in answer["explanation"]
    assert client.post("/v1/decisions/order", json=body).json() == answer
    assert client.get(f"/v1/decisions/{answer['decision_id']}").json()["order_id"] == "o-1"
    changed = body | {"lines": [{"line_id": "l", "sku_id": "s", "units": 4}]}
    clash = client.post("/v1/decisions/order", json=changed)
    assert (clash.status_code, clash.json()["code"]) == (409, "key_reused")
    assert client.post("/v1/orders/o-1/release").json()["released_uses"] > 0
    assert client.post("/v1/orders/nobody's/release").status_code == 404


def test_64_clients_race_over_http(client: httpx.Client, members: Members, plain: str) -> None:
    """Orders that come together are decided together, from memory, and no limit is overshot; nobody is told twice."""
    members.fill([plain], members.desk.history.last_instant + timedelta(days=1))

    def ask(number: int) -> Any:
        line = {"line_id": "l", "sku_id": "hot", "units": 1}
        return client.post(
            "/v1/decisions/order", json={"order_id": f"o-{number}", "account_id": plain, "lines": [line]}
        )

    with ThreadPoolExecutor(16) as clients:
        answers = [answer.json() for answer in clients.map(ask, range(64))]
    assert sum(answer["lines"][0]["granted_units"] for answer in answers) == 2  # orders a day
    assert [members.record.decision(each["decision_id"]).order_id for each in answers] == [f"o-{n}" for n in range(64)]
    assert members.record.audit.verify().fault == ""


@pytest.mark.parametrize("is_kept", [False, True])
def test_the_ledger_fails_over_http(client: httpx.Client, members: Members, plain: str, *, is_kept: bool) -> None:
    """Limits fail closed, whether testimony about the member is at hand or must be looked up first."""
    if not is_kept:
        members.desk.kept = KeptTestimony(members.desk.names)
    with members.record._writing.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE cap_uses RENAME TO gone")
    body = {"order_id": "o-1", "account_id": plain, "lines": [{"line_id": "l", "sku_id": "s", "units": 1}]}
    answer = client.post("/v1/decisions/order", json=body).json()
    assert (answer["disposition"], answer["degraded"]) == ("remove_member_price", True)
    assert answer["lines"][0]["granted_units"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"lines": []},
        {"lines": [{"line_id": "l", "sku_id": "s", "units": 0}]},
        {"lines": [{"line_id": "l", "sku_id": "s", "units": 1}] * 2},
        {"ordered_at": "2999-01-01"},
        {"account_id": ""},
        {"price": 3},
    ],
)
def test_bad_orders_are_pointed_at(client: httpx.Client, plain: str, change: dict[str, Any]) -> None:
    """422 with what is wrong; nothing is on record."""
    body = {"order_id": "o-1", "account_id": plain, "lines": [{"line_id": "l", "sku_id": "s", "units": 1}]}
    answer = client.post("/v1/decisions/order", json=body | change)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_idempotency_key_stands_for_one_question(client: httpx.Client, shop: Any) -> None:
    """Under one key an admission is decided once."""
    asked = shop.decisions[-1]
    body = {"account_id": asked.account_id, "application_id": asked.application_id}
    headers = {"Idempotency-Key": "k-1"}
    first = client.post("/v1/decisions/admission", json=body, headers=headers).json()
    assert client.post("/v1/decisions/admission", json=body, headers=headers).json() == first
    other = client.post("/v1/decisions/admission", json={"account_id": asked.account_id}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")
