"""The admission desk: one path from an application to a decision, whoever asks: batch, service, replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from membergate.deciding.policy import Policy, counterfactual, decide
from membergate.deciding.policy.reviewing import without_review
from membergate.deciding.velocity import Scope
from membergate.domain.decision import Decision
from membergate.domain.disposition import HOLDERS, Checkpoint, Disposition
from membergate.domain.errors import BadInputError, PolicyError, UnknownSubjectError
from membergate.domain.evidence import Absence, Evidence, EvidenceValue
from membergate.domain.instants import Clock, format_instant
from membergate.learning.features import FeatureTable
from membergate.learning.identity import OperatorTable
from membergate.learning.model import IdentificationModel, Testimony
from membergate.operations.history import Applications, History, aware
from membergate.operations.list_witness import ListWitness
from membergate.operations.testimony import Witnesses
from membergate.operations.velocity import VelocityWitness

STRONGEST_CONTRIBUTIONS = 8
"""How many contributions a decision records."""


@dataclass(frozen=True)
class AdmissionRequest:
    """A question at the door.

    Parameters
    ----------
    account_id
        Who asks.
    application_id
        Which application; the account's latest where None.
    as_of
        The instant of judgement for an account that has not applied yet; the present where None.
    """

    account_id: str
    application_id: str | None = None
    as_of: datetime | None = None


@dataclass(frozen=True)
class Case:
    """One application with everything that was known about it.

    Parameters
    ----------
    row
        Its row among the applications.
    operator_id
        Its operator as of the application.
    evidence
        Everything witnessed.
    contributions
        What moved the score, by column, strongest first.
    """

    row: int
    operator_id: str
    evidence: dict[str, Evidence]
    contributions: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Look:
    """One look at applications: their operators, features, and what the model says of them; a row an application."""

    operators: OperatorTable
    table: FeatureTable
    testimony: Testimony


class Ledger:
    """Who holds a membership as of an instant: by the market's own record, or because this desk admitted them.

    Parameters
    ----------
    history
        The loaded market with its memberships.
    memberships_until
        Memberships from here on are left out: they are what another door gave, when this one is being measured.
    """

    def __init__(self, history: History, memberships_until: datetime | None = None) -> None:
        self._spans = history.holders(memberships_until)
        self._admitted: dict[str, np.datetime64] = {}

    def holders(self, account_ids: Sequence[str], as_of: np.datetime64) -> int:
        """Count the accounts that hold a membership as of an instant, or were given one before it."""
        return sum(self._holds(account, as_of) for account in account_ids)

    def holds(self, account_id: str, as_of: datetime) -> bool:
        """Tell whether an account holds a membership as of an instant by the market's record alone."""
        instant = np.datetime64(as_of.replace(tzinfo=None), "us")
        return any(start <= instant < end for start, end in self._spans.get(account_id, ()))

    def accounts(self, as_of: datetime) -> tuple[str, ...]:
        """Name the accounts that hold a membership as of an instant by the market's record, in alphabetical order."""
        return tuple(sorted(account for account in self._spans if self.holds(account, as_of)))

    def admit(self, account_id: str, as_of: np.datetime64) -> None:
        """Remember an admission."""
        self._admitted[account_id] = min(as_of, self._admitted.get(account_id, as_of))

    def forget(self) -> None:
        """Forget what this desk admitted; the market's memberships stay."""
        self._admitted.clear()

    def _holds(self, account_id: str, as_of: np.datetime64) -> bool:
        given = self._admitted.get(account_id)
        if given is not None and given < as_of:
            return True
        return any(start <= as_of < end for start, end in self._spans.get(account_id, ()))


class AdmissionDesk:
    """Decides applications with one model and one policy.

    Parameters
    ----------
    history
        The loaded market.
    model, model_version
        The witness.
    policy
        The judge.
    ledger
        Who was admitted already; made from the market's memberships where None.
    lists
        What the risk lists say; where None, nobody keeps any.
    velocity
        How often something happened lately; where None, nobody counts.
    standby
        Policies that decide as of instants at which the judge is not in effect, the first that is.
    shadows
        Policies that decide beside the judge and only count; see `shadow_counts`.
    """

    def __init__(
        self,
        history: History,
        model: IdentificationModel,
        model_version: str,
        policy: Policy,
        *,
        ledger: Ledger | None = None,
        lists: ListWitness | None = None,
        velocity: VelocityWitness | None = None,
        standby: Sequence[Policy] = (),
        shadows: Sequence[Policy] = (),
    ) -> None:
        self.history = history
        self.model = model
        self.model_version = model_version
        self.policy = policy
        self.ledger = ledger or Ledger(history)
        self.lists = lists
        self.velocity = velocity or VelocityWitness(None)
        self.standby = tuple(standby)
        self.shadows = tuple(shadows)
        self.unreviewed: frozenset[str] = frozenset()
        """Applications for which reviewers have no time: they are decided without the choice of a review."""
        self.is_explaining = True
        """Whether decisions carry a counterfactual; finding it costs most of a decision, and measuring needs none."""
        self.shadow_counts: Counter[tuple[str, Disposition, Disposition]] = Counter()
        """How often a shadow's version, our disposition and its disposition came together in the last window."""

    @property
    def policy_version(self) -> str:
        """Name, version and digest of the policy that judges."""
        return version_of(self.policy)

    def policy_at(self, as_of: datetime) -> Policy:
        """Give the policy that decides as of an instant, with the overlays that hold then.

        Raises
        ------
        PolicyError
            If no policy is in effect at that instant.
        """
        for policy in (self.policy, *self.standby):
            if policy.is_effective(as_of):
                return policy.at(as_of)
        raise PolicyError(
            "no policy is in effect at this instant",
            where=format_instant(as_of),
            allowed=f"from {self.policy.effective_from} until {self.policy.effective_until}",
            next_step="membergate policy activate, with a policy that is in effect",
        )

    def decide_window(self, since: datetime | None = None, until: datetime | None = None) -> list[Decision]:
        """Decide the applications submitted in [since, until), in order, each as of its own instant.

        What is decided does not depend on where the window begins: applications since the model was trained compete
        for their operator's cap whether the window shows them or not.
        """
        first = None if since is None else min(since, self.model.lineage.trained_until)
        self.shadow_counts.clear()
        decided = []
        for case, decision in self.decide_with_evidence(self.history.applications(first, until)):
            if since is None or decision.as_of >= since:
                decided.append(decision)
                self._count_shadows(case, decision)
        return decided

    def look(self, applications: Applications) -> Look:
        """Look at applications, each as of its own submission."""
        spine = applications.spine
        operators = self.history.operators(spine)
        table = self.history.features(spine, operators, self.model.norms, self.model.features)
        return Look(operators, table, self.model.witness(table))

    def decide_with_evidence(
        self, applications: Applications, look: Look | None = None
    ) -> Iterator[tuple[Case, Decision]]:
        """Decide applications one after the other, giving all that was witnessed beside each decision.

        Those who are let in count against later applicants of the same operator, from when the platform knew of the
        application; not those from before the model was trained, whom another door decided.

        Parameters
        ----------
        applications
            In order of submission.
        look
            What `look` has seen of them, if it was asked already.
        """
        self.ledger.forget()
        if self.lists is not None:
            self.lists.refresh()
        trained_until = np.datetime64(self.model.lineage.trained_until.replace(tzinfo=None), "us")
        for case in self._cases(applications, look or self.look(applications)):
            decision = self.decision_on(applications, case)
            if decision.disposition in HOLDERS and applications.submitted_at[case.row] >= trained_until:
                self.ledger.admit(decision.account_id, applications.known_at[case.row])
            yield case, decision

    def decide(self, request: AdmissionRequest, clock: Clock) -> Decision:
        """Decide one application, or an account as though it applied now: the decision that a batch would make.

        Raises
        ------
        UnknownSubjectError
            If the account or the application is unknown, or the application belongs to another account.
        BadInputError
            If the request names both an application and an instant.
        """
        decided_at = clock()
        _, decision = self.decide_asked(request, decided_at)
        return replace(decision, decided_at=decided_at)

    def decide_asked(self, request: AdmissionRequest, now: datetime) -> tuple[Case, Decision]:
        """Decide what a request asks, and give everything that was witnessed beside it.

        Raises
        ------
        UnknownSubjectError
            If the account or the application is unknown, or the application belongs to another account.
        BadInputError
            If the request names both an application and an instant.
        """
        if not self.history.has_account(request.account_id):
            raise UnknownSubjectError(
                f"no account {request.account_id[:64]!r} was loaded",
                next_step="membergate ingest the market that holds it",
            )
        asked = self._asked(request, now)
        *_, last = self.decide_with_evidence(self._with_company(asked))
        return last

    def witness(self, account_ids: Sequence[str], as_of: datetime) -> Iterator[Case]:
        """Give everything that is witnessed about accounts as of one instant, as at an admission then, in order."""
        names = np.array(account_ids, dtype=np.str_)
        instants = np.full(names.size, np.datetime64(as_of.replace(tzinfo=None), "us"))
        applications = Applications(names, names, instants, instants, np.full(names.size, ""))
        return self._cases(applications, self.look(applications))

    def _asked(self, request: AdmissionRequest, now: datetime) -> Applications:
        if request.application_id is not None and request.as_of is not None:
            raise BadInputError(
                "an application is decided as of its own submission", allowed="application_id or as_of, not both"
            )
        if request.application_id is not None:
            found = self.history.application(request.application_id)
            if found.account_ids[0] != request.account_id:
                raise UnknownSubjectError(
                    f"application {request.application_id!r} belongs to another account than {request.account_id!r}"
                )
            return found
        mine = self.history.applications_of(request.account_id)
        if len(mine) and request.as_of is None:
            return mine.take(np.arange(len(mine)) == len(mine) - 1)
        instant = np.array([(request.as_of or now).replace(tzinfo=None)], dtype="datetime64[us]")
        return Applications(np.array([""]), np.array([request.account_id]), instant, instant, np.array([""]))

    def _with_company(self, asked: Applications) -> Applications:
        """Put before one application those that could have used up its operator's cap, and theirs, and so on."""
        trained_until = np.datetime64(self.model.lineage.trained_until.replace(tzinfo=None), "us")
        met: set[str] = set()
        company: list[Applications] = []
        to_meet = self._members_of(asked)
        while to_meet:
            account = to_meet.pop()
            met.add(account)
            theirs = self.history.applications_of(account)
            earlier = (theirs.submitted_at < asked.submitted_at[0]) & (theirs.submitted_at >= trained_until)
            company.append(theirs.take(earlier & (theirs.application_ids != asked.application_ids[0])))
            to_meet |= self._members_of(company[-1]) - met
        return Applications.joined([*company, asked])

    def _members_of(self, applications: Applications) -> set[str]:
        table = self.history.operators(applications.spine)
        return {member for row in range(len(applications)) for member in table.members(row)}

    def _cases(self, applications: Applications, look: Look) -> Iterator[Case]:
        spine = applications.spine
        operators, table, testimony = look.operators, look.table, look.testimony
        witnesses = Witnesses(table, testimony, self.model, self.model_version)
        names = {name for policy in (self.policy, *self.standby, *self.shadows) for name in policy.kinds}
        for row in range(len(applications)):
            operator_id = str(operators.operator_ids[row])
            evidence = witnesses.about(row, self._about_operator(table, operators, row))
            if self.lists is not None:
                evidence |= self.lists.about(str(spine.account_ids[row]), operator_id, aware(spine.as_of[row]))
            subjects = {Scope.ACCOUNT: (str(spine.account_ids[row]),), Scope.OPERATOR: operators.members(row)}
            evidence |= self.velocity.about(subjects, aware(spine.as_of[row]), names)
            yield Case(row, operator_id, evidence, _strongest(testimony.contributions[row], testimony.columns))

    def _about_operator(
        self, table: FeatureTable, operators: OperatorTable, row: int
    ) -> dict[str, EvidenceValue | Absence]:
        as_of = table.spine.as_of[row]
        account = str(table.spine.account_ids[row])
        others = [member for member in operators.members(row) if member != account]
        holders = self.ledger.holders(others, as_of)
        recent = table.values[row, table.features.index("L2")] if "L2" in table.features else np.nan
        return {
            "operator_accounts": float(len(others) + 1),
            "operator_holders": float(holders),
            "operator_recent_applications": float(recent) if np.isfinite(recent) else Absence.NOT_OBSERVED,
        }

    def _count_shadows(self, case: Case, decision: Decision) -> None:
        for shadow in self.shadows:
            if shadow.is_effective(decision.as_of):
                verdict = decide(
                    shadow.at(decision.as_of),
                    Checkpoint.ADMISSION,
                    case.evidence,
                    lottery=draw(case.operator_id, shadow),
                    snoozed=shadow.snoozed_for(decision.account_id, decision.as_of),
                )
                self.shadow_counts[version_of(shadow), decision.disposition, verdict.disposition] += 1

    def decision_on(self, applications: Applications, case: Case) -> Decision:
        """Ask the policy about one case, and write down what it says."""
        as_of = aware(applications.submitted_at[case.row])
        account_id, evidence = str(applications.account_ids[case.row]), case.evidence
        policy = self.policy_at(as_of)
        no_time: tuple[Evidence, ...] = ()
        if str(applications.application_ids[case.row]) in self.unreviewed:
            policy = without_review(policy)
            no_time = (Evidence("has_review_place", value=False, origin="reviews", observed_at=as_of),)
        lottery, snoozed = draw(case.operator_id, policy), policy.snoozed_for(account_id, as_of)
        verdict = decide(policy, Checkpoint.ADMISSION, evidence, lottery=lottery, snoozed=snoozed)
        read = (*(evidence[name] for name in sorted(verdict.read) if name in evidence), *no_time)
        decision = Decision(
            decision_id="",
            checkpoint=Checkpoint.ADMISSION,
            application_id=str(applications.application_ids[case.row]) or None,
            order_id=None,
            account_id=account_id,
            operator_id=case.operator_id,
            decided_at=aware(applications.known_at[case.row]),
            as_of=as_of,
            disposition=verdict.disposition,
            merchant_probability=_value(evidence["merchant_probability"]),
            risk_score=_value(evidence["risk_score"]),
            reason_codes=verdict.reason_codes,
            evidence=read,
            counterfactual=counterfactual(
                policy, Checkpoint.ADMISSION, evidence, verdict, lottery=lottery, snoozed=snoozed
            )
            if self.is_explaining
            else None,
            caps=verdict.caps,
            policy_version=version_of(policy),
            model_version=self.model_version,
            promotion_id=str(applications.promotion_ids[case.row]) or None,
            degraded=verdict.degraded,
            explore=verdict.explore,
            propensity=verdict.propensity,
            contributions=case.contributions,
        )
        return replace(decision, decision_id=_decision_id(decision))


def draw(operator_id: str, policy: Policy) -> float:
    """Draw in [0, 1): the same operator under the same policy draws the same, so rings cannot shop for luck."""
    digest = sha256(f"lottery|{operator_id}|{policy.digest}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def version_of(policy: Policy) -> str:
    """Give name, version and digest of a policy."""
    return f"{policy.name}-{policy.version}-{policy.digest[:12]}"


def _decision_id(decision: Decision) -> str:
    """Name a decision by what was asked, by whom it was judged, and on what evidence.

    The same question on the same evidence has the same name; late data that changes the evidence makes a new decision
    and never a second meaning of an old one.
    """
    asked = (
        decision.checkpoint,
        decision.application_id or "",
        decision.account_id,
        decision.operator_id,
        format_instant(decision.as_of),
        decision.policy_version,
        decision.model_version,
        *(f"{witnessed.name}={witnessed.value!r}" for witnessed in decision.evidence),
        *(f"{name}={value!r}" for name, value in decision.contributions),
    )
    return "d-" + sha256("|".join(asked).encode()).hexdigest()[:24]


def _strongest(contributions: NDArray[np.float64], columns: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    order = np.lexsort((np.arange(contributions.size), -np.abs(contributions)))[:STRONGEST_CONTRIBUTIONS]
    # Rounded: the last bits of a sum over trees mean nothing and would make two equal decisions look different.
    return tuple(
        (columns[index], round(float(contributions[index]), 6)) for index in order if contributions[index] != 0
    )


def _value(evidence: Evidence) -> float | None:
    return float(evidence.value) if isinstance(evidence.value, int | float) else None
