"""The shop's products: what there is, when it is on sale, who likes it and how often it returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from python_ml.ingest.demo.shop import RETURN_LAW, BoolArray, DemoShop, FloatArray, IntArray

CATEGORIES = (
    "Dresses",
    "Shirts",
    "Trousers",
    "Knitwear",
    "Outerwear",
    "Shoes",
    "Sportswear",
    "Bags",
    "Jewellery",
    "Home",
)
NOUNS = ("Dress", "Shirt", "Trousers", "Sweater", "Coat", "Shoe", "Top", "Bag", "Necklace", "Throw")
CATEGORY_SHARE = (0.13, 0.17, 0.12, 0.10, 0.06, 0.10, 0.11, 0.07, 0.07, 0.07)
CATEGORY_PRICE = (59.0, 35.0, 49.0, 55.0, 129.0, 79.0, 32.0, 69.0, 25.0, 39.0)
CATEGORY_RETURN = (-1.6, -2.1, -1.85, -2.3, -1.95, -1.8, -2.4, -2.7, -3.0, -3.1)
IS_SIZED = (True, True, True, True, True, True, True, False, False, False)
# Log-weight of a category in the middle of winter; the opposite in the middle of summer.
WINTER_LIKING = (-0.5, -0.2, 0.0, 0.8, 1.0, 0.1, -0.2, 0.1, 0.2, 0.3)
WORDS = ("Alba", "Birk", "Cala", "Dune", "Elm", "Fjord", "Grove", "Haven", "Iris", "Juno")
BRANDS = tuple(
    f"{first} {second}"
    for first in ("Arden", "Bramble", "Corso", "Delft", "Ember")
    for second in ("Studio", "& Sons", "Goods", "Works", "Line")
)
TIERS = 3
STYLES = 4
# How a price taste of cheap, middle or dear, and one's own style, weigh against the others.
PRICE_PULL = 4.0
OWN_STYLE_WEIGHT = 6.0
OPENING_SHARE = 0.55
RETIRING_SHARE = 0.4


@dataclass(frozen=True, eq=False)
class Catalogue:
    """All products, in order of category.

    ``first_month`` and ``last_month`` (inclusive) are counted from the first month of the data;
    ``return_effect`` is latent, nobody but the simulation sees it.
    """

    category: IntArray
    brand: IntArray
    price: FloatArray
    tier_score: FloatArray
    style: IntArray
    popularity: FloatArray
    trend_per_month: FloatArray
    first_month: IntArray
    last_month: IntArray
    brand_return: FloatArray
    return_effect: FloatArray
    names: list[str]

    @property
    def size(self) -> int:
        """Products that were ever on sale."""
        return len(self.category)

    @property
    def base_return(self) -> FloatArray:
        """Log-odds of a return that category and brand explain."""
        return np.array(CATEGORY_RETURN)[self.category] + self.brand_return[self.brand]


def build_catalogue(shop: DemoShop, months: int) -> Catalogue:
    """Draw the products; depends on the seed, their number and the months, never on customers."""
    random = shop.random(0)
    count = shop.products
    category = _categories(count)
    brand = random.integers(0, len(BRANDS), count)
    brand_price = random.normal(0.0, 0.25, len(BRANDS))
    tier_score = random.normal(0.0, 0.35, count) + brand_price[brand]
    ageless = _first_of_each(category)
    is_old = random.random(count) < OPENING_SHARE
    first_month = np.where(is_old, 0, random.integers(1, months + 1, count))
    life = random.integers(6, 30, count)
    retires = random.random(count) < RETIRING_SHARE
    last_month = np.where(retires, first_month + life, months + 12)
    return Catalogue(
        category=category,
        brand=brand,
        price=np.maximum(2.0, np.array(CATEGORY_PRICE)[category] * np.exp(tier_score)),
        tier_score=tier_score,
        style=random.integers(0, STYLES, count),
        popularity=_zipf(count, random),
        trend_per_month=np.where(ageless, 0.0, random.normal(0.0, 0.03, count)),
        first_month=np.where(ageless, 0, first_month),
        last_month=np.where(ageless, months + 12, last_month),
        brand_return=random.normal(0.0, 0.2, len(BRANDS)),
        return_effect=random.normal(0.0, RETURN_LAW.product_sd, count),
        names=_names(category, brand),
    )


def _categories(count: int) -> IntArray:
    """Share the products out; every category gets at least one."""
    bounds = np.round(np.cumsum(CATEGORY_SHARE) * count).astype(np.int64)
    return np.searchsorted(bounds, np.arange(count), side="right").astype(np.int64)


def _first_of_each(category: IntArray) -> BoolArray:
    return np.concatenate([[True], np.diff(category) > 0])


def _zipf(count: int, random: np.random.Generator) -> FloatArray:
    rank_order = random.permutation(count)
    return np.asarray((5.0 + rank_order) ** -0.8)


def _names(category: IntArray, brand: IntArray) -> list[str]:
    return [
        f"{BRANDS[b]} {WORDS[n % len(WORDS)]} {NOUNS[c]} {n + 1}"
        for n, (c, b) in enumerate(zip(category.tolist(), brand.tolist(), strict=True))
    ]


@dataclass(frozen=True, eq=False)
class Shelves:
    """Which product a buyer of a given taste takes from a category in a given month.

    One sorted array holds every (month, tier, style, category) shelf as cumulative shares, the
    shelf's number added, so that one binary search draws products for any number of lines.
    """

    keys: FloatArray
    products: int

    def draw(
        self,
        month: IntArray,
        tier: IntArray,
        style: IntArray,
        category: IntArray,
        uniform: FloatArray,
    ) -> IntArray:
        """Return one product per line from uniform numbers in [0, 1)."""
        shelf = ((month * TIERS + tier) * STYLES + style) * len(CATEGORIES) + category
        # Stay clear of 1: at the size of a shelf's number it would round into the next shelf.
        position = np.searchsorted(self.keys, shelf + uniform * (1 - 1e-9), side="right")
        return (position % self.products).astype(np.int64)


def build_shelves(catalogue: Catalogue, months: int) -> Shelves:
    """Compute every shelf's shares from popularity, trend, tastes and what is on sale."""
    starts = np.flatnonzero(_first_of_each(catalogue.category))
    centres = np.linspace(-0.5, 0.5, TIERS)
    keys = np.empty((months, TIERS, STYLES, catalogue.size))
    for month in range(months):
        on_sale = (catalogue.first_month <= month) & (month <= catalogue.last_month)
        weight = catalogue.popularity * np.exp(catalogue.trend_per_month * month) * on_sale
        for tier in range(TIERS):
            liked = weight * np.exp(-PRICE_PULL * (catalogue.tier_score - centres[tier]) ** 2)
            for style in range(STYLES):
                own = np.where(catalogue.style == style, OWN_STYLE_WEIGHT, 1.0)
                shelf = ((month * TIERS + tier) * STYLES + style) * len(CATEGORIES)
                keys[month, tier, style] = shelf + _shares(liked * own, starts, catalogue.category)
    return Shelves(keys=keys.ravel(), products=catalogue.size)


def _shares(weight: FloatArray, starts: IntArray, category: IntArray) -> FloatArray:
    """Cumulative shares within each category, plus the category's number."""
    total = np.add.reduceat(weight, starts)
    share = weight / total[category]
    running = np.cumsum(share)
    before = np.concatenate([[0.0], running[starts[1:] - 1]])
    within = np.minimum(running - before[category], 1.0)
    within[np.concatenate([starts[1:] - 1, [len(weight) - 1]])] = 1.0
    return np.asarray(within + category)


def category_weights() -> FloatArray:
    """Return months of the year x categories: how the season moves what is bought."""
    winter = np.cos(2 * np.pi * (np.arange(12) - 0.5) / 12)
    return np.asarray(np.array(CATEGORY_SHARE) * np.exp(np.outer(winter, WINTER_LIKING)))
