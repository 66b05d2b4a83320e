"""Look for hindsight in what a verification decided on: columns, evidence and rows that know too much, or too early."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from membergate.domain.decision import Decision
from membergate.domain.evidence import Evidence
from membergate.domain.instants import format_instant
from membergate.domain.labels import EVALUATING_GRADES
from membergate.learning.features import FeatureTable
from membergate.learning.model import IdentificationModel, LabelSet
from membergate.learning.model.labelling import Labelling
from membergate.learning.model.leaks import leaks_in
from membergate.market.schema import TABLES
from membergate.operations.admission import Case
from membergate.operations.history import History
from membergate.verification.hindsight import EarlyRows, Hindsight


def find_hindsight(
    history: History, model: IdentificationModel, end: datetime, decided: Sequence[tuple[Case, Decision]]
) -> Hindsight:
    """Look for all three kinds.

    Parameters
    ----------
    history
        The market.
    model
        The candidate, whose features are asked.
    end
        Labels known by here are held against the features of every application up to here, whether the model has met
        its operator or not: a leak is no merit.
    decided
        Every case with its decision.
    """
    table, labels = _labelled(history, model, end)
    late = [
        (case, witnessed)
        for case, decision in decided
        for witnessed in case.evidence.values()
        if witnessed.observed_at > decision.as_of
    ]
    return Hindsight(
        features=len(table.features),
        labelled=len(labels.is_merchant),
        labelled_merchants=int(np.sum(labels.is_merchant)),
        leaks=leaks_in(table, labels),
        statements=sum(len(case.evidence) for case, _ in decided),
        late_statements=len(late),
        late_example=_example(*late[0]) if late else "",
        early_rows=_early_rows(history),
    )


def _labelled(history: History, model: IdentificationModel, end: datetime) -> tuple[FeatureTable, Labelling]:
    """Give the features of all applications with a label that evaluates, each as of its own submission."""
    applications = history.applications(until=end)
    by_now = history.links.operators_as_of(end)
    accounts = applications.account_ids.tolist()
    known = LabelSet(history.labels(end))
    who = accounts, [by_now.get(account, account) for account in accounts]
    labels = known.lay_sampled(*who).or_else(known.lay(*who).only(EVALUATING_GRADES))
    applications = applications.take(labels.is_labelled)
    operators = history.operators(applications.spine)
    table = history.features(applications.spine, operators, model.norms, model.features)
    return table, labels.take(labels.is_labelled)


def _example(case: Case, witnessed: Evidence) -> str:
    return (
        f"{witnessed.name} of application {case.application.application_id} at {format_instant(witnessed.observed_at)}"
    )


def _early_rows(history: History) -> tuple[EarlyRows, ...]:
    """Count rows that may be seen before they happened; a promotion is announced ahead, and may."""
    found = []
    for name, columns in history.warehouse.columns().items():
        table = TABLES[name]
        event = [f'"{column}"' for column in table.event if column in (*columns, *table.inherited_columns)]
        if table.is_announced or not event:
            continue
        counted = history.connection.execute(
            f'SELECT count(*) FROM "{name}" WHERE visible_at < coalesce({", ".join(event)})'
        ).fetchone()
        if counted and counted[0]:
            found.append(EarlyRows(name, int(counted[0])))
    return tuple(found)
