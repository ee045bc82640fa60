"""Order habit as a competent data scientist would do it by hand, from order lines in pandas.

None of the project's features, recipes or level rules is used, BG/NBD's likelihood aside: the
peers are what the product is held against.
"""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from python_ml.training.frame import FloatArray
from python_ml.training.recipes.base import to_logit, to_probability
from python_ml.training.recipes.bgnbd import History, fit_parameters

WINDOWS = (7, 30, 60, 90, 180, 365)
HALF_LIVES = (30, 90, 365)
FIVE = ("recency", "orders", "spend", "tenure", "mean_gap")
MOST_CUTOFFS = 6
DAYS_BETWEEN_CUTOFFS = 30
FOLDS = 5
TREES: dict[str, object] = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Table:
    """Features of the customers at one cut-off, and what they then did."""

    features: pd.DataFrame
    label: FloatArray


def predict(
    lines: pd.DataFrame, customers: pd.Index, as_of: pd.Timestamp, days: int, *, threads: int
) -> dict[str, FloatArray]:
    """Return each peer's probabilities for ``customers`` at ``as_of``.

    Parameters
    ----------
    lines
        Order lines known at ``as_of``: customer_id, order_id, product_id, ordered_at, amount.
    days
        The horizon.
    """
    now = features_at(lines, as_of).reindex(customers)
    past = [_labelled(lines, cutoff, days) for cutoff in _cutoffs(lines, as_of, days)]
    found = {"bgnbd": _bgnbd(now, days)}
    past = [table for table in past if len(set(table.label)) > 1]
    if past:
        seen = pd.concat([table.features for table in past])
        label = np.concatenate([table.label for table in past])
        found["five_feature_lr"] = _five(seen, label, now)
        found["rich_lr"] = _rich(seen, label, now)
        found["lightgbm"] = _trees(seen, label, now, threads)
        found["blend"] = _mean_logit(found["rich_lr"], found["lightgbm"])
        found["blend_with_bgnbd"] = _mean_logit(found["rich_lr"], found["lightgbm"], found["bgnbd"])
    return found


def features_at(lines: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Return thirty-odd features per customer from the lines before a cut-off."""
    known = lines[lines["ordered_at"] < as_of]
    orders = (
        known.groupby(["customer_id", "order_id"])
        .agg(
            at=("ordered_at", "min"),
            amount=("amount", "sum"),
            lines=("amount", "size"),
        )
        .reset_index()
    )
    age = (as_of - orders["at"].dt.normalize()).dt.days
    orders = orders.assign(age=age, day=orders["at"].dt.normalize())
    by_customer = orders.groupby("customer_id")
    table = pd.DataFrame(
        {
            "recency": by_customer["age"].min(),
            "tenure": by_customer["age"].max(),
            "orders": by_customer.size(),
            "order_days": by_customer["day"].nunique(),
            "spend": by_customer["amount"].sum(),
            "order_value": by_customer["amount"].mean(),
            "largest_order": by_customer["amount"].max(),
            "lines_per_order": by_customer["lines"].mean(),
            "products": known.groupby("customer_id")["product_id"].nunique(),
        }
    )
    for window in WINDOWS:
        inside = orders[orders["age"] <= window].groupby("customer_id")
        table[f"orders_{window}"] = inside.size()
        table[f"spend_{window}"] = inside["amount"].sum()
    for half_life in HALF_LIVES:
        weight = 0.5 ** (orders["age"] / half_life)
        table[f"decayed_{half_life}"] = weight.groupby(orders["customer_id"]).sum()
    gaps = (
        orders.drop_duplicates(["customer_id", "day"])
        .sort_values(["customer_id", "day"])
        .groupby("customer_id")["day"]
        .diff()
        .dt.days
    )
    by_gap = gaps.groupby(orders.loc[gaps.index, "customer_id"])
    table["mean_gap"], table["sd_gap"] = by_gap.mean(), by_gap.std()
    names = [str(name) for name in table.columns]
    counts = [name for name in names if name.startswith(("orders_", "spend_", "decayed_"))]
    table[counts] = table[counts].fillna(0)
    table["recency_over_gap"] = table["recency"] / table["mean_gap"]
    table["recency_over_tenure"] = table["recency"] / table["tenure"].clip(lower=1)
    table["rate"] = table["orders"] / table["tenure"].clip(lower=30)
    table["trend"] = table["orders_90"] - (table["orders_180"] - table["orders_90"])
    return table


def _cutoffs(lines: pd.DataFrame, as_of: pd.Timestamp, days: int) -> list[pd.Timestamp]:
    """Return cut-offs whose windows had closed, a month apart, with a quarter of history each."""
    first = lines["ordered_at"].min() + pd.Timedelta(days=min(90, days))
    newest = as_of - pd.Timedelta(days=days)
    all_of_them = [
        newest - pd.Timedelta(days=DAYS_BETWEEN_CUTOFFS * k) for k in range(MOST_CUTOFFS)
    ]
    return [cutoff for cutoff in all_of_them if cutoff >= first] or all_of_them[:1]


def _labelled(lines: pd.DataFrame, cutoff: pd.Timestamp, days: int) -> Table:
    features = features_at(lines, cutoff)
    later = lines["ordered_at"] >= cutoff
    inside = lines["ordered_at"] < cutoff + pd.Timedelta(days=days)
    buyers = lines.loc[later & inside, "customer_id"].unique()
    return Table(features, features.index.isin(buyers).astype(np.float64))


def _bgnbd(now: pd.DataFrame, days: int) -> FloatArray:
    x = (now["order_days"] - 1).to_numpy(np.float64)
    last = np.where(x > 0, now["tenure"] - now["recency"], 0) / 7
    history = History(x, last, now["tenure"].to_numpy(np.float64) / 7)
    return fit_parameters(history).probability_of_order(history, days / 7)


def _logs(features: pd.DataFrame) -> pd.DataFrame:
    values = features.to_numpy(np.float64)
    logs = pd.DataFrame(
        np.sign(values) * np.log1p(np.abs(values)), features.index, features.columns
    )
    missing = features.isna().astype(float).add_suffix("_missing")
    return pd.concat([logs.fillna(0), missing.loc[:, missing.any()]], axis=1)


def _five(seen: pd.DataFrame, label: FloatArray, now: pd.DataFrame) -> FloatArray:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    both = _logs(pd.concat([seen, now])[list(FIVE)])
    model.fit(both.iloc[: len(seen)], label)
    return np.asarray(model.predict_proba(both.iloc[len(seen) :])[:, 1])


def _rich(seen: pd.DataFrame, label: FloatArray, now: pd.DataFrame) -> FloatArray:
    choice = LogisticRegressionCV(
        Cs=[0.001, 0.01, 0.1, 1.0],
        cv=FOLDS,
        scoring="neg_log_loss",
        max_iter=1000,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )
    model = make_pipeline(StandardScaler(), choice)
    both = _logs(pd.concat([seen, now]))
    model.fit(both.iloc[: len(seen)], label)
    return np.asarray(model.predict_proba(both.iloc[len(seen) :])[:, 1])


def _trees(seen: pd.DataFrame, label: FloatArray, now: pd.DataFrame, threads: int) -> FloatArray:
    parameters = {**TREES, "num_threads": threads, "seed": 1}
    codes = pd.factorize(seen.index)[0] % FOLDS
    folds = [(np.flatnonzero(codes != k), np.flatnonzero(codes == k)) for k in range(FOLDS)]
    data = lgb.Dataset(seen.to_numpy(), label=label, params=parameters, free_raw_data=False)
    found = lgb.cv(
        parameters,
        data,
        num_boost_round=1000,
        folds=folds,
        callbacks=[lgb.early_stopping(50, verbose=False)],
    )
    trees = len(found["valid binary_logloss-mean"])
    model = lgb.train(parameters, data, num_boost_round=trees)
    return np.asarray(model.predict(now.to_numpy()), dtype=np.float64)


def _mean_logit(*parts: FloatArray) -> FloatArray:
    return to_probability(np.mean([to_logit(part) for part in parts], axis=0))
