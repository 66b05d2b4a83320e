"""What every feature must satisfy, for those who write one: `check_feature`, and a small market to try it on.

The checks are the house's own conformance tests, public so that a feature declared outside the catalogue can be held
to the same promises.
"""

from membergate.testing.conformance import (
    Market,
    Trial,
    as_of,
    check_feature,
    check_missing_columns_are_typed,
    check_order_is_irrelevant,
    check_rows_stand_alone,
    connect,
    example_questions,
    without,
)
from membergate.testing.example_market import FIRST_DAY, LAST_DAY_NO, example_market

__all__ = [
    "FIRST_DAY",
    "LAST_DAY_NO",
    "Market",
    "Trial",
    "as_of",
    "check_feature",
    "check_missing_columns_are_typed",
    "check_order_is_irrelevant",
    "check_rows_stand_alone",
    "connect",
    "example_market",
    "example_questions",
    "without",
]
