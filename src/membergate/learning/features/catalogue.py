"""The catalogue: every feature there is, by id. A new feature is one declaration in its family and nothing here."""

from __future__ import annotations

from collections.abc import Iterable

from membergate.domain.errors import BadInputError
from membergate.learning.features import application, basket, economics, fulfilment, group, quantity, rhythm
from membergate.learning.features.declaration import Feature
from membergate.learning.features.lineage import Availability, Columns, availability_of

FAMILIES = (quantity, basket, rhythm, economics, fulfilment, group, application)
"""The families' modules, in catalogue order."""
CATALOGUE: dict[str, Feature] = {feature.id: feature for family in FAMILIES for feature in family.FEATURES}
"""Every feature by id, in catalogue order."""


def availability(columns: Columns) -> tuple[Availability, ...]:
    """Say for every feature whether it can be computed from these columns, and what is missing.

    Parameters
    ----------
    columns
        Loaded table -> the canonical columns that the data really has.
    """
    return tuple(availability_of(feature, columns) for feature in CATALOGUE.values())


def chosen(features: Iterable[str] | None) -> tuple[str, ...]:
    """Give feature ids in catalogue order; all of them where none are named.

    Raises
    ------
    BadInputError
        If an id is not in the catalogue.
    """
    wanted = set(CATALOGUE) if features is None else set(features)
    unknown = sorted(wanted - set(CATALOGUE))
    if unknown:
        raise BadInputError(f"there is no feature {', '.join(unknown)}", allowed=", ".join(CATALOGUE))
    return tuple(feature for feature in CATALOGUE if feature in wanted)
