"""Behaviour features, one family a file, cut as of an instant.

A feature is declared once, in SQL over a grain. What it needs is read off its own expression; the as-of cut, the
windows and the joins are the compiler's, so an expression cannot see the future; one pass over the data serves every
feature of a grain. Start with `CATALOGUE`, `availability`, `fit_norms` and `compute`.
"""

from membergate.learning.features.catalogue import CATALOGUE, LEARNED, STARTER, availability, place_in_lists
from membergate.learning.features.computation import compute
from membergate.learning.features.declaration import Feature, Measure, Shrinkage, evidence_name
from membergate.learning.features.lineage import Availability, needs, uses
from membergate.learning.features.lookalikes import LOOK_ALIKES, LookAlike
from membergate.learning.features.norm_fitting import fit_norms
from membergate.learning.features.norms import Norms
from membergate.learning.features.tables import FeatureTable, Spine

__all__ = [
    "CATALOGUE",
    "LEARNED",
    "LOOK_ALIKES",
    "STARTER",
    "Availability",
    "Feature",
    "FeatureTable",
    "LookAlike",
    "Measure",
    "Norms",
    "Shrinkage",
    "Spine",
    "availability",
    "compute",
    "evidence_name",
    "fit_norms",
    "needs",
    "place_in_lists",
    "uses",
]
