"""From accounts to operators: who stands behind several accounts, as of an instant, and by what links.

`LinkIndex.build` reads the market once; `operators_as_of`, `operator_of` and `resolve` then answer as of any instant,
and `explain` shows the path of shared tokens between two accounts. What may link is declared in `rules`.
"""

from __future__ import annotations

from membergate.learning.identity.index import LinkIndex
from membergate.learning.identity.operators import Hub, Link, Operator, OperatorTable, operator_id_of
from membergate.learning.identity.rolling import Event, LinkChange, RollingOperators
from membergate.learning.identity.rules import (
    DEFAULT_RULES,
    AddressCap,
    Facet,
    Habit,
    LinkKind,
    LinkRule,
    LinkRules,
    Source,
    TogetherRule,
)

__all__ = [
    "DEFAULT_RULES",
    "AddressCap",
    "Event",
    "Facet",
    "Habit",
    "Hub",
    "Link",
    "LinkChange",
    "LinkIndex",
    "LinkKind",
    "LinkRule",
    "LinkRules",
    "Operator",
    "OperatorTable",
    "RollingOperators",
    "Source",
    "TogetherRule",
    "operator_id_of",
]
