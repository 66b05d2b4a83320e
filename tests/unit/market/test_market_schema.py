"""The schema's declarations hold together."""

from __future__ import annotations

import pytest

from membergate.market.declaring import Kind, Table
from membergate.market.linking import fixed_columns
from membergate.market.schema import REQUIRED_TABLES, TABLES
from membergate.market.warehouse import column_type, view_columns


def test_the_required_tables_are_the_contracts() -> None:
    """Five tables make a market; there are eighteen in all."""
    assert set(REQUIRED_TABLES) == {"accounts", "applications", "orders", "order_lines", "skus"}
    assert len(TABLES) == 18


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_a_table_is_consistent(table: Table) -> None:
    """Names are unique, keys exist, parents come first, mutable columns may change, ends of names tell the kind."""
    names = table.column_names
    assert len(set(names)) == len(names)
    assert set(table.key) <= set(names)
    assert table.mutable <= set(names) - set(table.key)
    assert set(table.event) <= {*names, *table.inherited_columns}
    if table.parent is not None:
        parent = TABLES[table.parent.table]
        assert list(TABLES).index(parent.name) < list(TABLES).index(table.name)
        assert table.parent.key in names
        assert parent.key == (table.parent.key,)
        assert set(table.parent.inherits) <= {*parent.column_names, *parent.inherited_columns}
    assert not set(fixed_columns(table)) & table.revisable_columns or not table.event
    for column in table.readable_columns:
        assert (column.kind is Kind.MONEY) == column.name.endswith("_minor")
        assert (column.kind is Kind.TIME) == column.name.endswith("_at")
        assert (column.kind is Kind.CHOICE) == bool(column.choices)
    for name in view_columns(table, names):
        assert column_type(table, name)
    with pytest.raises(KeyError):
        table.column("no_such_column")
