"""Decisions read column by column, for replay: who was asked about, and what some witnesses said, without the rest."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.store.compact import Reader
from membergate.store.packing import DISPOSITIONS, FORM, Head, read_head, read_values, shape_of
from membergate.store.terms import Terms


@dataclass
class EvidenceColumns:
    """Some decisions, column by column.

    Parameters
    ----------
    names
        The evidence that is read.
    heads, as_of, dispositions
        Who was asked about, as of when, and what was decided.
    values
        What each witness said, by name: a value, a typed absence, or None where the decision does not hold it.
    """

    names: tuple[str, ...]
    heads: list[Head] = field(default_factory=list)
    as_of: list[datetime] = field(default_factory=list)
    dispositions: list[str] = field(default_factory=list)
    values: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = {name: [] for name in self.names}
        self._plans: dict[bytes, tuple[int, tuple[int, ...]]] = {}

    def __len__(self) -> int:
        return len(self.heads)

    def add(self, row: RowMapping, terms: Terms) -> None:
        """Read one row.

        Raises
        ------
        WorkspaceError
            If it was altered into something that is no decision, or the dictionary lacks one of its terms.
        """
        try:
            head, said = self._read(Reader(bytes(row["content"]), terms), row)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error, BadInputError) as error:
            raise WorkspaceError(
                f"a stored decision cannot be read back: {error}",
                where=f"decision number {row['number']}",
                next_step="membergate audit verify; then restore the record from a backup",
            ) from error
        self.heads.append(head)
        self.as_of.append(row["as_of"])
        self.dispositions.append(DISPOSITIONS[row["disposition"]].value)
        for column, value in zip(self.values.values(), said, strict=True):
            column.append(value)

    def _read(self, reader: Reader, row: RowMapping) -> tuple[Head, list[Any]]:
        if reader.natural() != FORM:
            raise ValueError("its form is unknown")
        head = read_head(reader, row)
        for _ in range(5):  # versions, promotion, reasons and caps
            reader.term()
        content = reader.term()
        if content not in self._plans:
            there = {name: place for place, (name, _) in enumerate(shape_of(content))}
            self._plans[content] = len(there), tuple(there.get(name, -1) for name in self.names)
        size, plan = self._plans[content]
        values = read_values(reader, size)
        return head, [values[place] if place >= 0 else None for place in plan]
