"""Which items are worth scoring for a customer, and the columns that describe each pair.

Every signal proposes its best items that are new to the customer, and those that any signal ranks
highest are kept, up to a bound. The same signals are columns of the pair: their values, their share
of the customer's best, and their rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from python_ml.training.levels import as_text
from python_ml.training.pairs.first_stage import Matrix
from python_ml.training.pairs.measure import place_within
from python_ml.training.pairs.snapshot import Positions, Snapshot

AT_A_TIME = 256
"""Customers scored at once: memory grows with it times the items."""
MOST_POPULAR, MOST_NEW, BEST_OF_GROUP = 4_000, 1_000, 10
"""Items that are looked at beside those with collaborative scores; in a larger shop the others are
nobody's likeliest, and ranking them for everybody is what most time would go into."""
NEW_ARRIVAL_DAYS = 30.0
PRICE_SPREAD = 0.3
"""Log price that any customer strays from their mean."""

Codes = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Candidate pairs of some customers, grouped by customer.

    Parameters
    ----------
    features
        One row per pair.
    customer, item
        Positions in the snapshot.
    reach
        The best rank that any signal gave the item: candidates with a smaller bound are those
        with a smaller reach.
    """

    features: pd.DataFrame
    customer: Positions
    item: Positions
    reach: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.customer)


def candidate_pairs(snapshot: Snapshot, rows: Positions, most: int) -> Iterator[Pairs]:
    """Yield the candidates of these customers, a bounded number of customers at a time.

    Parameters
    ----------
    most
        Candidates per customer, at the most.
    """
    shelf = _Shelf(snapshot)
    for start in range(0, len(rows), AT_A_TIME):
        yield _pairs(snapshot, shelf, rows[start : start + AT_A_TIME], most)


class _Shelf:
    """The items that are looked at, and what is the same about them for every customer.

    Attributes
    ----------
    items
        Positions in the snapshot, ascending.
    popular
        By signal, how many have begun to buy each of ``items``, and how new it is.
    codes
        By attribute, the group of each of ``items``.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        groups = _groups(snapshot)
        popular = _popular(snapshot.item_features)
        self.items = _looked_at(snapshot, popular, groups)
        self.popular = {name: values[self.items] for name, values in popular.items()}
        self.codes = {name: codes[self.items] for name, codes in groups.items()}
        self._members = {
            name: sparse.csr_matrix(
                (np.ones(len(codes), np.float32), (np.arange(len(codes)), codes))
            )
            for name, codes in groups.items()
        }

    def affinities(self, bought: sparse.csr_matrix) -> dict[str, Matrix]:
        """Return the share of what each customer bought that each item's group has."""
        found = {}
        for name, members in self._members.items():
            by_group = np.asarray((bought @ members).todense(), dtype=np.float32)
            total = np.maximum(by_group.sum(axis=1, keepdims=True), 1e-9)
            found[_short(name)] = (by_group / total)[:, self.codes[name]]
        return found


def _groups(snapshot: Snapshot) -> dict[str, Codes]:
    """Return what items share, categories and other labels: the group of each item."""
    found: dict[str, Codes] = {}
    for name in snapshot.item_categorical:
        codes, levels = pd.factorize(as_text(snapshot.item_features[name]))
        if 1 < len(levels) < len(snapshot.items):
            found[name] = np.where(codes < 0, len(levels), codes)
    return found


def _looked_at(
    snapshot: Snapshot, popular: dict[str, Values], groups: dict[str, Codes]
) -> Positions:
    """Return the items that some customer may find among their likeliest, ascending."""
    if len(snapshot.items) <= MOST_POPULAR:
        return np.arange(len(snapshot.items))
    kept = [snapshot.stage.top]
    for name, most in (("popular", MOST_POPULAR), ("arrival", MOST_NEW)):
        order = np.argsort(-popular[name], kind="stable")[:most]
        kept.append(order[popular[name][order] > 0])
    everything = np.arange(len(snapshot.items))
    for codes in groups.values():
        place = place_within(codes, -popular["popular_of_late"], everything)
        kept.append(everything[place < BEST_OF_GROUP])
    return np.unique(np.concatenate(kept))


def _pairs(snapshot: Snapshot, shelf: _Shelf, rows: Positions, most: int) -> Pairs:
    owned = np.asarray(snapshot.owned[rows][:, shelf.items].todense()) > 0
    scores = snapshot.scores(rows, shelf.items)
    affinities = shelf.affinities(snapshot.bought[rows])
    in_taste = _in_taste(shelf.popular["popular_of_late"], affinities)
    ranks = {
        **{name: _ranks(values, owned, most) for name, values in scores.items()},
        **{name: _shared_ranks(values, owned, most) for name, values in shelf.popular.items()},
        **{name: _ranks(values, owned, most) for name, values in in_taste.items()},
    }
    reach = np.minimum.reduce(list(ranks.values()))
    reach[owned] = most
    keep = min(most, reach.shape[1])
    chosen = np.argpartition(reach, keep - 1, axis=1)[:, :keep] if keep else reach[:, :0]
    chosen = np.sort(chosen, axis=1)
    who, place = np.repeat(np.arange(len(rows)), keep), chosen.ravel()
    reachable = reach[who, place] < most
    who, place = who[reachable], place[reachable]
    item = shelf.items[place]

    columns: dict[str, npt.NDArray[np.generic]] = {}
    for name, values in scores.items():
        best = np.maximum(np.where(owned, 0, values).max(axis=1, initial=0.0), 1e-9)
        columns[f"collaborative_{name}"] = values[who, place]
        columns[f"collaborative_{name}_share"] = values[who, place] / best[who]
    for name, ranked in ranks.items():
        columns[f"collaborative_{name}_rank"] = np.log1p(ranked[who, place])
    for name, values in affinities.items():
        columns[f"affinity_{name}"] = values[who, place]
    customers = snapshot.customer_features.iloc[rows[who]].reset_index(drop=True)
    items = snapshot.item_features.iloc[item].reset_index(drop=True)
    columns.update(_taste(customers, items))
    features = pd.concat(
        [
            pd.DataFrame(columns, dtype=np.float32),
            _compact(items).add_prefix("item_"),
            _compact(customers).add_prefix("customer_"),
        ],
        axis=1,
    )
    return Pairs(features, rows[who], item, reach[who, place])


def _short(name: str) -> str:
    return name.removeprefix("attribute_").removesuffix("_name")


def _compact(features: pd.DataFrame) -> pd.DataFrame:
    numbers = features.select_dtypes("number")
    return features.astype(dict.fromkeys(numbers.columns, np.float32))


def _popular(features: pd.DataFrame) -> dict[str, Values]:
    """Return what everybody starts to buy, lately and of late, and what is new in the shop."""
    age = features["product_age_days"].fillna(0.0).to_numpy(np.float32)
    newest = np.where(age <= NEW_ARRIVAL_DAYS, NEW_ARRIVAL_DAYS + 1 - age, 0.0)
    return {
        "popular": features["product_new_buyer_share_decayed_14d"].to_numpy(np.float32),
        "popular_of_late": features["product_new_buyer_share_decayed_45d"].to_numpy(np.float32),
        "arrival": newest.astype(np.float32),
    }


def _in_taste(popular: Values, affinities: dict[str, Matrix]) -> dict[str, Matrix]:
    """Return what is popular within the groups that the customer buys from."""
    against_mean = popular / max(float(popular.mean()), 1e-9)
    return {
        f"popular_in_{name}": affinity * np.log1p(against_mean)[None, :]
        for name, affinity in affinities.items()
    }


def _shared_ranks(values: Values, owned: npt.NDArray[np.bool_], most: int) -> npt.NDArray[np.int64]:
    """Return :func:`_ranks` of values that are the same for every customer."""
    order = np.argsort(-values, kind="stable")
    order = order[values[order] > 0][: most + int(owned.sum(axis=1).max(initial=0))]
    is_new = ~owned[:, order]
    place = np.cumsum(is_new, axis=1) - 1
    ranks = np.full(owned.shape, most, dtype=np.int64)
    ranks[:, order] = np.where(is_new & (place < most), place, most)
    return ranks


def _ranks(values: Matrix, owned: npt.NDArray[np.bool_], most: int) -> npt.NDArray[np.int64]:
    """Return each item's place among the customer's new ones, ``most`` for all beyond and for 0."""
    open_values = np.where(owned | (values <= 0), -np.inf, values)
    ranks = np.full(values.shape, most, dtype=np.int64)
    keep = min(most, values.shape[1])
    if keep == 0:
        return ranks
    best = np.argpartition(-open_values, keep - 1, axis=1)[:, :keep]
    found = np.take_along_axis(open_values, best, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    found = np.take_along_axis(found, order, axis=1)
    place = np.broadcast_to(np.arange(keep), found.shape)
    np.put_along_axis(ranks, best, np.where(np.isfinite(found), place, most), axis=1)
    return ranks


def _taste(customers: pd.DataFrame, items: pd.DataFrame) -> dict[str, npt.NDArray[np.generic]]:
    """Return how far the item lies from what the customer usually buys."""
    price = np.log1p(items["product_mean_price"].to_numpy(np.float64))
    away = price - customers["product_mean_log_price"].to_numpy(np.float64)
    spread = customers["product_sd_log_price"].to_numpy(np.float64) + PRICE_SPREAD
    quantity = np.log1p(items["product_mean_quantity"].to_numpy(np.float64))
    popularity = np.log1p(items["product_lines_total"].to_numpy(np.float64))
    age = items["product_age_days"].to_numpy(np.float64)
    return {
        "affinity_price": away / spread,
        "affinity_price_away": np.abs(away / spread),
        "affinity_quantity": quantity - customers["basket_mean_log_quantity"].to_numpy(np.float64),
        "affinity_popularity": popularity
        - customers["product_mean_log_popularity"].to_numpy(np.float64),
        "affinity_age_days": age - customers["product_mean_age_days"].to_numpy(np.float64),
    }
