"""Policy: YAML text in, verdicts and counterfactuals out."""

from membergate.deciding.policy.counterfactuals import counterfactual
from membergate.deciding.policy.loading import load_policy
from membergate.deciding.policy.policy import Policy, Refusal
from membergate.deciding.policy.scoring import Reason
from membergate.deciding.policy.verdicts import decide

__all__ = ["Policy", "Reason", "Refusal", "counterfactual", "decide", "load_policy"]
