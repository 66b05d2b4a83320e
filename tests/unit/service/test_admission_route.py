"""The routes about decisions: what is asked, what is answered, what is on record."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from membergate.domain.instants import parse_instant, utc
from membergate.store import OperationalRecord, decision_to_record
from membergate.store.codec import COLUMNS

ROUTE = "/v1/decisions/admission"
JSON = {"content-type": "application/json"}


def problem_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """Hold a response to be a problem document of a status, and give it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["type"] == f"urn:membergate:problem:{document['code']}"
    assert document["detail"] == document["what"]
    assert document["title"]
    return document


def test_a_decision_is_the_whole_record_and_its_explanation(client: httpx.Client) -> None:
    """Every column of the contract is answered, and the same in words."""
    response = client.post(ROUTE, json={"account_id": "reseller"})
    assert response.status_code == 200
    answer = response.json()
    assert list(answer) == [*COLUMNS, "explanation"]
    assert answer["disposition"] == "deny"
    assert answer["reason_codes"] == ["EXCESS_UNITS", "DEPTH_OVER_BREADTH"]
    assert answer["evidence"][0] == {
        "name": "a2_excess_units_ratio",
        "value": 0.9,
        "origin": "feature:A2",
        "observed_at": "2025-05-01T00:00:00.000000Z",
    }
    assert answer["explanation"][0].startswith("Decided as of 2025-05-01T00:00:00.000000Z: deny, by policy door-1.0")


def test_missing_evidence_is_a_typed_absence(client: httpx.Client) -> None:
    """What no witness could say is told as such, and a failed source marks the decision."""
    answer = client.post(ROUTE, json={"account_id": "silent"}).json()
    assert [part["absence"] for part in answer["evidence"]] == ["not_observed", "source_failed"]
    assert all("value" not in part for part in answer["evidence"])
    assert answer["degraded"]
    assert any("b3_depth_over_breadth could not be heard" in sentence for sentence in answer["explanation"])


def test_the_answer_is_on_record(client: httpx.Client, store: OperationalRecord) -> None:
    """What was answered can be read again, through the service and in the record, and is the same."""
    answer = client.post(ROUTE, json={"account_id": "genuine", "application_id": "a-1"}).json()
    again = client.get(f"/v1/decisions/{answer['decision_id']}")
    assert again.status_code == 200
    assert again.json() == answer
    record = decision_to_record(store.decision(answer["decision_id"]))
    assert parse_instant(answer["decided_at"]) == record["decided_at"]
    assert record["application_id"] == "a-1"


def test_asking_again_gives_the_same_answer(client: httpx.Client) -> None:
    """The clock has moved, the answer has not: a repeated request is no second decision."""
    first = client.post(ROUTE, json={"account_id": "genuine"}).json()
    assert client.post(ROUTE, json={"account_id": "genuine"}).json() == first


def test_the_first_answer_stands(client: httpx.Client, desk: Any) -> None:
    """If the desk comes to another answer under the same versions, the acknowledged one is given again."""
    first = client.post(ROUTE, json={"account_id": "genuine", "application_id": "a-1"}).json()
    desk.model_version = "m-other under the same id"
    assert client.post(ROUTE, json={"account_id": "genuine", "application_id": "a-1"}).json() == first


def test_names_in_any_script_are_names(client: httpx.Client) -> None:
    """Ids are opaque: they go to the desk, into the record and back unchanged."""
    answer = client.post(ROUTE, json={"account_id": "Ünïcode ☃ 会员"}).json()
    assert answer["account_id"] == "Ünïcode ☃ 会员"
    assert client.get(f"/v1/decisions/{answer['decision_id']}").json() == answer


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-04-01", utc(2025, 4, 1)),
        ("2025-04-01T08:00:00", utc(2025, 4, 1, 8)),
        ("2025-04-01T08:00:00+08:00", utc(2025, 4, 1)),
        ("2025-06-01T00:00:02Z", parse_instant("2025-06-01T00:00:02Z")),
    ],
)
def test_as_of_is_an_instant(client: httpx.Client, desk: Any, text: str, instant: Any) -> None:
    """ISO 8601, without offset in UTC; a client's clock may run ahead of ours by a few seconds."""
    assert client.post(ROUTE, json={"account_id": "genuine", "as_of": text}).status_code == 200
    assert desk.asked[-1].as_of == instant


@pytest.mark.parametrize(
    "text",
    [
        "2025-06-01T00:01:00Z",
        "9999-12-31T23:59:59-10:00",
        "0001-01-01T00:00:00+10:00",
        "1969-12-31",
        "yesterday",
        "",
        "2025-02-30",
    ],
)
def test_an_impossible_as_of_is_refused(client: httpx.Client, desk: Any, text: str) -> None:
    """The future, the time before 1970 and what is no instant never reach the desk."""
    problem = problem_of(client.post(ROUTE, json={"account_id": "genuine", "as_of": text}), 422)
    assert problem["code"] == "bad_input"
    assert problem["where"] == "body.as_of"
    assert problem["allowed"]
    assert not desk.asked


def test_an_unknown_account_is_not_found(client: httpx.Client) -> None:
    """The error of the desk goes to the client with its fields."""
    problem = problem_of(client.post(ROUTE, json={"account_id": "nobody"}), 404)
    assert problem["code"] == "unknown_subject"
    assert problem["where"] == "account 'nobody'"


@pytest.mark.parametrize("decision_id", ["d-none", "%00", "%FF%FE", "x" * 5_000, "%2e%2e%2fetc", "' OR 1=1 --"])
def test_an_unknown_decision_is_not_found(client: httpx.Client, decision_id: str) -> None:
    """Whatever stands in the path."""
    problem_of(client.get(f"/v1/decisions/{decision_id}"), 404)


@pytest.mark.parametrize(
    ("body", "what", "where"),
    [
        ({}, "missing required field `account_id`", "body"),
        ({"account_id": 5}, "Expected `str`, got `int`", "body.account_id"),
        ({"account_id": None}, "Expected `str`, got `null`", "body.account_id"),
        ({"account_id": ""}, "length >= 1", "body.account_id"),
        ({"account_id": "x" * 513}, "length <= 512", "body.account_id"),
        ({"account_id": "genuine", "as_of": 5}, "Expected `str", "body.as_of"),
        ({"account_id": "genuine", "aplication_id": "a"}, "unknown field `aplication_id`", "body"),
        ([], "Expected `object`, got `array`", "body"),
        ("genuine", "Expected `object`, got `str`", "body"),
    ],
)
def test_a_wrong_body_is_pointed_at(client: httpx.Client, desk: Any, body: Any, what: str, where: str) -> None:
    """The complaint says what is wrong and in which field; the desk is not asked."""
    problem = problem_of(client.post(ROUTE, json=body), 422)
    assert what in problem["what"]
    assert problem["where"] == where
    assert not desk.asked


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b'{"account_id":"\xff"}', b'{"account_id":"\\ud800"}', b"[" * 10_000, b"NaN"]
)
def test_a_body_that_is_no_json_is_a_bad_request(client: httpx.Client, body: bytes) -> None:
    """Broken text, broken encoding, half a surrogate, bottomless nesting."""
    problem_of(client.post(ROUTE, content=body, headers=JSON), 400)


def test_an_empty_body_says_so(client: httpx.Client) -> None:
    """It is no puzzle for the client."""
    assert problem_of(client.post(ROUTE, headers=JSON), 422)["what"] == "the body is empty"


def test_a_body_that_is_not_declared_as_json_is_refused(client: httpx.Client, desk: Any) -> None:
    """A form or plain text, which any web page may post to a service on loopback, is not read."""
    for declared in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        response = client.post(ROUTE, content=b'{"account_id":"genuine"}', headers={"content-type": declared})
        problem_of(response, 415)
    assert not desk.asked


def test_a_long_body_is_refused(client: httpx.Client) -> None:
    """Beyond the limit nothing is read."""
    problem = problem_of(client.post(ROUTE, content=b" " * 20_000, headers=JSON), 413)
    assert (problem["where"], problem["allowed"]) == ("body", "at most 16384 bytes")


def test_an_unforeseen_error_tells_the_client_nothing(
    client: httpx.Client, store: OperationalRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log gets the traceback, the client a problem document without a word of it; nothing is on record."""
    response = client.post(ROUTE, json={"account_id": "broken"})
    assert problem_of(response, 500)["code"] == "unforeseen"
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert "the secret of the house" in capsys.readouterr().out
    assert store.decisions_of("broken") == ()


def test_a_decision_that_cannot_be_recorded_is_not_given(
    client: httpx.Client, store: OperationalRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the record fails, the answer is 503: never a decision without a record."""
    with store._writing.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE decisions RENAME TO elsewhere")
    response = client.post(ROUTE, json={"account_id": "genuine"})
    assert problem_of(response, 503)["code"] == "workspace"
    assert "disposition" not in response.text
    assert "cannot_answer" in capsys.readouterr().out
