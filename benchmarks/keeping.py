"""Where a benchmark's figures are kept, so that only those of the same question and the same source are read again."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

from membergate import __file__ as package

SOURCE = frozenset({".py", ".yaml"})
_HERE = Path(__file__).parent


def kept_in(folder: Path, name: str, asked: object, own: Iterable[str]) -> Path:
    """Name the file of some figures; another question, or a change of what computes them, gives another name.

    Parameters
    ----------
    folder
        Where figures are kept.
    name
        What a reader knows them by.
    asked
        All else that they hang on; its `repr` counts.
    own
        The benchmark's own modules, beside the package.
    """
    source = source_digest(Path(package).parent, *(_HERE / f"{module}.py" for module in own))
    return folder / f"{name}-{sha256(f'{asked!r}|{source}'.encode()).hexdigest()[:12]}.json"


@cache
def source_digest(*places: Path) -> str:
    """Give a digest of files, and of the Python and YAML files in folders: names and content. Read once a run.

    Parameters
    ----------
    places
        Files and folders.
    """
    digest = sha256()
    for place in places:
        found = place.rglob("*") if place.is_dir() else [place]
        for file in sorted(each for each in found if each.suffix in SOURCE):
            digest.update(f"{file.relative_to(place.parent)}|{sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
