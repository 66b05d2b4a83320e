"""Mapping files: own tables become canonical ones, and a wrong mapping is told where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from membergate.domain.errors import BadInputError
from membergate.market.loading import LoadReport
from membergate.market.mapping import Mapping, load_mapping, parse_mapping
from membergate.market.textfiles import as_utf8
from membergate.market.warehouse import Warehouse
from membergate.operations.ingest import ingest

Load = Callable[..., LoadReport]
Rows = Callable[[Warehouse, str], list[tuple[Any, ...]]]

SALES = """kassa;kunde;artikel;zeit;menge;preis;art
1;K1;Käse;2025-02-01 09:00:00;2;12,50;sale
1;K1;Brot;2025-02-01 09:00:00;1;3,00;sale
2;K2;Brot;2025-07-01 09:00:00;4;3,00;sale
3;K2;Brot;2025-07-02 09:00:00;1;3,00;void
"""

MAPPING = """
version: 1
time_zone: Europe/Berlin
sources:
  sales: {encoding: latin-1, delimiter: ";"}
tables:
  accounts:
    from: sales
    group_by: kunde
    columns:
      account_id: kunde
      registered_at: {expression: min(zeit)}
  applications:
    from: sales
    distinct_on: kunde
    order_by: [zeit]
    columns:
      application_id: {expression: "concat('a-', kunde)"}
      account_id: kunde
      submitted_at: {constant: "2026-01-01T00:00:00Z"}
      plan: {constant: gold}
  orders:
    from: sales
    where: art = 'sale'
    group_by: kassa
    columns:
      order_id: kassa
      account_id: kunde
      ordered_at: {from: zeit}
      status: {constant: paid}
      currency: {constant: eur}
      total_minor: {expression: "sum(cast(menge as integer) * cast(replace(preis, ',', '.') as double))", unit: major}
  order_lines:
    from: sales
    where: art = 'sale'
    lookup:
      names: {key: artikel, take: [number]}
    columns:
      line_id: {expression: "concat(kassa, '/', artikel)"}
      order_id: kassa
      sku_id: number
      quantity: {from: menge, cast: integer}
      list_price_minor: {expression: "replace(preis, ',', '.')", unit: major}
      net_price_minor: {expression: "replace(preis, ',', '.')", unit: 100}
  skus:
    - from: names
      columns: {sku_id: number, category_l1: {constant: food}}
    - from: sales
      where: artikel = 'nothing'
      columns: {sku_id: artikel, category_l1: {constant: other}}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Give a German shop's till, in its own words, encoding, notation and time zone."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "sales.csv").write_bytes(SALES.encode("latin-1"))
    (folder / "names.jsonl").write_text('{"artikel": "Käse", "number": 7}\n{"artikel": "Brot", "number": 8}\n')
    return folder


def test_a_shops_own_tables_become_the_canonical_ones(
    shop: Path, load_all: Load, warehouse: Warehouse, rows_of: Rows
) -> None:
    """Groups, filters, lookups, units, encoding and daylight saving time, in one mapping."""
    report = load_all(shop, mapping=parse_mapping(MAPPING, origin="mapping.yaml"))
    assert {t.table: t.loaded for t in report.tables} == {
        "accounts": 2, "applications": 2, "orders": 2, "order_lines": 3, "skus": 2,
    }  # fmt: skip
    assert report.warnings == ()
    assert rows_of(warehouse, "SELECT order_id, total_minor, currency, ordered_at FROM orders ORDER BY 1") == [
        ("1", 2800, "EUR", datetime(2025, 2, 1, 8)),  # noqa: DTZ001 # naive UTC: winter, an hour earlier
        ("2", 1200, "EUR", datetime(2025, 7, 1, 7)),  # noqa: DTZ001 # summer, two hours
    ]
    lines = "SELECT line_id, sku_id, quantity, list_price_minor, net_price_minor FROM order_lines ORDER BY 1"
    assert rows_of(warehouse, lines) == [
        ("1/Brot", "8", 1, 300, 300), ("1/Käse", "7", 2, 1250, 1250), ("2/Brot", "8", 4, 300, 300),
    ]  # fmt: skip
    assert rows_of(warehouse, "SELECT day(submitted_at) FROM applications") == [(1,), (1,)]


def test_the_verb_reads_the_mapping_file(shop: Path, tmp_path: Path) -> None:
    """Ingest takes the path of a mapping, and a second ingest through it finds everything known."""
    path = tmp_path / "mapping.yaml"
    path.write_text(MAPPING)
    ingest(tmp_path / "workspace", shop, path)
    again = ingest(tmp_path / "workspace", shop, path)
    assert all(t.already_known == t.read for t in again.tables)
    assert (tmp_path / "workspace" / "warehouse" / "manifest.json").is_file()


def test_a_bad_value_in_a_mapped_column_is_refused_with_its_row(
    shop: Path, load_all: Load, warehouse: Warehouse, rows_of: Rows
) -> None:
    """A cast that fails gives a missing value, and the quarantine says which derived row it was."""
    (shop / "sales.csv").write_bytes(
        SALES.replace("Brot;2025-07-01 09:00:00;4", "Brot;2025-07-01 09:00:00;vier").encode("latin-1")
    )
    report = load_all(shop, mapping=parse_mapping(MAPPING, origin="mapping.yaml"))
    assert {t.table: t.quarantined for t in report.tables if t.quarantined} == {
        "orders": {"missing_value": 1},
        "order_lines": {"missing_value": 1},
    }
    assert all(
        "derived from sales by mapping.yaml" in row[0] for row in rows_of(warehouse, "SELECT file FROM quarantine")
    )


def test_a_column_may_have_a_time_zone_of_its_own(
    small: Any, load_all: Load, warehouse: Warehouse, rows_of: Rows
) -> None:
    """Naive instants are taken in the declared zone; those with an offset are left to it."""
    small.tables["orders"][0]["ordered_at"] = "2025-02-01 18:00:00"
    mapping = parse_mapping(
        "version: 1\ntables:\n  orders:\n    from: orders\n    columns:\n"
        "      ordered_at: {from: ordered_at, time_zone: Asia/Shanghai}\n"
        + "".join(
            f"      {name}: {name}\n" for name in ("order_id", "account_id", "status", "currency", "total_minor")
        ),
        origin="m.yaml",
    )
    load_all(small.write(), mapping=mapping)
    assert rows_of(warehouse, "SELECT hour(ordered_at) FROM orders ORDER BY order_id") == [(10,), (10,), (10,)]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("from: names", "from: nams", ["'nams'", "did you mean names?"]),
        ("key: artikel", "key: artikl", ["'artikl'", "did you mean artikel?"]),
        ("sku_id: number, ", "sku_id: nummer, ", ["nummer", "number"]),
        ("{encoding: latin-1, ", "{", ["UTF-8", "position", "encoding"]),
        ("latin-1", "latin-9000", ["unknown encoding"]),
        (
            "expression: min(zeit)",
            "expression: min(zeit) + menge * 2",
            ["does not fit table sales", "cast(price as double)"],
        ),
    ],
)
def test_a_mapping_that_does_not_fit_the_folder(
    shop: Path, tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    """What only the data can show is an error of the same kind, and nothing is written."""
    path = tmp_path / "mapping.yaml"
    assert old in MAPPING
    path.write_text(MAPPING.replace(old, new))
    with pytest.raises(BadInputError) as error:
        ingest(tmp_path / "workspace", shop, path)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert not (tmp_path / "workspace").exists()


def test_only_errors_of_types_are_told_to_cast(shop: Path, tmp_path: Path) -> None:
    """A column that is not there is no text to be cast."""
    path = tmp_path / "mapping.yaml"
    path.write_text(MAPPING.replace("sku_id: number, ", "sku_id: nummer, "))
    with pytest.raises(BadInputError) as error:
        ingest(tmp_path / "workspace", shop, path)
    assert error.value.next_step == ""


def test_a_lookup_never_multiplies_rows(shop: Path, load_all: Load) -> None:
    """A key that the lookup table holds twice is an error, because each line would count twice."""
    with (shop / "names.jsonl").open("a") as stream:
        stream.write('{"artikel": "Brot", "number": 9}\n')
    with pytest.raises(BadInputError, match="holds artikel more than once"):
        load_all(shop, mapping=parse_mapping(MAPPING, origin="mapping.yaml"))


def test_a_mapping_that_is_not_there(tmp_path: Path) -> None:
    """A missing mapping file is an error that names it."""
    with pytest.raises(BadInputError, match="cannot read the mapping") as error:
        load_mapping(tmp_path / "none.yaml")
    assert "none.yaml" in error.value.where


_DOUBLED = "".join(f"b{level}: &b{level} [{', '.join([f'*b{level - 1}'] * 9)}]\n" for level in range(1, 30))


@pytest.mark.parametrize(
    ("text", "told", "line"),
    [
        (f"version: 1\nb0: &b0 [x]\n{_DOUBLED}", "no anchors or aliases", ", line 2"),
        ("version: 1\ntables: &all {orders: *all}\n", "no anchors or aliases", ", line 2"),
        ("version: 1\ntables: " + "[" * 3000, "nested too deeply", ", line 2"),
        (f"version: 1{'0' * 5000}\n", "no YAML", "mapping.yaml"),
        ("version: 2025-99-99\n", "no YAML", "mapping.yaml"),
        ("version: !!python/name:os.system x\n", "no YAML", "mapping.yaml"),
        ("version: 1\ntables: {}\ntables: {}\n", "'tables' stands twice", "line 3 (tables; first in line 2)"),
        (
            "version: 1\ntables:\n  skus:\n    where: a\n    from: b\n    where: c\n",
            "'where' stands twice",
            "line 6 (tables.skus.where; first in line 4)",
        ),
    ],
)
def test_a_mapping_that_would_blow_up_is_refused_at_once(text: str, told: str, line: str) -> None:
    """Aliases of aliases, brackets without end, impossible values and keys said twice: one error, with the place."""
    with pytest.raises(BadInputError, match=told) as refused:
        parse_mapping(text, origin="mapping.yaml")
    assert line in refused.value.where
    assert refused.value.next_step


@pytest.mark.parametrize("encoding", ["rot13", "hex", "undefined", "no-such", "a\0b"])
def test_only_encodings_of_texts_are_taken(tmp_path: Path, encoding: str) -> None:
    """What Python calls a codec, but turns no bytes into text, is refused by name."""
    file = tmp_path / "sales.csv"
    file.write_text("kassa;kunde\n")
    with pytest.raises(BadInputError, match="unknown encoding") as refused:
        as_utf8(file, tmp_path / "copy", encoding)
    assert "utf-16" in (refused.value.allowed or "")


def test_no_mapping_changes_nothing() -> None:
    """A mapping without tables is the schema as it is."""
    assert parse_mapping("version: 1\ntables: {}", origin="m") == Mapping("m", {})
