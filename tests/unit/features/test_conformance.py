"""Every feature of the catalogue keeps what the compiler promises; the list comes from the registry."""

from __future__ import annotations

import pytest

from membergate.learning.features import CATALOGUE
from membergate.testing import Market, check_feature, example_market


@pytest.fixture(scope="module")
def market() -> Market:
    """One small market for all checks."""
    return example_market(0)


@pytest.mark.parametrize("feature", CATALOGUE.values(), ids=list(CATALOGUE))
def test_feature_conforms(feature, market):
    """Future rows, the batch, row order and threads never change a value; a missing column is a typed absence."""
    check_feature(feature, market)
