"""The member identification model: from a feature table to calibrated evidence about who joins to resell.

Space (context-normalised features) -> prior (resale economics) -> clusters, typed by evidence, and a jury of outlier
detectors -> supervised head (when there are labels) -> calibration -> testimony. Every score here lies in [0, 1] and is
larger for riskier; the engine's opposite sign is turned round once, in `jury`.
"""

from membergate.learning.model.identification import IdentificationModel, LearningSettings
from membergate.learning.model.labelling import Labelling, LabelSet
from membergate.learning.model.parts import Parts
from membergate.learning.model.storage import load_model, save_model
from membergate.learning.model.testimony import Testimony

__all__ = [
    "IdentificationModel",
    "LabelSet",
    "Labelling",
    "LearningSettings",
    "Parts",
    "Testimony",
    "load_model",
    "save_model",
]
