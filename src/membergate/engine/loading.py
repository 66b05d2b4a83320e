"""Loads what a package offers when it is first asked for.

One algorithm then does not pay for the others: `import membergate.engine`
loads nothing but numpy, and a fitted DBSCAN neither scikit-learn nor SciPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def on_demand(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package whose names live in modules below it.

    Parameters
    ----------
    package
        The package's `__name__`.
    homes
        Module, relative to the package, of each name.

    Returns
    -------
    callable
        Gives a name's object; AttributeError for a name that the package does not offer.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return load
