"""How far a distribution has moved, beside what chance and a shop's own habit move it."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from python_ml.training.frame import FloatArray

SURE = 0.9999
"""Chance alone stays under the noise so often: a run looks at a hundred features."""
DEVIATIONS = 4.0
"""The same for a share, in standard errors."""
SLACK_DAYS = 5
"""Months differ by so many days at most."""


def shares(counts: FloatArray) -> FloatArray:
    """Return shares of bins, half a row added to each so that none is empty.

    >>> shares(np.array([0.0, 3.0])).round(3).tolist()
    [0.125, 0.875]
    """
    counts = np.asarray(counts, dtype=np.float64)
    size = counts.sum(axis=-1, keepdims=True) + 0.5 * counts.shape[-1]
    return np.asarray((counts + 0.5) / size)


def psi(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the population stability index between shares, over their last axis.

    0 for equal ones; .1 is called a small move and .25 a large one by those who use it. It is the
    sum of both directions' Kullback-Leibler divergence.
    """
    return np.asarray(((first - second) * np.log(first / second)).sum(axis=-1))


def psi_noise(bins: int, rows: float, other_rows: float) -> float:
    """Return what the index stays under when nothing moved (chi-square, ``SURE`` of the time).

    Between two samples of one population it is about chi-square with ``bins - 1`` degrees of
    freedom, times ``1 / rows + 1 / other_rows``.
    """
    if bins < 2:  # noqa: PLR2004 - one bin cannot move
        return 0.0
    scale = 1 / max(rows, 1.0) + 1 / max(other_rows, 1.0)
    return float(chi2.ppf(SURE, bins - 1) * scale)


def share_noise(share: float, other: float, rows: float, other_rows: float) -> float:
    """Return what the difference of two shares stays under when nothing moved."""
    rows, other_rows = max(rows, 1.0), max(other_rows, 1.0)
    pooled = (share * rows + other * other_rows + 0.5) / (rows + other_rows + 1)
    return float(DEVIATIONS * np.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / other_rows)))


def usual_move(moves: FloatArray, days: FloatArray, lag: float) -> float | None:
    """Return the largest move of earlier dates to what was known ``lag`` days before them.

    Each date is looked at as the scored one is: against the nearest of the dates that were ``lag``
    or more days old at it. So a feature that grows with the shop's age, or turns with the season,
    is allowed what it has always done.

    Parameters
    ----------
    moves
        Move between each pair of dates (dates, dates).
    days
        Day number of each date, ascending.
    lag
        Days between the scored date and the newest one that it is compared with.

    Returns
    -------
    float or None
        None with fewer than three dates. Where the dates do not span the lag, the largest span that
        they have, scaled up: an index grows with the square of a steady move.
    """
    if len(days) < 3:  # noqa: PLR2004 - two dates show one move, which is no habit
        return None
    gaps = days[:, None] - days[None, :]
    reach = min(lag, float(days[-1] - days[0]) / 2)
    old_enough = gaps >= max(reach - SLACK_DAYS, 1.0)
    nearest = np.where(old_enough, moves, np.inf).min(axis=1)
    found = nearest[np.isfinite(nearest)]
    stretch = max(1.0, lag / max(reach, 1.0)) ** 2
    return float(found.max() * stretch) if len(found) else None


def usual_step(moves: FloatArray, days: FloatArray, lag: float) -> float | None:
    """Return the largest move from one of the earlier dates to the next, ``lag`` or more days on.

    None with fewer than three dates.
    """
    if len(days) < 3:  # noqa: PLR2004 - as above
        return None
    lag = min(max(lag, 1.0), float(days[-1] - days[0]) / 2)
    found = []
    for place, day in enumerate(days):
        before = np.flatnonzero(day - days >= lag - SLACK_DAYS)
        before = before[before < place]
        if len(before):
            found.append(moves[place, before[-1]])
    return float(max(found)) if found else None
