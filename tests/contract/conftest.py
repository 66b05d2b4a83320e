"""A small market that loads without a fault, a workspace that holds it, and a way to see that nothing has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from membergate.operations.ingest import ingest

MARKET = {
    "accounts": "account_id,registered_at,is_seller\nada,2025-01-01T00:00:00Z,false\nbo,2025-01-02T00:00:00Z,\n",
    "applications": "application_id,account_id,submitted_at,plan\nap1,ada,2025-06-01T00:00:00Z,gold\n",
    "orders": (
        "order_id,account_id,ordered_at,status,currency,total_minor,ingested_at\n"
        "o1,ada,2025-02-01T10:00:00Z,paid,CNY,2000,2025-02-01T11:00:00Z\n"
        "o2,ada,2025-02-03T10:00:00Z,paid,CNY,1000,2025-02-03T11:00:00Z\n"
        "o3,bo,2025-02-02T10:00:00Z,paid,CNY,900,2025-02-02T11:00:00Z\n"
    ),
    "order_lines": (
        "line_id,order_id,sku_id,quantity,list_price_minor,net_price_minor\n"
        "l1,o1,s1,2,1200,1000\nl2,o2,s1,1,1200,1000\nl3,o3,s2,3,300,300\n"
    ),
    "skus": "sku_id,category_l1\ns1,food\ns2,books\n",
}


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """Give a folder that loads without a fault."""
    folder = tmp_path / "market"
    folder.mkdir()
    for name, text in MARKET.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


@pytest.fixture
def workspace(market: Path, tmp_path: Path) -> Path:
    """Give a workspace that holds the market."""
    ingest(tmp_path / "workspace", market)
    return tmp_path / "workspace"


def snapshot(folder: Path) -> dict[str, str]:
    """Give every file of a folder with its digest."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(name="snapshot")
def give_snapshot() -> Callable[[Path], dict[str, str]]:
    """Give a way to compare a folder with what it was."""
    return snapshot
