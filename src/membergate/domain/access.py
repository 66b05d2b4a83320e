"""Who may do what: scopes, the roles that bundle them, and whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """One thing that somebody may do."""

    DECIDE = "decide"
    """Ask for admission decisions."""
    ORDER = "order"
    """Ask for order decisions, and give back what orders used."""
    EVENTS = "events"
    """Send events."""
    READ = "read"
    """Read decisions with their evidence, lists, policies, appeals, metrics."""
    OUTCOME = "outcome"
    """Read a decision's outcome and reason codes, without the evidence."""
    LISTS = "lists"
    """Change risk lists."""
    POLICIES = "policies"
    """Submit drafts of policies."""
    APPROVE = "approve"
    """Approve policies, and lead them into shadow, to the door and back."""
    APPEAL = "appeal"
    """Open appeals."""
    RULE = "rule"
    """Decide appeals, and reinstate members."""
    ADMINISTER = "administer"
    """Manage keys and webhooks."""


class Role(StrEnum):
    """What somebody is here."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    POLICY_AUTHOR = "policy_author"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"
    PARTNER = "partner"
    """A risk partner or store owner: outcomes only."""


SCOPES_OF: dict[Role, frozenset[Scope]] = {
    Role.VIEWER: frozenset({Scope.READ, Scope.OUTCOME}),
    Role.ANALYST: frozenset(
        {Scope.READ, Scope.OUTCOME, Scope.DECIDE, Scope.LISTS, Scope.APPEAL, Scope.RULE, Scope.ORDER}
    ),
    Role.POLICY_AUTHOR: frozenset({Scope.READ, Scope.OUTCOME, Scope.POLICIES}),
    Role.APPROVER: frozenset({Scope.READ, Scope.OUTCOME, Scope.APPROVE, Scope.APPEAL, Scope.RULE}),
    Role.ADMINISTRATOR: frozenset(Scope),
    Role.PARTNER: frozenset({Scope.OUTCOME}),
}
"""What each role may do. Whatever the roles, nobody approves a policy of their own."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever asks.

    Parameters
    ----------
    name
        How they are called in the record.
    scopes
        What they may do.
    rate_per_s
        How many requests a second; None for no limit.
    key_id
        The key that they came with; empty for people and for loopback.
    """

    name: str
    scopes: frozenset[Scope]
    rate_per_s: float | None = None
    key_id: str = ""
