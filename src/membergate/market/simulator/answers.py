"""Answers from outside: a file of decisions becomes the door of a simulated market."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from membergate.domain.errors import BadInputError
from membergate.market.simulator.door import ANSWERS, Door, Doorkeeper, door_that_answers, open_door
from membergate.market.simulator.population import Population
from membergate.market.simulator.tables import Writer

_COLUMNS = ("application_id", "disposition")


def read_answers(path: Path) -> dict[str, int]:
    """Read which application was given which answer, as an index into ANSWERS.

    Raises
    ------
    BadInputError
        If the file cannot be read, lacks a column, or names something that is no answer at the door.
    """
    try:
        table = pq.read_table(path, columns=list(_COLUMNS))
    except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
        raise BadInputError(
            f"cannot read the decisions: {error}",
            where=str(path),
            allowed=f"a Parquet file with the columns {' and '.join(_COLUMNS)}",
            next_step="membergate admit --out FILE writes one",
        ) from None
    numbers = {answer.value: number for number, answer in enumerate(ANSWERS)}
    application_ids, dispositions = (table[name].to_pylist() for name in _COLUMNS)
    unknown = sorted({str(given) for given in dispositions} - set(numbers))
    if unknown:
        raise BadInputError(
            f"{unknown[0]!r} is no answer at the door", where=f"{path}, disposition", allowed=", ".join(numbers)
        )
    return {
        application: numbers[given]
        for application, given in zip(application_ids, dispositions, strict=True)
        if application is not None
    }


def doorkeeper_of(answers: Mapping[str, int] | None, writer: Writer) -> Doorkeeper:
    """Give the doorkeeper that answers as told, and admits whom it was told nothing about; the open door for None."""
    if answers is None:
        return open_door

    def answer(population: Population) -> Door:
        applicants = np.flatnonzero(np.isfinite(population.applied))
        names = writer.ids("application", applicants).to_pylist()
        given = np.full(len(population), -1)
        given[applicants] = [answers.get(name, 0) for name in names]
        return door_that_answers(given, population, writer.scenario)

    return answer
