"""The admission desk: one path from an application to a decision, whoever asks: batch, service, replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from membergate.deciding import velocity
from membergate.deciding.policy import Policy, decide, hear, way_out
from membergate.deciding.policy.reviewing import without_review
from membergate.deciding.velocity import Scope
from membergate.domain.decision import Decision
from membergate.domain.disposition import HOLDERS, Checkpoint, Disposition
from membergate.domain.errors import BadInputError, PolicyError, UnknownSubjectError
from membergate.domain.evidence import Evidence
from membergate.domain.instants import Clock, format_instant
from membergate.learning.features import Spine
from membergate.learning.model import IdentificationModel
from membergate.operations.history import Application, Applications, History
from membergate.operations.ledger import Ledger
from membergate.operations.list_witness import ListWitness
from membergate.operations.velocity import VelocityWitness
from membergate.operations.witnessing import KeptTestimony, Look, Witnessed, look_at, spine_of, witness, witnessed_in
from membergate.store import LetIn

ALWAYS = ("merchant_probability", "risk_score")
"""Evidence that every decision speaks of."""
_VELOCITY_NAMES = frozenset(velocity.NAMES)


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


@dataclass(frozen=True, slots=True)
class Case:
    """One application with everything that was known about it.

    Parameters
    ----------
    application
        Which.
    operator_id
        Its operator as of the application.
    evidence
        Everything witnessed.
    contributions
        What moved the score, by column, strongest first.
    """

    application: Application
    operator_id: str
    evidence: dict[str, Evidence]
    contributions: tuple[tuple[str, float], ...]


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
    let_in
        Whom the door let in, by its record; asked about those that come without an application. Where None, only what
        this desk did counts.
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
        let_in: LetIn | None = None,
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
        self.let_in = let_in
        self.names = frozenset({*ALWAYS, *(name for one in (policy, *standby, *shadows) for name in one.kinds)})
        """The evidence that its policies read."""
        self.kept = KeptTestimony(self.names)
        """What was witnessed lately about those who came to the door."""
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
        return look_at(self.history, self.model, applications.spine)

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
        if self.lists is not None:
            self.lists.refresh()
        found = (applications.one(row) for row in range(len(applications)))
        seen = witnessed_in(look or self.look(applications), self.model, self.model_version)
        return self._decided(found, seen, self.unreviewed)

    def decide(self, request: AdmissionRequest, clock: Clock) -> Decision:
        """Decide one application, or an account as though it applied now: the decision that a batch would make.

        Raises
        ------
        UnknownSubjectError
            If the account or the application is unknown, or the application belongs to another account.
        BadInputError
            If the request names both an application and an instant.
        """
        _, decision = self.decide_asked(request, clock())
        return decision

    def decide_asked(self, request: AdmissionRequest, now: datetime) -> tuple[Case, Decision]:
        """Decide what a request asks, and give everything that was witnessed beside it.

        Raises
        ------
        UnknownSubjectError
            If the account or the application is unknown, or the application belongs to another account.
        BadInputError
            If the request names both an application and an instant.
        """
        if self.lists is not None:
            self.lists.refresh()
        asked, is_present = self._asked(request, now), request.as_of is None
        applications = self._with_company(asked)
        found = [self._kept(application, is_present=is_present) for application in applications]
        missing = [one for one, known in zip(applications, found, strict=True) if known is None]
        spine = spine_of([(one.account_id, one.submitted_at) for one in missing])
        told = self._witness(spine) if missing else iter(())
        whole = [next(told) if known is None else known for known in found]
        for one, witnessed in zip(applications, whole, strict=True):
            self.kept.keep(witnessed, is_present=is_present and not one.application_id)
        return self._last_of(applications, whole, now, self.unreviewed)

    def decide_at_once(self, request: AdmissionRequest, now: datetime) -> Decision | None:
        """Decide what a request asks on kept testimony alone; None where something must be looked up first.

        Any thread may ask at any time: nothing is waited for, and nothing but memory is read.

        Raises
        ------
        UnknownSubjectError
            If the account or the application is unknown, or the application belongs to another account.
        BadInputError
            If the request names both an application and an instant.
        """
        if not self.velocity.is_local and not _VELOCITY_NAMES.isdisjoint(self.names):
            return None
        asked, is_present = self._asked(request, now), request.as_of is None
        applications = self._with_company(asked)
        kept = (self._kept(application, is_present=is_present) for application in applications)
        found = [known for known in kept if known is not None]
        if len(found) < len(applications):
            return None
        if not asked.application_id and self.let_in is not None and not self.let_in.is_ready:
            return None
        return self._last_of(applications, found, now, frozenset())[1]

    def testify(self, account_ids: Sequence[str], as_of: datetime) -> Iterator[Witnessed]:
        """Compute what is witnessed about accounts as of one instant, in order."""
        return self._witness(spine_of([(account_id, as_of) for account_id in account_ids]))

    def witness(self, account_ids: Sequence[str], as_of: datetime) -> Iterator[Case]:
        """Give everything that is witnessed about accounts as of one instant, as at an admission then, in order."""
        ledger = self.ledger.anew()
        for witnessed in self.testify(account_ids, as_of):
            yield self._case(Application("", witnessed.account_id, as_of, as_of), witnessed, ledger)

    def _witness(self, spine: Spine) -> Iterator[Witnessed]:
        return witness(self.history, self.model, self.model_version, spine)

    def _last_of(
        self,
        applications: Sequence[Application],
        witnessed: Sequence[Witnessed],
        now: datetime,
        unreviewed: frozenset[str],
    ) -> tuple[Case, Decision]:
        *_, (case, decision) = self._decided(applications, witnessed, unreviewed, now)
        if not case.application.application_id and decision.disposition in HOLDERS:
            self.ledger.let_in(decision.account_id, decision.as_of)
        return case, decision

    def _decided(
        self,
        applications: Iterable[Application],
        witnessed: Iterable[Witnessed],
        unreviewed: frozenset[str],
        decided_at: datetime | None = None,
    ) -> Iterator[tuple[Case, Decision]]:
        ledger, trained_until = self.ledger.anew(), self.model.lineage.trained_until
        for application, told in zip(applications, witnessed, strict=True):
            case = self._case(application, told, ledger)
            decision = self.decision_on(
                case, is_reviewed=application.application_id not in unreviewed, decided_at=decided_at
            )
            if decision.disposition in HOLDERS and application.submitted_at >= trained_until:
                ledger.admit(decision.account_id, application.known_at)
            yield case, decision

    def _asked(self, request: AdmissionRequest, now: datetime) -> Application:
        roll = self.history.roll
        if not roll.has_account(request.account_id):
            raise UnknownSubjectError(
                f"no account {request.account_id[:64]!r} was loaded",
                next_step="membergate ingest the market that holds it",
            )
        if request.application_id is not None and request.as_of is not None:
            raise BadInputError(
                "an application is decided as of its own submission", allowed="application_id or as_of, not both"
            )
        if request.application_id is not None:
            found = roll.application(request.application_id)
            if found.account_id != request.account_id:
                raise UnknownSubjectError(
                    f"application {request.application_id!r} belongs to another account than {request.account_id!r}"
                )
            return found
        mine = () if request.as_of is not None else roll.applications_of(request.account_id)
        instant = request.as_of or now
        return mine[-1] if mine else Application("", request.account_id, instant, instant)

    def _with_company(self, asked: Application) -> list[Application]:
        """Put before one application those that could have used up its operator's cap, and theirs, and so on."""
        trained_until, links = self.model.lineage.trained_until, self.history.links
        met: set[str] = set()
        company: dict[str, Application] = {}
        to_meet = {asked.account_id, *links.members_of(asked.account_id, asked.submitted_at)}
        while to_meet:
            account = to_meet.pop()
            met.add(account)
            for theirs in self.history.roll.applications_of(account):
                is_earlier = trained_until <= theirs.submitted_at < asked.submitted_at
                if is_earlier and theirs.application_id != asked.application_id:
                    company[theirs.application_id] = theirs
                    to_meet |= {*links.members_of(theirs.account_id, theirs.submitted_at)} - met
        return [*sorted(company.values(), key=lambda one: (one.submitted_at, one.application_id)), asked]

    def _kept(self, application: Application, *, is_present: bool) -> Witnessed | None:
        find = self.kept.lately if is_present and not application.application_id else self.kept.exactly
        return find(application.account_id, application.submitted_at)

    def _case(self, application: Application, witnessed: Witnessed, ledger: Ledger) -> Case:
        as_of, account_id = application.submitted_at, application.account_id
        holders = self._holders(witnessed, as_of, ledger, is_present=not application.application_id)
        evidence = {**witnessed.evidence, holders.name: holders}
        if self.lists is not None:
            evidence |= self.lists.about(account_id, witnessed.operator_id, as_of)
        subjects = {Scope.ACCOUNT: (account_id,), Scope.OPERATOR: witnessed.members}
        evidence |= self.velocity.about(subjects, as_of, self.names)
        return Case(application, witnessed.operator_id, evidence, witnessed.contributions)

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

    def holders_of(self, witnessed: Witnessed, at: datetime) -> Evidence:
        """Say how many other accounts of an account's operator hold a membership at present."""
        return self._holders(witnessed, at, self.ledger, is_present=True)

    def _holders(self, witnessed: Witnessed, at: datetime, ledger: Ledger, *, is_present: bool) -> Evidence:
        others = {member for member in witnessed.members if member != witnessed.account_id}
        holders = ledger.holders(others, at, is_present=is_present)
        if is_present and others and self.let_in is not None:
            by_the_door = self.let_in.before(sorted(others), at)
            holders += len(by_the_door) - ledger.holders(by_the_door, at, is_present=True)
        return Evidence("operator_holders", float(holders), "identity", at)

    def decision_on(self, case: Case, *, is_reviewed: bool = True, decided_at: datetime | None = None) -> Decision:
        """Ask the policy about one case, and write down what it says.

        Parameters
        ----------
        case
            The case.
        is_reviewed
            Whether reviewers have time; without, the choice of a review is not there.
        decided_at
            When; from when the application was known where None.
        """
        application, evidence = case.application, case.evidence
        as_of, account_id = application.submitted_at, application.account_id
        policy = self.policy_at(as_of)
        no_time: tuple[Evidence, ...] = ()
        if not is_reviewed:
            policy = without_review(policy)
            no_time = (Evidence("has_review_place", value=False, origin="reviews", observed_at=as_of),)
        lottery, snoozed = draw(case.operator_id, policy), policy.snoozed_for(account_id, as_of)
        hearing = hear(policy, Checkpoint.ADMISSION, evidence, snoozed)
        verdict = hearing.judged(lottery).verdict
        read = (*(evidence[name] for name in verdict.read if name in evidence), *no_time)
        versions = version_of(policy), self.model_version
        return Decision(
            decision_id=_decision_id(application, case, read, versions),
            checkpoint=Checkpoint.ADMISSION,
            application_id=application.application_id or None,
            order_id=None,
            account_id=account_id,
            operator_id=case.operator_id,
            decided_at=decided_at or application.known_at,
            as_of=as_of,
            disposition=verdict.disposition,
            merchant_probability=_value(evidence["merchant_probability"]),
            risk_score=_value(evidence["risk_score"]),
            reason_codes=verdict.reason_codes,
            evidence=read,
            counterfactual=way_out(hearing, evidence, verdict.disposition, lottery=lottery)
            if self.is_explaining
            else None,
            caps=verdict.caps,
            policy_version=versions[0],
            model_version=versions[1],
            promotion_id=application.promotion_id or None,
            degraded=verdict.degraded,
            explore=verdict.explore,
            propensity=verdict.propensity,
            contributions=case.contributions,
        )


def draw(operator_id: str, policy: Policy) -> float:
    """Draw in [0, 1): the same operator under the same policy draws the same, so rings cannot shop for luck."""
    digest = sha256(f"lottery|{operator_id}|{policy.digest}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def version_of(policy: Policy) -> str:
    """Give name, version and digest of a policy."""
    return policy.full_version


def _decision_id(application: Application, case: Case, read: Iterable[Evidence], versions: tuple[str, str]) -> str:
    """Name a decision by what was asked, by whom it was judged, and on what evidence.

    The same question on the same evidence has the same name; late data that changes the evidence makes a new decision
    and never a second meaning of an old one.
    """
    asked = (
        Checkpoint.ADMISSION,
        application.application_id,
        application.account_id,
        case.operator_id,
        format_instant(application.submitted_at),
        *versions,
        *[f"{witnessed.name}={witnessed.value!r}" for witnessed in read],
        *[f"{name}={value!r}" for name, value in case.contributions],
    )
    return "d-" + sha256("|".join(asked).encode()).hexdigest()[:24]


def _value(evidence: Evidence) -> float | None:
    return float(evidence.value) if isinstance(evidence.value, int | float) else None
