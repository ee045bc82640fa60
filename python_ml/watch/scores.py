"""The gates on scores and on the model: do the probabilities look like those before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from python_ml.training.frame import FloatArray
from python_ml.watch.features import FEWEST_ROWS, say
from python_ml.watch.findings import Verdict
from python_ml.watch.stability import psi, psi_noise, shares
from python_ml.watch.thresholds import Thresholds

BINS = 10


@dataclass(frozen=True)
class Scored:
    """The probabilities of one run."""

    day: date
    probability: FloatArray
    groups: int


def score_move(now: FloatArray, before: FloatArray) -> float:
    """Return the stability index of probabilities over tenths of those before.

    >>> same = np.linspace(0, 1, 1000)
    >>> score_move(same, same)
    0.0
    """
    edges = np.unique(np.quantile(before, np.arange(1, BINS) / BINS))
    counts = [
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        for values in (now, before)
    ]
    return float(psi(*(shares(count.astype(np.float64)) for count in counts)))


def judge_scores(
    now: Scored, before: Scored | None, thresholds: Thresholds, usual: float = 0.0
) -> Verdict:
    """Hold the scores against those of the run that was published before.

    Parameters
    ----------
    usual
        The largest move between published runs so far.
    """
    if before is None:
        return Verdict(not_judged=("scores: no earlier run is published",))
    if min(now.groups, before.groups) < FEWEST_ROWS:
        return Verdict(not_judged=(f"scores: fewer than {FEWEST_ROWS} customers",))
    text = (
        "the probabilities moved since the run of "
        f"{before.day} (stability index {{value:.2f}}, usual up to {{limit:.2f}}): mean "
        f"{before.probability.mean():.3f}, now {now.probability.mean():.3f}"
    )
    noise = psi_noise(BINS, now.groups, before.groups)
    value = score_move(now.probability, before.probability)
    found = say(
        thresholds["scores"], "scores", "probability", value, text, usual=usual, noise=noise
    )
    return Verdict(tuple(found))


@dataclass(frozen=True)
class TestedAuc:
    """AUC of a model on its test date, with its interval."""

    value: float
    low: float
    high: float
    test_date: str


def judge_performance(
    now: Mapping[str, TestedAuc], before: Mapping[str, TestedAuc], thresholds: Thresholds
) -> Verdict:
    """Hold what a new model showed on its test date against what the one in force showed.

    Parameters
    ----------
    now, before
        By level of the prediction; one nameless level where there are none.
    """
    found = []
    for level, new in now.items():
        old = before.get(level)
        if old is None or new.high >= old.low:
            continue
        text = (
            f"the model ranks worse than the one in force: AUC {new.value:.3f} "
            f"({new.low:.3f} to {new.high:.3f}) on {new.test_date}, {old.value:.3f} "
            f"({old.low:.3f} to {old.high:.3f}) on {old.test_date}"
        )
        name = level or "auc"
        found += say(thresholds["performance"], "performance", name, old.value - new.value, text)
    return Verdict(tuple(found))
