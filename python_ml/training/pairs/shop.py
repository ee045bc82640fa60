"""What trainers and scorers of pairs read from the warehouse, and how much of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from python_ml.predictions.base import PairPrediction
from python_ml.training.frame import DayArray
from python_ml.training.pairs.interactions import (
    Interactions,
    customer_sample,
    read_interactions,
)
from python_ml.training.pairs.snapshot import Catalogues, Snapshot, make_snapshot
from python_ml.warehouse.postgres import Warehouse

LEVELS = ("product", "category")
MOST_FIT_CUSTOMERS = 60_000
"""Customers that first-stage models are fitted on, and that training pairs are drawn from."""
CUSTOMERS_AT_A_TIME = 60_000
"""Customers scored with one reading of their interactions."""


@dataclass(eq=False)
class PairShop:
    """One level of one shop, as known up to a date.

    Interactions are read once and cut at each as-of date by their own times.
    """

    warehouse: Warehouse
    prediction: PairPrediction
    catalogues: Catalogues
    level: str
    as_of: date
    most_items: int
    _sampled: Interactions | None = field(default=None, repr=False)

    def snapshot(self, as_of: date) -> Snapshot:
        """Return a date's snapshot of the customers that models are fitted on."""
        return make_snapshot(
            self.warehouse,
            self.prediction,
            self.catalogues,
            self.interactions(),
            level=self.level,
            as_of=as_of,
            customers=self._sample(),
            most_items=self.most_items,
        )

    def parts(self) -> Iterator[Snapshot]:
        """Yield snapshots of everybody at the latest date, a bounded number of them at a time."""
        count = -(-self.customers() // CUSTOMERS_AT_A_TIME)
        if count <= 1:
            yield self.snapshot(self.as_of)
            return
        stage = self.snapshot(self.as_of).stage
        for part in range(count):
            chosen = _part(part, count)
            yield make_snapshot(
                self.warehouse,
                self.prediction,
                self.catalogues,
                read_interactions(self.warehouse, self.level, self.as_of, customers=chosen),
                level=self.level,
                as_of=self.as_of,
                customers=chosen,
                stage=stage,
                most_items=self.most_items,
            )

    def interactions(self) -> Interactions:
        """Return the interactions of the customers that models are fitted on."""
        if self._sampled is None:
            self._sampled = read_interactions(
                self.warehouse, self.level, self.as_of, customers=self._sample()
            )
        return self._sampled

    def customers(self) -> int:
        """Return how many customers are known at the latest date."""
        return self._count(self.prediction.customers_table, "true")

    def items(self) -> int:
        """Return how many items of this level are known at the latest date."""
        return self._count(self.prediction.features_table, f"item_level = '{self.level}'")

    def truth(self, as_of: date, horizon_days: int) -> pd.DataFrame:
        """Return the pairs of a date that came true: ``customer_id``, ``item_id``."""
        table = self.warehouse.read(
            f"select customer_id, item_id from {self.prediction.labels_table} "  # noqa: S608 - ours
            "where item_level = $1 and as_of_date = $2 and horizon_days = $3 "
            "and label_known_at <= $4",
            [self.level, as_of, horizon_days, self.as_of],
        )
        return pd.DataFrame(table.to_pandas())

    def matured_dates(self, horizon_days: int) -> tuple[DayArray, DayArray]:
        """Return as-of dates whose windows had closed, and the day from which each was known.

        A window without a single new purchase by anybody teaches nothing and is left out.
        """
        table = self.warehouse.read(
            "select dates.as_of_date, dates.label_known_at "  # noqa: S608 - ours
            "from intermediate.int_as_of_dates as dates "
            "where dates.prediction = $1 and dates.horizon_days = $2 "
            "and dates.label_known_at <= $3 "
            f"and dates.as_of_date in (select as_of_date from {self.prediction.labels_table} "
            "where item_level = $4 and horizon_days = $2) order by dates.as_of_date",
            [self.prediction.name, horizon_days, self.as_of, self.level],
        )
        dates, known = (
            np.asarray(table.column(n).to_numpy(zero_copy_only=False), dtype="datetime64[D]")
            for n in ("as_of_date", "label_known_at")
        )
        return dates, known

    def _sample(self) -> str:
        return customer_sample(MOST_FIT_CUSTOMERS / max(self.customers(), 1))

    def _count(self, table: str, condition: str) -> int:
        counted = self.warehouse.read(
            f"select count(*) from {table} where as_of_date = $1 and {condition}",  # noqa: S608
            [self.as_of],
        )
        return int(counted.column(0)[0].as_py())


def _part(part: int, count: int) -> str:
    """Return a condition that picks one of so many parts of the customers, by a stable hash."""
    low, high = (f"{65536 * edge // count:04x}" for edge in (part, part + 1))
    upper = f"and substr(md5(customer_id), 1, 4) < '{high}'" if part + 1 < count else ""
    return f"and substr(md5(customer_id), 1, 4) >= '{low}' {upper}"
