"""Spark computes what DuckDB computes, feature by feature, from the same declarations."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from membergate.domain.errors import BadInputError
from membergate.learning.features import CATALOGUE
from membergate.learning.features.spark import compute_on_spark, register_market, spark_session
from membergate.learning.features.spark_dialect import spark_sql
from membergate.operations.features import as_arrow
from membergate.testing import Trial, example_market

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HAS_SPARK = shutil.which("java") is not None
needs_java = pytest.mark.skipif(not HAS_SPARK, reason="Spark needs Java, and there is no `java` on the path")
pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
CHEAP = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}
"""For a market of a few hundred rows, compiling costs more than running."""


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    """Open one local session for all."""
    opened = spark_session("local[1]", settings=CHEAP)
    opened.sparkContext.setLogLevel("ERROR")
    yield opened
    opened.stop()


def is_same(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Tell whether two columns say the same: numbers within 1e-9, all else exactly."""
    if pa.types.is_floating(other.type):
        return bool(np.allclose(one.to_numpy(), other.to_numpy(), rtol=1e-9, atol=1e-9, equal_nan=True))
    return bool(one.cast(other.type).to_pylist() == other.to_pylist())


@needs_java
def test_spark_equals_duckdb_on_every_feature(session: SparkSession, tmp_path: Path) -> None:
    """Parquet in, Parquet out: every value within 1e-9 of DuckDB's, every absence the same."""
    trial = Trial.of(tuple(CATALOGUE.values()), example_market(0, accounts=20, orders=300))
    for name, table in trial.market.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    register_market(
        session,
        {name: [str(tmp_path / f"{name}.parquet")] for name in trial.market},
        {name: table.column_names for name, table in trial.market.items()},
    )
    frame = compute_on_spark(session, trial.spine, trial.norms, trial.operators, as_arrow)
    frame.write.parquet(str(tmp_path / "out"))
    order = [("account_id", "ascending"), ("as_of", "ascending")]
    found, expected = (rows.sort_by(order) for rows in (pq.read_table(tmp_path / "out"), as_arrow(trial.batch)))
    assert found.column_names == expected.column_names
    different = [name for name in expected.column_names if not is_same(found[name], expected[name])]
    assert not different


def test_a_master_that_is_none_is_refused_before_java_starts() -> None:
    """One error names what a master may be."""
    with pytest.raises(BadInputError) as caught:
        spark_session("nonsense")
    assert "k8s://" in caught.value.allowed


def test_what_the_dialects_do_not_share_is_rewritten() -> None:
    """Hashes, instants, quantiles, lists and decimal literals say the same in Spark's words."""
    assert spark_sql("SELECT HASH(a) // 2") == "SELECT XXHASH64(a) DIV 2"
    assert spark_sql("SELECT LEAST(a), a * 0.5") == "SELECT a, a * CAST(0.5 AS DOUBLE)"
    assert "ELEMENT_AT(SORT_ARRAY(COLLECT_LIST(x)" in spark_sql("SELECT QUANTILE_DISC(x, 0.95) FROM t")
    assert "SLICE(SORT_ARRAY(COLLECT_LIST(x)" in spark_sql("SELECT LIST_SUM(MAX(x, 3)) FROM t")
    assert "9999-12-31" in spark_sql("SELECT TIMESTAMP 'infinity'")
    assert "2025-01-01" in spark_sql("SELECT GETVARIABLE('feature_latest')", latest="2025-01-01")
