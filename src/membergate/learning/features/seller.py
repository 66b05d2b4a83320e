"""Family K, links to sellers."""

from __future__ import annotations

from membergate.learning.features.declaration import Feature

FEATURES = (
    Feature(
        id="K1",
        name="seller_entity_link",
        summary="1 where the account is known to belong to a seller, 0 where it is known not to",
        rationale="restocks a shop of its own",
        unit="flag",
        grain="subject",
        sql="MAX(CAST(is_seller AS INTEGER))",
        evidence="COUNT(is_seller)",
        sense=+1,
        harms=("collector",),
        robust_variant="hobby sellers are linked too: never the sole reason",
    ),
)
"""The family's declarations."""
