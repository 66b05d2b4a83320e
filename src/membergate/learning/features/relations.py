"""Every relation there is, by name."""

from __future__ import annotations

from membergate.learning.features import people_relations, trade_relations
from membergate.learning.features.relation import DAY_US, LONGEST_WINDOW_DAYS, RELATIONS, Join, Relation, age_days

__all__ = ["DAY_US", "LONGEST_WINDOW_DAYS", "RELATIONS", "Join", "Relation", "age_days"]

RELATIONS.update({relation.name: relation for relation in (*trade_relations.RELATIONS, *people_relations.RELATIONS)})
