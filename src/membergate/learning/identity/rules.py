"""What may link two accounts, how strongly, and when a shared thing is too public to say anything.

Everything here is data, with its reason beside it. Weights are whole points, so that a sum never depends on the order
of adding; `DEFAULT_RULES.threshold` points link two accounts. A pair earns points once per facet, from the strongest
kind in it: a parcel to somebody's home shows that person's phone, name and address at once, which is one fact and not
three.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from membergate.domain.errors import BadInputError


class LinkKind(StrEnum):
    """The kinds of thing that two accounts can be seen to share."""

    IDENTITY_DOCUMENT = "identity_document"
    PHONE = "phone"
    EMAIL = "email"
    SELLER = "seller"
    PAYMENT = "payment"
    MAIN_DEVICE = "main_device"
    DEVICE = "device"
    RECIPIENT_PHONE = "recipient_phone"
    RECIPIENT_AT_ADDRESS = "recipient_at_address"
    ADDRESS = "address"
    TOGETHER_ON_LINE = "together_on_line"
    TOGETHER_AT_PLACE = "together_at_place"


class Facet(StrEnum):
    """Independent sides of an account. Kinds of one facet tend to be shared together, so they count once."""

    REGISTRATION = "registration"
    PAYMENT = "payment"
    DEVICE = "device"
    DELIVERY = "delivery"
    TOGETHER = "together"


@dataclass(frozen=True, slots=True)
class Source:
    """A column in which tokens of a kind are seen.

    Parameters
    ----------
    table
        A canonical table that has `account_id` and `visible_at`.
    column
        The column that holds the token.
    address_column
        The column of the address that the token is bound to; empty for a kind that stands without a place.
    """

    table: str
    column: str
    address_column: str = ""


@dataclass(frozen=True, slots=True)
class Habit:
    """When a token is an account's habit: what it mostly uses, unlike what it once borrowed.

    Parameters
    ----------
    least_uses
        Visible rows of the account that show the token, at least 1.
    least_share_percent
        Their share of all visible rows of the account that show any token of the kind, in [1, 100].
    """

    least_uses: int
    least_share_percent: int


@dataclass(frozen=True, slots=True)
class AddressCap:
    """How many accounts may share an address-bound token at an address of one kind, and why."""

    address_kind: str
    cap: int
    reason: str


@dataclass(frozen=True, slots=True)
class LinkRule:
    """How one kind of shared token links accounts.

    Parameters
    ----------
    kind
        The kind of token.
    facet
        The side of an account that it belongs to; a pair earns the largest weight of each facet.
    weight
        Points, at least 1.
    cap
        The largest number of accounts, ever seen with the token by an instant, for which it still links; a token of
        more is a hub and links nobody. Below 2 the token never counts.
    sources
        Where the tokens are seen.
    reason
        Why this weight and this cap.
    address_caps
        For address-bound kinds, the caps at known kinds of address; `cap` holds at all others and where it is unknown.
    habit
        If given, the token counts for an account only while it is its habit. Hubs are found over all who were ever seen
        with it, habit or not. Not for address-bound kinds.
    """

    kind: LinkKind
    facet: Facet
    weight: int
    cap: int
    sources: tuple[Source, ...]
    reason: str
    address_caps: tuple[AddressCap, ...] = ()
    habit: Habit | None = None


@dataclass(frozen=True, slots=True)
class TogetherRule:
    """How two accounts are linked that buy the same goods on the same days from a place that few share.

    A shared line, roof or hour says little by itself, and a family has all of them in common. What few have is one
    shopping list: the same SKU, on the same day, over the same line or to the same place, again and again.

    Parameters
    ----------
    kind, facet, weight
        As of a `LinkRule`.
    column
        The column of `orders` that holds the place.
    cap
        The largest number of accounts, ever seen at the place by an instant, for which it still counts.
    least_days
        Distinct days on which both bought a SKU in common there.
    reason
        Why this weight, this cap and so many days.
    is_address
        Whether the place is an address, so that entries that name one place in different words count as one.
    public_classes
        For a line: classes of network in `logins` that serve strangers; a line is a hub once it was seen as one.
    """

    kind: LinkKind
    facet: Facet
    weight: int
    column: str
    cap: int
    least_days: int
    reason: str
    is_address: bool = False
    public_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkRules:
    """The whole set of rules.

    Parameters
    ----------
    rules
        One rule per kind.
    threshold
        Points at which two accounts are linked.
    together
        Rules for what is done together, of other kinds.

    Raises
    ------
    BadInputError
        If a kind has two rules, a weight or the threshold is below 1, a habit is asked of an address-bound kind, or
        there are no rules.
    """

    rules: tuple[LinkRule, ...]
    threshold: int = 100
    together: tuple[TogetherRule, ...] = ()

    @property
    def every(self) -> tuple[LinkRule | TogetherRule, ...]:
        """All rules; what refers to a rule by number means its position here."""
        return (*self.rules, *self.together)

    def __post_init__(self) -> None:
        kinds = [rule.kind for rule in self.every]
        if not kinds or len(set(kinds)) < len(kinds):
            raise BadInputError("link rules name a kind twice, or none", allowed="one rule per kind, at least one")
        if self.threshold < 1 or any(rule.weight < 1 for rule in self.every):
            raise BadInputError("a link weight or the threshold is below 1", allowed="whole points from 1 on")
        if any(rule.habit and any(source.address_column for source in rule.sources) for rule in self.rules):
            raise BadInputError(
                "a habit is asked of an address-bound kind", allowed="a kind that stands without a place"
            )


_DEVICE_SOURCES = (
    Source("orders", "device_tok"),
    Source("logins", "device_tok"),
    Source("applications", "device_tok"),
)
_PUBLIC_PLACES = (
    ("office", "an office receives for everyone who works there"),
    ("school", "a school receives for everyone who studies there"),
    ("dorm", "tens of students, each with a life of their own, live under one roof"),
    ("pickup", "a pickup point or village agent receives for hundreds of neighbours"),
    ("locker", "a locker serves whoever holds a parcel code"),
    ("forwarder", "a forwarder receives for strangers"),
)

DEFAULT_RULES = LinkRules(
    rules=(
        LinkRule(
            LinkKind.IDENTITY_DOCUMENT,
            Facet.REGISTRATION,
            weight=100,
            cap=50,
            sources=(Source("accounts", "id_tok"),),
            reason="one document is one person, so it links alone; above 50 accounts it is a placeholder",
        ),
        LinkRule(
            LinkKind.PHONE,
            Facet.REGISTRATION,
            weight=100,
            cap=50,
            sources=(Source("accounts", "phone_tok"),),
            reason="a registered number receives the login codes, so whoever holds it controls the account and it "
            "links alone; above 50 accounts it is a switchboard or a placeholder",
        ),
        LinkRule(
            LinkKind.EMAIL,
            Facet.REGISTRATION,
            weight=100,
            cap=50,
            sources=(Source("accounts", "email_tok"),),
            reason="a mailbox receives the password resets, as a phone does the codes; a cap for placeholders",
        ),
        LinkRule(
            LinkKind.SELLER,
            Facet.REGISTRATION,
            weight=100,
            cap=50,
            sources=(Source("accounts", "seller_id"),),
            reason="accounts of one declared seller are one organisation; the cap is for placeholders",
        ),
        LinkRule(
            LinkKind.PAYMENT,
            Facet.PAYMENT,
            weight=70,
            cap=50,
            sources=(Source("orders", "payment_tok"),),
            reason="one payer is strong, but a card is lent within a family and between families, so it needs any "
            "second facet; a ring paid by one card shares devices or parcels as well. Above 50 it is a company's "
            "account or a gift card",
        ),
        LinkRule(
            LinkKind.MAIN_DEVICE,
            Facet.DEVICE,
            weight=100,
            cap=20,
            sources=_DEVICE_SOURCES,
            reason="a telephone that two accounts both mostly live on is in one hand, so it links alone; a family "
            "tablet or a borrowed telephone is nobody's main device, or the main device of one. Cap as for any device",
            habit=Habit(least_uses=3, least_share_percent=50),
        ),
        LinkRule(
            LinkKind.DEVICE,
            Facet.DEVICE,
            weight=60,
            cap=20,
            sources=_DEVICE_SOURCES,
            reason="a tablet is shared at home, a telephone is lent and sold on: needs the payer or the receiver too. "
            "Above 20 accounts it is a shop's, school's or cafe's device",
        ),
        LinkRule(
            LinkKind.RECIPIENT_PHONE,
            Facet.DELIVERY,
            weight=50,
            cap=12,
            sources=(Source("orders", "recipient_phone_tok"),),
            reason="gifts and parcels for parents show another person's number: needs a second facet. Above 12 "
            "accounts it is a village agent, a reception or the hub of hired buyers",
        ),
        LinkRule(
            LinkKind.RECIPIENT_AT_ADDRESS,
            Facet.DELIVERY,
            weight=50,
            cap=12,
            sources=(Source("orders", "recipient_tok", address_column="address_id"),),
            reason="a name alone is shared by thousands, a name at an address by a household; still no more than where "
            "parcels go, so it needs a second facet",
            address_caps=(
                AddressCap("warehouse", 50, "a ring's stock location receives under one name for the whole ring"),
                AddressCap("shop", 50, "a shop receives its stock under one name"),
                *(
                    AddressCap(kind, 4, f"{reason}; above 4 accounts the name is the agent's or a common one")
                    for kind, reason in _PUBLIC_PLACES
                ),
            ),
        ),
        LinkRule(
            LinkKind.ADDRESS,
            Facet.DELIVERY,
            weight=30,
            cap=0,
            sources=(Source("orders", "address_id", address_column="address_id"),),
            reason="a home, and an address that may be one, is what a family shares, and its card and tablet come with "
            "it: no evidence at all. Only a place where nobody lives supports a shared payer",
            address_caps=(
                AddressCap("warehouse", 50, "those who ship to a warehouse have business in common"),
                AddressCap("shop", 20, "as a warehouse, but neighbours have parcels held at a shop"),
            ),
        ),
    ),
    together=(
        TogetherRule(
            LinkKind.TOGETHER_ON_LINE,
            Facet.TOGETHER,
            weight=100,
            column="ip_tok",
            cap=20,
            least_days=3,
            reason="those who share a line and, on three days or more, a SKU work off one list; a family shares the "
            "line and seldom the goods of a day. Above 20 accounts it is a campus, an office or a proxy, where it "
            "happens by chance; proxies and data centres serve strangers however few were seen",
            public_classes=("datacentre", "proxy"),
        ),
        TogetherRule(
            LinkKind.TOGETHER_AT_PLACE,
            Facet.TOGETHER,
            weight=100,
            column="address_id",
            cap=20,
            least_days=4,
            reason="as for a line: parcels of the same goods, sent to one place by several accounts on the same days; "
            "a day more, because a household's parcels come to one door. Above 20 accounts it is a dorm or a pickup",
            is_address=True,
        ),
    ),
)
"""The rules that hold where nobody chose others."""
