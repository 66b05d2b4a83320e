"""Risk lists: entries, and what they say about an account as of an instant. Pure; the store keeps them."""

from membergate.deciding.lists.entries import ListEntry, RiskList, Subject, SubjectType
from membergate.deciding.lists.standing import RiskLists, Standing, standing

__all__ = ["ListEntry", "RiskList", "RiskLists", "Standing", "Subject", "SubjectType", "standing"]
