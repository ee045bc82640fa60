"""Which categories a customer will buy from, all at once, from what they spent on each.

As it was done, the label is whether they bought of it in the last days of the same history that the
spending was added up over; honest, whether they do in the days that follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from python_ml.experiments.ladder.balance import Rows
from python_ml.experiments.ladder.models import fit
from python_ml.experiments.ladder.runner import ROUNDS, TEST_SHARE
from python_ml.experiments.ladder.study import Record, Section
from python_ml.training.frame import FloatArray
from python_ml.training.metrics import Interval, measure
from python_ml.training.splits import stable_hash
from python_ml.warehouse.postgres import Warehouse

MOST_LABELS = 12
"""Labels that most customers bought of."""
MOST_CUSTOMERS = 6_000
LABELS = {"category": "categories", "product_id": "products"}

SPENDING = """
    select
        customer_id,
        {item} as item,
        sum(net_amount) filter (
            where ordered_on < $1 and known_on < $1
            and (superseded_on is null or superseded_on >= $1)
        )::float8 as spend,
        count(*) filter (
            where ordered_on >= $2 and ordered_on < $3
            and known_on < $4 and (superseded_on is null or superseded_on >= $4)
        ) as bought
    from intermediate.int_order_lines
    where customer_id is not null and {item} is not null and ordered_on < $4 and known_on < $4
    group by 1, 2
"""


@dataclass(frozen=True, eq=False)
class Spending:
    """Customers times items: what was spent before a day, and what was bought in a window."""

    customers: pd.Index
    spend: pd.DataFrame
    bought: pd.DataFrame

    def of(self, items: list[str]) -> Spending:
        """Return the spending on these items alone, in this order."""
        return Spending(self.customers, self.spend[items], self.bought)

    def rows(self, item: str) -> Rows:
        """Return the rows of one label."""
        ones = np.ones(len(self.customers))
        label = self.bought[item].to_numpy(np.float64)
        matrix = np.log1p(np.maximum(self.spend.to_numpy(np.float64), 0.0))
        return Rows(matrix, label, self.customers.to_numpy(object), ones, ones)


def many_labels(
    warehouse: Warehouse,
    *,
    as_of: date,
    test_date: date,
    horizon_days: int,
    seed: int,
    threads: int,
) -> Section | None:
    """Return AUC by label under both protocols; nothing where there is one label or none."""
    window = timedelta(days=horizon_days)
    item = "category" if _has_categories(warehouse) else "product_id"

    def spending(before: date, start: date) -> Spending:
        days = [before, start, start + window, as_of]
        table = warehouse.read(SPENDING.format(item=item), days).to_pandas()
        return _pivoted(table)

    done = spending(as_of, as_of - window)
    test = spending(test_date, test_date)
    # its window closes, with the days that records may be late, before the test date
    train = spending(test_date - window - timedelta(days=1), test_date - window - timedelta(days=1))
    labels = [name for name in _widest(train) if name in test.bought and name in done.bought]
    if len(labels) < 2:  # noqa: PLR2004 - one label is no view of many
        return None
    known = [str(name) for name in train.spend.columns if name in test.spend]
    train, test = train.of(known), test.of(known)
    records = []
    for name in labels:
        rows, at = done.rows(name), np.arange(len(done.customers))
        seen, unseen = train_test_split(at, test_size=TEST_SHARE, random_state=seed % 2**31)
        as_done = _auc(rows.take(np.sort(seen)), rows.take(np.sort(unseen)), seed, threads)
        honest = _auc(train.rows(name), test.rows(name), seed, threads)
        records.append(_record(name, float(test.bought[name].mean()), as_done, honest))
    return Section(
        name="labels",
        title=f"Which {LABELS[item]} they buy of, all at once",
        records=(*records, _mean_of(records)),
        test_date=test_date,
        notes=(
            "Trees on what a customer spent on each, one forest for each label.",
            f"As done: bought of it in the last {horizon_days} days of the same history. Honest: "
            f"in the {horizon_days} days from {test_date}, trained on those before.",
        ),
    )


def _has_categories(warehouse: Warehouse) -> bool:
    found = warehouse.read(
        "select count(distinct category) from intermediate.int_order_lines where category <> ''"
    )
    return int(found.column(0)[0].as_py()) > 1


def _pivoted(table: pd.DataFrame) -> Spending:
    """Return the customers who had spent something by then, in the order of their names."""
    spent = table[table["spend"].notna()]
    names = np.array(sorted(spent["customer_id"].unique()), dtype=object)
    drawn = np.argsort(stable_hash(names, "labels"), kind="stable")[:MOST_CUSTOMERS]
    customers = pd.Index(names[np.sort(drawn)])
    spend, bought = (
        table.pivot_table(index="customer_id", columns="item", values=name, aggfunc="sum")
        .reindex(customers)
        .fillna(0.0)
        for name in ("spend", "bought")
    )
    return Spending(customers, spend[_top(spend)], (bought > 0).astype(np.float64))


def _top(spend: pd.DataFrame) -> list[str]:
    buyers = (spend > 0).sum().sort_values(ascending=False, kind="stable")
    return [str(name) for name in buyers.index[:200]]


def _widest(train: Spending) -> list[str]:
    yes = train.bought.sum().sort_values(ascending=False, kind="stable")
    return [str(name) for name in yes.index[:MOST_LABELS] if 0 < yes[name] < len(train.customers)]


def _auc(train: Rows, test: Rows, seed: int, threads: int) -> Interval | None:
    probability: FloatArray = fit("trees", train, seed=seed, threads=threads)(test.matrix)
    return measure(test.label, probability, test.entity, rounds=ROUNDS, seed=seed).auc


def _record(name: str, share: float, as_done: Interval | None, honest: Interval | None) -> Record:
    both = as_done is not None and honest is not None
    return {
        "label": name,
        "ones": share,
        "AUC as done": as_done,
        "AUC honest": honest,
        "leak": as_done.value - honest.value if both and as_done and honest else None,
    }


def _mean_of(records: list[Record]) -> Record:
    """Return the mean over labels of each figure that every label has."""
    record: dict[str, str | float | None] = {"label": "mean of labels"}
    for heading in ("ones", "AUC as done", "AUC honest", "leak"):
        cells = [r[heading] for r in records]
        values = [c.value if isinstance(c, Interval) else c for c in cells if c is not None]
        record[heading] = float(np.mean([v for v in values if isinstance(v, float)] or [np.nan]))
    return record
