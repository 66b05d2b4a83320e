"""What a market's test looks like from two other sides: an oracle of resale so far, and the door as the policy decides.

The oracle is no method: it reads from the simulator's truth what became of every unit bought before the application,
and ranks by the resold share. Whoever has resold nothing yet is one tie to it. The door is the shipped policy with the
model as its witness: admissions in full, with caps and on trial, which a threshold on a score does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from membergate.domain.disposition import HOLDERS, Disposition
from membergate.learning.model import IdentificationModel
from membergate.market.warehouse import literal
from membergate.operations.admission import AdmissionDesk
from membergate.operations.history import History, aware
from membergate.operations.ledger import Ledger
from membergate.operations.policies import DEFAULT, shipped_policy

FULL = (Disposition.ADMIT.value, Disposition.ADMIT_CAPPED.value)
HELD = tuple(each.value for each in HOLDERS)
FEWEST = 20
"""Applicants of a look-alike below which it has no row."""


def resold_so_far(
    connection: duckdb.DuckDBPyConnection, truth: Path, applications: NDArray[np.str_]
) -> dict[str, NDArray[np.float64]]:
    """Give the share of units bought before each application that were resold, by its account and by its operator.

    Parameters
    ----------
    connection
        Holds the market.
    truth
        The simulator's truth folder.
    applications
        Shape (n,).
    """
    people, units = (literal(str(truth / f"truth_{name}.parquet")) for name in ("accounts", "units"))
    found = {}
    for name, whose in (("account", "theirs.account_id = own.account_id"), ("operator", "TRUE")):
        rows = connection.execute(
            f"""
            WITH who AS (SELECT DISTINCT account_id, operator_id FROM {people}),
            bought AS (SELECT DISTINCT order_id, account_id, ordered_at FROM orders),
            line AS (SELECT DISTINCT line_id, order_id FROM order_lines)
            SELECT application_id,
              coalesce(sum(quantity) FILTER (WHERE use = 'resold') / nullif(sum(quantity), 0), 0)
            FROM applications AS asked
            JOIN who AS own ON own.account_id = asked.account_id
            JOIN who AS theirs ON theirs.operator_id = own.operator_id AND {whose}
            LEFT JOIN bought ON bought.account_id = theirs.account_id AND ordered_at <= submitted_at
            LEFT JOIN line USING (order_id) LEFT JOIN {units} USING (line_id)
            GROUP BY application_id
            """
        ).fetchall()
        share = dict(rows)
        found[name] = np.array([float(share[each]) for each in applications.tolist()])
    return found


def as_decided(
    history: History, model: IdentificationModel, applications: NDArray[np.str_], is_merchant: NDArray[np.bool_],
    archetype: NDArray[np.str_],
) -> Mapping[str, float]:  # fmt: skip
    """Decide the test with the shipped policy and measure what comes of it.

    Parameters
    ----------
    history, model
        The market and the witness.
    applications, is_merchant, archetype
        Shape (n,): the test, and who is who in it.
    """
    since = aware(np.datetime64(model.lineage.trained_until.replace(tzinfo=None), "us"))
    desk = AdmissionDesk(history, model, "benchmark", shipped_policy(DEFAULT), ledger=Ledger(history, since))
    made = {decision.application_id: decision.disposition.value for decision in desk.decide_window(since, None)}
    disposition = np.array([made[name] for name in applications.tolist()])
    kinds = [kind for kind in np.unique(archetype) if kind.startswith("G") and (archetype == kind).sum() >= FEWEST]
    found: dict[str, float] = {}
    for scope, let_in in (("in full or capped", FULL), ("all holders, trials too", HELD)):
        admitted = np.isin(disposition, let_in)
        found[f"genuine admission, {scope}"] = float(admitted[~is_merchant].mean())
        found[f"leakage, {scope}"] = float(is_merchant[admitted].mean()) if admitted.any() else 0.0
        found[f"worst look-alike, {scope}"] = min(float(admitted[archetype == kind].mean()) for kind in kinds)
    return found
