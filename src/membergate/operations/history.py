"""What happened, ready to be asked 'as of': applications, labels, memberships, operators and features."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

import duckdb
import numpy as np
from numpy.typing import NDArray

from membergate.domain.errors import UnknownSubjectError
from membergate.domain.labels import Label, LabelGrade
from membergate.learning.features import FeatureTable, Norms, Spine, compute
from membergate.learning.identity import LinkIndex, OperatorTable
from membergate.market.warehouse import Warehouse

_MICROSECONDS = "datetime64[us]"


@dataclass(frozen=True, slots=True)
class Application:
    """One application, or an account as though it applied at an instant: that has no id.

    Parameters
    ----------
    application_id, account_id
        Which, and whose.
    submitted_at, known_at
        When it was submitted, and when the platform came to know it; aware.
    promotion_id
        The promotion that it names; empty for none.
    """

    application_id: str
    account_id: str
    submitted_at: datetime
    known_at: datetime
    promotion_id: str = ""


@dataclass(frozen=True)
class Applications:
    """Applications for membership, ordered by submission, then id.

    Parameters
    ----------
    application_ids, account_ids
        Shape (n,).
    submitted_at
        Shape (n,), datetime64[us], UTC.
    known_at
        Shape (n,), datetime64[us], UTC: when the platform came to know the application; never before its submission.
    promotion_ids
        Shape (n,), empty where the application names none.
    """

    application_ids: NDArray[np.str_]
    account_ids: NDArray[np.str_]
    submitted_at: NDArray[np.datetime64]
    known_at: NDArray[np.datetime64]
    promotion_ids: NDArray[np.str_]

    def __len__(self) -> int:
        return int(self.application_ids.size)

    def take(self, rows: NDArray[np.bool_]) -> Applications:
        """Select rows."""
        return Applications(
            self.application_ids[rows],
            self.account_ids[rows],
            self.submitted_at[rows],
            self.known_at[rows],
            self.promotion_ids[rows],
        )

    def one(self, row: int) -> Application:
        """Give one of them."""
        return Application(
            str(self.application_ids[row]),
            str(self.account_ids[row]),
            aware(self.submitted_at[row]),
            aware(self.known_at[row]),
            str(self.promotion_ids[row]),
        )

    @property
    def spine(self) -> Spine:
        """Who is asked about: each application's account, as of its own submission."""
        return Spine(self.application_ids, self.account_ids, self.submitted_at)


class Roll:
    """Who is known, and who applied when: looked up in memory, since the door asks for each applicant.

    Parameters
    ----------
    account_ids
        Every account that was loaded.
    applications
        Every application, in order.
    """

    def __init__(self, account_ids: frozenset[str], applications: Applications) -> None:
        self._account_ids = account_ids
        self._applications = applications
        self._row_of = {name: row for row, name in enumerate(applications.application_ids.tolist())}
        self._rows_of: dict[str, list[int]] = {}
        for row, account_id in enumerate(applications.account_ids.tolist()):
            self._rows_of.setdefault(account_id, []).append(row)

    @property
    def account_ids(self) -> Collection[str]:
        """Every account that was loaded."""
        return self._account_ids

    def has_account(self, account_id: str) -> bool:
        """Tell whether the account was ever loaded."""
        return account_id in self._account_ids

    def application(self, application_id: str) -> Application:
        """Find one application.

        Raises
        ------
        UnknownSubjectError
            If nobody submitted it.
        """
        row = self._row_of.get(application_id)
        if row is None:
            raise UnknownSubjectError(f"no application {application_id!r} was loaded", next_step="membergate ingest")
        return self._applications.one(row)

    def applications_of(self, account_id: str) -> tuple[Application, ...]:
        """Give an account's applications by submission, then id; none where it never applied."""
        return tuple(self._applications.one(row) for row in self._rows_of.get(account_id, ()))

    def applicants(self) -> Iterator[Application]:
        """Give every application, the latest first."""
        return (self._applications.one(row) for row in reversed(range(len(self._applications))))


class History:
    """A loaded market with its links, held open for questions.

    Parameters
    ----------
    warehouse
        The loaded market.
    memory_limit
        What DuckDB may use, such as `2GiB`; `usual_memory` where None.
    """

    def __init__(self, warehouse: Warehouse, *, memory_limit: str | None = None) -> None:
        self.warehouse = warehouse
        self.connection: duckdb.DuckDBPyConnection = warehouse.connect(memory_limit=memory_limit)

    @cached_property
    def links(self) -> LinkIndex:
        """Who is linked to whom: found once, by the first who asks."""
        return LinkIndex.build(self.connection)

    @classmethod
    def over(cls, warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, links: LinkIndex) -> Self:
        """Ask a connection whose views stand for the warehouse's, with links that are known already."""
        history = cls.__new__(cls)
        history.warehouse, history.connection, history.links = warehouse, connection, links
        return history

    def apart(self, *, threads: int | None = None) -> History:
        """Give the same market with a connection of its own, for work beside this one; links are shared."""
        _ = self.links
        other = copy(self)
        other.connection = self.warehouse.connect(threads=threads)
        return other

    @cached_property
    def roll(self) -> Roll:
        """Who is known and who applied, read into memory once."""
        rows = self._rows("SELECT DISTINCT account_id FROM accounts")
        return Roll(frozenset(row[0] for row in rows), self.applications())

    @property
    def last_instant(self) -> datetime:
        """The latest instant at which anything became known."""
        return self.warehouse.last_instant()

    def applications(self, since: datetime | None = None, until: datetime | None = None) -> Applications:
        """Find the applications submitted in [since, until); an application counts from its first version on."""
        promotion = "promotion_id" if "promotion_id" in self.warehouse.columns()["applications"] else "NULL"
        rows = self._rows(
            f"""
            SELECT application_id, account_id, submitted_at, visible_at, coalesce({promotion}, '')
            FROM applications
            WHERE submitted_at >= coalesce($since, TIMESTAMP '-infinity')
              AND submitted_at < coalesce($until, TIMESTAMP 'infinity')
            QUALIFY row_number() OVER (PARTITION BY application_id ORDER BY visible_at) = 1
            ORDER BY submitted_at, application_id
            """,
            since=_naive(since),
            until=_naive(until),
        )
        return _applications(rows)

    def accounts(self, as_of: datetime) -> Spine:
        """Give every account that was registered by an instant, as of that instant."""
        rows = self._rows(
            "SELECT DISTINCT account_id FROM accounts WHERE visible_at <= $as_of ORDER BY account_id",
            as_of=_naive(as_of),
        )
        names = np.array([row[0] for row in rows], dtype=np.str_)
        return Spine(names, names, np.full(names.size, np.datetime64(_naive(as_of), "us")))

    def labels(self, as_of: datetime) -> list[Label]:
        """Give every label that was known by an instant."""
        columns = self.warehouse.columns().get("labels")
        if columns is None:
            return []
        propensity = "propensity" if "propensity" in columns else "NULL"
        rows = self._rows(
            f"""
            SELECT subject_type, subject_id, label, grade, source, decided_at, {propensity}
            FROM labels
            WHERE visible_at <= $as_of AND (superseded_at IS NULL OR superseded_at > $as_of)
            """,
            as_of=_naive(as_of),
        )
        return [
            Label(kind, subject, label == "merchant", LabelGrade(grade), source, decided.replace(tzinfo=UTC), chance)
            for kind, subject, label, grade, source, decided, chance in rows
        ]

    def holders(self, until: datetime | None = None) -> dict[str, list[tuple[np.datetime64, np.datetime64]]]:
        """Give each account's spans of known membership, [start, end); one without an end lasts for ever.

        With `until`, memberships that became known from then on are left out.

        The end is a date, not a state: a membership held at t is held at t whatever its row says later. A version of
        a row speaks until the next version became known.
        """
        columns = self.warehouse.columns().get("memberships")
        if columns is None:
            return {}
        ended = "ended_at" if "ended_at" in columns else "NULL"
        rows = self._rows(
            f"SELECT account_id, visible_at, least({ended}, superseded_at) FROM memberships "
            "WHERE visible_at < coalesce($until, TIMESTAMP 'infinity') ORDER BY ALL",
            until=_naive(until),
        )
        spans: dict[str, list[tuple[np.datetime64, np.datetime64]]] = {}
        for account, start, end in rows:
            last = np.datetime64("9999-12-31", "us") if end is None else np.datetime64(end, "us")
            spans.setdefault(account, []).append((np.datetime64(start, "us"), last))
        return spans

    def first_seen(self, table: str, column: str, keys: Sequence[str]) -> list[tuple[str, str, datetime]]:
        """Find which accounts had which of some tokens, and from when that was known: (account, token, instant).

        Parameters
        ----------
        table, column
            Where to look; without such a column nobody is found.
        keys
            The tokens.
        """
        if column not in self.warehouse.columns().get(table, ()) or not keys:
            return []
        rows = self._rows(
            f'SELECT account_id, "{column}", min(visible_at) FROM "{table}" '
            f'WHERE list_contains($keys, "{column}") AND account_id IS NOT NULL GROUP BY ALL ORDER BY ALL',
            keys=list(keys),
        )
        return [(account, token, seen.replace(tzinfo=UTC)) for account, token, seen in rows]

    def operators(self, spine: Spine) -> OperatorTable:
        """Resolve each row's account to its operator, as of the row's own instant."""
        return self.links.resolve(spine.account_ids, spine.as_of)

    def features(self, spine: Spine, operators: OperatorTable, norms: Norms, only: Sequence[str]) -> FeatureTable:
        """Compute the named features for every row, as of its own instant."""
        return compute(self.connection, spine, norms, operators, tuple(only))

    def _rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.connection.execute(sql, parameters).fetchall()
        return rows


def _naive(instant: datetime | None) -> datetime | None:
    """Say an instant as the warehouse keeps it: UTC, without saying so in the type."""
    return None if instant is None else instant.astimezone(UTC).replace(tzinfo=None)


def aware(instant: np.datetime64) -> datetime:
    """Turn the warehouse's UTC instant into an aware one."""
    value: datetime = instant.astype(_MICROSECONDS).astype(datetime)
    return value.replace(tzinfo=UTC)


def _applications(rows: list[tuple[Any, ...]]) -> Applications:
    ids, accounts, submitted, known, promotions = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return Applications(
        np.array(ids, dtype=np.str_),
        np.array(accounts, dtype=np.str_),
        np.array(submitted, dtype=_MICROSECONDS),
        np.array(known, dtype=_MICROSECONDS),
        np.array(promotions, dtype=np.str_),
    )
