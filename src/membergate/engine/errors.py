"""The one error of the engine: which parameter, what it got, what is allowed.

It stands alone, so that the library can be used without the rest of the house.
"""

from __future__ import annotations


class InvalidInputError(ValueError, TypeError):
    """A parameter or an array that the engine cannot work with.

    Parameters
    ----------
    parameter
        Name of the parameter concerned.
    got
        What it was given.
    allowed
        What would have been accepted.
    """

    def __init__(self, parameter: str, *, got: object, allowed: str) -> None:
        super().__init__(f"{parameter}: got {got}; allowed: {allowed}")
        self.parameter = parameter
        self.got = got
        self.allowed = allowed
