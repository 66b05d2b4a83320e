"""monitor: hold the live door to its certificate, on reviews of those whom it let in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from membergate.deciding.policy import Policy
from membergate.domain.disposition import HOLDERS, Checkpoint
from membergate.domain.errors import WorkspaceError
from membergate.domain.instants import format_instant
from membergate.domain.labels import Label, latest_reviews
from membergate.learning.model import load_model
from membergate.operations.history import History
from membergate.operations.policies import live_policy, policy_file_name
from membergate.operations.workspace import Workspace, read_json, write_atomically
from membergate.store import open_store
from membergate.verification.certificate import Terms
from membergate.verification.monitoring import Audit, Monitor, watch


@dataclass(frozen=True)
class Watched:
    """What the monitor says of what is live.

    Parameters
    ----------
    model_version, policy_file
        What is live, and watched.
    until
        The instant up to which reviews were read.
    new_audits
        Reviews that this run read for the first time.
    e_value, alarm_at
        The wealth against "leakage <= alpha", and where it raises the alarm.
    alarmed_at
        When it did; empty while it did not.
    low, high
        The confidence sequence for the leakage over all holders.
    monitor
        The state that the next run resumes from.
    """

    model_version: str
    policy_file: str
    until: str
    new_audits: int
    e_value: float
    alarm_at: float
    alarmed_at: str
    low: float
    high: float
    monitor: Monitor


def monitor(
    workspace: Workspace, *, terms: Terms | None = None, until: datetime | None = None, history: History | None = None
) -> Watched:
    """Read the reviews that came in since the last run, place their bets, and keep the state.

    Parameters
    ----------
    workspace
        Holds the market, what is live, its recorded decisions and the monitor's state.
    terms
        What is watched, for a monitor that begins; one that goes on keeps the bounds it began with. The cap is the live
        policy's, and the smallest propensity that of this run's reviews.
    until
        Reviews known by here; the end of the data where None.
    history
        The market, if it is open already.

    Raises
    ------
    WorkspaceError
        If nothing is live, or the state is damaged.
    ModelError
        If the live model was altered.
    BadInputError
        If a review was sampled with a smaller propensity than the terms declare.
    """
    live = workspace.required_live()
    history = history or History(workspace.warehouse())
    end = until or history.last_instant
    reviews = latest_reviews(history.labels(end))
    path = workspace.root / "monitor" / f"{live.model_version}--{live.policy_file.removesuffix('.yaml')}.json"
    policy, given = live_policy(workspace), terms or Terms()
    before = _resumed(path.name, read_json(path))
    if before is None:
        before = Monitor(given.watched_alpha, given.delta, policy.operator_cap or 1, 1.0)
    smallest = given.smallest_propensity or min((it.propensity or 1.0 for it in reviews.values()), default=1.0)
    audits = _audits(workspace, policy, reviews)
    after = watch(before, audits, at=format_instant(end), largest_weight=1 / smallest)
    write_atomically(path, msgspec.json.encode(after))
    low, high = after.interval
    return Watched(
        model_version=live.model_version,
        policy_file=policy_file_name(policy),
        until=format_instant(end),
        new_audits=len(after.decisions) - len(before.decisions),
        e_value=after.e_value,
        alarm_at=1 / after.delta,
        alarmed_at=after.alarmed_at,
        low=low,
        high=high,
        monitor=after,
    )


def _audits(workspace: Workspace, policy: Policy, reviews: dict[str, Label]) -> list[Audit]:
    """Pair what is live's admissions with reviews that came after them, an account's first admission only.

    Neither what another policy let in counts, nor whom the model was made from: of those it knows too much.
    """
    live = workspace.required_live()
    lineage = load_model(workspace.models / live.model_version).lineage
    learned_from = set(lineage.accounts.tolist())
    what, admitted = (live.model_version, policy.full_version), {disposition.value for disposition in HOLDERS}
    paired: dict[str, tuple[datetime, Audit]] = {}
    with open_store(workspace.record) as record:
        for rows in record.scan(Checkpoint.ADMISSION):
            for row in rows:
                review = reviews.get(row["account_id"])
                if review is None or row["account_id"] in learned_from or row["as_of"] < lineage.trained_until:
                    continue
                if (row["model_version"], row["policy_version"]) != what or row["disposition"] not in admitted:
                    continue
                if review.decided_at < row["as_of"] or review.propensity is None:
                    continue
                audit = Audit(row["decision_id"], row["operator_id"], review.is_merchant, 1 / review.propensity)
                known = paired.get(row["account_id"])
                if known is None or row["as_of"] < known[0]:
                    paired[row["account_id"]] = (row["as_of"], audit)
    in_order = sorted(paired.values(), key=lambda pair: (pair[0], pair[1].decision_id))
    return [audit for _, audit in in_order]


def _resumed(name: str, found: dict[str, object] | None) -> Monitor | None:
    try:
        return None if found is None else msgspec.convert(found, Monitor)
    except msgspec.ValidationError:
        raise WorkspaceError(
            "the monitor's state is damaged",
            where=name,
            next_step="restore it from a backup; removing it begins anew, and forgets what was seen",
        ) from None
