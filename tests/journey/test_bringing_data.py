"""A shop brings its own data.

An analyst of a shop on Shopify has the orders export of the admin and nothing else. They look at what the shipped
mapping would feed, ingest the export by the mapping's name, and read which features they can have. Then they ask for
the features, which agree.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.unit.market.layouts import write_layout

if TYPE_CHECKING:
    from tests.journey.conftest import CommandLine


def test_from_an_export_to_features(run: CommandLine, tmp_path: Path) -> None:
    """Coverage promises what the ingest then finds, and what `features list` says."""
    code, out, _ = run("map", "list")
    assert code == 0
    assert "shopify" in out

    code, out, _ = run("map", "coverage", "shopify", "--json")
    promised = json.loads(out)
    orders = next(table for table in promised["tables"] if table["table"] == "orders")
    assert "address_id" in orders["fed"]
    assert orders["if_there"] == ["channel"]
    assert "device_tok" in orders["missing"]

    folder = write_layout("shopify", tmp_path / "export")
    code, out, _ = run("ingest", folder, "--mapping", "shopify", "--workspace", tmp_path / "shop", "--json")
    found = json.loads(out)["coverage"]
    assert code == 0
    assert [feature["missing"] for feature in found["features"]] == [f["missing"] for f in promised["features"]]
    assert next(table for table in found["tables"] if table["table"] == "orders")["if_there"] == []

    _, out, _ = run("features", "list", "--workspace", tmp_path / "shop", "--json")
    assert [feature["id"] for feature in json.loads(out)][:3] == ["A1", "A2", "A3"]
    listed = {feature["id"]: feature["missing"] for feature in json.loads(out)}
    assert listed == {feature["id"]: feature["missing"] for feature in found["features"]}


def test_coverage_in_words(run: CommandLine, tmp_path: Path) -> None:
    """A person reads tables, what is missing for which feature, and which tables nothing feeds."""
    code, out, _ = run("map", "coverage", "olist")
    assert code == 0
    assert "features can be computed" in out
    assert "orders.address_id" in out
    assert "Not fed: " in out
    folder = write_layout("olist", tmp_path / "export")
    code, out, _ = run("ingest", folder, "--mapping", "olist", "--workspace", tmp_path / "shop")
    assert code == 0
    assert "What the mapping feeds" in out


def test_a_proposal_to_confirm(run: CommandLine, tmp_path: Path) -> None:
    """Without a shipped mapping the analyst has one proposed, reads why, and ingests through it."""
    folder = write_layout("shopify", tmp_path / "export")
    code, out, _ = run("map", "suggest", folder)
    assert code == 0
    assert "called like 'lineitem price'; decimals, so the unit is the major one" in out
    code, out, _ = run("map", "suggest", folder, "--out", tmp_path / "mine.yaml")
    assert code == 0
    assert "columns proposed" in out
    code, out, _ = run("map", "suggest", folder, "--json")
    assert json.loads(out)["missing"] == []
    code, out, _ = run("ingest", folder, "--mapping", tmp_path / "mine.yaml", "--workspace", tmp_path / "w", "--json")
    assert code == 0
    assert {t["table"]: t["loaded"] for t in json.loads(out)["tables"]}["orders"] > 0


def test_a_mapping_that_does_not_exist(run: CommandLine) -> None:
    """A wrong name is told the right ones."""
    code, out, err = run("map", "coverage", "shopfy")
    assert (code, out) == (2, "")
    assert "did you mean shopify?" in err
