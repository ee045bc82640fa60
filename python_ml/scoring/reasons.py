"""Why a probability is what it is: the strongest themes of each row, in words."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from python_ml.scoring.words import in_words
from python_ml.warehouse.catalogue import Feature

REASONS_PER_ROW = 3
ROWS_PER_BATCH = 20_000
"""Contributions of trees cost far more than scores; batches bound the memory they take."""


def top_reasons(
    contributions: pd.DataFrame, features: pd.DataFrame, described: Sequence[Feature] = ()
) -> list[str]:
    """Return the strongest themes of each row as JSON.

    Features of one theme say nearly the same, and often share a push among them or undo each
    other's; their exact sum is what the theme did. It is told through its feature that pushed
    hardest in the direction of the sum.

    Parameters
    ----------
    contributions
        Logit units, one column per feature.
    features
        The values that were scored, same rows.
    described
        The features as the catalogue has them; columns that are not among them are told by name.

    Returns
    -------
    list of str
        ``[{"theme": ..., "feature": ..., "value": ..., "logit": ..., "words": ...}, ...]`` per
        row, strongest first. ``logit`` is that of the theme.
    """
    by_name = {feature.name: feature for feature in described}
    columns = [
        by_name.get(str(name), Feature(str(name), "feature", "")) for name in contributions.columns
    ]
    theme_of, themes = pd.factorize(np.array([column.theme for column in columns], dtype=object))
    values = contributions.to_numpy(dtype=np.float64)
    sums = np.column_stack([values[:, theme_of == k].sum(axis=1) for k in range(len(themes))])
    leaders = np.column_stack([_leader(values, sums, theme_of, k) for k in range(len(themes))])
    order = np.argsort(-np.abs(sums), axis=1, kind="stable")[:, :REASONS_PER_ROW]
    known = {column.name: features[column.name].tolist() for column in columns}
    return [
        json.dumps(
            [
                _reason(
                    columns[leaders[row, k]],
                    known[columns[leaders[row, k]].name][row],
                    sums[row, k],
                )
                for k in order[row]
            ]
        )
        for row in range(len(values))
    ]


def _leader(values: np.ndarray, sums: np.ndarray, theme_of: np.ndarray, theme: int) -> np.ndarray:
    """Return the place of the theme's feature that pushed hardest the way the theme went."""
    places = np.flatnonzero(theme_of == theme)
    pushes = values[:, places] * np.where(sums[:, [theme]] < 0, -1.0, 1.0)
    return np.asarray(places[pushes.argmax(axis=1)])


def _reason(feature: Feature, value: object, logit: float) -> dict[str, object]:
    return {
        "theme": feature.theme,
        "feature": feature.name,
        "value": _plain(value),
        "logit": round(float(logit), 4),
        "words": in_words(feature, value),
    }


def _plain(value: object) -> object:
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 4)
    return value
