"""features compute --engine spark: a workspace's market in, features or a model's scores out as Parquet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from membergate.learning.features import FeatureTable, availability, fit_norms
from membergate.learning.features.spark import answering, compute_on_spark, register_market, spark_session
from membergate.learning.model import IdentificationModel, load_model
from membergate.market.schema import TABLES
from membergate.market.warehouse import Warehouse, view_columns
from membergate.operations.feature_files import checked_folder, in_place_of, is_remote
from membergate.operations.features import as_arrow
from membergate.operations.history import History
from membergate.operations.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class ScoresOf:
    """Scores a batch of features on an executor: probability, score, cluster.

    Parameters
    ----------
    folder
        The model's folder, which every executor must be able to read.
    """

    folder: str

    def __call__(self, table: FeatureTable) -> pa.Table:
        """Give one row an account: what the model says of it."""
        spine = table.spine
        asked = {
            "account_id": pa.array(spine.account_ids.tolist(), pa.string()),
            "as_of": pa.array(spine.as_of, type=pa.timestamp("us", tz="UTC")),
            "operator_id": pa.array(table.operator_ids.tolist(), pa.string()),
        }
        if not len(spine):
            empty = {name: pa.array([], pa.float64()) for name in _SCORES} | {"cluster_id": pa.array([], pa.string())}
            return pa.table(asked | empty)
        said = _model(self.folder).witness(table)
        scores = {name: pa.array(getattr(said, name), pa.float64(), from_pandas=True) for name in _SCORES}
        clusters = pa.array([str(name) or None for name in said.placement.cluster_ids], pa.string())
        return pa.table(asked | scores | {"cluster_id": clusters})


_SCORES = ("risk_score", "merchant_probability", "uncalibrated_probability", "probability_low", "probability_high")


@lru_cache(maxsize=1)
def _model(folder: str) -> IdentificationModel:
    """Load a model once a worker."""
    return load_model(Path(folder))


def register_warehouse(session: SparkSession, warehouse: Warehouse) -> None:
    """Make one view per table of a warehouse; the executors read its Parquet parts where they lie."""
    columns = warehouse.columns()
    register_market(
        session,
        {
            name: [str((warehouse.root / part.file).resolve()) for part in warehouse.manifest.tables[name].parts]
            for name in columns
        },
        {name: view_columns(TABLES[name], there) for name, there in columns.items()},
    )


def compute_on_cluster(
    workspace: Workspace,
    out: str,
    *,
    master: str,
    as_of: datetime | None = None,
    model_version: str | None = None,
    is_scored: bool = False,
) -> int:
    """Compute every account's features on Spark, or score them with a model, and write Parquet parts.

    Operators and norms are worked out on this machine first; events are only read on the executors.

    Parameters
    ----------
    workspace
        Holds the ingested market; executors must see its folder under the same path.
    out
        Folder of Parquet parts. An earlier result is replaced when the new one is whole, anything else refused. What is
        no path but a store's address (`s3a://…`, `hdfs://…`) goes to Spark as it is, which refuses one that is there.
    master
        Spark's master, `local[2]` for this machine.
    as_of
        The end of the data where None.
    model_version
        The model that scores; the live one, or the latest candidate, where None.
    is_scored
        Write scores and clusters instead of features.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    BadInputError
        If Spark or Java is missing, the master does not answer, or the folder holds something else.
    """
    folder_out = None if is_remote(out) else checked_folder(Path(out), workspace.root)
    warehouse = workspace.warehouse()
    history = History(warehouse)
    instant = as_of or history.last_instant
    spine = history.accounts(instant)
    operators = history.operators(spine)
    if is_scored:
        folder = (workspace.models / workspace.chosen_model(model_version)).resolve()
        model = load_model(folder)
        features, norms = model.features, model.norms
    else:
        features = tuple(e.feature.id for e in availability(warehouse.columns()) if e.is_computable)
        norms = fit_norms(history.connection, instant, features)
    session = spark_session(master)
    rows = ScoresOf(str(folder)) if is_scored else as_arrow
    with answering(master):
        register_warehouse(session, warehouse)
        frame = compute_on_spark(session, spine, norms, operators, rows, features)
        if folder_out is None:
            frame.write.parquet(out)
        else:
            with in_place_of(folder_out) as aside:
                frame.write.parquet(f"file://{aside}")
    return len(spine)
