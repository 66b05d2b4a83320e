"""Mappings: somebody's own tables and columns become the canonical ones."""

from __future__ import annotations

from membergate.market.mapping.form import NO_MAPPING, Mapping
from membergate.market.mapping.reading import load_mapping, parse_mapping
from membergate.market.mapping.shipped import find_mapping, shipped_mappings

__all__ = ["NO_MAPPING", "Mapping", "find_mapping", "load_mapping", "parse_mapping", "shipped_mappings"]
