"""What the shop sells: goods, stores, and what a unit costs on a day, to a member and to others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import Bools, Floats, Ints, happens, pick, stream


@dataclass(frozen=True, slots=True)
class _Aisle:
    """A level-1 category: its level-2 categories, median price, popularity, pull on resellers, stock-up factor."""

    name: str
    shelves: tuple[str, ...]
    price_minor: int
    popularity: float
    resale: float
    staple: float
    carton: int
    has_sizes: bool = False


_AISLES = (
    _Aisle("staples", ("rice", "oil", "noodles", "seasoning", "eggs"), 4500, 10, 0.35, 1.4, 6),
    _Aisle("snacks", ("biscuits", "nuts", "sweets", "instant"), 2200, 9, 0.3, 1.2, 12),
    _Aisle("drinks", ("water", "juice", "coffee", "tea", "beer"), 3800, 8, 0.5, 1.3, 12),
    _Aisle("liquor", ("baijiu", "wine", "spirits"), 26000, 2, 1.0, 0.9, 6),
    _Aisle("dairy_baby", ("milk", "formula", "nappies", "baby_food"), 9500, 6, 0.9, 1.3, 6),
    _Aisle("personal_care", ("shampoo", "oral", "body", "hygiene"), 3600, 8, 0.5, 1.2, 12),
    _Aisle("beauty", ("skin", "make_up", "fragrance", "masks"), 15500, 5, 0.9, 0.9, 12),
    _Aisle("health", ("vitamins", "protein", "devices"), 12500, 3, 0.7, 1.0, 12),
    _Aisle("household", ("paper", "laundry", "cleaning", "storage"), 3900, 9, 0.5, 1.4, 8),
    _Aisle("kitchen", ("cookware", "tableware", "appliances"), 13000, 4, 0.5, 0.7, 4),
    _Aisle("apparel", ("tops", "trousers", "underwear", "socks"), 9000, 7, 0.4, 0.8, 10, has_sizes=True),
    _Aisle("shoes", ("sneakers", "boots", "bags"), 29000, 4, 0.75, 0.7, 6, has_sizes=True),
    _Aisle("electronics", ("phones", "audio", "accessories", "computing"), 42000, 5, 0.95, 0.6, 10),
    _Aisle("toys", ("figures", "blocks", "games"), 14000, 3, 0.75, 0.7, 8),
    _Aisle("office", ("paper_goods", "pens", "print"), 4200, 2, 0.35, 1.1, 10),
    _Aisle("pets", ("food", "litter", "care"), 7000, 3, 0.35, 1.2, 6),
)
AISLE_NAMES = tuple(aisle.name for aisle in _AISLES)
SHELF_NAMES = tuple(f"{aisle.name}.{shelf}" for aisle in _AISLES for shelf in aisle.shelves)
_PACK_SIZES = np.array([1, 1, 1, 2, 3, 4, 6, 12])
_SIZES = ("XS", "S", "M", "L", "XL", "XXL")
_FLAVOURS = ("plain", "original", "light", "dark", "family", "travel")
_TASTE_MEMBER_RATE = 0.05


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The goods, sorted by shelf and, on a shelf, by falling popularity; one row a SKU, shape (n,) unless noted.

    Parameters
    ----------
    shelf, aisle, store
        Indices of level-2 category, level-1 category and store.
    shelf_start, shelf_size
        Where each shelf's goods begin, and how many there are, shape (shelves,).
    shelf_aisle, shelf_popularity, shelf_staple, shelf_resale
        Figures of each shelf, shape (shelves,).
    list_price_minor, market_price_minor
        Price tag, and what a reseller can get for a unit, in minor units.
    everyday_discount
        Share of the list price that everyone is spared on ordinary days, in [0, 1).
    is_subsidised
        Whether the platform pays for that discount.
    member_rate
        Further share that members are spared.
    deal_discount
        The everyday or, if deeper, the promotion's discount, shape (n, promotions + 1); last column: none.
    limit_quantity, limit_window_days
        Units that one order may hold, and the rule's window; 0 is no limit.
    pack_size, carton_size, variant_group, variant, brand
        What is written on the goods; `variant_group` is -1 where there are no variants.
    resale_depth
        Units that the resale market takes before its price has halved.
    store_aisle, store_is_first_party
        Figures of each store, shape (stores,).
    """

    shelf: Ints
    aisle: Ints
    store: Ints
    shelf_start: Ints
    shelf_size: Ints
    shelf_aisle: Ints
    shelf_popularity: Floats
    shelf_staple: Floats
    shelf_resale: Floats
    list_price_minor: Ints
    market_price_minor: Ints
    everyday_discount: Floats
    is_subsidised: Bools
    member_rate: Floats
    deal_discount: Floats
    limit_quantity: Ints
    limit_window_days: Ints
    pack_size: Ints
    carton_size: Ints
    variant_group: Ints
    variant: Ints
    brand: Ints
    resale_depth: Floats
    store_aisle: Ints
    store_is_first_party: Bools

    def __len__(self) -> int:
        return len(self.shelf)

    def on_shelf(self, shelves: Ints, draws: Floats) -> Ints:
        """Take one SKU from each shelf, the popular ones far more often.

        Parameters
        ----------
        shelves
            Shelf of each draw, shape (m,).
        draws
            Uniform in [0, 1), shape (m,).

        Returns
        -------
        numpy.ndarray
            SKU indices, shape (m,).
        """
        place = (self.shelf_size[shelves] * draws**2.2).astype(np.int64)
        return self.shelf_start[shelves] + np.minimum(place, self.shelf_size[shelves] - 1)

    def variant_name(self, sku: int) -> str | None:
        """Give the size or kind written on a SKU, None where it has no variants."""
        if self.variant_group[sku] < 0:
            return None
        names = _SIZES if _AISLES[self.aisle[sku]].has_sizes else _FLAVOURS
        return names[self.variant[sku] % len(names)]


def catalogue_of(scenario: Scenario) -> Catalogue:
    """Stock the shop."""
    rng = stream(scenario.seed, "catalogue")
    of_shelf = np.array([place for place, aisle in enumerate(_AISLES) for _ in aisle.shelves])
    popularity = np.array([_AISLES[aisle].popularity for aisle in of_shelf]) * rng.gamma(4.0, 0.25, len(of_shelf))
    shelf_size = _shelf_sizes(scenario.skus, popularity)
    shelf = np.repeat(np.arange(len(of_shelf)), shelf_size)
    aisle = of_shelf[shelf]
    store_aisle = _store_aisles(rng, scenario.stores)
    list_price_minor = _price_tags(rng, aisle)
    pull = _pull(rng, aisle)
    everyday, is_subsidised, member_rate = _price_rules(rng, pull, _place_on_shelf(shelf_size))
    limit, window = _limits(rng, is_subsidised)
    variant_group, variant = _variants(rng, shelf, aisle)
    return Catalogue(
        shelf=shelf,
        aisle=aisle,
        store=_stores(rng, aisle, store_aisle),
        shelf_start=np.r_[0, np.cumsum(shelf_size)[:-1]],
        shelf_size=shelf_size,
        shelf_aisle=of_shelf,
        shelf_popularity=popularity,
        shelf_staple=np.array([_AISLES[place].staple for place in of_shelf]),
        shelf_resale=np.array([_AISLES[place].resale for place in of_shelf]),
        list_price_minor=list_price_minor,
        market_price_minor=_market_prices(rng, list_price_minor, pull),
        everyday_discount=everyday,
        is_subsidised=is_subsidised,
        member_rate=member_rate * scenario.member_rate_factor,
        deal_discount=_deals(rng, scenario, everyday),
        limit_quantity=limit,
        limit_window_days=window,
        pack_size=_PACK_SIZES[rng.integers(0, len(_PACK_SIZES), len(shelf))],
        carton_size=np.array([_AISLES[place].carton for place in aisle]),
        variant_group=variant_group,
        variant=variant,
        brand=shelf * 8 + (8 * rng.random(len(shelf)) ** 1.5).astype(np.int64),
        resale_depth=rng.lognormal(5.0, 0.6, len(shelf)) * (0.4 + pull),
        store_aisle=store_aisle,
        store_is_first_party=np.arange(len(store_aisle)) < len(_AISLES),
    )  # fmt: skip


def _pull(rng: np.random.Generator, aisle: Ints) -> Floats:
    """Draw how much each SKU is sought by resellers: its aisle's figure, more or less."""
    pull: Floats = np.clip(
        np.array([_AISLES[place].resale for place in aisle]) + rng.normal(0, 0.15, len(aisle)), 0, 1.1
    )
    return pull


def _shelf_sizes(skus: int, popularity: Floats) -> Ints:
    """Divide the SKUs over the shelves: popular shelves are longer, but less than they are popular."""
    room = popularity**0.6
    sizes: Ints = np.maximum(6, np.rint(skus * room / room.sum())).astype(np.int64)
    return sizes


def _store_aisles(rng: np.random.Generator, stores: int) -> Ints:
    """Open one store of the shop's own in each aisle, and the others anywhere."""
    third_parties = max(0, stores - len(_AISLES))
    aisles: Ints = np.r_[np.arange(len(_AISLES)), rng.integers(0, len(_AISLES), third_parties)]
    return aisles


def _price_tags(rng: np.random.Generator, aisle: Ints) -> Ints:
    """Draw list prices around the aisle's median, ending in 90 as price tags do."""
    price_minor = np.array([_AISLES[place].price_minor for place in aisle]) * np.exp(rng.normal(0, 0.55, len(aisle)))
    tags: Ints = (np.rint(price_minor / 100) * 100 - 10).astype(np.int64).clip(490)
    return tags


def _market_prices(rng: np.random.Generator, list_price_minor: Ints, pull: Floats) -> Ints:
    """Say what a reseller can get: from four fifths of the list price to nearly all of it."""
    share = np.clip(0.78 + 0.15 * pull + rng.normal(0, 0.04, len(pull)), 0.5, 1.1)
    prices: Ints = np.rint(list_price_minor * share).astype(np.int64)
    return prices


def _place_on_shelf(shelf_size: Ints) -> Floats:
    """Give each SKU's place on its shelf, from 0 for the best-seller to 1."""
    return np.concatenate([np.arange(size) / size for size in shelf_size])


def _price_rules(rng: np.random.Generator, pull: Floats, place: Floats) -> tuple[Floats, Bools, Floats]:
    """Draw everyday discounts, which the platform pays for, and the members' rate; best-sellers draw most subsidy."""
    count = len(pull)
    is_subsidised = rng.random(count) < (0.05 + 0.10 * pull) * (1.9 - 1.3 * place)
    everyday = np.where(is_subsidised, rng.uniform(0.15, 0.28, count), rng.uniform(0.0, 0.12, count))
    has_member_line = happens(rng, 0.10 + 0.10 * pull, count)
    member_rate = np.where(has_member_line, rng.uniform(0.08, 0.15, count), _TASTE_MEMBER_RATE)
    return everyday, is_subsidised, member_rate


def _limits(rng: np.random.Generator, is_subsidised: Bools) -> tuple[Ints, Ints]:
    """Purchase limits: on most subsidised goods, on few others."""
    count = len(is_subsidised)
    has_limit = rng.random(count) < np.where(is_subsidised, 0.4, 0.08)
    limit = np.where(has_limit, rng.choice([2, 2, 3, 4, 5, 6], count), 0)
    return limit, np.where(has_limit, rng.choice([1, 7, 30], count), 0)


def _variants(rng: np.random.Generator, shelf: Ints, aisle: Ints) -> tuple[Ints, Ints]:
    """Make runs of four neighbours on a shelf variants of one product: always where goods have sizes."""
    run = np.arange(len(shelf)) // 4 + shelf * 1_000_000
    _, group = np.unique(run, return_inverse=True)
    is_varied = happens(rng, 0.25, int(group.max()) + 1)[group]
    is_varied |= np.array([_AISLES[place].has_sizes for place in aisle])
    return np.where(is_varied, group, -1), np.arange(len(shelf)) % 4


def _stores(rng: np.random.Generator, aisle: Ints, store_aisle: Ints) -> Ints:
    """Half of the goods are sold by the shop itself, the rest by a store of the same aisle."""
    store = aisle.copy()
    for place in range(len(_AISLES)):
        rows = np.flatnonzero(aisle == place)
        sellers = np.flatnonzero(store_aisle == place)
        is_third_party = happens(rng, 0.5, len(rows))
        store[rows[is_third_party]] = sellers[rng.integers(0, len(sellers), int(is_third_party.sum()))]
    return store


def _deals(rng: np.random.Generator, scenario: Scenario, everyday: Floats) -> Floats:
    """Each promotion's discount on each SKU, never worse than the everyday one."""
    deals = np.empty((len(everyday), len(scenario.promotions) + 1))
    for number, sale in enumerate(scenario.promotions):
        on_offer = rng.random(len(everyday)) < sale.deal_share
        depth = np.clip(rng.normal(sale.deal_depth, 0.05, len(everyday)), 0.05, 0.5)
        deals[:, number] = np.where(on_offer, np.maximum(everyday, depth), everyday)
    deals[:, -1] = everyday
    return deals


@dataclass(frozen=True, slots=True)
class Prices:
    """What lines cost; money in minor units, shape (lines,) each.

    Parameters
    ----------
    list_price_minor, net_price_minor
        Of one unit: the tag, and after deal, member price and coupon.
    member_discount_minor, coupon_discount_minor
        Of one unit.
    discount
        The deal's share, before member price and coupon.
    """

    list_price_minor: Ints
    net_price_minor: Ints
    member_discount_minor: Ints
    coupon_discount_minor: Ints
    discount: Floats


def price(catalogue: Catalogue, sku: Ints, promotion: Ints, is_member: Bools, coupon_share: Floats) -> Prices:
    """Price one unit of each line.

    Parameters
    ----------
    catalogue
        The goods.
    sku
        SKU of each line.
    promotion
        Index of the promotion that burns at that moment, -1 for none.
    is_member
        Whether the buyer has the member price.
    coupon_share
        Share that a coupon takes off, 0 for none.

    Returns
    -------
    Prices
        Whole minor units; net is what is left of the list price.
    """
    tag = catalogue.list_price_minor[sku]
    discount = catalogue.deal_discount[sku, promotion]
    shelf_price = np.rint(tag * (1 - discount)).astype(np.int64)
    member = np.where(is_member, np.floor(shelf_price * catalogue.member_rate[sku]), 0).astype(np.int64)
    coupon = np.floor((shelf_price - member) * coupon_share).astype(np.int64)
    return Prices(tag, shelf_price - member - coupon, member, coupon, discount)


def taste_cumulative(catalogue: Catalogue, taste: dict[str, float], *, by_resale: bool) -> Floats:
    """Give the running weights of the shelves for a taste over aisles; resellers look at resale, not at popularity."""
    factor = np.array([taste.get(AISLE_NAMES[aisle], 1.0) for aisle in catalogue.shelf_aisle])
    base = catalogue.shelf_resale**3 if by_resale else catalogue.shelf_popularity
    return np.cumsum(base * factor)


def random_shelves(cumulative: Floats, rng: np.random.Generator, shape: tuple[int, int]) -> Ints:
    """Draw shelves by running weights, shape `shape`; repeats are possible."""
    return pick(cumulative, rng.random(shape[0] * shape[1])).reshape(shape)
