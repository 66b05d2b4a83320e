"""Norms: robust population tables, fitted as of one instant, written and read back without loss."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from membergate.domain.errors import ModelError, NotEnoughDataError
from membergate.learning.features import CATALOGUE, Norms, fit_norms
from membergate.testing import FIRST_DAY, as_of, connect, example_market

INSTANT = FIRST_DAY.replace(month=4)


@pytest.fixture(scope="module")
def norms() -> Norms:
    """Fit norms to the example market."""
    return fit_norms(connect(example_market(0)), INSTANT)


def test_norms_survive_the_disk(norms: Norms, tmp_path: Path) -> None:
    """What is read back equals what was written, and equal norms are equal bytes."""
    norms.save(tmp_path / "a")
    back = Norms.load(tmp_path / "a")
    assert back == norms
    back.save(tmp_path / "b")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_damaged_norms_are_refused(norms: Norms, tmp_path: Path) -> None:
    """A missing or truncated file ends in one readable error."""
    norms.save(tmp_path)
    (tmp_path / "norm_sku.parquet").write_bytes(b"PAR1")
    with pytest.raises(ModelError, match="norms cannot be read"):
        Norms.load(tmp_path)


def test_norms_see_no_future(norms: Norms) -> None:
    """Removing every row after the instant changes nothing."""
    past = as_of(example_market(0), np.datetime64(INSTANT.replace(tzinfo=None), "us"))
    assert fit_norms(connect(past), INSTANT) == norms


def test_norms_do_not_depend_on_the_order_of_rows(norms: Norms) -> None:
    """Shuffled rows and one thread give equal norms."""
    generator = np.random.default_rng(3)
    market = example_market(0)
    shuffled = {name: table.take(generator.permutation(table.num_rows)) for name, table in market.items()}
    assert fit_norms(connect(shuffled, threads=1), INSTANT) == norms


def test_every_shrunk_feature_has_a_prior(norms: Norms) -> None:
    """The prior of a rate is the population's pooled rate."""
    assert set(norms.priors) == {name for name, feature in CATALOGUE.items() if feature.shrinkage is not None}
    assert 0 < norms.priors["A4"] < 1


def test_one_bulk_buyer_does_not_move_the_allowance(norms: Norms) -> None:
    """An account that buys a thousand units of everything is not of ordinary depth."""
    market = example_market(0)
    lines = market["order_lines"]
    quantities = lines["quantity"].to_numpy().copy()
    quantities[np.array(lines["account_id"].to_pylist()) == "a7"] = 1000
    index = lines.column_names.index("quantity")
    bulk = fit_norms(connect(market | {"order_lines": lines.set_column(index, "quantity", [quantities])}), INSTANT)
    assert max(bulk.tables["norm_category"]["allowance"].to_pylist()) <= 2 * max(
        norms.tables["norm_category"]["allowance"].to_pylist()
    )


def test_nothing_to_fit_is_said(norms: Norms) -> None:
    """Before the first order there are no norms, and the error says so."""
    with pytest.raises(NotEnoughDataError, match="no order line is visible"):
        fit_norms(connect(example_market(0)), FIRST_DAY - timedelta(days=1))
