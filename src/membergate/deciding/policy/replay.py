"""A policy as DuckDB queries, for replaying it over stored evidence. Text only: nothing is run here.

`to_duckdb` gives every rule's outcome; `verdicts_to_duckdb` gives the whole disposition, with the same arithmetic in
the same order as the door, so that both agree to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable

from membergate.deciding.policy import operators, witnesses
from membergate.deciding.policy.economics import Economics, Keeping
from membergate.deciding.policy.policy import Exploration, Policy, Refusal, Rule
from membergate.deciding.policy.verdicts import FAIL_SAFE
from membergate.domain.disposition import LADDERS, Checkpoint, Disposition, severity

_D = Disposition
_PERSONS = {_D.DENY: _D.REVIEW, _D.TERMINATE: _D.SUSPEND_BENEFIT}
_RUNG = {disposition: rung for rung, disposition in enumerate(LADDERS[Checkpoint.ADMISSION])}


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


def verdicts_to_duckdb(policy: Policy, checkpoint: Checkpoint, relation: str) -> str:
    """Write the query that gives the disposition for every row of evidence.

    Parameters
    ----------
    policy
        As it decides at the rows' instants: `policy.at(as_of)`.
    checkpoint
        Whose ladder.
    relation
        Name of a table or view as `to_duckdb` takes it, with every evidence name that the policy reads at the
        checkpoint, and `lottery` (DOUBLE), `failed` (VARCHAR[], the names whose witness failed).

    Returns
    -------
    str
        A SELECT of all columns, one BOOLEAN `hit:ID` for each rule, `rung` on the checkpoint's ladder (INTEGER, after
        the exploration lane) and `is_explored`. Snoozes are no part of it.
    """
    rules = [rule for rule in policy.rules if rule.checkpoint is checkpoint]
    hits = "".join(f',\n  {_hit(rule)} as "hit:{rule.rule_id}"' for rule in rules)
    query = f'select *{hits}\nfrom "{relation}"'
    rungs = [f'case when "hit:{rule.rule_id}" then {_rule_rung(policy, rule)} end' for rule in rules]
    rungs.append(f"case when len(failed) > 0 then {severity(FAIL_SAFE[checkpoint], checkpoint)} end")
    if checkpoint is Checkpoint.ADMISSION:
        query = _scored(policy, query)
        rungs += ["score_rung", "cap_rung"]
    query = f"select *, coalesce(greatest({', '.join([*rungs, '0'])}), 0) as asked\nfrom ({query})"
    propensity = "null::double"
    if checkpoint is Checkpoint.ADMISSION and policy.exploration:
        propensity = _propensity(policy, policy.exploration, rules)
    query = f"select *, {propensity} as propensity\nfrom ({query})"
    query = f"select *, coalesce(lottery < propensity, false) as is_explored\nfrom ({query})"
    return f"select *, case when is_explored then {_RUNG[_D.TRIAL]} else asked end as rung\nfrom ({query})"


def _outcome(rule: Rule) -> str:
    hit = f"case when ({rule.unless.sql}) then 'miss' else 'hit' end" if rule.unless else "'hit'"
    return f"case ({rule.when.sql}) when true then {hit} when false then 'miss' else 'unknown' end"


def _hit(rule: Rule) -> str:
    spared = f" and ({rule.unless.sql}) is not true" if rule.unless else ""
    return f"(({rule.when.sql}) is true{spared})"


def _rule_rung(policy: Policy, rule: Rule) -> int:
    asks = rule.at_least or LADDERS[rule.checkpoint][0]
    if asks in _PERSONS and not rule.is_backed_by_person and policy.refusal is Refusal.BY_A_PERSON:
        asks = _PERSONS[asks]
    return severity(asks, rule.checkpoint)


def _scored(policy: Policy, query: str) -> str:
    """Add what the expected value and the operator cap ask for."""
    cap, economics = policy.operator_holder_cap, policy.economics
    cap_rung = "null::integer"
    if cap is not None:
        asks = _PERSONS.get(cap.at_least, cap.at_least) if policy.refusal is Refusal.BY_A_PERSON else cap.at_least
        holders = f'coalesce("{witnesses.OPERATOR_HOLDERS}", 0e0)'
        is_reached = f"{holders} >= {cap.accounts} or list_contains(failed, '{witnesses.OPERATOR_HOLDERS}')"
        cap_rung = f"case when {is_reached} then {_RUNG[asks]} end"
    if economics is None:
        return f"select *, {cap_rung} as cap_rung, null::integer as score_rung\nfrom ({query})"
    value, loss = (_product(policy, economics, which) for which in ("value", "loss"))
    probability = f'coalesce("{witnesses.MERCHANT_PROBABILITY}", "{witnesses.UNCALIBRATED_PROBABILITY}")'
    lane = f"({economics.business_lane.offered_when.sql}) is true" if economics.business_lane else "false"
    waived = f"({economics.waived_when.sql}) is true" if economics.waived_when else "false"
    query = f"select *, {probability} as p, {value} as v, {loss} as l, {lane} as has_lane\nfrom ({query})"
    low = f'least(coalesce("{witnesses.PROBABILITY_LOW}", p), p)'
    said_high = f'coalesce("{witnesses.MEMBERS_PROBABILITY_HIGH}", "{witnesses.PROBABILITY_HIGH}")'
    high = f"greatest(coalesce({said_high}, p), p)"
    query = f"select *, {low} as p_low, {high} as p_high, {said_high} as said_high\nfrom ({query})"
    bests = ", ".join(f"{_best(economics, end)} as best_{end}" for end in ("p", "p_low", "p_high"))
    query = f"select *, {bests}\nfrom ({query})"
    asked = f"case when {waived} then null when p is null then {_RUNG[_D.TRIAL]} else {_weighed(policy)} end"
    return f"select *, {cap_rung} as cap_rung, {asked} as score_rung\nfrom ({query})"


def _weighed(policy: Policy) -> str:
    """Bend the best disposition by little history, uncertainty, and a model that may not refuse."""
    deny, trial, capped = _RUNG[_D.DENY], _RUNG[_D.TRIAL], _RUNG[_D.ADMIT_CAPPED]
    bends = ""
    needed = policy.evidence_mass
    if needed is not None:
        orders = f'coalesce("{witnesses.EVIDENCE_MASS}", 0e0) < {_number(needed.minimum_orders)}'
        days = f'coalesce("{witnesses.HISTORY_DAYS}", 0e0) < {_number(needed.minimum_history_days)}'
        is_sure = f"said_high is not null and best_p_high <= {capped}"
        bends = f"when {orders} or {days} then case when {is_sure} then {capped} else {trial} end "
    bends += f"when best_p = {deny} and best_p_low <> {deny} then {trial} "
    bends += f"when best_p <= {capped} and best_p_high = {deny} then {trial} "
    is_calibrated = f'"{witnesses.MERCHANT_PROBABILITY}" is not null and "{witnesses.IS_CALIBRATED}" is true'
    may_refuse = "false" if policy.refusal is Refusal.BY_A_PERSON else f"({is_calibrated})"
    return f"case {bends}when best_p = {deny} and not {may_refuse} then {_RUNG[_D.REVIEW]} else best_p end"


def _product(policy: Policy, economics: Economics, which: str) -> str:
    start = economics.genuine_value_minor if which == "value" else economics.merchant_loss_minor
    factors = [
        (segment.when.sql, segment.value_multiplier if which == "value" else segment.loss_multiplier)
        for segment in policy.segments
    ]
    product = "1e0"
    for condition, factor in factors:
        product = f"({product} * case when ({condition}) is true then {_number(factor)} else 1e0 end)"
    return f"({_number(start)} * {product})"


def _best(economics: Economics, p: str) -> str:
    """Give the rung of the best disposition at a probability; `economics.expected_values` holds the same arithmetic."""
    step_up, review, lane = economics.step_up, economics.review, economics.business_lane
    genuine, harm = f"(1e0 - {p})", f"({_number(economics.wrong_denial_harm_ratio)} * v)"

    def keeping(kept: Keeping) -> str:
        kept_value = f"{genuine} * {_number(kept.value_kept_ratio)} * v"
        return f"{kept_value} - {p} * {_number(kept.loss_kept_ratio)} * l - {_number(kept.cost_minor)}"

    stays = _number(1.0 - step_up.genuine_abandon_ratio)
    cleared, missed = _number(1.0 - review.specificity), _number(1.0 - review.sensitivity)
    reviewed = f"{genuine} * ({_number(review.specificity)} * v - {cleared} * {harm}) - {p} * {missed} * l"
    values = [
        f"{genuine} * v - {p} * l",
        keeping(economics.admit_capped),
        keeping(economics.trial),
        f"{genuine} * {stays} * v - {p} * {_number(step_up.merchant_pass_ratio)} * l - {_number(step_up.cost_minor)}",
        f"{reviewed} - {_number(review.cost_minor)} - {_number(review.queue_price_minor)}",
    ]
    if lane is None:
        values.append("null::double")
    else:
        returning = f"({_number(lane.genuine_return_ratio)} * {stays} * v)"
        gone = f"({_number(1.0 - lane.genuine_return_ratio)} * {harm})"
        accepted = _number(lane.merchant_accept_ratio * lane.business_margin_minor)
        offered = f"{genuine} * ({returning} - {gone}) + {p} * {accepted} - {_number(lane.cost_minor)}"
        values.append(f"case when has_lane then {offered} end")
    values.append(f"-{genuine} * {harm}")
    listed = f"[{', '.join(values)}]"
    return f"list_position({listed}, list_max({listed})) - 1"


def _propensity(policy: Policy, exploration: Exploration, rules: Iterable[Rule]) -> str:
    trial = _RUNG[_D.TRIAL]
    explored = ", ".join(str(_RUNG[disposition]) for disposition in sorted(exploration.from_dispositions))
    barring = [
        f'("hit:{rule.rule_id}" and {_rule_rung(policy, rule)} between {trial + 1} and asked)'
        for rule in rules
        if not rule.is_explorable
    ]
    barring.append(f"coalesce(cap_rung between {trial + 1} and asked, false)")
    floor = exploration.minimum_propensity

    def raised(propensity: float) -> str:
        return _number(max(propensity, floor) if propensity > 0 else 0.0)

    bands = " ".join(
        f'when "{witnesses.RISK_SCORE}" <= {_number(band.risk_score_at_most)} then {raised(band.propensity)}'
        for band in exploration.strata
    )
    lowest = raised(min(band.propensity for band in exploration.strata))
    open_lane = f"case {bands} else {lowest} end"
    return f"case when asked in ({explored}) then case when {' or '.join(barring)} then 0e0 else {open_lane} end end"


def _number(value: float) -> str:
    return operators.number(float(value)).sql
