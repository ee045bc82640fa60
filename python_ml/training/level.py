"""The level of the predictions: one number, and whether to use it (design rule 7).

Most log-loss is lost because the season ahead has another base rate than the seasons behind. A
behavioural model of the customers (BG/NBD) sees that rate coming a little, since it uses no
labels: it reads the newest orders. So the mean of the predictions is drawn part of the way, in
logit, to that model's mean over the same rows. The calibrator mends the shape and leaves the
level to this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from python_ml.training.frame import FloatArray
from python_ml.training.metrics import log_loss
from python_ml.training.recipes.base import shift_to_mean, to_logit, to_probability

FEWEST_ORIGINS = 3
"""Fewer windows say nothing about how the level changes from window to window."""
WORTH_OF_REFERENCE = 4.0
"""Windows that the labels must have seen, and three more, to weigh as much as the reference."""
OTHER_WEIGHTS = (0.25, 0.75)
"""How far a shop's own few, overlapping origins may move the weight from the default."""


@dataclass(frozen=True)
class LevelPolicy:
    """Where the level comes from.

    ``none``: the model's own mean. ``labels``: the mean of the training labels, by a fixed shift.
    ``reference``: ``weight`` of the way, in logit, to the reference model's mean.
    """

    kind: Literal["none", "labels", "reference"]
    weight: float = 0.0

    def shift(
        self, probability: FloatArray, label_shift: float, reference: FloatArray | None
    ) -> float:
        """Return the shift of the logit for these rows.

        Parameters
        ----------
        probability, reference
            Predictions for the same rows: everyone scored at one date, not a part of them.
        label_shift
            What brings out-of-fold predictions to the mean of their labels.
        """
        if self.kind == "reference" and reference is not None:
            return level_shift(probability, reference, self.weight)
        return label_shift if self.kind == "labels" else 0.0


@dataclass(frozen=True, eq=False)
class LevelEvidence:
    """What one rolling origin says: predictions, what each policy would have used, the outcome."""

    probability: FloatArray
    label_shift: float
    reference: FloatArray | None
    label: FloatArray


def level_shift(probability: FloatArray, reference: FloatArray, weight: float) -> float:
    """Return the shift that draws the mean ``weight`` of the way, in logit, to the reference's."""
    if weight == 0 or len(probability) == 0:
        return 0.0
    own, aim = to_logit(np.array([probability.mean(), reference.mean()]))
    target = to_probability(np.array([(1 - weight) * own + weight * aim]))[0]
    return shift_to_mean(probability, float(target))


def default_weight(settled: float, windows: float) -> float:
    """Return how far the reference draws before a shop's own origins have a say.

    The level of the labels is the mean over the windows that they have seen. Of one or two windows
    that is one season's luck, and the reference, which reads the newest orders, draws nearly all
    the way; with more it comes down to ``settled``.

    >>> [round(default_weight(0.5, windows), 2) for windows in (1, 2, 3, 5, 9)]
    [1.0, 0.8, 0.67, 0.5, 0.5]
    """
    return max(settled, WORTH_OF_REFERENCE / (3.0 + max(windows, 1.0)))


def apply_shift(probability: FloatArray, shift: float) -> FloatArray:
    """Return the probabilities with their logits shifted."""
    return probability if shift == 0 else to_probability(to_logit(probability) + shift)


def choose_level(
    evidence: Sequence[LevelEvidence],
    *,
    default_weight: float,
    min_gain: float,
    has_reference: bool,
) -> LevelPolicy:
    """Return the default, unless every rolling origin speaks for the same other policy.

    The default (half-way to the reference, which won on five public shops) is left only for a
    policy that is better on each origin and saves ``min_gain`` on all of them pooled: origins of
    one shop overlap, and a rule that followed their mean would follow one season's luck. With
    fewer than three origins this shop has shown nothing, and what won elsewhere stands.
    """
    default = LevelPolicy("reference", default_weight) if has_reference else LevelPolicy("labels")
    if len(evidence) < FEWEST_ORIGINS:
        return default
    others = [LevelPolicy("none"), LevelPolicy("labels")]
    if has_reference:
        others += [LevelPolicy("reference", weight) for weight in OTHER_WEIGHTS]
    standing = _losses(default, evidence)
    rows = np.array([len(e.label) for e in evidence])
    chosen, least = default, float(np.average(standing, weights=rows)) - min_gain
    for policy in others:
        losses = _losses(policy, evidence)
        pooled = float(np.average(losses, weights=rows))
        if (losses < standing).all() and pooled < least:
            chosen, least = policy, pooled
    return chosen


def _losses(policy: LevelPolicy, evidence: Sequence[LevelEvidence]) -> FloatArray:
    """Return the log-loss of each origin."""
    shifts = [policy.shift(e.probability, e.label_shift, e.reference) for e in evidence]
    return np.array(
        [
            log_loss(e.label, apply_shift(e.probability, shift))
            for e, shift in zip(evidence, shifts, strict=True)
        ]
    )
