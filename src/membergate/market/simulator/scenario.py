"""The scenario: how large the market is, when its promotions fall, and how well its columns are kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from hashlib import sha256

import yaml

from membergate.domain.errors import BadInputError
from membergate.domain.instants import format_instant, utc
from membergate.market.simulator.adversary import Evasion
from membergate.market.simulator.archetypes import ARCHETYPES
from membergate.market.simulator.drift import Drift

SIMULATOR_VERSION = 3
"""Raised by any change that alters a table for a given seed."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """One promotion of the calendar.

    Parameters
    ----------
    name, kind
        What it is called; festival, sale or flash.
    start_day, days
        When it opens and how long it burns, in days of local time since the scenario's start.
    warm_up_days
        How long it is announced before.
    strength
        Exponent on the archetypes' lifts: 1 is a great promotion, less a small one.
    deal_share, deal_depth
        Share of goods on offer, and the mean discount on them.
    """

    name: str
    kind: str
    start_day: float
    days: float
    warm_up_days: float
    strength: float
    deal_share: float
    deal_depth: float


CALENDAR: tuple[Promotion, ...] = (
    Promotion("Spring refresh", "sale", 66.0, 2.0, 5.0, 0.6, 0.20, 0.18),
    Promotion("Mid-year sale", "festival", 166.833, 3.0, 10.0, 0.85, 0.30, 0.22),
    Promotion("Back to school", "sale", 242.0, 2.0, 5.0, 0.6, 0.20, 0.18),
    Promotion("Double Eleven", "festival", 313.833, 2.5, 14.0, 1.0, 0.38, 0.25),
    Promotion("Double Twelve", "sale", 345.0, 1.0, 4.0, 0.6, 0.22, 0.19),
    Promotion("New Year goods", "festival", 378.0, 3.0, 7.0, 0.7, 0.25, 0.20),
)
"""A year of a Chinese shop from 1 January 2025: great promotions open at 20:00 the evening before."""


_NEW_YEAR = utc(2024, 12, 31, 16)
"""Midnight of 1 January 2025, eight hours east of UTC."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that decides what a market looks like; the same scenario gives the same bytes.

    Parameters
    ----------
    preset, accounts, seed
        Name, number of accounts (of this district), and the seed of all chance.
    districts, district
        Into how many parts a large market is cut, and which this one is, from 0. Districts share goods, stores and
        calendar, not people; each is simulated by itself, so that memory does not grow with the market.
    starts_at, days
        First instant, and the number of days.
    utc_offset_h
        Local time less UTC, in hours.
    applicant_share
        Share of accounts that apply.
    first_application_day, last_application_day
        When applications are taken.
    skus, stores
        Size of the catalogue.
    promotions
        The calendar.
    merchant_units, truth_days
        An operator is a merchant if, in a window of so many days, it resells at least half of its units and at least so
        many.
    review_share, review_share_spenders
        Sampling rate of applicants for double review: of most, and of the tenth that spent most before they applied.
    session_share
        Share of order sessions whose page events are kept.
    late_share
        Share of rows that the platform comes to know late.
    address_kind_coverage, address_kind_error
        How often an address has a kind, and how often that is wrong.
    declared_use_coverage
        How often an account says what it is for.
    market_price_coverage
        How often a market price is known.
    market_price_error
        Standard deviation of the logarithm of a known market price about what resellers really get: asking prices,
        grades and fees differ.
    lane_error, gift_error
        Chance that a lane or a gift flag is set on an order at random.
    shares
        Shares of applicants in place of the archetypes' own, by code; the other archetypes keep their proportions.
    rings
        Whether merchants work in rings; if not, every account of theirs is an operator of its own.
    ring_size
        Mean number of accounts of a one-operator ring, at least 4.
    crowd
        Fewest and most hired accounts of a crowd-buy ring.
    member_rate_factor
        On the members' discount.
    evasion
        What merchants do against being told apart.
    drifts
        What changes in mid-course.
    stream_from_day
        From when on what becomes known is written as a stream of events and not into the folder; 0 for no stream.
    duplicate_share
        Share of the stream's events that are delivered twice.
    """

    preset: str
    accounts: int
    seed: int
    skus: int
    stores: int
    review_share: float
    review_share_spenders: float
    session_share: float
    districts: int = 1
    district: int = 0
    starts_at: datetime = _NEW_YEAR
    days: int = 400
    utc_offset_h: float = 8.0
    applicant_share: float = 0.8
    first_application_day: float = 110.0
    last_application_day: float = 388.0
    promotions: tuple[Promotion, ...] = CALENDAR
    merchant_units: int = 6
    truth_days: float = 90.0
    late_share: float = 0.01
    address_kind_coverage: float = 0.7
    address_kind_error: float = 0.08
    declared_use_coverage: float = 0.55
    market_price_coverage: float = 0.85
    market_price_error: float = 0.10
    lane_error: float = 0.01
    gift_error: float = 0.01
    shares: tuple[tuple[str, float], ...] = ()
    rings: bool = True
    ring_size: float = 10.0
    crowd: tuple[int, int] = (15, 120)
    member_rate_factor: float = 1.0
    evasion: Evasion = field(default_factory=Evasion)
    drifts: tuple[Drift, ...] = ()
    stream_from_day: float = 0.0
    duplicate_share: float = 0.005

    @property
    def chance(self) -> int:
        """The seed of everything that concerns this district's people."""
        if self.district == 0:
            return self.seed
        return int.from_bytes(sha256(f"{self.seed}/district/{self.district}".encode()).digest()[:8])

    def of_each_district(self) -> tuple[Scenario, ...]:
        """Give the scenario of each district, the accounts shared out."""
        size, more = divmod(self.accounts, self.districts)
        return tuple(replace(self, district=k, accounts=size + (k < more)) for k in range(self.districts))

    def as_yaml(self) -> str:
        """Write the scenario with its archetypes, version and hash as YAML; equal scenarios give equal texts."""
        record = asdict(self) | {"starts_at": format_instant(self.starts_at)}
        record["archetypes"] = [asdict(archetype) for archetype in ARCHETYPES]
        record["simulator_version"] = SIMULATOR_VERSION
        body: str = yaml.safe_dump(_plain(record), sort_keys=True)
        return f"{body}sha256: {sha256(body.encode()).hexdigest()}\n"


def _plain(value: object) -> object:
    """Reduce a record to what YAML knows: maps, lists, texts and numbers."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


PRESETS: dict[str, Scenario] = {
    "tiny": Scenario("tiny", 2_000, 0, 900, 60, 0.25, 0.40, 0.25),
    "demo": Scenario("demo", 20_000, 0, 3_200, 200, 0.25, 0.40, 0.15),
    "small": Scenario("small", 50_000, 0, 5_000, 300, 0.08, 0.16, 0.10),
    "double11": Scenario(
        "double11",
        60_000,
        0,
        6_000,
        320,
        0.08,
        0.16,
        0.5,
        days=320,
        last_application_day=318.0,
        promotions=CALENDAR[:4],
        late_share=0.05,
        stream_from_day=313.0,
    ),
    "city": Scenario("city", 500_000, 0, 12_000, 800, 0.04, 0.08, 0.02, districts=20),
}
"""The sizes that ship: for tests, for a first look, for development, a promotion's event stream, and benchmarks."""

FEWEST_ACCOUNTS = 200


def scenario_for(preset: str, *, seed: int, accounts: int | None = None) -> Scenario:
    """Give the preset's scenario with a seed and, if wanted, another number of accounts.

    Raises
    ------
    BadInputError
        If there is no such preset, or too few accounts for every archetype to occur, or the seed is negative.
    """
    if preset not in PRESETS:
        raise BadInputError(f"there is no preset {preset!r}", allowed=", ".join(PRESETS))
    if accounts is not None and accounts < FEWEST_ACCOUNTS:
        raise BadInputError(f"{accounts} accounts are too few", allowed=f"at least {FEWEST_ACCOUNTS}")
    if seed < 0:
        raise BadInputError(f"{seed} is no seed", allowed="a whole number from 0")
    chosen = PRESETS[preset]
    return replace(chosen, seed=seed, accounts=chosen.accounts if accounts is None else accounts)
