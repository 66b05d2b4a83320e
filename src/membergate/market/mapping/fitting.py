"""Fitting a mapping to a folder: where each source lies, and what is left out because it is not there."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import replace
from fnmatch import fnmatch

from membergate.domain.errors import BadInputError
from membergate.market.mapping.form import Mapping
from membergate.market.sources import Source


def fit(mapping: Mapping, found: AbstractMapping[str, Source]) -> tuple[Mapping, dict[str, Source]]:
    """Give a mapping as far as a folder can feed it, and the folder's tables under the mapping's names for them.

    Parameters
    ----------
    found
        The folder's tables, by the names of their files.

    Raises
    ------
    BadInputError
        If the files of one source are of several kinds.
    """
    sources, consumed = {}, set()
    for name in sorted(mapping.reads):
        names = _matching(mapping.options_of(name).files or (name,), found)
        consumed |= set(names)
        if names:
            sources[name] = _together(name, [found[one] for one in names])
    derivations = {
        table: kept
        for table, parts in mapping.derivations.items()
        if (kept := tuple(p for p in parts if not _is_left_out(mapping, p.source, sources)))
    }
    untouched = {name: source for name, source in found.items() if name not in consumed}
    return replace(mapping, derivations=derivations), untouched | sources


def _is_left_out(mapping: Mapping, source: str, sources: AbstractMapping[str, Source]) -> bool:
    file_source = mapping.file_source(source)
    return mapping.options_of(file_source).is_optional and file_source not in sources


def _matching(patterns: tuple[str, ...], found: AbstractMapping[str, Source]) -> list[str]:
    """Give the names that match the first pattern that any name matches; upper and lower case are alike."""
    for pattern in patterns:
        names = [name for name in found if fnmatch(name.lower(), pattern.lower())]
        if names:
            return names
    return []


def _together(name: str, parts: list[Source]) -> Source:
    endings = sorted({part.ending for part in parts})
    if len(endings) > 1:
        raise BadInputError(
            f"the files of source {name} are of several kinds: {', '.join(endings)}",
            where=", ".join(part.label for part in parts),
            allowed="files of one kind a source",
            next_step="remove the copies that are of another kind",
        )
    return Source(name, tuple(file for part in parts for file in part.files))
