"""The OpenAPI document holds: whatever it allows is answered as it says, and what it forbids is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from membergate.domain.instants import utc
from membergate.operations.workspace import Workspace
from membergate.service import ServiceSettings, create_app
from membergate.service.serving import make_server
from membergate.store import open_store

from .conftest import SmallDesk


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give the document of a real service on a real port."""
    folder: Path = tmp_path_factory.mktemp("described")
    place = Workspace(folder)
    store = open_store(place.record)
    limits = ServiceSettings(allowed_hosts=("127.0.0.1",))
    app = create_app(SmallDesk(), store, lambda: utc(2025, 6, 1), settings=limits, workspace=place)
    server = make_server(app, port=0)
    thread = Thread(target=server.run)
    thread.start()
    while not server.started:
        sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/schema/openapi.json")
    server.should_exit = True
    thread.join(30)


def test_every_route_does_as_it_says(described: Any) -> None:
    """No 5xx but what is declared, no status, content type or body that the document does not know."""
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) >= 20
    for operation in operations:
        _hold(operation)


def _hold(operation: Any) -> None:
    """Send what the document allows to one route, and hold each answer against it."""
    checks = [status_code_conformance, content_type_conformance, response_schema_conformance]

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        response = case.call(timeout=20)
        # no model is live here, which some routes say with 503; any other 5xx is a fault
        case.validate_response(
            response, checks=checks if response.status_code == 503 else [not_a_server_error, *checks]
        )

    send()
