"""Health, readiness, the OpenAPI document, and what every response carries."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from membergate.service.documents import AdmissionQuestion, DecisionAnswer
from membergate.store import OperationalRecord


def test_health_asks_nothing(client: httpx.Client, desk: Any) -> None:
    """A process without a model is alive."""
    desk.has_model = False
    assert client.get("/health").json() == {"status": "alive"}


def test_ready_names_the_versions(client: httpx.Client) -> None:
    """A service that can decide says with what."""
    response = client.get("/ready")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "model_version": "m-small", "policy_version": "door-1.0"}


def test_not_ready_gives_the_reason(
    client: httpx.Client, desk: Any, store: OperationalRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a model, or without a record, it is 503 with what is missing and the next step."""
    desk.has_model = False
    response = client.get("/ready")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["what"] == "no model is live"
    assert response.json()["next"] == "membergate publish"
    desk.has_model = True
    with store._writing.begin() as connection:
        connection.exec_driver_sql("DROP TABLE decisions")
    assert client.get("/ready").status_code == 503
    assert "not_ready" in capsys.readouterr().out


def test_the_openapi_document_describes_the_routes(client: httpx.Client) -> None:
    """OpenAPI 3.1, as a document: bodies, answers and problems are described as they are."""
    response = client.get("/schema")
    assert response.status_code == 200
    document = response.json()
    assert client.get("/schema/openapi.json").json() == document
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) >= {"/v1/decisions/admission", "/v1/decisions/{decision_id}", "/health", "/ready"}
    schemas = document["components"]["schemas"]
    for struct in (AdmissionQuestion, DecisionAnswer):
        assert list(schemas[struct.__name__]["properties"]) == [f.name for f in msgspec.structs.fields(struct)]
    refusals = document["paths"]["/v1/decisions/admission"]["post"]["responses"]
    codes = "200 400 401 403 404 408 409 413 415 421 422 429 503"
    assert set(refusals) == set(codes.split())
    for status in set(refusals) - {"200"}:
        assert refusals[status]["content"] == {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }


def test_nothing_points_to_a_foreign_host(client: httpx.Client) -> None:
    """No page is served that would fetch scripts from elsewhere."""
    for path in ("/schema", "/schema/swagger", "/schema/redoc", "/", "/docs"):
        response = client.get(path)
        assert "text/html" not in response.headers["content-type"]
        assert "http://" not in response.text
        assert "https://" not in response.text


@pytest.mark.parametrize("path", ["/nowhere", "/v1", "/schema/nowhere", "/v1/decisions/a/b"])
def test_an_unknown_path_is_a_problem(client: httpx.Client, path: str) -> None:
    """Even below the document."""
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "not_found"


def test_a_wrong_method_is_a_problem(client: httpx.Client) -> None:
    """It says which methods there are."""
    response = client.delete("/v1/decisions/d-1")
    assert response.status_code == 405
    assert "GET" in response.headers["allow"]
    assert response.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("host", ["rebound.example", "testserver.local.evil.example", "testserver.local@evil", ""])
def test_a_foreign_host_name_is_refused(client: httpx.Client, host: str) -> None:
    """A name that somebody else pointed at our address does not reach the desk."""
    response = client.post("/v1/decisions/admission", json={"account_id": "genuine"}, headers={"host": host})
    assert response.status_code in {400, 421}
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/health", "/schema", "/nowhere", "/v1/decisions/d-1"])
def test_every_response_carries_the_security_headers(client: httpx.Client, path: str) -> None:
    """Nothing that is answered may be run, framed, sniffed or kept."""
    headers = client.get(path).headers
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_a_header_and_a_parameter_are_pointed_at(client: httpx.Client) -> None:
    """What is wrong does not stand in the body."""
    answer = client.post(
        "/v1/decisions/admission", json={"account_id": "genuine"}, headers={"Idempotency-Key": "k" * 600}
    )
    assert (answer.status_code, answer.json()["where"]) == (422, "header Idempotency-Key")
    answer = client.get("/v1/appeals?state=lost")
    assert (answer.status_code, answer.json()["where"]) == (422, "query parameters")
    answer = client.get("/health", headers={"host": "elsewhere.example"})
    assert answer.json()["next"] == "membergate serve --allowed-host NAME"
