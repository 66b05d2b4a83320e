"""Suggesting a mapping for a folder, from its columns' names and a sample of values, for a person to confirm."""

from __future__ import annotations

from membergate.market.suggesting.proposing import Proposal, ProposedColumn, suggest

__all__ = ["Proposal", "ProposedColumn", "suggest"]
