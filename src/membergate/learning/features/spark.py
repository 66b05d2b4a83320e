"""Computing on Spark: the same program, statement by statement, where one machine is outgrown.

Tables stay on the executors from the market's Parquet files to the Parquet that comes out. Rates, shrinkage, absences
and context are worked out by the same code as on one machine, one Arrow batch at a time, on the executors.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from membergate.domain.errors import BadInputError
from membergate.learning.features.catalogue import chosen
from membergate.learning.features.computation import planned, spine_tables, tabled
from membergate.learning.features.cores import core_tables
from membergate.learning.features.declaration import Feature
from membergate.learning.features.derived import Columns
from membergate.learning.features.norms import Norms
from membergate.learning.features.spark_dialect import spark_sql
from membergate.learning.features.tables import FeatureTable, Spine
from membergate.learning.identity import OperatorTable
from membergate.market.schema import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MEASURES_AT_ONCE = 6
"""So many statements' measures are joined in one go."""
Rows = Callable[[FeatureTable], pa.Table]
"""What is done with a batch of features on an executor; the same columns for every batch."""
MASTERS = ("local", "spark://", "yarn", "k8s://")
"""How the name of a master begins; Spark itself answers others with a stack trace."""


def spark_session(master: str, *, settings: Mapping[str, str] | None = None) -> SparkSession:
    """Open a Spark session as membergate needs it: UTC, Arrow, and no errors on division by zero.

    Parameters
    ----------
    master
        `local[2]`, `spark://…`, `yarn`, `k8s://…`.
    settings
        Further settings of Spark, which come last.

    Raises
    ------
    BadInputError
        If Spark or Java is not installed, or the master is none or does not answer.
    """
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 # an extra
    except ImportError as error:
        raise BadInputError(
            "Spark is not installed", where=str(error), next_step="pip install 'membergate[spark]'"
        ) from error
    if not master.startswith(MASTERS):
        raise BadInputError(f"{master!r} is no master of Spark", where="master", allowed=", ".join(MASTERS))
    builder = SparkSession.builder.master(master).appName("membergate")
    own = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    for name, value in (own | dict(settings or {})).items():
        builder = builder.config(name, value)
    with answering(master):
        session = builder.getOrCreate()
    if master.startswith("local"):
        # The workers' Python must have what this one has; on a cluster that is the cluster's to say (PYSPARK_PYTHON).
        session.sparkContext.pythonExec = sys.executable
    return session


@contextmanager
def answering(master: str) -> Iterator[None]:
    """Say in one error what Java throws where a master does not answer, or Spark breaks off.

    Raises
    ------
    BadInputError
        In place of py4j's errors and of pyspark's.
    """
    from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]  # noqa: PLC0415  # untyped, and an extra
    from pyspark.errors import PySparkException  # noqa: PLC0415 # an extra

    try:
        yield
    except (Py4JError, PySparkException, ConnectionError) as error:
        # Java's own text must be asked of Java, which may be gone.
        said = error.errmsg if isinstance(error, Py4JJavaError) else str(error)
        is_silent = isinstance(error, Py4JError | ConnectionError) or any(word in said for word in _MASTER_GONE)
        if is_silent and not master.startswith("local"):
            raise BadInputError(
                "Spark's master does not answer",
                where=master,
                next_step="see that the master runs and can be reached from here, or compute without --engine spark",
            ) from error
        is_started = "JAVA_GATEWAY_EXITED" not in said
        raise BadInputError(
            "Spark breaks off" if is_started else "Spark does not start",
            where=f"{master} ({said.strip().partition(chr(10))[0][:300]})",
            next_step="see what Spark wrote above; executors must read the workspace and write the result"
            if is_started
            else "install Java 17 or set JAVA_HOME",
        ) from error


_MASTER_GONE = ("stopped SparkContext", "SparkContext was shut down", "Master removed our application")


def register_market(
    session: SparkSession, files: Mapping[str, Iterable[str]], columns: Mapping[str, Iterable[str]]
) -> None:
    """Make one view per market table over its Parquet parts.

    Parameters
    ----------
    session
        Spark.
    files
        Table -> its parts.
    columns
        Table -> the columns of its view, version columns included.
    """
    for table, parts in files.items():
        frame = session.read.option("mergeSchema", "true").parquet(*parts)
        frame.select(*columns[table]).createOrReplaceTempView(table)


def spark_columns(session: SparkSession) -> Columns:
    """Give, for each market table that is registered, its canonical columns."""
    return {
        name: tuple(column for column in session.table(name).columns if column in table.column_names)
        for name, table in TABLES.items()
        if session.catalog.tableExists(name)
    }


def compute_on_spark(
    session: SparkSession,
    spine: Spine,
    norms: Norms,
    operators: OperatorTable,
    rows: Rows,
    features: Iterable[str | Feature] | None = None,
) -> DataFrame:
    """Compute features on Spark, and what is to be done with them, lazily: nothing runs before the frame is written.

    Parameters
    ----------
    session
        Its market tables are registered; see `register_market`.
    spine, norms, operators, features
        As for `compute`.
    rows
        Done with every batch, on the executors: `as_arrow`, or a model's scores.
    """
    wanted, columns = chosen(features), spark_columns(session)
    _, program = planned(wanted, columns, norms, is_few=False)
    earliest, latest = str(spine.as_of.min()), str(spine.as_of.max())
    cores = core_tables(program.words, columns, spine.as_of, lambda sql: session.sql(spark_sql(sql)).toArrow())
    for name, table in (norms.tables | cores | spine_tables(spine, operators)).items():
        session.createDataFrame(table).createOrReplaceTempView(name)
    steps = (*program.shared, *program.own)
    readers = Counter(word for step in steps for word in set(re.findall(r"feature_\w+", step.sql)))
    measures = []
    for step in steps:
        frame = session.sql(spark_sql(step.sql, earliest=earliest, latest=latest))
        if step.table:
            # What several statements read is made once, and its plan ends there: plans of plans would grow for ever.
            (_kept(session, frame) if readers[step.table] > 1 else frame).createOrReplaceTempView(step.table)
        else:
            measures.append(frame)
    asked = session.createDataFrame(_asked(spine, operators))
    numbers = _joined(session, asked.select("row_id"), measures)
    numbers = asked.join(numbers, "row_id")
    promotions = session.table("promotions").toArrow() if "promotions" in columns else None
    batch = _Batch(wanted, norms, dict(columns), promotions, rows)
    nothing = {name: pa.array([], pa.string() if name in _TEXTS else pa.int64()) for name in numbers.columns}
    empty = rows(batch.table(pa.table(nothing)))
    return numbers.mapInArrow(batch, schema=_schema_of(empty))


@dataclass(frozen=True)
class _Batch:
    """What turns measures into answers on an executor, one Arrow batch at a time."""

    wanted: tuple[Feature, ...]
    norms: Norms
    columns: dict[str, tuple[str, ...]]
    promotions: pa.Table | None
    rows: Rows

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from self.rows(self.table(pa.Table.from_batches([batch]))).to_batches()

    def table(self, batch: pa.Table) -> FeatureTable:
        """Give the features of a batch of measures."""
        connection = duckdb.connect()
        if self.promotions is not None:
            connection.register("promotions", self.promotions)
        numbers = {name: _numbers(name, batch) for name in batch.column_names if name not in _ASKED}
        instants = batch["as_of"].cast(pa.int64()).to_numpy().astype("datetime64[us]")
        spine = Spine(_texts(batch["subject_id"]), _texts(batch["account_id"]), instants)
        operators = _texts(batch["operator_id"])
        return tabled(connection, spine, operators, numbers, self.wanted, self.norms, self.columns)


_TEXTS = frozenset({"subject_id", "account_id", "operator_id", "region_code", "declared_use"})
_ASKED = ("row_id", "subject_id", "account_id", "as_of", "operator_id")


def _joined(session: SparkSession, rows: DataFrame, measures: list[DataFrame]) -> DataFrame:
    """Lay measures side by side by row, a few at a time: one join of them all would sort everything at once."""
    while len(measures) > 1:
        few = (measures[at : at + MEASURES_AT_ONCE] for at in range(0, len(measures), MEASURES_AT_ONCE))
        measures = [_kept(session, reduce(_with, part, rows)) for part in few]
    return reduce(_with, measures, rows)


def _with(left: DataFrame, right: DataFrame) -> DataFrame:
    return left.join(right, "row_id", "left")


def _kept(session: SparkSession, frame: DataFrame) -> DataFrame:
    """Make a table and cut its plan off; where the cluster has a folder for checkpoints it outlives its executors."""
    has_folder = session.sparkContext._jsc.sc().getCheckpointDir().isDefined()  # noqa: SLF001 # no other way to ask
    return frame.checkpoint(eager=True) if has_folder else frame.localCheckpoint(eager=True)


def _asked(spine: Spine, operators: OperatorTable) -> pa.Table:
    columns = (
        pa.array(np.arange(len(spine), dtype=np.int32)),
        pa.array(np.asarray(spine.subject_ids).tolist(), pa.string()),
        pa.array(np.asarray(spine.account_ids).tolist(), pa.string()),
        pa.array(np.asarray(spine.as_of, dtype="datetime64[us]")),
        pa.array(np.asarray(operators.operator_ids).tolist(), pa.string()),
    )
    return pa.table(dict(zip(_ASKED, columns, strict=True)))


def _texts(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    return np.array(column.to_pylist(), dtype=object)


def _numbers(name: str, batch: pa.Table) -> np.ndarray[Any, Any]:
    if name in _TEXTS:
        return _texts(batch[name])
    return np.asarray(batch[name].cast(pa.float64()).to_numpy(zero_copy_only=False))


def _schema_of(table: pa.Table) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema  # noqa: PLC0415 # an extra

    return from_arrow_schema(table.schema)
