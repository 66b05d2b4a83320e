"""demo: the whole cycle, on a simulated market or on the real households of the Complete Journey data."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from membergate.domain.decision import Decision
from membergate.domain.disposition import LADDERS, Checkpoint
from membergate.domain.instants import Clock
from membergate.domain.measurement import Measurement
from membergate.market.examples import complete_journey_demographics, complete_journey_mapping, write_complete_journey
from membergate.operations.admit import admit
from membergate.operations.history import History, aware
from membergate.operations.ingest import ingest
from membergate.operations.learn import learn
from membergate.operations.publish import publish
from membergate.operations.simulate import simulate
from membergate.operations.verify import Verified, verify
from membergate.operations.workspace import Workspace
from membergate.verification.certificate import Terms
from membergate.verification.gate import GateJudgement

LEARNED_SHARE = 0.45
"""Share of the simulated applications that lie before the demonstration's instant of learning."""
UNKNOWN = "not surveyed"

REVIEWER_SENSITIVITY = 0.85
"""Share of merchants whom one simulated reviewer finds; the certificate is held to it."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class RuleRow:
    """One line of the comparison."""

    rule: str
    leakage: Measurement
    genuine_admission: Measurement


@dataclass(frozen=True)
class MarketShown:
    """What the demonstration on a simulated market shows."""

    rows: tuple[RuleRow, ...]
    verdict: str
    difference: Measurement
    reviewed: int
    certificates: tuple[str, ...]
    gate: str
    report: Path
    decisions: Path
    workspace: Path


@dataclass(frozen=True)
class GroupMix:
    """How one group of households fared: dispositions by count."""

    name: str
    households: int
    mix: dict[str, int]


@dataclass(frozen=True)
class HouseholdsShown:
    """What the demonstration on real households shows. All are genuine."""

    households: int
    dispositions: tuple[str, ...]
    everyone: tuple[GroupMix, ...]
    by_size: tuple[GroupMix, ...]
    by_income: tuple[GroupMix, ...]
    reasons: tuple[tuple[str, int], ...]
    calibration: str
    decisions: Path


def demonstrate_market(workspace: Workspace, *, seed: int, clock: Clock, tell: Tell) -> MarketShown:
    """Simulate a market, learn at its middle, verify on what came later, publish, and decide.

    Parameters
    ----------
    workspace
        Made anew: whatever an earlier demonstration left in it is removed.
    seed
        Seed of the market and of learning.
    clock
        Dates the report.
    tell
        Told what happens now.
    """
    shutil.rmtree(workspace.root, ignore_errors=True)
    tell("simulating a market")
    simulate(workspace.root / "simulated", preset="demo", seed=seed)
    tell("ingesting")
    ingest(workspace.root, workspace.root / "simulated" / "market", clock=clock)
    history = History(workspace.warehouse())
    everyone = history.applications()
    cut = aware(everyone.submitted_at[int(len(everyone) * LEARNED_SHARE)])
    tell("learning who is who")
    learn(workspace, as_of=cut, trained_until=cut, history=history)
    tell("verifying on later applications")
    verified = verify(workspace, clock=clock, history=history, terms=Terms(reviewer_sensitivity=REVIEWER_SENSITIVITY))
    if verified.report.judgement.opens:
        tell("publishing")
        publish(workspace, clock=clock)
    tell("deciding")
    decisions = workspace.root / "decisions.parquet"
    model_version = None if verified.report.judgement.opens else verified.model_version
    admit(workspace, clock=clock, since=cut, out=decisions, model_version=model_version, history=history)
    return _shown(verified, decisions, workspace)


def demonstrate_households(workspace: Workspace, *, clock: Clock, tell: Tell) -> HouseholdsShown:
    """Decide every household of the Complete Journey data as though it applied at the end of the data.

    Nobody labelled them, so the model stays uncalibrated and says so; all are genuine, so whatever is not full
    admission is a false alarm.

    Raises
    ------
    BadInputError
        If the extra `examples` is not installed.
    """
    shutil.rmtree(workspace.root, ignore_errors=True)
    tell("unpacking the households' transactions")
    source = workspace.root / "complete-journey"
    write_complete_journey(source)
    tell("ingesting")
    ingest(workspace.root, source, mapping=complete_journey_mapping(), clock=clock)
    history = History(workspace.warehouse())
    applications = history.applications()
    tell("learning what is ordinary")
    first = aware(applications.submitted_at.min())
    learned = learn(workspace, as_of=first, history=history)
    tell("deciding")
    decisions = workspace.root / "decisions.parquet"
    admitted = admit(workspace, clock=clock, out=decisions, model_version=learned.model_version, history=history)
    people = complete_journey_demographics()
    return HouseholdsShown(
        households=len(admitted.decisions),
        dispositions=tuple(disposition.value for disposition in LADDERS[Checkpoint.ADMISSION]),
        everyone=_mixes(admitted.decisions, {}, "all households"),
        by_size=_mixes(admitted.decisions, _survey(people, "household_size"), UNKNOWN),
        by_income=_mixes(admitted.decisions, _survey(people, "income"), UNKNOWN),
        reasons=tuple(admitted.reasons.items()),
        calibration="; ".join(learned.notes),
        decisions=decisions,
    )


def _shown(verified: Verified, decisions: Path, workspace: Workspace) -> MarketShown:
    report = verified.report
    equal = report.metrics.equal_leakage
    candidate = next(outcome for outcome in report.metrics.outcomes if outcome.policy == "candidate")
    full, holders = candidate.rates["full"], candidate.rates["holders"]
    return MarketShown(
        rows=(
            RuleRow("(a) strict threshold", equal.strict_leakage, equal.strict_genuine_admission),
            RuleRow(
                "(b) membergate's score, held to (a)'s leakage", equal.strict_leakage, equal.score_genuine_admission
            ),
            RuleRow("    its policy, full admission", full.leakage, full.genuine_admission),
            RuleRow("    its policy, capped trials too", holders.leakage, holders.genuine_admission),
        ),
        verdict=report.verdict,
        difference=equal.difference,
        reviewed=report.metrics.evidence.sampled,
        certificates=tuple(each.line for each in report.certificates),
        gate=_gate_line(report.judgement),
        report=verified.html,
        decisions=decisions,
        workspace=workspace.root,
    )


def _gate_line(judgement: GateJudgement) -> str:
    if not judgement.opens:
        return f"gate: shut. {' '.join(judgement.reasons)}"
    spared = sum(reason.startswith("Look-alike") for reason in judgement.reasons)
    others = " ".join(reason for reason in judgement.reasons if not reason.startswith("Look-alike"))
    return f"gate: open. {others} None of {spared} look-alikes is clearly harmed."


def _survey(people: pa.Table, column: str) -> dict[str, str]:
    answers = zip(people["account_id"].to_pylist(), people[column].to_pylist(), strict=True)
    return {account: str(answer) for account, answer in answers if answer is not None}


def _mixes(decisions: tuple[Decision, ...], groups: dict[str, str], otherwise: str) -> tuple[GroupMix, ...]:
    """Count dispositions by group, groups in their own order with the unknown last."""
    counts: dict[str, Counter[str]] = {}
    for decision in decisions:
        group = groups.get(decision.account_id, otherwise)
        counts.setdefault(group, Counter())[decision.disposition.value] += 1
    ordered = sorted(counts, key=lambda name: (name == otherwise, _first_number(name), name))
    return tuple(GroupMix(name, counts[name].total(), dict(counts[name])) for name in ordered)


def _first_number(name: str) -> int:
    """Sort bands such as '15-24K' and '125-149K' by where they begin; 'Under 15K' comes first."""
    digits = "".join(character if character.isdigit() else " " for character in name).split()
    return 0 if name.startswith("Under") else int(digits[0]) if digits else 0
