"""Certificates for those who could be harmed: "of genuine people of this kind, at most beta are refused".

The same bet as for leakage, with other roles: an operator's sum is X = sum(w (refused - beta)) over its genuine
labelled accounts of the group, whose mean is at least 0 exactly when the group is refused at beta or more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from membergate.domain.disposition import HOLDERS
from membergate.verification.bootstrap import effective_count
from membergate.verification.certificate import Terms, betting_log_wealth, needed_clean_operators
from membergate.verification.fixed_sequence import CappedRows
from membergate.verification.sample import EvaluationSample, Flags, is_among
from membergate.verification.shares import clopper_pearson

LARGEST_REFUSAL = 0.1
"""Share of a look-alike's genuine people who may be refused, by default."""


@dataclass(frozen=True, slots=True)
class RefusalCertificate:
    """What is certified about one group's refusals, over all holders: who is on trial is not refused.

    Parameters
    ----------
    group
        The look-alike.
    bound
        The share of its genuine people, beta, that may be refused.
    delta
        Risk of certifying wrongly, of this group alone: the terms' delta over the number of groups, so that all hold
        together.
    holds
        Whether it is certified.
    accounts, operators, refused
        Genuine labelled accounts within the cap, their operators, and how many of the accounts were refused.
    refusal
        The estimate, weighted by inverse propensity; None where nobody was labelled.
    practical_bound
        Upper one-sided Clopper-Pearson bound at 1 - delta on the effective number of accounts; no guarantee for homes
        with several accounts.
    needed_operators
        Operators without a refusal that certify.
    """

    group: str
    bound: float
    delta: float
    holds: bool
    accounts: int
    operators: int
    refused: int
    refusal: float | None
    practical_bound: float | None
    needed_operators: int


def certify_refusals(
    sample: EvaluationSample, terms: Terms, *, bound: float = LARGEST_REFUSAL
) -> tuple[RefusalCertificate, ...]:
    """Certify every look-alike of the sample.

    Parameters
    ----------
    sample
        The evaluation sample; its probability sample counts, with unclipped weights.
    terms
        Delta, the operator cap and the smallest propensity are taken from here.
    bound
        The share of a group that may be refused, in (0, 1).
    """
    of_row = sample.groups.get("look_alike")
    if of_row is None:
        return ()
    genuine = sample.is_sampled & ~sample.is_merchant
    groups = [str(group) for group in np.unique(of_row[genuine]) if group]
    delta = terms.delta / max(len(groups), 1)
    return tuple(_of(group, sample, genuine & (of_row == group), terms, delta, bound) for group in groups)


def _of(
    group: str, sample: EvaluationSample, members: Flags, terms: Terms, delta: float, bound: float
) -> RefusalCertificate:
    kept = sample.take(np.flatnonzero(members))
    # In the sorted rows, "merchant" is whoever was refused.
    rows = CappedRows.of(replace(kept, is_merchant=~is_among(kept.disposition, HOLDERS)))
    totals, counted = rows.totals(np.ones(len(rows.score), dtype=np.bool_), terms.operator_cap)
    seen = float(sample.weight[sample.is_sampled].max(initial=1.0))
    largest = 1 / terms.smallest_propensity if terms.smallest_propensity else seen
    sums = (totals[:, 0] - bound * totals[:, 1]) / (terms.operator_cap * largest)
    wealth = float(betting_log_wealth(sums, bound)[-1])
    share = float(totals[:, 0].sum() / totals[:, 1].sum())
    return RefusalCertificate(
        group=group,
        bound=bound,
        delta=delta,
        holds=wealth >= -float(np.log(delta)),
        accounts=int(counted.sum()),
        operators=len(totals),
        refused=int(rows.is_merchant[counted].sum()),
        refusal=share,
        practical_bound=clopper_pearson(share, effective_count(rows.weight[counted]), 1 - 2 * delta)[1],
        needed_operators=needed_clean_operators(
            bound, delta, terms.operator_cap, weight_share=float(totals[:, 1].mean()) / largest
        ),
    )
