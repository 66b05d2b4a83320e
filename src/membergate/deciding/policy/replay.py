"""Rules as one DuckDB query, for replaying a policy over stored evidence. Text only: nothing is run here."""

from __future__ import annotations

from membergate.deciding.policy.policy import Policy, Rule
from membergate.domain.disposition import Checkpoint


def to_duckdb(policy: Policy, checkpoint: Checkpoint, relation: str) -> str:
    """Write the query that gives every rule's outcome for every row of evidence.

    Parameters
    ----------
    policy, checkpoint
        Whose rules.
    relation
        Name of a table or view with one column for each evidence that the rules read (DOUBLE, BOOLEAN, VARCHAR; NULL
        where the witness is absent).

    Returns
    -------
    str
        A SELECT of all columns of the relation and one column for each rule, named by its id: `hit`, `miss` or
        `unknown`. Snoozes and failed witnesses are no part of the relation, so they are no part of the query.
    """
    rules = [rule for rule in policy.rules if rule.checkpoint is checkpoint]
    columns = "".join(f',\n  {_outcome(rule)} as "{rule.rule_id}"' for rule in rules)
    return f'select *{columns}\nfrom "{relation}"'


def _outcome(rule: Rule) -> str:
    hit = f"case when ({rule.unless.sql}) then 'miss' else 'hit' end" if rule.unless else "'hit'"
    return f"case ({rule.when.sql}) when true then {hit} when false then 'miss' else 'unknown' end"
