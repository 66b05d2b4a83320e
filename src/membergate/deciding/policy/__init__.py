"""Policy: YAML text in, verdicts and counterfactuals out."""

from membergate.deciding.policy.counterfactuals import counterfactual, way_out
from membergate.deciding.policy.differing import Change, differing
from membergate.deciding.policy.examples import ExampleOutcome, run_examples
from membergate.deciding.policy.loading import load_policy
from membergate.deciding.policy.policy import Policy, Refusal
from membergate.deciding.policy.reviewing import Allocation, ReviewCase, allocate_reviews, review_gain
from membergate.deciding.policy.scoring import Reason
from membergate.deciding.policy.verdicts import Hearing, decide, hear

__all__ = [
    "Allocation",
    "Change",
    "ExampleOutcome",
    "Hearing",
    "Policy",
    "Reason",
    "Refusal",
    "ReviewCase",
    "allocate_reviews",
    "counterfactual",
    "decide",
    "differing",
    "hear",
    "load_policy",
    "review_gain",
    "run_examples",
    "way_out",
]
