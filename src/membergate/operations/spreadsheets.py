"""Texts in CSV files that people open in a spreadsheet: one that would be a formula there is marked as a text."""

from __future__ import annotations

_MARK = "'"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", _MARK)
"""What a spreadsheet takes for the beginning of a formula, and the mark itself, so that it can be taken off again."""


def marked(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run as a formula."""
    return _MARK + text if text.startswith(_FORMULAS) else text


def unmarked(text: str) -> str:
    """Take off the apostrophe that `marked` has put there."""
    return text[1:] if text.startswith(_MARK) and text[1:].startswith(_FORMULAS) else text
