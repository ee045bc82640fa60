"""The gates on features: drift from training, a step since the last run, missing, unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from python_ml.training.frame import FloatArray
from python_ml.watch.findings import Finding, Verdict
from python_ml.watch.reference import LEVELS_COMPARED, FeatureReference, Reference
from python_ml.watch.stability import (
    psi,
    psi_noise,
    share_noise,
    shares,
    usual_move,
    usual_step,
)
from python_ml.watch.thresholds import Gate, Thresholds

FEWEST_DATES = 4
"""With fewer training dates nobody knows what is usual: drift is not judged."""
FEWEST_ROWS = 100
"""Fewer rows than this move by themselves."""


@dataclass(frozen=True)
class Looked:
    """Features at one date, and how many customers (or other groups) they are of."""

    day: date
    features: pd.DataFrame
    groups: int


def judge_features(
    reference: Reference, now: Looked, before: Looked | None, thresholds: Thresholds
) -> Verdict:
    """Hold the features to be scored against the training dates and against the last run's.

    Parameters
    ----------
    before
        The features of the run that was published before, where there is one of an earlier date.
    """
    if min(len(now.features), now.groups) < FEWEST_ROWS:
        return Verdict(not_judged=(f"features: fewer than {FEWEST_ROWS} customers",))
    judge = _Judge(reference, now, before, thresholds)
    findings: list[Finding] = []
    for name, feature in reference.features.items():
        if name in now.features.columns:
            findings += judge.feature(name, feature)
    few = len(reference.days) < FEWEST_DATES
    return Verdict(
        tuple(findings),
        (f"drift: fewer than {FEWEST_DATES} training dates",) if few else (),
    )


@dataclass(frozen=True)
class _Judge:
    reference: Reference
    now: Looked
    before: Looked | None
    thresholds: Thresholds

    @property
    def _lag(self) -> float:
        newest = self.reference.day_numbers[-1]
        return float(np.datetime64(self.now.day, "D").astype(np.float64) - newest)

    @property
    def _step_days(self) -> float:
        return float((self.now.day - self.before.day).days) if self.before else 0.0

    def feature(self, name: str, kept: FeatureReference) -> list[Finding]:
        """Return what is to be said of one feature."""
        if not np.any(kept.counts):  # empty in training: no model looks at it
            return []
        values = self.now.features[name]
        bins, missing, unseen = kept.counted(values)
        found = [
            *self._missing(name, kept, missing / len(values)),
            *self._unseen(name, kept, unseen / len(values)),
        ]
        if kept.moves_with_the_date or bins.sum() == 0:
            return found
        drift = self._drift(name, kept, bins)
        return [*found, *(drift or self._step(name, kept, bins))]

    # -- distributions -----------------------------------------------------------------------

    def _drift(self, name: str, kept: FeatureReference, bins: FloatArray) -> list[Finding]:
        if len(self.reference.days) < FEWEST_DATES:
            return []
        history = _compared(kept, np.asarray(kept.counts, dtype=np.float64))
        present = history.sum(axis=1) > 0
        if present.sum() < FEWEST_DATES:
            return []
        dates = shares(history[present])
        days = self.reference.day_numbers[present]
        moves = psi(dates[:, None, :], dates[None, :, :])
        usual = usual_move(moves, days, self._lag)
        from_each = psi(dates, shares(_compared(kept, bins)))
        nearest = int(from_each.argmin())
        of_date = np.asarray(self.reference.groups)[present][nearest]
        all_dates = np.asarray(kept.counts, dtype=np.float64).sum(axis=0)
        noise = psi_noise(dates.shape[1], self.now.groups, float(of_date))
        return self._say(
            "drift",
            name,
            float(from_each[nearest]),
            "{name} is distributed otherwise than at any training date (stability index "
            "{value:.2f}, usual up to {limit:.2f})" + _direction(kept, all_dates, bins),
            usual=usual or 0.0,
            noise=noise,
        )

    def _step(self, name: str, kept: FeatureReference, bins: FloatArray) -> list[Finding]:
        if self.before is None or name not in self.before.features.columns:
            return []
        if min(len(self.before.features), self.before.groups) < FEWEST_ROWS:
            return []
        then, _, _ = kept.counted(self.before.features[name])
        if then.sum() == 0:
            return []
        history = _compared(kept, np.asarray(kept.counts, dtype=np.float64))
        dates = shares(history)
        usual = usual_step(
            psi(dates[:, None, :], dates[None, :, :]), self.reference.day_numbers, self._step_days
        )
        if usual is None:
            return []
        value = float(psi(shares(_compared(kept, then)), shares(_compared(kept, bins))))
        noise = psi_noise(dates.shape[1], self.now.groups, self.before.groups)
        return self._say(
            "step",
            name,
            value,
            f"{{name}} moved since the run of {self.before.day} (stability index {{value:.2f}}, "
            "usual up to {limit:.2f})" + _direction(kept, then, bins),
            usual=usual,
            noise=noise,
        )

    # -- shares ------------------------------------------------------------------------------

    def _missing(self, name: str, kept: FeatureReference, share: float) -> list[Finding]:
        rows = np.asarray(kept.counts, dtype=np.float64).sum(axis=1) + np.asarray(kept.missing)
        known = rows > 0
        if not known.any():
            return []
        dates = np.asarray(kept.missing)[known] / rows[known]
        days = self.reference.day_numbers[known]
        moves = np.abs(dates[:, None] - dates[None, :])
        nearest = int(np.abs(dates - share).argmin())
        groups = float(np.asarray(self.reference.groups)[known][nearest])
        found = self._say(
            "missing",
            name,
            share - float(dates[nearest]),
            f"{{name}} is empty in {share:.1%} of the rows, in training in "
            f"{dates.min():.1%} to {dates.max():.1%}",
            usual=usual_move(moves, days, self._lag) or 0.0,
            noise=share_noise(share, float(dates[nearest]), self.now.groups, groups),
        )
        if found or self.before is None or name not in self.before.features.columns:
            return found
        then = float(self.before.features[name].isna().mean())
        return self._say(
            "missing",
            name,
            share - then,
            f"{{name}} is empty in {share:.1%} of the rows, at the run of "
            f"{self.before.day} in {then:.1%}",
            usual=usual_step(moves, days, self._step_days) or 0.0,
            noise=share_noise(share, then, self.now.groups, self.before.groups),
        )

    def _unseen(self, name: str, kept: FeatureReference, share: float) -> list[Finding]:
        if kept.kind != "category" or share == 0 or kept.moves_with_the_date:
            return []
        counts = np.asarray(kept.counts, dtype=np.float64)
        usual = _usual_unseen(counts, self.reference.day_numbers, self._lag)
        noise = share_noise(share, 0.0, self.now.groups, float(sum(self.reference.groups)))
        new = _new_levels(kept, self.now.features[name])
        return self._say(
            "unseen",
            name,
            share,
            f"{{name}} has categories that training never saw in {share:.1%} of the rows: {new}",
            usual=usual,
            noise=noise,
        )

    def _say(
        self, gate: str, name: str, value: float, text: str, *, usual: float, noise: float
    ) -> list[Finding]:
        return say(self.thresholds[gate], gate, name, value, text, usual=usual, noise=noise)


def say(
    gate: Gate,
    gate_name: str,
    name: str,
    value: float,
    text: str,
    *,
    usual: float = 0.0,
    noise: float = 0.0,
) -> list[Finding]:
    """Return the finding where a value lies beyond a limit, with its words filled in."""
    level = gate.level(value, usual, noise)
    if level is None:
        return []
    limit = (gate.refuse if level == "refuse" else gate.warn).at(usual, noise)
    filled = {"{name}": name, "{value:.2f}": f"{value:.2f}", "{limit:.2f}": f"{limit:.2f}"}
    words = text
    for place, word in filled.items():  # not str.format: names of categories may hold braces
        words = words.replace(place, word)
    return [Finding(gate_name, name, level, value, limit, words)]


def _compared(kept: FeatureReference, counts: FloatArray) -> FloatArray:
    """Return the bins that are compared: of a category with many levels, the most frequent."""
    if kept.kind == "number" or counts.shape[-1] <= LEVELS_COMPARED + 1:
        return counts
    rest = counts[..., LEVELS_COMPARED:].sum(axis=-1, keepdims=True)
    return np.concatenate([counts[..., :LEVELS_COMPARED], rest], axis=-1)


def _usual_unseen(counts: FloatArray, days: FloatArray, lag: float) -> float:
    """Return the largest share of rows in categories that were new ``lag`` days before a date."""
    found = [0.0]
    for place, day in enumerate(days):
        known = counts[:place][day - days[:place] >= min(lag, (days[-1] - days[0]) / 2)]
        if len(known) and counts[place].sum():
            found.append(float(counts[place][known.sum(axis=0) == 0].sum() / counts[place].sum()))
    return max(found)


def _direction(kept: FeatureReference, before: FloatArray, now: FloatArray) -> str:
    """Say which bin grew or shrank most."""
    old, new = before / max(before.sum(), 1), now / max(now.sum(), 1)
    place = int(np.abs(new - old).argmax())
    return f": {_bin(kept, place)} was {old[place]:.0%} of the rows, is {new[place]:.0%}"


def _bin(kept: FeatureReference, place: int) -> str:
    if kept.kind == "category":
        return repr(kept.levels[place]) if place < len(kept.levels) else "the rest"
    if place == 0:
        return f"below {kept.edges[0]:g}"
    if place == len(kept.edges):
        return f"from {kept.edges[-1]:g} up"
    return f"{kept.edges[place - 1]:g} to {kept.edges[place]:g}"


def _new_levels(kept: FeatureReference, values: pd.Series[Any]) -> str:
    texts = values.dropna().astype(str)
    new: Sequence[object] = texts[~texts.isin(kept.levels)].value_counts().index[:3].tolist()
    return ", ".join(repr(str(level)) for level in new)
