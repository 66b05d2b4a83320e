"""Coverage: what a mapping feeds, table by table, and which features can be computed from that."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from pathlib import Path

from membergate.learning.features import availability, place_in_lists
from membergate.market.declaring import Table
from membergate.market.mapping import Mapping, find_mapping, load_mapping
from membergate.market.schema import TABLES
from membergate.operations.workspace import Workspace


@dataclass(frozen=True)
class TableCoverage:
    """What a mapping feeds of one canonical table.

    Parameters
    ----------
    table
        The canonical table.
    is_required
        Whether there is no market without it.
    sources
        What it is made of; empty where the mapping says nothing of it.
    fed
        Canonical columns that get values.
    if_there
        Those among them that get values only where the export has what the mapping reads.
    missing
        Canonical columns that get none.
    """

    table: str
    is_required: bool
    sources: tuple[str, ...]
    fed: tuple[str, ...]
    if_there: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class FeatureCoverage:
    """Whether a feature can be computed: `missing` names what it needs and has not, `improved_by` what it could use."""

    id: str
    name: str
    missing: tuple[str, ...]
    improved_by: tuple[str, ...]


@dataclass(frozen=True)
class Coverage:
    """What data feed, one entry for every canonical table and every feature.

    Parameters
    ----------
    mapping
        The mapping's file or name.
    tables, features
        In the order of the schema, and from A1 on.
    """

    mapping: str
    tables: tuple[TableCoverage, ...]
    features: tuple[FeatureCoverage, ...]

    @property
    def computable(self) -> tuple[str, ...]:
        """Ids of the features that can be computed."""
        return tuple(feature.id for feature in self.features if not feature.missing)


def coverage(mapping: str | Path) -> Coverage:
    """Say what a mapping feeds where the export has everything that it reads; no data are needed.

    Parameters
    ----------
    mapping
        A mapping file, or the name of one that ships.

    Raises
    ------
    BadInputError
        If there is no such mapping, or it says something wrong.
    """
    rules = load_mapping(find_mapping(mapping))
    return _coverage(str(mapping), rules, {name: _columns(rules, name) for name in rules.derivations})


def coverage_here(workspace: Workspace, mapping: str | Path) -> Coverage:
    """Say what a workspace's data feed after an ingest through a mapping.

    Raises
    ------
    BadInputError
        If there is no such mapping, or it says something wrong.
    WorkspaceError
        If nothing was ingested yet.
    """
    return _coverage(str(mapping), load_mapping(find_mapping(mapping)), workspace.warehouse().columns(), is_loaded=True)


def _coverage(
    name: str, rules: Mapping, columns: AbstractMapping[str, tuple[str, ...]], *, is_loaded: bool = False
) -> Coverage:
    tables = (_table(rules, table, columns.get(table.name, ()), is_loaded=is_loaded) for table in TABLES.values())
    features = (
        FeatureCoverage(entry.feature.id, entry.feature.name, entry.missing, entry.improved_by)
        for entry in sorted(availability(columns), key=lambda entry: place_in_lists(entry.feature.id))
    )
    return Coverage(name, tuple(tables), tuple(features))


def _columns(rules: Mapping, table: str) -> tuple[str, ...]:
    named = {column for part in rules.derivations[table] for column in part.columns}
    return tuple(name for name in TABLES[table].column_names if name in named)


def _table(rules: Mapping, table: Table, fed: tuple[str, ...], *, is_loaded: bool) -> TableCoverage:
    parts = rules.derivations.get(table.name, ())
    files = dict.fromkeys(rules.file_source(part.source) for part in parts)
    is_left_out = bool(files) and all(rules.options_of(name).is_optional for name in files)
    sure = {name for part in parts for name, rule in part.columns.items() if not rule.is_optional}
    depends = () if is_loaded else (name for name in fed if is_left_out or name not in sure)
    return TableCoverage(
        table.name, table.is_required, tuple(files), fed, tuple(depends), _without(table.column_names, fed)
    )


def _without(names: Iterable[str], fed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in fed)
