"""Spark computes what DuckDB computes, feature by feature, and scores as the model scores here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from py4j.java_gateway import JavaObject  # type: ignore[import-untyped]
from py4j.protocol import Py4JJavaError, Py4JNetworkError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException

from membergate.domain.errors import BadInputError
from membergate.domain.instants import utc
from membergate.learning.features import CATALOGUE
from membergate.learning.features.spark import compute_on_spark, register_market, spark_session
from membergate.learning.features.spark_dialect import spark_sql
from membergate.learning.model import IdentificationModel, Labelling, LearningSettings, load_model, save_model
from membergate.learning.model.identification import Lineage
from membergate.operations.features import as_arrow
from membergate.operations.features_on_spark import ScoresOf
from membergate.testing import Trial, example_market

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HAS_SPARK = shutil.which("java") is not None
needs_java = pytest.mark.skipif(not HAS_SPARK, reason="Spark needs Java, and there is no `java` on the path")
pytestmark = [
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.xdist_group("spark"),
]
THROWN = Py4JJavaError("An error occurred", JavaObject("o1", Mock()))
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


def registered(session: SparkSession, trial: Trial, folder: Path) -> None:
    """Write a trial's market as Parquet, and let Spark read it from there."""
    for name, table in trial.market.items():
        pq.write_table(table, folder / f"{name}.parquet")
    register_market(
        session,
        {name: [str(folder / f"{name}.parquet")] for name in trial.market},
        {name: table.column_names for name, table in trial.market.items()},
    )


@needs_java
def test_spark_equals_duckdb_on_every_feature(session: SparkSession, tmp_path: Path) -> None:
    """Parquet in, Parquet out: every value within 1e-9 of DuckDB's, every absence the same."""
    trial = Trial.of(tuple(CATALOGUE.values()), example_market(0, accounts=20, orders=300))
    registered(session, trial, tmp_path)
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


@pytest.mark.parametrize(
    ("master", "error", "what"),
    [
        ("spark://nowhere:7077", Py4JNetworkError("Answer from Java side is empty"), "Spark's master does not answer"),
        ("spark://nowhere:7077", THROWN, "Spark's master does not"),
        ("spark://nowhere:7077", PySparkException("Cannot call methods on a stopped SparkContext."), "Spark's master"),
        ("local[1]", PySparkException("[PATH_ALREADY_EXISTS] hdfs://out is there\n\tat java"), "Spark breaks off"),
        ("local[1]", PySparkException("[JAVA_GATEWAY_EXITED] Java exited"), "Spark does not start"),
    ],
)
def test_spark_and_java_fail_in_one_error(
    monkeypatch: pytest.MonkeyPatch, master: str, error: Exception, what: str
) -> None:
    """What is thrown when a session opens or work runs becomes what, where and the next step."""

    def fails(_: object) -> None:
        raise error

    monkeypatch.setattr("pyspark.sql.SparkSession.Builder.getOrCreate", fails)
    with pytest.raises(BadInputError, match=what) as caught:
        spark_session(master)
    assert master in caught.value.where
    assert caught.value.next_step
    assert "\n" not in caught.value.where


def test_what_the_dialects_do_not_share_is_rewritten() -> None:
    """Hashes, instants, quantiles, lists and decimal literals say the same in Spark's words."""
    assert spark_sql("SELECT HASH(a) // 2") == "SELECT XXHASH64(a) DIV 2"
    assert spark_sql("SELECT LEAST(a), a * 0.5") == "SELECT a, a * CAST(0.5 AS DOUBLE)"
    assert "ELEMENT_AT(SORT_ARRAY(COLLECT_LIST(x)" in spark_sql("SELECT QUANTILE_DISC(x, 0.95) FROM t")
    assert "SLICE(SORT_ARRAY(COLLECT_LIST(x)" in spark_sql("SELECT LIST_SUM(MAX(x, 3)) FROM t")
    assert "9999-12-31" in spark_sql("SELECT TIMESTAMP 'infinity'")
    assert "2025-01-01" in spark_sql("SELECT GETVARIABLE('feature_latest')", latest="2025-01-01")


@pytest.fixture(scope="module")
def trial() -> Trial:
    """Compute a few features of a market of 200 accounts."""
    wanted = tuple(CATALOGUE[name] for name in ("A2", "B3", "B4", "D5", "E2", "L2"))
    return Trial.of(wanted, example_market(0, accounts=200, orders=3000))


@pytest.fixture(scope="module")
def model_folder(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a model that learned from half of that market, labelled by depth."""
    depth, n = np.nan_to_num(trial.batch.column("A2")), len(trial.spine)
    labels = Labelling(
        np.where(np.arange(n) % 2, (depth > np.quantile(depth, 0.7)).astype(float), np.nan),
        np.where(np.arange(n) % 2, "L3", ""),
        np.where(np.arange(n) % 2, 0.5, np.nan),
    )
    accounts = trial.spine.account_ids.astype(str)
    lineage = Lineage(utc(2025, 6, 1), utc(2025, 5, 1), "0" * 64, accounts, 0.4)
    operators = trial.operators.operator_ids.astype(str)
    model = IdentificationModel.learn(trial.batch, labels, operators, trial.norms, lineage, LearningSettings())
    folder = tmp_path_factory.mktemp("models")
    return folder / save_model(model, folder)


@needs_java
def test_scores_and_clusters_on_executors_are_those_of_here(
    session: SparkSession, trial: Trial, model_folder: Path, tmp_path: Path
) -> None:
    """Probability, range, score and cluster, worked out in Arrow batches on the executors, equal the local ones."""
    registered(session, trial, tmp_path)
    scores = ScoresOf(str(model_folder))
    model = load_model(model_folder)
    assert len(scores(trial.batch).filter(pc.is_valid(pc.field("merchant_probability")))) == len(trial.spine)
    frame = compute_on_spark(session, trial.spine, model.norms, trial.operators, scores, model.features)
    frame.write.parquet(str(tmp_path / "out"))
    order = [("account_id", "ascending"), ("as_of", "ascending")]
    found, local = (rows.sort_by(order) for rows in (pq.read_table(tmp_path / "out"), scores(trial.batch)))
    assert found.column_names == local.column_names
    assert all(is_same(found[name], local[name]) for name in local.column_names)
    assert len(set(found["cluster_id"].to_pylist()) - {None}) > 0
