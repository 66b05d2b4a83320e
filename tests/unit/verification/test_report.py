"""One report object: the same from the same seed, JSON there and back, a page that keeps its promises."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from membergate import verification
from membergate.domain.instants import utc
from membergate.verification.card import Materiality
from membergate.verification.certificate import Terms
from membergate.verification.html import to_html
from membergate.verification.report import Report, Surroundings, build_report, from_json, to_json
from membergate.verification.sample import EvaluationSample, check_split
from membergate.verification.wording import percent

SampleMaker = Callable[..., EvaluationSample]


def reported(
    sample: EvaluationSample,
    seed: int = 5,
    observed_until: datetime | None = None,
    terms: Terms | None = None,
    surroundings: Surroundings | None = None,
) -> Report:
    """Report with few replicates."""
    split = check_split(
        sample,
        trained_until=utc(2025, 8, 1),
        labels_until=utc(2025, 8, 1),
        training_operator_ids=np.array(["elsewhere"]),
    )
    return build_report(
        sample,
        model_version="m-1<b>",
        policy_version="p-1",
        produced_at=utc(2025, 11, 1),
        seed=seed,
        observed_until=observed_until,
        split=split,
        lineage={"data": "sha256:00"},
        replicates=150,
        terms=terms,
        surroundings=surroundings,
    )


@pytest.fixture(scope="module")
def report(market: EvaluationSample) -> Report:
    """Report the market."""
    return reported(market)


def test_json_goes_there_and_back(report: Report) -> None:
    """Reading what was written gives an equal object, and writing that gives the same bytes."""
    written = to_json(report)
    assert from_json(written) == report
    assert to_json(from_json(written)) == written


def test_a_rarer_design_takes_more_operators(market: EvaluationSample, report: Report) -> None:
    """Whoever declares draws rarer than any in the sample is told of more operators, in the plan as in certificates."""
    rarer = reported(market, terms=Terms(smallest_propensity=0.1))
    assert rarer.plan.clean_operators > 2 * report.plan.clean_operators
    assert rarer.certificates[0].certificate.needed_operators > 2 * report.certificates[0].certificate.needed_operators


def test_the_same_seed_gives_the_same_bytes(market: EvaluationSample, report: Report) -> None:
    """JSON and page depend on sample and seed alone."""
    again = reported(market)
    assert to_json(again) == to_json(report)
    assert to_html(again) == to_html(report)
    assert to_json(reported(market, seed=6)) != to_json(report)


def test_the_verdict_of_few_leaks_is_about_the_candidate_as_it_is(report: Report) -> None:
    """One leak of the strict rule tells nothing at equal leakage; what the candidate would change comes first."""
    assert report.verdict.startswith("As it would decide, against what is live: in full +")
    assert "; trials too +" in report.verdict
    assert report.verdict.endswith(
        "is not determined: 83 operators with a merchant, 1 of them admitted by the strict rule; at least 20 and 2 are "
        "needed."
    )
    assert "83 operators with a merchant, 1 of them" in to_html(report)


def test_the_verdict_is_one_sentence(lenient_market: EvaluationSample) -> None:
    """The first thing a reader sees says how many more genuine applicants come in, at what leakage, how surely."""
    report = reported(lenient_market)
    assert report.verdict.startswith("At the strict rule's leakage (")
    assert "95% interval" in report.verdict
    assert report.verdict.count(". ") == 0


def test_the_page_keeps_to_itself(report: Report) -> None:
    """No script, no address but the SVG's own, no style attribute; the policy forbids all but the one style sheet."""
    page = to_html(report)
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert not re.search(r"<[^>]+\sstyle=", page)
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "m-1<b>" not in page


def test_plots_can_be_read_without_seeing_them(report: Report) -> None:
    """Each of the four plots has a title, a description with its figures, and words on reading and misreading."""
    page = to_html(report)
    assert page.count('role="img"') == 4
    assert page.count("<desc id=") == 4
    assert page.count("How it misleads") == 4
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_tags_are_balanced(report: Report) -> None:
    """The page is well formed."""
    open_tags: list[str] = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
            if tag != "meta":
                open_tags.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            """Leave out `<line …/>` and its like."""

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Balance().feed(to_html(report))
    assert open_tags == []


def test_a_zero_is_shown_with_its_interval(make_sample: SampleMaker) -> None:
    """No leak in the sample reads 0%, with how much there may be; what merely rounds to none or all does not."""
    merchant = np.arange(300) % 6 == 0
    sample = make_sample(300, is_merchant=merchant, disposition=np.where(merchant, "deny", "admit"))
    page = to_html(reported(sample))
    assert re.search(r">0%</strong><small>0\.0 to [1-9]", page)
    assert [percent(share) for share in (0.0, 0.0004, 0.9996, 1.0)] == ["0%", "<0.1%", ">99.9%", "100%"]


def test_notes_are_plain_text() -> None:
    """What is handed to a note is escaped, so markup in it would show as text."""
    folder = Path(verification.__file__).parent / "templates"
    notes = [
        note
        for file in folder.glob("*.j2")
        for note in re.findall(r"{{ notes\((.*?)\) }}", file.read_text(encoding="utf-8"), re.DOTALL)
    ]
    assert len(notes) > 10
    assert not [note for note in notes if re.search(r"</?[a-z]", note)]


def _empty(sample: EvaluationSample) -> EvaluationSample:
    return sample.take(np.zeros(len(sample), dtype=np.bool_))


@pytest.mark.parametrize(
    ("choose", "words"),
    [
        (_empty, "no labelled probability sample"),
        (lambda s: s.take(s.is_merchant), "no genuine applicant"),
        (lambda s: s.take(~s.is_merchant), "no merchant"),
        (lambda s: s.take(s.operator_ids == s.operator_ids[0]), "Labels are few: 1 operators"),
        (lambda s: s.take(s.grade == "L0"), "no labelled probability sample"),
        (lambda s: s.take(s.grade == "L4"), "no labelled probability sample"),
        (lambda s: s.take(np.arange(40)), "Labels are few"),
    ],
    ids=["nobody", "merchants only", "genuine only", "one operator", "L0 only", "L4 only", "forty rows"],
)
def test_poor_samples_are_reported_as_poor(
    market: EvaluationSample, choose: Callable[[EvaluationSample], EvaluationSample], words: str
) -> None:
    """Whatever is missing, the report is written, warns of it, and the gate does not open."""
    sample = choose(market.take(np.flatnonzero(market.is_sampled)) if words.startswith("Labels") else market)
    report = reported(sample)
    assert any(words in warning for warning in report.warnings)
    assert not report.judgement.opens
    assert not any(c.certificate.holds for c in report.certificates)
    assert from_json(to_json(report)) == report
    assert words in to_html(report)


def test_an_uncalibrated_model_is_called_so(make_sample: SampleMaker) -> None:
    """Without probabilities the report warns, shows no reliability plot, and says what the score is not."""
    sample = make_sample(300, is_merchant=np.arange(300) % 6 == 0)
    report = reported(sample)
    assert any("uncalibrated" in warning for warning in report.warnings)
    page = to_html(report)
    assert "states no calibrated probability" in page
    assert 'id="reliability-title"' not in page


def test_an_unchecked_split_is_admitted(market: EvaluationSample) -> None:
    """Where nobody has checked the split, the report says so."""
    report = build_report(
        market, model_version="m", policy_version="p", produced_at=utc(2025, 11, 1), seed=1, replicates=50
    )
    assert any("Nobody has checked" in warning for warning in report.warnings)


def test_certificates_count_their_time_from_the_end_of_what_was_observed(market: EvaluationSample) -> None:
    """A report that is made late does not make old evidence young."""
    late = reported(market, observed_until=utc(2025, 10, 1))
    assert {each.certificate.valid_until[:10] for each in late.certificates} == {"2025-10-31"}
    assert {each.certificate.valid_until[:10] for each in reported(market).certificates} == {"2025-12-01"}


def test_amounts_in_another_currency_are_not_passed_over(market: EvaluationSample) -> None:
    """A policy that weighs CNY beside a market that trades in EUR is warned of; the same currency is not."""
    stake = Materiality("high", 1000.0, 42_000.0, 260_000.0, None, 5, "CNY")
    told = [
        reported(market, surroundings=Surroundings(materiality=stake, currency=currency)).warnings
        for currency in ("EUR", "CNY", "")
    ]
    assert [sum("nothing is converted" in warning for warning in each) for each in told] == [1, 0, 0]
