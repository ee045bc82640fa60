"""The level of the predictions: one number, and whether to use it (design rule 7).

Most log-loss is lost because the season ahead has another base rate than the seasons behind. A
behavioural model of the customers (BG/NBD) sees that rate coming a little, since it uses no
labels: it reads the newest orders. So the mean of the predictions is drawn part of the way, in
logit, to that model's mean over the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from python_ml.training.frame import FloatArray
from python_ml.training.metrics import log_loss
from python_ml.training.recipes.base import shift_to_mean, to_logit, to_probability

FEWEST_ORIGINS = 2
"""A single window says nothing about how the level changes from window to window."""


@dataclass(frozen=True, eq=False)
class LevelEvidence:
    """Predictions of one rolling origin, the reference model's for the same rows, the outcome."""

    probability: FloatArray
    reference: FloatArray
    label: FloatArray


def level_shift(probability: FloatArray, reference: FloatArray, weight: float) -> float:
    """Return the shift that draws the mean ``weight`` of the way, in logit, to the reference's.

    Both must be predictions for the same rows: everyone scored at one date, not a part of them.
    """
    if weight == 0 or len(probability) == 0:
        return 0.0
    own, aim = to_logit(np.array([probability.mean(), reference.mean()]))
    target = to_probability(np.array([(1 - weight) * own + weight * aim]))[0]
    return shift_to_mean(probability, float(target))


def apply_shift(probability: FloatArray, shift: float) -> FloatArray:
    """Return the probabilities with their logits shifted."""
    return probability if shift == 0 else to_probability(to_logit(probability) + shift)


def choose_weight(evidence: Sequence[LevelEvidence], weight: float, min_gain: float) -> float:
    """Return ``weight`` if it does not lose on the rolling origins pooled, else 0.

    The weight itself is never estimated: half-way won on five public shops, and the origins of
    one shop overlap too much to say more than yes or no. With fewer than two origins there is no
    evidence of this shop's own, and what won elsewhere stands.
    """
    if len(evidence) < FEWEST_ORIGINS:
        return weight
    label = np.concatenate([e.label for e in evidence])
    plain = np.concatenate([e.probability for e in evidence])
    drawn = np.concatenate(
        [
            apply_shift(e.probability, level_shift(e.probability, e.reference, weight))
            for e in evidence
        ]
    )
    return weight if log_loss(label, plain) - log_loss(label, drawn) >= min_gain else 0.0
