"""The audit chain, packed decisions, and cap uses as a ledger to which is only added; nothing is lost either way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection

from membergate.store import chain
from membergate.store.codec import COLUMNS, decision_from_record, decision_to_record
from membergate.store.committing import Writing
from membergate.store.migrations.columns import instant
from membergate.store.packing import pack, unpack
from membergate.store.tables import CAP_USES, DECISION_ENTRIES, DECISIONS, UtcInstant
from membergate.store.terms import Terms

revision = "0007"
down_revision = "0006"

_ROWS_AT_ONCE = 2_000
_OLD_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("decided_at", "as_of"), UtcInstant),
    **dict.fromkeys(("degraded", "explore"), sa.Boolean),
    **dict.fromkeys(("merchant_probability", "risk_score", "propensity"), sa.Double),
}
_OPTIONAL = frozenset(
    {"application_id", "order_id", "merchant_probability", "risk_score", "counterfactual", "caps", "promotion_id"}
) | {"propensity"}
_OLD_DECISIONS = sa.table("decisions", *(sa.column(name, _OLD_TYPES.get(name, sa.Text)) for name in COLUMNS))
_OLD_ENTRIES = sa.table("decision_entries", sa.column("entry_id", sa.Text), sa.column("decision_id", sa.Text))
_OLD_USES = sa.table(
    "cap_uses",
    *(sa.column(name, kind) for name, kind in (("use_id", sa.Text), ("key", sa.Text))),
    *(sa.column(name, sa.BigInteger) for name in ("units", "amount")),
    *(sa.column(name, UtcInstant) for name in ("used_at", "released_at")),
)
_USE_COLUMNS = tuple(column.name for column in _OLD_USES.c)


def upgrade() -> None:
    """Take the rows over into the new tables, and chain them and everything else that the chain covers."""
    for old, index in (("decisions", "decisions_by_account"), ("cap_uses", "cap_uses_by_key")):
        op.drop_index(index, old)
        op.rename_table(old, f"{old}_before")
    op.rename_table("decision_entries", "decision_entries_before")
    _create()
    connection = op.get_bind()
    writing = Writing(connection, Terms())
    numbers = _pack_decisions(connection, writing)
    links = connection.execute(_before(_OLD_ENTRIES)).all()
    for some in _parts(links):
        rows = [{"entry_id": entry, "decision_number": numbers[one]} for entry, one in some if one in numbers]
        writing.insert(DECISION_ENTRIES, rows)
    _take_over_uses(connection, writing)
    for kind in ("list_changes", "policy_events"):
        column = chain.KINDS[kind].table.c.number
        writing.written[kind] = list(connection.execute(sa.select(column).order_by(column)).scalars())
    chain.seal(connection, writing.written)
    for old in ("decisions", "cap_uses", "decision_entries"):
        op.drop_table(f"{old}_before")


def downgrade() -> None:
    """Write the rows back as they were; the chain is dropped."""
    for old, indexes in (
        ("decisions", ("decisions_by_key", "decisions_by_account")),
        ("cap_uses", ("cap_uses_by_use", "cap_uses_by_key")),
        ("decision_entries", ("decision_entries_by_entry", "decision_entries_by_decision")),
    ):
        for index in indexes:
            op.drop_index(index, old)
        op.rename_table(old, f"{old}_packed")
    _create_old()
    connection = op.get_bind()
    _unpack_decisions(connection)
    uses = sa.select(*_packed(CAP_USES))
    released = {row.use_id: row.released_at for row in connection.execute(uses) if row.released_at is not None}
    for some in _parts(connection.execute(uses).mappings().all()):
        rows = [
            {**{name: row[name] for name in _USE_COLUMNS}, "released_at": released.get(row["use_id"])}
            for row in some
            if row["released_at"] is None
        ]
        if rows:
            connection.execute(sa.insert(_OLD_USES), rows)
    for table in ("decisions_packed", "cap_uses_packed", "decision_entries_packed", "terms", "audit", "erasures"):
        op.drop_table(table)


def _create() -> None:
    op.create_table(
        "decisions",
        _numbered(),
        *_columns(sa.BigInteger, "decision_key", "account_key"),
        sa.Column("as_of", instant(), nullable=False),
        *_columns(sa.SmallInteger, "checkpoint", "disposition"),
        *_columns(sa.LargeBinary, "content"),
    )
    op.create_index("decisions_by_key", "decisions", ["decision_key"])
    op.create_index("decisions_by_account", "decisions", ["account_key"])
    op.create_table("decision_entries", _numbered(), *_columns(sa.Text, "entry_id"), _number("decision_number"))
    op.create_index("decision_entries_by_entry", "decision_entries", ["entry_id"])
    op.create_index("decision_entries_by_decision", "decision_entries", ["decision_number"])
    op.create_table("terms", _numbered(), *_columns(sa.LargeBinary, "content"))
    hashes = _columns(sa.LargeBinary, "digests", "hash")
    op.create_table("audit", _numbered(), *_columns(sa.Text, "kind"), _number("first"), *hashes)
    op.create_table(
        "erasures",
        _numbered(),
        *_columns(sa.Text, "kind"),
        *_columns(sa.BigInteger, "first", "last"),
        sa.Column("erased_at", instant(), nullable=False),
        *_columns(sa.Text, "reason"),
    )
    op.create_table(
        "cap_uses",
        _numbered(),
        *_columns(sa.Text, "use_id", "key"),
        *_columns(sa.BigInteger, "units", "amount"),
        sa.Column("used_at", instant(), nullable=False),
        sa.Column("released_at", instant()),
    )
    op.create_index("cap_uses_by_use", "cap_uses", ["use_id"])
    op.create_index("cap_uses_by_key", "cap_uses", ["key", "used_at", "amount"])


def _create_old() -> None:
    kinds = {**_OLD_TYPES} | dict.fromkeys(("decided_at", "as_of"), instant())
    columns = [
        sa.Column(name, kinds.get(name, sa.Text), primary_key=name == "decision_id", nullable=name in _OPTIONAL)
        for name in COLUMNS
    ]
    op.create_table("decisions", *columns)
    op.create_index("decisions_by_account", "decisions", ["account_id", "as_of"])
    keys = [sa.Column(name, sa.Text, primary_key=True) for name in ("entry_id", "decision_id")]
    op.create_table("decision_entries", *keys)
    op.create_table(
        "cap_uses",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("use_id", "key")),
        *_columns(sa.BigInteger, "units", "amount"),
        sa.Column("used_at", instant(), nullable=False),
        sa.Column("released_at", instant()),
    )
    op.create_index("cap_uses_by_key", "cap_uses", ["key", "used_at"])


def _pack_decisions(connection: Connection, writing: Writing) -> dict[str, int]:
    """Take the decisions over, in the order of their ids; gives the number of each."""
    numbers: dict[str, int] = {}
    last = ""
    while True:
        query = _before(_OLD_DECISIONS).order_by("decision_id").limit(_ROWS_AT_ONCE)
        rows = connection.execute(query.where(sa.column("decision_id") > last)).mappings().all()
        if not rows:
            return numbers
        decisions = [decision_from_record(dict(row)) for row in rows]
        packed = [pack(decision, writing.terms) for decision in decisions]
        writing.insert_terms()
        first = writing.insert(DECISIONS, packed)
        numbers |= {decision.decision_id: first + step for step, decision in enumerate(decisions)}
        last = rows[-1]["decision_id"]


def _unpack_decisions(connection: Connection) -> None:
    terms, links = Terms(), sa.table("decision_entries_packed", *_plain(DECISION_ENTRIES))
    terms.follow(connection)
    table = sa.table("decisions_packed", *_plain(DECISIONS))
    entries: dict[int, list[str]] = {}
    for row in connection.execute(sa.select(links)).mappings():
        entries.setdefault(row["decision_number"], []).append(row["entry_id"])
    number = 0
    while True:
        query = sa.select(table).where(table.c.number > number).order_by(table.c.number).limit(_ROWS_AT_ONCE)
        rows = connection.execute(query).mappings().all()
        if not rows:
            return
        number = rows[-1]["number"]
        kept = [(row["number"], unpack(row, terms)) for row in rows if row["content"]]
        if not kept:
            continue
        connection.execute(sa.insert(_OLD_DECISIONS), [decision_to_record(decision) for _, decision in kept])
        old = [
            {"entry_id": entry, "decision_id": decision.decision_id}
            for place, decision in kept
            for entry in entries.get(place, ())
        ]
        if old:
            connection.execute(sa.insert(_OLD_ENTRIES), old)


def _take_over_uses(connection: Connection, writing: Writing) -> None:
    for some in _parts(connection.execute(_before(_OLD_USES)).mappings().all()):
        writing.insert(CAP_USES, [{**row, "released_at": None} for row in some])
        released = [row for row in some if row["released_at"] is not None]
        back = [{**row, "units": -row["units"], "amount": -row["amount"]} for row in released]
        writing.insert(CAP_USES, back)


def _before(table: sa.TableClause) -> sa.Select[Any]:
    renamed = sa.table(f"{table.name}_before", *(sa.column(column.name, column.type) for column in table.c))
    return sa.select(renamed)


def _packed(table: sa.Table) -> list[sa.ColumnClause[Any]]:
    return list(sa.table(f"{table.name}_packed", *_plain(table)).c)


def _plain(table: sa.Table) -> list[sa.ColumnClause[Any]]:
    return [sa.column(column.name, column.type) for column in table.c]


def _numbered() -> sa.Column[Any]:
    kind = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column("number", kind, primary_key=True, autoincrement=False)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _columns(kind: Any, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE]
