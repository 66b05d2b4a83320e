"""membergate: membership-admission risk control that admits more genuine members at the same leakage, and proves it."""

__version__ = "0.1.0"
