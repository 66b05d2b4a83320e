"""Risk lists: what entries say about an account as of an instant, and how lists differ. Pure; the store keeps them."""

from membergate.deciding.lists.changes import Difference, difference
from membergate.deciding.lists.standing import RiskLists, Standing, standing
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType

__all__ = [
    "Difference",
    "ListEntry",
    "RiskList",
    "RiskLists",
    "Standing",
    "Subject",
    "SubjectType",
    "difference",
    "standing",
]
