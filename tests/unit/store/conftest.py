"""What the store's tests share: a decision to change at will, and an empty database on each backend."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateSchema, DropSchema

from membergate.domain.decision import Caps, Counterfactual, Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.evidence import Absence, Evidence
from membergate.domain.instants import utc
from membergate.store import OperationalRecord, open_store

# tests have no settings of their own: where they run, and against which server, only the environment can say
IN_CI = os.environ.get("CI") == "true"  # noqa: TID251
SERVER = os.environ.get("MEMBERGATE_TEST_POSTGRESQL", "postgresql://root@127.0.0.1:5432/postgres")  # noqa: TID251
AS_OF = utc(2025, 3, 1)

MakeDecision = Callable[..., Decision]


@pytest.fixture
def make_decision() -> MakeDecision:
    """Give a maker of decisions: number n has its own ids; every field can be set by name."""

    def make(number: int = 0, **changes: Any) -> Decision:
        as_of = AS_OF + timedelta(seconds=number)
        decision = Decision(
            decision_id=f"d-{number:06d}",
            checkpoint=Checkpoint.ADMISSION,
            application_id=f"application-{number}",
            order_id=None,
            account_id=f"account-{number}",
            operator_id=f"operator-{number}",
            decided_at=as_of + timedelta(microseconds=1),
            as_of=as_of,
            disposition=Disposition.TRIAL,
            merchant_probability=0.1 + 0.2,
            risk_score=None,
            reason_codes=("LINKED_HOLDER", "FEW_ORDERS"),
            evidence=(
                Evidence("a2_excess_units_ratio", 1.0, "feature:A2", as_of),
                Evidence("cluster_id", Absence.WITHHELD, "model:m-1", as_of),
                Evidence("declared_use", "withheld", "market:accounts", as_of - timedelta(days=1)),
                Evidence("list_deny", False, "list:deny", as_of),
                Evidence("operator_accounts", 1, "identity", as_of),
            ),
            counterfactual=Counterfactual("a2_excess_units_ratio", 1.0, 0.5, Disposition.ADMIT),
            caps=Caps(units_per_sku=2, window_days=30),
            policy_version="default-1",
            model_version="m-1",
            promotion_id=None,
            degraded=False,
            explore=False,
            propensity=None,
            contributions=(("a2_excess_units_ratio", 0.25), ("b1_category_entropy", -0.125)),
        )
        return replace(decision, **changes)

    return make


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Engine]:
    """Give the test server; skip where none answers, but never in CI."""
    server = create_engine(make_url(SERVER).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    try:
        server.connect().close()
    except OperationalError as error:
        if IN_CI:
            raise
        pytest.skip(f"no PostgreSQL answers at {SERVER}: {error.orig}")
    yield server
    server.dispose()


@contextmanager
def fresh_schema(server: Engine) -> Iterator[str]:
    """Make a schema of our own, give the URL that leads into it, and drop it afterwards."""
    name = f"membergate_test_{uuid4().hex}"
    with server.connect() as connection:
        connection.execute(CreateSchema(name))
        try:
            url = make_url(SERVER).update_query_dict({"options": f"-c search_path={name}"})
            yield url.render_as_string(hide_password=False)
        finally:
            connection.execute(DropSchema(name, cascade=True))


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty database, once for each backend."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'record.sqlite'}"
        return
    with fresh_schema(request.getfixturevalue("postgresql")) as url:
        yield url


@pytest.fixture
def store(store_url: str) -> Iterator[OperationalRecord]:
    """Give an empty record on each backend."""
    with open_store(store_url) as record:
        yield record
