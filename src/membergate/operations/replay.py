"""replay: what another policy would have decided on the recorded evidence, against what happened later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from membergate.deciding.policy import Policy
from membergate.domain.disposition import HOLDERS, LADDERS, Checkpoint
from membergate.domain.errors import NotEnoughDataError
from membergate.domain.labels import latest_reviews
from membergate.domain.measurement import Measurement
from membergate.operations.history import History
from membergate.operations.list_rates import known_truth
from membergate.operations.opening import open_record
from membergate.operations.replaying import Replayer
from membergate.operations.workspace import Workspace
from membergate.verification.shares import clopper_pearson

LEVEL = 0.95
EVERYONE = "everyone"
_COUNTED = (
    "decisions",
    "changed",
    "admitted_before",
    "admitted_after",
    "genuine",
    "genuine_before",
    "genuine_after",
    "merchants",
    "merchants_before",
    "merchants_after",
)


@dataclass(frozen=True)
class GroupChange:
    """What changes for some decisions.

    Parameters
    ----------
    name
        `everyone`, or a segment of the policy.
    decisions, changed
        How many there are, and how many get another disposition.
    admitted_before, admitted_after
        How many are let in, in full, capped or on trial.
    genuine, genuine_before, genuine_after
        Decisions about people who turned out genuine; how many of them are let in.
    merchants, merchants_before, merchants_after
        The same of merchants.
    leakage_before, leakage_after
        Share of merchants among those let in, by reviews by chance (L3), each weighed by its chance; an operator is one
        observation. None where nobody was reviewed by chance.
    """

    name: str
    decisions: int
    changed: int
    admitted_before: int
    admitted_after: int
    genuine: int
    genuine_before: int
    genuine_after: int
    merchants: int
    merchants_before: int
    merchants_after: int
    leakage_before: Measurement
    leakage_after: Measurement


@dataclass(frozen=True)
class RuleHits:
    """How often a rule of the policy hit, and whom of those of whom the truth is known."""

    rule_id: str
    hits: int
    merchants: int
    genuine: int


@dataclass(frozen=True)
class Replayed:
    """A policy tried on recorded decisions.

    Parameters
    ----------
    policy
        Its name and version.
    groups
        Everyone, then each of its segments.
    rules
        Each of its rules.
    moves
        (recorded disposition, its disposition, decisions).
    let_in_unseen
        Decisions that let in whom the record refused, and of whom nobody knows what they turned out to be.
    lacking_ratio
        Share of the evidence that the policy reads and the recorded decisions do not hold.
    compared, disagreeing
        Decisions that were decided again by the door's own path, and the ids of those that came out otherwise.
    """

    policy: str
    groups: tuple[GroupChange, ...]
    rules: tuple[RuleHits, ...]
    moves: tuple[tuple[str, str, int], ...]
    let_in_unseen: int
    lacking_ratio: float
    compared: int
    disagreeing: tuple[str, ...]


def replay(
    workspace: Workspace,
    policy: Policy,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    exact: bool = False,
) -> Replayed:
    """Decide the recorded admissions again with another policy, on the evidence that was recorded.

    Where an application was decided several times, the latest decision counts. What an operator's other accounts held
    is as it was recorded: a policy that lets more in does not meet its own caps here.

    Parameters
    ----------
    workspace
        Holds the record, and the labels by which the truth is known.
    policy
        The policy to try, whatever its effective dates.
    since, until
        Decisions as of [since, until); open where None.
    exact
        Whether to decide every row by the door's own path too, and compare.

    Raises
    ------
    NotEnoughDataError
        If no decision is on record in the window.
    """
    history = History(workspace.warehouse())
    labels = history.labels(history.last_instant)
    replayer = Replayer(policy, Checkpoint.ADMISSION, known_truth(labels), latest_reviews(labels))
    compared, disagreeing = 0, list[str]()
    with open_record(workspace) as record:
        names = policy.reads_at[Checkpoint.ADMISSION]
        for columns in record.scan_evidence(Checkpoint.ADMISSION, names, since, until):
            replayer.take(columns)
        for some in record.scan(Checkpoint.ADMISSION, since, until) if exact else ():
            compared += len(some)
            disagreeing += replayer.disagreeing(some)
    return _report(policy, replayer, compared, tuple(disagreeing))


def _report(policy: Policy, replayer: Replayer, compared: int, disagreeing: tuple[str, ...]) -> Replayed:
    ladder = LADDERS[Checkpoint.ADMISSION]
    connection = replayer.connection
    connection.execute(
        "create temp table latest as select *, list_extract($ladder, rung + 1) as new, "
        "list_contains($holders, old) as was_in, list_contains($holders, list_extract($ladder, rung + 1)) as is_in "
        "from replayed qualify row_number() over (partition by subject order by decided_at desc, decision_id) = 1",
        {"ladder": [d.value for d in ladder], "holders": sorted(d.value for d in HOLDERS)},
    )
    everyone = _group(replayer, EVERYONE, None)
    if not everyone.decisions:
        raise NotEnoughDataError("no admission is on record in this window", next_step="membergate admit")
    names = len(policy.reads_at[Checkpoint.ADMISSION])
    unseen = "select count(*) from latest where is_in and not was_in and is_merchant is null"
    lacking = "select avg(lacks) from latest"
    moves = "select old, new, count(*) from latest group by all order by count(*) desc, old, new"
    return Replayed(
        policy=f"{policy.name}-{policy.version}",
        groups=(everyone, *(_group(replayer, s.segment_id, index) for index, s in enumerate(policy.segments))),
        rules=tuple(_rules(replayer)),
        moves=tuple(connection.execute(moves).fetchall()),
        let_in_unseen=_one(replayer, unseen),
        lacking_ratio=(_one(replayer, lacking) / names) if names else 0.0,
        compared=compared,
        disagreeing=disagreeing,
    )


def _group(replayer: Replayer, name: str, index: int | None) -> GroupChange:
    among = "true" if index is None else "list_contains(groups, $index)"
    counts = replayer.connection.execute(
        "select count(*), count(*) filter (old <> new), count(*) filter (was_in), count(*) filter (is_in), "
        "count(*) filter (not is_merchant), count(*) filter (not is_merchant and was_in), "
        "count(*) filter (not is_merchant and is_in), count(*) filter (is_merchant), "
        "count(*) filter (is_merchant and was_in), count(*) filter (is_merchant and is_in) "
        f"from latest where {among}",
        {} if index is None else {"index": index},
    ).fetchall()[0]
    told = dict(zip(_COUNTED, counts, strict=True))
    return GroupChange(
        name=name,
        leakage_before=_leakage(replayer, "was_in", among, index),
        leakage_after=_leakage(replayer, "is_in", among, index),
        **told,
    )


def _rules(replayer: Replayer) -> Iterator[RuleHits]:
    for index, rule in enumerate(replayer.rules):
        found = replayer.connection.execute(
            "select count(*), count(*) filter (is_merchant), count(*) filter (not is_merchant) "
            "from latest where list_contains(hits, $index)",
            {"index": index},
        ).fetchall()[0]
        yield RuleHits(rule.rule_id, *found)


def _one(replayer: Replayer, query: str) -> int:
    (value,) = replayer.connection.execute(query).fetchall()[0]
    return value or 0


def _leakage(replayer: Replayer, let_in: str, among: str, index: int | None) -> Measurement:
    value, effective, operators, accounts = replayer.connection.execute(
        "with by_operator as (select count(*) as n, sum(weight) as weight, "
        "coalesce(sum(weight) filter (is_leak), 0) as leaked from latest join reviewed using (decision_id) "
        f"where {let_in} and {among} group by operator) "
        "select sum(leaked) / sum(weight), sum(weight) ** 2 / sum(weight ** 2), count(*), coalesce(sum(n), 0) "
        "from by_operator",
        {} if index is None else {"index": index},
    ).fetchall()[0]
    low, high = (None, None) if value is None else clopper_pearson(value, effective, LEVEL)
    method = "reviews by chance (L3), weighed by their chance; Clopper-Pearson on the effective number of operators"
    return Measurement("leakage", value, low, high, LEVEL, "ratio", int(accounts), operators, method)
