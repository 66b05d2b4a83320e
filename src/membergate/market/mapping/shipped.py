"""The mapping files that ship with membergate, each for the layout of a common export."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from membergate.domain.errors import BadInputError
from membergate.market.sources import nearest

_FOLDER = Path(str(files("membergate.market") / "mappings"))


def shipped_mappings() -> tuple[str, ...]:
    """Name the mappings that ship, in alphabetical order."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def find_mapping(name_or_file: str | Path) -> Path:
    """Give the mapping file of that path or, where no file is there, the shipped mapping of that name.

    Raises
    ------
    BadInputError
        If it is neither.
    """
    path = Path(name_or_file)
    if path.is_file():
        return path
    name = str(name_or_file)
    if name in shipped_mappings():
        return _FOLDER / f"{name}.yaml"
    raise BadInputError(
        f"cannot read the mapping {name!r}{nearest(name, shipped_mappings())}",
        where=f"{path} (no such file, and no mapping of that name ships)",
        allowed=f"a YAML file, or one of {', '.join(shipped_mappings())}",
        next_step="membergate map suggest FOLDER proposes one",
    )
