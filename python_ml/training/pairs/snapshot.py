"""Everything that is known at one as-of date about customers, items and how they go together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from python_ml.predictions.base import PairPrediction
from python_ml.training.dataset import to_features
from python_ml.training.frame import TextArray
from python_ml.training.pairs.first_stage import FirstStage, Matrix, fit_first_stage
from python_ml.training.pairs.interactions import Interactions, decayed, places
from python_ml.warehouse.catalogue import FeatureCatalogue
from python_ml.warehouse.postgres import Warehouse

LONG_DAYS, SHORT_DAYS = 180.0, 30.0
"""Half lives of what was bought: taste, and what is on the customer's mind."""

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One level at one as-of date.

    Parameters
    ----------
    customers, items
        Names, in the order of the rows of their features.
    bought, recent
        Decayed weights (customers, items), with the long and the short half life.
    owned
        Which items each customer ever bought (customers, items).
    stage
        First-stage models, fitted on customers of the shop known at this date.
    """

    level: str
    as_of: date
    customers: TextArray
    items: TextArray
    customer_features: pd.DataFrame
    item_features: pd.DataFrame
    item_categorical: tuple[str, ...]
    bought: sparse.csr_matrix
    recent: sparse.csr_matrix
    owned: sparse.csr_matrix
    stage: FirstStage

    def scores(self, rows: Positions, items: Positions) -> dict[str, Matrix]:
        """Return every first-stage score of some customers for some items, ascending ones."""
        return self.stage.scores(self.bought[rows], self.recent[rows], items)


@dataclass(frozen=True)
class Catalogues:
    """The features of items and of customers, as their yml says."""

    items: FeatureCatalogue
    customers: FeatureCatalogue


def make_snapshot(
    warehouse: Warehouse,
    prediction: PairPrediction,
    catalogues: Catalogues,
    interactions: Interactions,
    *,
    level: str,
    as_of: date,
    customers: str = "",
    stage: FirstStage | None = None,
    most_items: int,
) -> Snapshot:
    """Read the features of one date and fit the first stage on what was known by then.

    Parameters
    ----------
    interactions
        Of every customer that is picked; the first stage is fitted on all of them.
    customers
        A further condition that picks customers for pairs.
    stage
        Models already fitted at this very date, where the customers come in several parts.
    """
    items = warehouse.read(
        f"select item_id, {', '.join(catalogues.items.names)} from {prediction.features_table} "  # noqa: S608
        'where as_of_date = $1 and item_level = $2 order by item_id collate "C"',
        [as_of, level],
    )
    people = warehouse.read(
        f"select customer_id, {', '.join(catalogues.customers.names)} "  # noqa: S608
        f"from {prediction.customers_table} "
        f'where as_of_date = $1 {customers} order by customer_id collate "C"',
        [as_of],
    )
    item_names = np.asarray(items.column("item_id").to_pylist(), dtype=object)
    names = np.asarray(people.column("customer_id").to_pylist(), dtype=object)
    columns = places(interactions.items, item_names)
    everyone = np.arange(len(interactions.customers), dtype=np.int32)
    rows = places(interactions.customers, names)

    def weights(half_life_days: float, of: npt.NDArray[np.int32], count: int) -> sparse.csr_matrix:
        return decayed(
            interactions,
            as_of,
            half_life_days,
            rows=of,
            columns=columns,
            shape=(count, len(item_names)),
        )

    if stage is None:
        stage = fit_first_stage(weights(LONG_DAYS, everyone, len(everyone)), most_items=most_items)
    return Snapshot(
        level=level,
        as_of=as_of,
        customers=names,
        items=item_names,
        customer_features=to_features(people, catalogues.customers),
        item_features=to_features(items, catalogues.items),
        item_categorical=catalogues.items.categorical,
        bought=weights(LONG_DAYS, rows, len(names)),
        recent=weights(SHORT_DAYS, rows, len(names)),
        owned=weights(np.inf, rows, len(names)),
        stage=stage,
    )
