"""The catalogue: every feature there is, by id. A new feature is one declaration in its family and nothing here."""

from __future__ import annotations

from collections.abc import Iterable

from membergate.domain.errors import BadInputError
from membergate.learning.features import (
    aftersales,
    application,
    basket,
    browsing,
    coupons,
    device,
    economics,
    fulfilment,
    group,
    labels,
    payment,
    promotion,
    quantity,
    rhythm,
    seller,
)
from membergate.learning.features.declaration import Feature
from membergate.learning.features.derived import Columns
from membergate.learning.features.lineage import Availability, availability_of

FAMILIES = (
    quantity, basket, rhythm, economics, coupons, fulfilment, device, payment, group, browsing, aftersales, seller,
    labels, application, promotion,
)  # fmt: skip
"""The families' modules, in catalogue order."""
CATALOGUE: dict[str, Feature] = {feature.id: feature for family in FAMILIES for feature in family.FEATURES}
"""Every feature by id, in catalogue order."""
STARTER = (
    "A2", "A3", "A4", "B1", "B3", "B4", "C2", "C6", "D3", "D4", "D5", "E2", "E4", "E5", "H1", "H5", "H7", "L2",
)  # fmt: skip
"""The features to begin with: cheap, and the most telling."""

LEARNED = (
    *STARTER, "A6", "A7", "A8", "B2", "B5", "B7", "C1", "C3", "C4", "C7", "C8", "D1", "D7", "D8", "E1", "E7", "E8",
    "F1", "F2", "F4", "F5", "G1", "I2", "I4", "I6", "J1", "J5", "K1", "M1",
)  # fmt: skip
"""The features that a model learns from where nothing else is said; each further one must have shown its worth."""


def place_in_lists(feature_id: str) -> tuple[str, int]:
    """Give what lists sort features by: A1, A2, … E9, E10. Models keep the catalogue's own order."""
    return feature_id[0], int(feature_id[1:])


def availability(columns: Columns) -> tuple[Availability, ...]:
    """Say for every feature whether it can be computed from these columns, and what is missing.

    Parameters
    ----------
    columns
        Loaded table -> the canonical columns that the data really has.
    """
    return tuple(availability_of(feature, columns) for feature in CATALOGUE.values())


def chosen(features: Iterable[str | Feature] | None) -> tuple[Feature, ...]:
    """Give features in catalogue order, then those that come as declarations; the whole catalogue where None.

    Raises
    ------
    BadInputError
        If an id is not in the catalogue.
    """
    if features is None:
        return tuple(CATALOGUE.values())
    asked = tuple(features)
    names = {feature for feature in asked if isinstance(feature, str)}
    if names - set(CATALOGUE):
        raise BadInputError(
            f"there is no feature {', '.join(sorted(names - set(CATALOGUE)))}", allowed=", ".join(CATALOGUE)
        )
    declared = tuple(feature for feature in asked if isinstance(feature, Feature))
    return tuple(feature for name, feature in CATALOGUE.items() if name in names) + declared
