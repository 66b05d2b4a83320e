"""Whatever is sent, the service answers: a decision or a problem document, never a 5xx."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROUTE = "/v1/decisions/admission"
REFUSALS = {400, 404, 405, 413, 415, 421, 422}

TEXTS = st.text(max_size=40) | st.sampled_from(
    [
        "genuine",
        "reseller",
        "' OR 1=1 --",
        "{{7*7}}",
        "${jndi:x}",
        "\x00",
        "../..",
        "2025-01-01",
        "9999-12-31T23:59:59-23",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXTS, children, max_size=3),
    max_leaves=6,
)
QUESTIONS = st.fixed_dictionaries(
    {"account_id": TEXTS},
    optional={"application_id": st.none() | TEXTS, "as_of": TEXTS | st.datetimes().map(str), "extra": VALUES},
)
BODIES = (
    QUESTIONS.map(lambda value: json.dumps(value).encode())
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
)
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def hold(response: httpx.Response) -> None:
    """Hold a response to be a decision or a problem document of the client's making."""
    if response.status_code == 200:
        assert response.json()["decision_id"]
        return
    assert response.status_code in REFUSALS, (response.status_code, response.text)
    problem: dict[str, Any] = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "what"} <= set(problem)


@FUZZ
@given(body=BODIES, declared=st.sampled_from(["application/json", "application/json; charset=latin-1", "text/plain"]))
def test_any_body_is_answered(client: httpx.Client, body: bytes, declared: str) -> None:
    """Bytes, JSON of any shape, and questions with any text in them."""
    hold(client.post(ROUTE, content=body, headers={"content-type": declared}))


@FUZZ
@given(name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60) | st.binary(min_size=1, max_size=60))
def test_any_path_is_answered(client: httpx.Client, name: str | bytes) -> None:
    """Any text, and any bytes, where an id is expected."""
    hold(client.get(f"/v1/decisions/{quote(name, safe='')}"))
