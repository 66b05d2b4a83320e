"""Errors that a person can act on: what happened, where, what is allowed, and the next step."""

from __future__ import annotations


class MembergateError(Exception):
    """The root of every error that membergate raises on purpose.

    Parameters
    ----------
    what
        What went wrong, one sentence without a full stop.
    where
        The file, table, column, line or setting concerned; empty where there is none.
    allowed
        What would have been accepted; empty where nothing helps.
    next_step
        What the reader can do now; a command where there is one.
    """

    code = "error"
    """Stable identifier, for programs and for the reference page."""
    exit_code = 2
    """What a command line returns: 1 refused by a gate, 2 wrong use or bad input."""

    def __init__(self, what: str, *, where: str = "", allowed: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.allowed = allowed
        self.next_step = next_step

    def __str__(self) -> str:
        parts = [self.what]
        parts += [f"{label}: {text}" for label, text in self._details() if text]
        return "\n".join(parts)

    def _details(self) -> tuple[tuple[str, str], ...]:
        return (("where", self.where), ("allowed", self.allowed), ("next", self.next_step))

    def as_record(self) -> dict[str, str]:
        """Give the error as a flat record, as `--json` and the service print it."""
        return {"code": self.code, "what": self.what} | {label: text for label, text in self._details() if text}


class BadInputError(MembergateError):
    """A file, table, column or value that cannot be read as what it should be."""

    code = "bad_input"


class WorkspaceError(MembergateError):
    """A workspace that is missing, foreign, busy or damaged."""

    code = "workspace"


class NotEnoughDataError(MembergateError):
    """A computation that has too little to stand on, and says how much it needs."""

    code = "not_enough_data"


class PolicyError(MembergateError):
    """A policy that does not parse, type-check or hold together; `where` points at the span."""

    code = "policy"


class ModelError(MembergateError):
    """A model that is missing, damaged, altered, or made by an incompatible version."""

    code = "model"


class UnknownSubjectError(MembergateError):
    """An account, application or decision that nobody here knows."""

    code = "unknown_subject"


class RefusedError(MembergateError):
    """A gate said no. Nothing was changed."""

    code = "refused"
    exit_code = 1
