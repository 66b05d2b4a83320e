"""What merchants may do against being told apart, what each step costs, and how much they can lay out on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """The steps that a merchant can take; each weakens some of the signs by which it would be told apart."""

    DEVICES = "devices"
    """A device for every account: no two accounts trade from one."""
    CLOUD_PHONES = "cloud_phones"
    """The same with rented phones in a data centre, which show as emulated."""
    PAYMENTS = "payments"
    """A payment instrument for every account."""
    PROXIES = "proxies"
    """A proxy for every account: no line in common."""
    ADDRESS_NOISE = "address_noise"
    """The stock place written in other words by every account."""
    CLEAN_ADDRESSES = "clean_addresses"
    """A delivery place of its own for every account, from where goods are forwarded."""
    AGED_ACCOUNTS = "aged_accounts"
    """Accounts with a past, bought in place of fresh ones."""
    DECOYS = "decoys"
    """Household goods bought for show, over many categories."""
    HIRED_LEAVES = "hired_leaves"
    """Hired people order from their own devices, lines and cards."""
    SPLIT_20 = "split_20"
    """A ring cut into cells of at most 20 accounts that share nothing with one another."""
    SPLIT_3 = "split_3"
    """Likewise, of at most 3."""
    SLOW_DOWN = "slow_down"
    """The accounts of a business buy days apart and never right at an opening."""
    NEW_ACCOUNT = "new_account"
    """After a refusal: another account on another telephone number."""
    GROUP_BUY_LANE = "group_buy_lane"
    """Declares itself a group-buy leader: its orders go in the lane that the platform made for those."""


ACTIONS: tuple[Action, ...] = tuple(Action)


class Disguise(StrEnum):
    """What else is changed by those who come back after a refusal, beside the account and its telephone."""

    NOTHING = "nothing"
    DEVICE = "device"
    """Another device, behind a proxy."""
    PAYMENT = "payment"
    """Another payment instrument."""
    ADDRESS = "address"
    """The stock place in other words."""
    EVERYTHING = "everything"
    """All of these."""


DISGUISES: tuple[Disguise, ...] = tuple(Disguise)
CHANGES: dict[Disguise, frozenset[Action]] = {
    Disguise.NOTHING: frozenset(),
    Disguise.DEVICE: frozenset({Action.DEVICES, Action.PROXIES}),
    Disguise.PAYMENT: frozenset({Action.PAYMENTS}),
    Disguise.ADDRESS: frozenset({Action.ADDRESS_NOISE}),
    Disguise.EVERYTHING: frozenset({Action.DEVICES, Action.PROXIES, Action.PAYMENTS, Action.ADDRESS_NOISE}),
}
"""The steps that each disguise is made of; `truth_evasions` lists them."""


@dataclass(frozen=True, slots=True)
class Evasion:
    """How hard merchants try not to be told apart.

    Parameters
    ----------
    budget_share
        Most that a business lays out on evasion, as a share of the profit it expects over its horizon; 0 leaves the
        market as it is.
    believed_detection
        What merchants take for the probability that they are found out if they do nothing, in [0, 1].
    horizon_days
        For how long they reckon; costs of a month or an order count as often as they would come in that time.
    poses_share
        Share of the merchants of one account who pose as group-buy leaders, whatever it gains them: they declare the
        lane, and order in it as often as leaders do.
    from_day
        Only businesses whose first application falls on this day or later evade.
    reapplies
        Whether the refused come back, 7 to 21 days later, with another account and changed cues.
    attempts
        How often an account that is refused is followed by another one, from 1.
    reason_detail
        How much a refusal teaches, in [0, 1]: the share of those who come back that learn what gave them away, and
        change every cue by which they could be known again. The others see the outcome only: they change the account
        and the telephone and, from the second time on, what they believe to work after what their business has tried.
    device_minor, cloud_phone_minor_per_month, proxy_minor_per_month, payment_minor
        Costs of one account's, in minor units.
    address_noise_minor, clean_address_minor, hired_leaf_minor
        Costs of one parcel or order, in minor units.
    new_account_minor, aged_account_minor, lane_minor
        Costs of one account with its number, of one with a past, and of the papers of a group-buy leader, in minor
        units.
    decoy_share, split_share, capital_share_per_month
        Cost of decoys as a share of what is spent on goods to resell, of a split as a share of the profit, and of
        slowing down as a share of that spending and month.
    """

    budget_share: float = 0.0
    believed_detection: float = 0.35
    horizon_days: float = 365.0
    poses_share: float = 0.0
    from_day: float = 0.0
    reapplies: bool = False
    attempts: int = 1
    reason_detail: float = 0.5
    device_minor: int = 30_000
    cloud_phone_minor_per_month: int = 3_000
    proxy_minor_per_month: int = 300
    payment_minor: int = 5_000
    address_noise_minor: int = 50
    clean_address_minor: int = 400
    hired_leaf_minor: int = 1_000
    new_account_minor: int = 4_000
    aged_account_minor: int = 19_000
    lane_minor: int = 5_000
    decoy_share: float = 0.15
    split_share: float = 0.05
    capital_share_per_month: float = 0.015
