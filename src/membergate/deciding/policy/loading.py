"""From the text of a policy to a checked, compiled one. Every error points at the span."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec

from membergate.deciding.policy import document, witnesses
from membergate.deciding.policy.condition import Condition, compile_condition
from membergate.deciding.policy.document import PolicyDocument, RulePart
from membergate.deciding.policy.economics import BusinessLane, Economics, Keeping, Review, StepUp
from membergate.deciding.policy.policy import (
    CARRYING_CAPS,
    EvidenceMass,
    Example,
    Exploration,
    Movable,
    OperatorCap,
    Overlay,
    Policy,
    Rule,
    Segment,
    Stratum,
    Watch,
)
from membergate.deciding.policy.reading import document_of
from membergate.deciding.policy.source import Passage, Path, Source, nearest
from membergate.domain.decision import Caps
from membergate.domain.disposition import LADDERS, Checkpoint, Disposition, severity
from membergate.domain.errors import PolicyError
from membergate.domain.evidence import Absence, Evidence, EvidenceKind, EvidenceValue, Vocabulary
from membergate.domain.listing import SubjectType

_MAX_STEPS = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ACCUSING = frozenset({"list_watch", "list_deny"})


def load_policy(text: str, *, origin: str, vocabulary: Vocabulary) -> Policy:
    """Read, check and compile a policy.

    Parameters
    ----------
    text
        The YAML text.
    origin
        Where it came from, for errors: usually a file name.
    vocabulary
        The evidence names that exist here, with their kinds.

    Raises
    ------
    PolicyError
        If it does not parse, type-check or hold together; `where` gives line, column, and the span with carets.
    """
    source = Source.read(text, origin)
    loader = _Loader(source, document_of(source), vocabulary)
    return loader.policy()


class _Loader:
    """Checks what types cannot say, and compiles conditions with their places."""

    def __init__(self, source: Source, read: PolicyDocument, vocabulary: Vocabulary) -> None:
        self.source = source
        self.read = read
        self.vocabulary = vocabulary

    def policy(self) -> Policy:
        read = self.read
        begin, end = _utc(read.effective_from), _utc(read.effective_until)
        if begin and end and end <= begin:
            raise self.source.error(("effective_until",), "the policy would end before it begins")
        economics = self.economics()
        segments = self.segments()
        rules = self.rules()
        reads_at = self.reads_at(economics, segments, rules)
        return Policy(
            name=read.name,
            version=read.version,
            description=read.description.strip(),
            effective_from=begin,
            effective_until=end,
            text=self.source.text,
            digest=hashlib.sha256(self.source.text.encode()).hexdigest(),
            refusal=read.refusal,
            economics=economics,
            segments=segments,
            evidence_mass=self.evidence_mass(),
            operator_holder_cap=self.operator_cap(),
            exploration=self.exploration(),
            caps=self.caps(("caps",), read.caps),
            movables=self.movables(),
            rules=rules,
            overlays=self.overlays(),
            examples=self.examples(),
            kinds={name: self.vocabulary[name] for names in reads_at.values() for name in names},
            reads_at=reads_at,
        )

    def condition(self, path: Path, *, is_excuse: bool = False) -> Condition:
        return compile_condition(self.source.passage(path), self.vocabulary, is_excuse=is_excuse)

    def economics(self) -> Economics | None:
        part = self.read.economics
        if part is None:
            return None
        waived = self.condition(("economics", "waived_when"), is_excuse=True) if part.waived_when is not None else None
        return Economics(
            currency=part.currency,
            genuine_value_minor=part.genuine_value_minor,
            merchant_loss_minor=part.merchant_loss_minor,
            wrong_denial_harm_ratio=part.wrong_denial_harm_ratio,
            admit_capped=Keeping(**msgspec.structs.asdict(part.admit_capped)),
            trial=Keeping(**msgspec.structs.asdict(part.trial)),
            step_up=StepUp(**msgspec.structs.asdict(part.step_up)),
            review=Review(**msgspec.structs.asdict(part.review)),
            business_lane=self.business_lane(part.business_lane),
            waived_when=waived,
        )

    def business_lane(self, part: document.BusinessLanePart | None) -> BusinessLane | None:
        if part is None:
            return None
        offered = self.condition(("economics", "business_lane", "offered_when"))
        return BusinessLane(**(msgspec.structs.asdict(part) | {"offered_when": offered}))

    def segments(self) -> tuple[Segment, ...]:
        self.check_ids("segments", [part.id for part in self.read.segments])
        return tuple(
            Segment(part.id, self.condition(("segments", index, "when")), part.value_multiplier, part.loss_multiplier)
            for index, part in enumerate(self.read.segments)
        )

    def evidence_mass(self) -> EvidenceMass | None:
        part = self.read.evidence_mass
        return EvidenceMass(part.minimum_orders, part.minimum_history_days) if part else None

    def operator_cap(self) -> OperatorCap | None:
        part = self.read.operator_cap
        if part is None:
            return None
        path: Path = ("operator_cap", "at_least")
        self.check_rung(path, part.at_least, Checkpoint.ADMISSION, above=Disposition.TRIAL)
        return OperatorCap(part.accounts, part.at_least)

    def exploration(self) -> Exploration | None:
        part = self.read.exploration
        if part is None:
            return None
        for index, disposition in enumerate(part.explored):
            self.check_rung(
                ("exploration", "explored", index), disposition, Checkpoint.ADMISSION, above=Disposition.TRIAL
            )
        bounds = [stratum.risk_score_at_most for stratum in part.strata]
        if bounds != sorted(set(bounds)) or bounds[-1] != 1:
            raise self.source.error(
                ("exploration", "strata"), "the strata must ascend by risk_score_at_most, and the last must reach 1"
            )
        strata = tuple(Stratum(stratum.risk_score_at_most, stratum.propensity) for stratum in part.strata)
        return Exploration(frozenset(part.explored), strata, part.minimum_propensity)

    def caps(self, path: Path, table: document.CapsTable) -> dict[Disposition, Caps]:
        listed = {}
        for name, part in msgspec.structs.asdict(table).items():
            if part is not None:
                listed[Disposition(name)] = self.cap((*path, name), part)
        return listed

    def overlays(self) -> tuple[Overlay, ...]:
        self.check_ids("overlays", [part.id for part in self.read.overlays])
        overlays = []
        for index, part in enumerate(self.read.overlays):
            path: Path = ("overlays", index)
            begin, end = _aware(part.starts_at), _aware(part.ends_at)
            if end <= begin:
                raise self.source.error((*path, "ends_at"), "the overlay would end before it begins")
            always = compile_condition(Passage.of("true", self.source.origin), self.vocabulary)
            segment = Segment(f"overlay:{part.id}", always, 1.0, part.loss_multiplier)
            caps = self.caps((*path, "caps"), part.caps)
            overlays.append(Overlay(segment, part.purpose.strip(), begin, end, part.operator_cap, caps))
        if any(part.operator_cap for part in self.read.overlays) and self.read.operator_cap is None:
            raise self.source.error(("overlays",), "an overlay tightens an operator cap that the policy does not have")
        return tuple(overlays)

    def examples(self) -> tuple[Example, ...]:
        self.check_ids("examples", [part.id for part in self.read.examples])
        return tuple(self.example(("examples", index), part) for index, part in enumerate(self.read.examples))

    def example(self, path: Path, part: document.ExamplePart) -> Example:
        self.check_rung((*path, "expect"), part.expect, part.checkpoint)
        rules = {rule.id for rule in self.read.rules if rule.checkpoint is part.checkpoint}
        for index, rule_id in enumerate(part.hits):
            if rule_id not in rules:
                hint = nearest(rule_id, rules)
                raise self.source.error((*path, "hits", index), f"there is no rule {rule_id} here", next_step=hint)
        at = _utc(part.at) or _utc(self.read.effective_from) or _EPOCH
        said: dict[str, EvidenceValue | Absence] = {**part.evidence, **part.absent}
        for name, value in said.items():
            section = "absent" if name in part.absent else "evidence"
            kind = self.vocabulary.get(name)
            if kind is None or not (isinstance(value, Absence) or _is_of(value, kind)):
                what = f"there is no evidence named {name[:60]}" if kind is None else f"{name} is a {kind}"
                raise self.source.error((*path, section, name), what, next_step=nearest(name, self.vocabulary))
        evidence = {name: Evidence(name, value, "example", at) for name, value in said.items()}
        return Example(part.id, part.checkpoint, evidence, at, part.expect, tuple(part.reasons), tuple(part.hits))

    def cap(self, path: Path, part: document.CapsPart) -> Caps:
        if (part.units_per_sku is None) != (part.window_days is None):
            raise self.source.error(path, "units_per_sku and window_days come together", allowed="both or neither")
        return Caps(**msgspec.structs.asdict(part))

    def movables(self) -> tuple[Movable, ...]:
        movables = []
        self.check_ids("counterfactuals", [part.evidence for part in self.read.counterfactuals], key="evidence")
        for index, part in enumerate(self.read.counterfactuals):
            path: Path = ("counterfactuals", index)
            self.check_witness((*path, "evidence"), part.evidence, EvidenceKind.NUMBER)
            if not part.lowest < part.highest or (part.highest - part.lowest) / part.step > _MAX_STEPS:
                raise self.source.error(path, "lowest, highest and step make no range", allowed="lowest < highest")
            movables.append(Movable(**msgspec.structs.asdict(part)))
        return tuple(movables)

    def rules(self) -> tuple[Rule, ...]:
        self.check_ids("rules", [part.id for part in self.read.rules])
        return tuple(self.rule(index, part) for index, part in enumerate(self.read.rules))

    def rule(self, index: int, part: RulePart) -> Rule:
        path: Path = ("rules", index)
        if part.at_least is None and part.reason is None and part.tag is None and part.watch is None:
            raise self.source.error(path, f"rule {part.id} has no effect", allowed="at_least, reason, tag, watch")
        if part.at_least is not None:
            self.check_rung((*path, "at_least"), part.at_least, part.checkpoint)
        if part.caps is not None and part.at_least not in CARRYING_CAPS:
            raise self.source.error(
                (*path, "caps"),
                f"rule {part.id} has caps, but its disposition carries none",
                allowed=f"caps with at_least: {', '.join(sorted(CARRYING_CAPS))}",
            )
        rule = Rule(
            rule_id=part.id,
            purpose=part.purpose.strip(),
            false_positives=(part.false_positives or "").strip(),
            checkpoint=part.checkpoint,
            when=self.condition((*path, "when")),
            unless=self.condition((*path, "unless"), is_excuse=True) if part.unless is not None else None,
            at_least=part.at_least,
            reason=part.reason or "",
            tag=part.tag or "",
            caps=self.cap((*path, "caps"), part.caps) if part.caps else None,
            watch=self.watch((*path, "watch"), part),
            is_explorable=part.explorable,
            is_backed_by_person=part.backed_by_person,
            snoozes=tuple((snooze.account, _aware(snooze.until)) for snooze in part.snoozes),
        )
        if rule.watch is not None and not rule.reads.isdisjoint(_ACCUSING):
            raise self.source.error(
                (*path, "watch"), f"rule {part.id} would renew the very entries that it reads", allowed="other evidence"
            )
        return rule

    def watch(self, path: Path, part: RulePart) -> Watch | None:
        if part.watch is None:
            return None
        if part.reason is None:
            raise self.source.error(path, f"rule {part.id} enters a list without saying why", allowed="a reason")
        listed = part.watch
        return Watch(SubjectType(listed.subject), listed.days, listed.confidence, listed.half_life_days)

    def reads_at(
        self, economics: Economics | None, segments: tuple[Segment, ...], rules: tuple[Rule, ...]
    ) -> dict[Checkpoint, tuple[str, ...]]:
        own = witnesses.read_by(self.read)
        for section, name, kind in own:
            self.check_witness((section,), name, kind)
        at_admission = {name for _, name, _ in own} | {name for segment in segments for name in segment.when.reads}
        if economics:
            excuses = [economics.waived_when, economics.business_lane and economics.business_lane.offered_when]
            at_admission |= {name for condition in excuses if condition for name in condition.reads}
        reads = {checkpoint: set[str]() for checkpoint in Checkpoint}
        reads[Checkpoint.ADMISSION] |= at_admission
        for rule in rules:
            reads[rule.checkpoint] |= rule.reads
        return {checkpoint: tuple(sorted(names)) for checkpoint, names in reads.items()}

    def check_witness(self, path: Path, name: str, kind: EvidenceKind) -> None:
        if name not in self.vocabulary:
            hint = nearest(name, self.vocabulary)
            raise self.source.error(path, f"this needs evidence named {name}, which does not exist", next_step=hint)
        if self.vocabulary[name] is not kind:
            raise self.source.error(path, f"{name} is a {self.vocabulary[name]}, a {kind} is needed here")

    def check_rung(
        self, path: Path, disposition: Disposition, checkpoint: Checkpoint, *, above: Disposition | None = None
    ) -> None:
        ladder = LADDERS[checkpoint]
        rungs = ladder[severity(above, checkpoint) + 1 :] if above else ladder
        if disposition not in rungs:
            where = f"at the {checkpoint} checkpoint"
            beyond = f" above {above}" if above else ""
            raise self.source.error(path, f"{disposition} does not belong {where}{beyond}", allowed=", ".join(rungs))

    def check_ids(self, section: str, ids: list[str], *, key: str = "id") -> None:
        for index, identifier in enumerate(ids):
            if identifier in ids[:index]:
                raise self.source.error((section, index, key), f"{identifier} stands twice", allowed="each once")


def _is_of(value: EvidenceValue, kind: EvidenceKind) -> bool:
    if kind is EvidenceKind.NUMBER:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, bool if kind is EvidenceKind.BOOLEAN else str)


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else _aware(instant)


def _aware(instant: datetime) -> datetime:
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise PolicyError(
            f"{instant.isoformat()} lies outside the calendar in UTC", allowed="years 1 to 9999"
        ) from None
