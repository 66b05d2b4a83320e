"""The gate refuses what lets more merchants in, what harms a look-alike, and what labels cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from membergate.domain.instants import utc
from membergate.verification.bootstrap import OperatorBootstrap
from membergate.verification.gate import Control, GateJudgement, GateRules, UsualSample, judge
from membergate.verification.sample import EvaluationSample

SampleMaker = Callable[..., EvaluationSample]
ROWS = 1500
IS_MERCHANT = np.arange(ROWS) % 10 == 0
IS_GIFT = (np.arange(ROWS) % 10 == 1) | (np.arange(ROWS) % 10 == 2)
STRICT = np.where(np.arange(ROWS) % 10 < 4, "deny", "admit")
OPEN_BUT_FOR_MERCHANTS = np.where(IS_MERCHANT, "deny", "admit")


def judged(sample: EvaluationSample, rules: GateRules | None = None) -> GateJudgement:
    """Judge with a seed."""
    return judge(sample, OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(3), 300), rules=rules)


@pytest.fixture(name="applicants")
def _applicants(make_sample: SampleMaker) -> SampleMaker:
    """Make a sample of 150 merchants and 1,350 genuine applicants, 300 of them gift givers."""

    def make(**dispositions: object) -> EvaluationSample:
        given = {"is_merchant": IS_MERCHANT, "groups": {"look_alike": np.where(IS_GIFT, "gift giver", "")}}
        return make_sample(ROWS, **(given | {"baseline_disposition": STRICT} | dispositions))

    return make


def test_a_better_candidate_passes(applicants: SampleMaker) -> None:
    """More genuine applicants and no more merchants: it opens, and says what was shown."""
    judgement = judged(applicants(disposition=OPEN_BUT_FOR_MERCHANTS, incumbent_disposition=STRICT))
    assert judgement.opens
    assert judgement.against == "incumbent"
    assert judgement.reasons[0].startswith("Leakage among those admitted in full")
    assert len(judgement.measurements) == 4


def test_a_leakier_candidate_is_refused(applicants: SampleMaker) -> None:
    """Letting half of the merchants in where the incumbent lets none in is refused as such."""
    leaky = np.where(IS_MERCHANT & (np.arange(ROWS) % 20 == 0), "admit", OPEN_BUT_FOR_MERCHANTS)
    judgement = judged(applicants(disposition=leaky, incumbent_disposition=STRICT))
    assert not judgement.opens
    assert "lets more merchants in" in judgement.reasons[0]


def test_leaks_through_trial_count(applicants: SampleMaker) -> None:
    """Merchants put on trial are no full admissions, but the gate looks at all holders too."""
    on_trial = np.where(IS_MERCHANT, "trial", "admit")
    judgement = judged(applicants(disposition=on_trial, incumbent_disposition=OPEN_BUT_FOR_MERCHANTS))
    assert not judgement.opens
    assert any("on trial" in reason for reason in judgement.reasons)


def test_what_labels_cannot_tell_is_refused(applicants: SampleMaker) -> None:
    """Equal policies on few labels: not shown to be no worse, and about how many labels would tell."""
    sample = applicants(disposition=STRICT, incumbent_disposition=STRICT)
    judgement = judged(sample.take(np.arange(200)))
    assert not judgement.opens
    assert "not shown to be no worse" in judgement.reasons[0]
    assert "would tell" in judgement.reasons[0]


def test_too_few_labels_are_named(applicants: SampleMaker) -> None:
    """Below the least number of operators nothing is judged at all."""
    sample = applicants(disposition=STRICT, incumbent_disposition=STRICT)
    judgement = judged(sample.take(np.arange(60)))
    assert not judgement.opens
    assert judgement.reasons[0].startswith("Too few labels to judge: the probability sample holds 60 operators, 6")


def test_a_first_model_may_go_live_unproven(applicants: SampleMaker) -> None:
    """With nothing live and too few labels the gate opens, and says that nothing was proved."""
    judgement = judged(applicants(disposition=STRICT).take(np.arange(60)))
    assert judgement.opens
    assert judgement.reasons[0].startswith("Unproven")
    assert judgement.reasons[1].startswith("Too few labels to judge")


def test_few_labels_refuse_a_first_model_that_is_clearly_bad(make_sample: SampleMaker) -> None:
    """Forty merchants of 99 are admitted in full where the strict rule admits none of them, or nobody at all."""
    is_merchant = np.arange(99) < 40
    for strict in (np.where(is_merchant, "deny", "admit"), np.full(99, "deny")):
        judgement = judged(make_sample(99, is_merchant=is_merchant, baseline_disposition=strict))
        assert not judgement.opens
        assert any("Leakage among those admitted in full" in reason for reason in judgement.reasons)
        assert judgement.reasons[-1].startswith("Too few labels to judge")


def test_few_labels_refuse_a_first_model_that_shuts_genuine_people_out(make_sample: SampleMaker) -> None:
    """Denying everyone leaks nothing, and is clearly worse for the genuine on ever so few labels."""
    is_merchant = np.arange(60) < 6
    strict = np.where(is_merchant, "deny", "admit")
    judgement = judged(
        make_sample(60, is_merchant=is_merchant, disposition=np.full(60, "deny"), baseline_disposition=strict)
    )
    assert not judgement.opens
    assert judgement.reasons[0].startswith("Genuine admission is clearly lower")


def test_labels_that_need_not_be_few_do_not_excuse(applicants: SampleMaker) -> None:
    """A sample made small by training until late is no small shop: the first model is sent back to learn again."""
    sample = applicants(disposition=STRICT).take(np.arange(60))
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(3), 300)
    late = judge(sample, bootstrap, usual=UsualSample(400, 40))
    assert not late.opens
    assert "400 operators would be left to judge by, 40 of them" in late.reasons[0]
    assert judge(sample, bootstrap, usual=UsualSample(400, 9)).opens


def test_a_harmed_look_alike_refuses(applicants: SampleMaker) -> None:
    """Fewer leaks do not pay for shutting out the gift givers whom the incumbent lets in."""
    harsh = np.where(IS_MERCHANT | IS_GIFT, "deny", "admit")
    judgement = judged(applicants(disposition=harsh, incumbent_disposition=OPEN_BUT_FOR_MERCHANTS))
    assert not judgement.opens
    assert any("'gift giver' is clearly harmed" in reason for reason in judgement.reasons)


def test_the_first_model_is_held_against_the_strict_rule(applicants: SampleMaker) -> None:
    """With nothing live, leakage in full is held against the strict rule, and over holders against an open door."""
    judgement = judged(applicants(disposition=OPEN_BUT_FOR_MERCHANTS))
    assert judgement.opens
    assert judgement.against == "strict"
    open_door = judged(applicants(disposition=np.full(ROWS, "trial")))
    assert not open_door.opens
    assert any("not shown to be below" in reason for reason in open_door.reasons)


def test_the_margin_is_the_rule(applicants: SampleMaker) -> None:
    """The same difference passes under a wide margin and fails under a narrow one."""
    slightly = np.where(IS_MERCHANT & (np.arange(ROWS) % 50 == 0), "admit", OPEN_BUT_FOR_MERCHANTS)
    sample = applicants(disposition=slightly, incumbent_disposition=OPEN_BUT_FOR_MERCHANTS)
    assert not judged(sample, GateRules(leakage_margin=0.005)).opens
    assert judged(sample, GateRules(leakage_margin=0.06)).opens


def test_a_door_that_admits_nobody_is_refused(applicants: SampleMaker) -> None:
    """A candidate that denies everyone leaks nothing, and keeps the genuine out: it does not go live."""
    judgement = judged(applicants(disposition=np.full(ROWS, "deny"), incumbent_disposition=STRICT))
    assert not judged(applicants(disposition=np.full(ROWS, "deny"), incumbent_disposition=OPEN_BUT_FOR_MERCHANTS)).opens
    assert not judgement.opens
    assert any("Genuine admission is clearly lower" in reason for reason in judgement.reasons)


def test_expired_evidence_refuses(applicants: SampleMaker) -> None:
    """A better candidate stays out where the newest evidence is older than allowed by the end of the data."""
    sample = applicants(disposition=OPEN_BUT_FOR_MERCHANTS, incumbent_disposition=STRICT)
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(3), 300)
    assert judge(sample, bootstrap, observed_until=utc(2026, 1, 15)).opens
    late = judge(sample, bootstrap, observed_until=utc(2026, 8, 1))
    assert not late.opens
    assert len(late.reasons) == 1
    assert late.reasons[0].startswith("The evidence has expired")


def test_a_failed_control_refuses(applicants: SampleMaker) -> None:
    """Unstable clusters or a negative control that detects something refuse, whatever the labels say."""
    sample = applicants(disposition=OPEN_BUT_FOR_MERCHANTS, incumbent_disposition=STRICT)
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(3), 300)
    passed = Control("stability", passes=True, sentence="Clusters are stable.")
    failed = Control("negative control", passes=False, sentence="Shuffled devices still detect rings.")
    assert judge(sample, bootstrap, controls=[passed]).opens
    judgement = judge(sample, bootstrap, controls=[passed, failed])
    assert not judgement.opens
    assert judgement.reasons == ("Shuffled devices still detect rings.",)


def test_what_is_live_may_be_verified_again(applicants: SampleMaker) -> None:
    """A candidate that is live already changes nobody's answer: few labels, or luck, never shut the gate on it."""
    sample = applicants(disposition=OPEN_BUT_FOR_MERCHANTS).take(np.arange(60))
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(3), 300)
    judgement = judge(sample, bootstrap, is_live=True)
    assert judgement.opens
    assert judgement.reasons[0] == "It is what is live already: publishing it again would change nobody's answer."
    assert not judge(sample, bootstrap, is_live=True, observed_until=utc(2026, 8, 1)).opens


def test_what_is_live_and_has_become_clearly_worse_is_refused(applicants: SampleMaker) -> None:
    """Leaking more than the strict rule by more than its margin, for sure, shuts the gate on what is live, too."""
    sample = applicants(disposition=np.full(ROWS, "admit"), baseline_disposition=OPEN_BUT_FOR_MERCHANTS)
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(3), 300)
    judgement = judge(sample, bootstrap, is_live=True)
    assert not judgement.opens
    assert "lets more merchants in" in judgement.reasons[1]


def test_what_is_live_and_lets_everybody_in_is_refused(applicants: SampleMaker) -> None:
    """Where the strict rule admits nobody, nothing can be compared: leakage in itself shuts the gate then."""
    sample = applicants(disposition=np.full(ROWS, "admit"), baseline_disposition=np.full(ROWS, "deny"))
    sample = replace(sample, is_merchant=np.arange(ROWS) % 10 < 4)
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(3), 300)
    judgement = judge(sample, bootstrap, is_live=True)
    assert not judgement.opens
    assert "40.0%" in judgement.reasons[1]
