"""The language of mapping files: what is wrong is told where it is wrong, and expressions do nothing but compute."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from membergate.domain.errors import BadInputError
from membergate.market.loading import LoadReport
from membergate.market.mapping import parse_mapping
from membergate.market.mapping.expressions import compile_expression
from membergate.market.warehouse import Warehouse

Load = Callable[..., LoadReport]
Rows = Callable[[Warehouse, str], list[tuple[Any, ...]]]

WRONG = [
    ("version: 2", "version", "version: 1"),
    ("- a list", "keys and values", "tables"),
    ("version: 1\ntabels: {}", "tabels", "did you mean tables?"),
    ("version: 1\ntables: {order: {}}", "'order'", "did you mean orders?"),
    ("version: 1\ntime_zone: Europe/Berln\ntables: {}", "Europe/Berln", "did you mean Europe/Berlin?"),
    ("version: 1\ntables:\n  skus:\n    columns: {}", "source table is missing", "line 3 (tables.skus)"),
    (
        "version: 1\ntables:\n  skus:\n    from: x\n    columns:\n      sku: y",
        "skus.sku",
        "line 6 (tables.skus.columns.sku)",
    ),
    ("version: 1\ntables: {skus: {from: x, columns: {sku_id: y}}}", "category_l1", "not mapped"),
    ("version: 1\ntables: {skus: {from: x, columns: {sku_id: {}}}}", "exactly one place", "constant"),
    (
        "version: 1\ntables: {skus: {from: x, columns: {sku_id: {from: a, constant: 1}}}}",
        "exactly one place",
        "expression",
    ),
    ("version: 1\ntables: {skus: {from: x, columns: {sku_id: {from: a, unit: major}}}}", "has no unit", "money"),
    (
        "version: 1\ntables: {skus: {from: x, columns: {market_price_minor: {from: a, unit: dollars}}}}",
        "dollars",
        "major",
    ),
    ("version: 1\ntables: {skus: {from: x, columns: {sku_id: {from: a, cast: txt}}}}", "txt", "did you mean text?"),
    ("version: 1\ntables: {skus: {from: x, columns: {sku_id: {from: 7}}}}", "from is a text", "line 2"),
    (
        "version: 1\ntables: {skus: {from: x, group_by: a, distinct_on: b, columns: {sku_id: a}}}",
        "exclude",
        "one of the two",
    ),
    (
        "version: 1\ntables: {skus: {from: x, group_by: {a: b}, columns: {sku_id: a}}}",
        "lists column names",
        "[a_column",
    ),
    (
        "version: 1\ntables: {skus: {from: x, lookup: {y: {take: [a]}}, columns: {sku_id: a, category_l1: b}}}",
        "lookup",
        "key",
    ),
    ("version: 1\ntables: {skus: {from: x, columns: {sku_id: {expression: sum(a)}}}}", "aggregates", "group_by"),
    (
        "version: 1\ntables: {skus: {from: x, where: '((', columns: {sku_id: a, category_l1: a}}}",
        "does not parse",
        "tables.skus",
    ),
    ("version: 1\nsources: {x: {from: y}, y: {}}\ntables: {}", "not there yet", "line 2 (sources.x)"),
    ("version: 1\nsources: {x: {from: y, files: [a]}}\ntables: {}", "unknown key 'files'", "unnest"),
    ("version: 1\ndelimiter: ''\ntables: {}", "cannot be separated by ''", "a tab"),
    ("version: 1\nsources: {x: {delimiter: '::'}}\ntables: {}", "cannot be separated by '::'", "line 2 (sources.x)"),
    ("version: 1\nsources: {x: {from: y, group_by: a, where: b}}\ntables: {}", "does nothing else", "below it"),
    ("version: 1\nsources: {x: {from: y, let: {a: {}}}}\ntables: {}", "is an expression", "sources.x.let.a"),
    ("version: 1\nsources: {x: {optional: 'yes'}}\ntables: {}", "true or false", "optional: true"),
    (
        "version: 1\ntables: {stores: {from: x, columns: {store_id: {from: a, optional: true}}}}",
        "required",
        "other columns",
    ),
    (
        "version: 1\ntables: {stores: {from: x, columns: {store_id: {from: a, token: mail}}}}",
        "did you mean email?",
        "phone",
    ),
    ("version: 1\ntables: {stores: {from: x, columns: {opened_at: {from: a, token: text}}}}", "is no id", "_tok"),
    (
        "version: 1\ntables: {stores: {from: x, lookup: {y: {key: {a: 1}, take: b}}, columns: {store_id: a}}}",
        "pairs column names",
        "{ours: theirs}",
    ),
    (
        "version: 1\ntables: {stores: {from: x, lookup: {y: {key: a, take: b, at: [c, d]}}, columns: {store_id: a}}}",
        "one instant",
        "at:",
    ),
    ("version: 1\ntables: [", "no YAML", "mapping.yaml"),
    ("version: 1", "'tables' is missing", "tables: …"),
]


@pytest.mark.parametrize(("text", "what", "hint"), WRONG)
def test_a_wrong_mapping_is_told_where(text: str, what: str, hint: str) -> None:
    """Each error points at the line, says what is allowed, and gives the nearest known name."""
    with pytest.raises(BadInputError) as error:
        parse_mapping(text, origin="mapping.yaml")
    assert what in str(error.value)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "read_text('/etc/passwd')", "(select 1)", "x in (select 1)", "random()", "current_date", "getvariable('x')",
        "t.x", "1; drop table x", "list_sum([1])", "x = ?", "x -> '$.a'", "sum(x)", "row_number() over ()", "* ",
        "x ->> y", "x ->> '$[*].a'", "json_entry(x)", "json_entry(x, '$.a[*', 'k')", "json_entry(x, '$.a', y)",
        "x" + " + 1" * 2000, "+".join("x" * 400),
    ],
)  # fmt: skip
def test_an_expression_can_do_nothing_but_compute(text: str) -> None:
    """No files, no other tables, no functions beyond the list, no size without bound."""
    with pytest.raises(BadInputError):
        compile_expression(text, where="here")


def test_an_expressions_casts_cannot_fail() -> None:
    """Casts and parsers give NULL for what they cannot read, however deep they stand."""
    sql = compile_expression("cast(cast(strptime(a, '%d.%m.%Y') as date) as text) || b::integer", where="here")
    assert sql.count("TRY_CAST") == 3
    assert "TRY_STRPTIME" in sql.upper()
    with pytest.raises(BadInputError, match="unknown column aa"):
        compile_expression("aa + 1", where="here", columns=["a", "b"])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("text ->> '$.a.b'", "1"),
        ("text ->> '$.l[1]'", "y"),
        ("json_entry(text ->> '$.e', '$.key', 'k') ->> '$.value'", "v"),
        ("json_entry(text ->> '$.e', '$.key', 'other') ->> '$.value'", None),
        ("json_entry(text, '$.key', 'k')", None),
        ("broken ->> '$.a'", None),
        ("json_entry(broken, '$.a', 'b')", None),
        ("make_timestamp(cast('9223372036854775807' as bigint))", None),
    ],
)
def test_parts_of_json_texts(expression: str, value: str | None) -> None:
    """A path reaches into JSON; what is no JSON, or not there, is a missing value and never ends the ingest."""
    sql = compile_expression(expression, where="here")
    text = '{"a": {"b": 1}, "l": ["x", "y"], "e": [{"key": "j"}, {"key": "k", "value": "v"}]}'
    found = duckdb.execute(f"SELECT {sql} FROM (SELECT $1 AS text, '{{a' AS broken)", [text]).fetchone()
    assert found == (value,)


MADE = """
version: 1
sources:
  carts: {files: [cart_*]}
  lines:
    from: carts
    unnest: goods
    let: {code: "goods ->> '$.code'", paid: "cast(goods ->> '$.paid' as double)"}
    where: code <> 'bag'
  sums:
    from: lines
    group_by: cart
    let: {paid_in_all: sum(paid)}
tables:
  orders:
    from: carts
    lookup: {sums: {key: {cart: cart}, take: {total: paid_in_all}}}
    columns:
      order_id: cart
      account_id: who
      ordered_at: day
      status: {constant: paid}
      currency: {constant: EUR}
      total_minor: {from: total, unit: major}
      channel: {from: nowhere, optional: true}
      recipient_tok: {from: mail, token: email}
  order_lines:
    from: lines
    columns:
      line_id: {expression: "concat(cart, '/', element_number)"}
      order_id: cart
      sku_id: code
      quantity: {constant: 1}
      list_price_minor: {from: paid, unit: major}
      net_price_minor: {from: paid, unit: major}
"""


def test_sources_made_from_others(
    small: Any, load_all: Load, warehouse: Warehouse, rows_of: Rows, tmp_path: Path
) -> None:
    """Elements become rows with their place, sums are looked up, several files are one source, mail becomes a token."""
    folder = small.write()
    for name in ("orders.csv", "order_lines.csv"):
        (folder / name).unlink()
    goods = [[{"code": "s1", "paid": 2.5}, {"code": "bag", "paid": 9}, {"code": "s2", "paid": 1}], [], None]
    for number, what in enumerate(goods):
        cart = {"cart": f"c{number}", "who": "ada", "day": "2025-03-01", "mail": "A@b.c", "goods": what}
        (folder / f"cart_{number}.jsonl").write_text(json.dumps(cart) + "\n")
    mapping = parse_mapping(MADE, origin="m.yaml")
    with pytest.raises(BadInputError, match="no key to make them with"):
        load_all(folder, mapping=mapping)
    report = load_all(folder, mapping=mapping, token_key=b"k" * 32)
    assert rows_of(warehouse, "SELECT line_id, sku_id, net_price_minor FROM order_lines ORDER BY 1") == [
        ("c0/1", "s1", 250), ("c0/3", "s2", 100),
    ]  # fmt: skip
    token = hmac.new(b"k" * 32, b"a@b.c", "sha256").hexdigest()
    assert rows_of(warehouse, "SELECT order_id, total_minor, recipient_tok FROM orders") == [("c0", 350, token)]
    assert next(t.quarantined for t in report.tables if t.table == "orders") == {"missing_value": 2}
    assert "channel" not in warehouse.columns()["orders"]
