"""Customers as points: what they bought, in a few dimensions, and the groups that they form."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import normalize

from python_ml.experiments.ladder.study import Record, Section
from python_ml.training.frame import FloatArray, IntArray
from python_ml.training.levels import as_text
from python_ml.training.pairs.snapshot import Snapshot

DIMENSIONS, GROUPS = 8, 4
TOLD = 3


def segments(snapshot: Snapshot, truth: pd.DataFrame, seed: int) -> Section:
    """Return the groups of two embeddings, and what each then did.

    Parameters
    ----------
    truth
        ``customer_id`` and ``item_id`` of what was bought for the first time in the window.
    """
    came = np.isin(snapshot.customers, truth["customer_id"].unique())
    records: list[Record] = []
    for name, points in embeddings(snapshot, seed).items():
        group = grouped(points, seed)
        for number in range(int(group.max()) + 1):
            inside = group == number
            records.append(
                {
                    "segment": f"{name} {number + 1}",
                    "customers": int(inside.sum()),
                    "bought something new": float(came[inside].mean()),
                    "buys more of": _favourites(snapshot, inside),
                }
            )
    return Section(
        name="segments",
        title=f"Customers as of {snapshot.as_of}, embedded in {DIMENSIONS} dimensions",
        records=tuple(records),
        test_date=snapshot.as_of,
        notes=(
            "Embedded from what was known then; what they then bought was not looked at. "
            f"SVD and NMF of decayed purchases, {GROUPS} groups by k-means, the largest first.",
        ),
    )


def embeddings(snapshot: Snapshot, seed: int) -> dict[str, FloatArray]:
    """Return each customer's place by two factorisations; nothing of the future is read."""
    weights = normalize(snapshot.bought.astype(np.float64))
    rank = max(1, min(DIMENSIONS, min(weights.shape) - 1))
    svd = TruncatedSVD(rank, random_state=seed % 2**31)
    nmf = NMF(rank, init="nndsvda", max_iter=100, random_state=seed % 2**31)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough for groups
        return {"SVD": svd.fit_transform(weights), "NMF": nmf.fit_transform(weights)}


def grouped(points: FloatArray, seed: int) -> IntArray:
    """Return each customer's group, numbered by falling size."""
    count = min(GROUPS, len(np.unique(points.round(9), axis=0)))
    found = KMeans(count, n_init=4, random_state=seed % 2**31).fit_predict(normalize(points))
    order = np.argsort(-np.bincount(found, minlength=count), kind="stable")
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count)
    return np.asarray(place[found], dtype=np.int64)


def _favourites(snapshot: Snapshot, inside: IntArray) -> str:
    """Return the categories, else the products, that stand out most against everybody."""
    if "category_name" in snapshot.item_features:
        names = as_text(snapshot.item_features["category_name"]).fillna("").to_numpy(object)
    else:
        names = np.full(len(snapshot.items), "", dtype=object)
    if len(set(names)) <= 1:
        names = snapshot.items
    weight = pd.Series(np.asarray(snapshot.bought[np.flatnonzero(inside)].sum(axis=0)).ravel())
    everybody = pd.Series(np.asarray(snapshot.bought.sum(axis=0)).ravel())
    own, all_ = (part.groupby(names).sum() for part in (weight, everybody))
    ahead = own / max(float(own.sum()), 1e-9) - all_ / max(float(all_.sum()), 1e-9)
    return ", ".join(map(str, ahead.sort_values(ascending=False, kind="stable").index[:TOLD]))
