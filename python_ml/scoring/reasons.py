"""Why a probability is what it is: the strongest contributions of each row."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

REASONS_PER_ROW = 3
ROWS_PER_BATCH = 20_000
"""Contributions of trees cost far more than scores; batches bound the memory they take."""


def top_reasons(contributions: pd.DataFrame, features: pd.DataFrame) -> list[str]:
    """Return the strongest contributions of each row as JSON.

    Parameters
    ----------
    contributions
        Logit units, one column per feature.
    features
        The values that were scored, same rows.

    Returns
    -------
    list of str
        ``[{"feature": ..., "value": ..., "logit": ...}, ...]`` per row, strongest first.
    """
    names = np.asarray(contributions.columns, dtype=object)
    values = contributions.to_numpy(dtype=np.float64)
    count = min(REASONS_PER_ROW, values.shape[1])
    order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :count]
    strengths = np.take_along_axis(values, order, axis=1)
    columns = {name: features[name].tolist() for name in names if name in features}
    rows = []
    for row, (positions, logits) in enumerate(zip(order, strengths, strict=True)):
        rows.append(
            json.dumps(
                [
                    {
                        "feature": names[position],
                        "value": _plain(columns[names[position]][row])
                        if names[position] in columns
                        else None,
                        "logit": round(float(logit), 4),
                    }
                    for position, logit in zip(positions, logits, strict=True)
                ]
            )
        )
    return rows


def _plain(value: object) -> object:
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 4)
    return value
