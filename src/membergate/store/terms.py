"""The dictionary of the record: what comes again and again is kept once, and rows say its number."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from membergate.domain.errors import WorkspaceError
from membergate.store.tables import TERMS

MOST_TERMS = 100_000
"""Above it nothing new is entered, and rows carry what they say themselves."""
_TWO_BYTES = 0xFFFF
_FREQUENT = 3
_MOST_SEEN = 200_000


class Terms:
    """Numbers of byte strings, from 1; what a number means never changes. Only who holds the write lock enters any."""

    def __init__(self) -> None:
        self._contents: list[bytes] = [b""]
        self._numbers: dict[bytes, int] = {}
        self._pending: list[bytes] = []
        self._seen: dict[bytes, int] = {}

    def number(self, content: bytes) -> int:
        """Give a term's number, entering it where it is new; 0 once the dictionary is full."""
        known = self._numbers.get(content)
        if known is not None:
            return known
        if len(self._contents) > MOST_TERMS:
            return 0
        self._contents.append(content)
        self._pending.append(content)
        self._numbers[content] = len(self._contents) - 1
        return len(self._contents) - 1

    def frequent(self, content: bytes) -> int:
        """Give the number of what came three times lately, if two bytes hold it; 0 for what is rare."""
        known = self._numbers.get(content)
        if known is None:
            times = self._seen.get(content, 0) + 1
            if len(self._seen) > _MOST_SEEN:
                self._seen.clear()
            if times < _FREQUENT or len(self._contents) > _TWO_BYTES:
                self._seen[content] = times
                return 0
            known = self.number(content)
        return known if known <= _TWO_BYTES else 0

    def content(self, number: int) -> bytes:
        """Give what a number stands for.

        Raises
        ------
        WorkspaceError
            If the dictionary has no such number.
        """
        if 0 < number < len(self._contents):
            return self._contents[number]
        raise WorkspaceError(
            f"the record's dictionary lacks number {number}",
            where="terms",
            next_step="membergate audit verify; then restore the record from a backup",
        )

    def __len__(self) -> int:
        return len(self._contents) - 1

    def follow(self, connection: Connection) -> None:
        """Read what others entered since the last time.

        Raises
        ------
        WorkspaceError
            If a number is missing.
        """
        query = select(TERMS.c.number, TERMS.c.content).where(TERMS.c.number > len(self)).order_by(TERMS.c.number)
        for number, content in connection.execute(query):
            if number != len(self._contents):
                raise WorkspaceError(
                    f"the record's dictionary lacks number {len(self._contents)}",
                    where="terms",
                    next_step="membergate audit verify; then restore the record from a backup",
                )
            self._contents.append(bytes(content))
            self._numbers[bytes(content)] = number

    def take_pending(self) -> Sequence[tuple[int, bytes]]:
        """Give the numbers and contents that were entered since the last time, to be written."""
        first = len(self._contents) - len(self._pending)
        taken = [(first + place, content) for place, content in enumerate(self._pending)]
        self._pending = []
        return taken

    def forget(self, known: int) -> None:
        """Take back what was entered after there were so many: it was not written."""
        for content in self._contents[known + 1 :]:
            del self._numbers[content]
        del self._contents[known + 1 :]
        self._pending = []
