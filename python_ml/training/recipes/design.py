"""Columns to numbers for linear models, and back from terms to the columns they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from python_ml.training.frame import FloatArray, IntArray, TrainingFrame
from python_ml.training.levels import as_text
from python_ml.training.recipes.base import to_logit

CLIP = (0.005, 0.995)
"""Quantiles of the training rows beyond which a number counts as the quantile."""
KNOTS = (0.25, 0.5, 0.75)
RAREST_LEVEL = 0.01
RAREST_MISSING = 0.002
RATE = "_rate"
"""How the names of smoothed rates end: never 0 or 1, they are at home on the scale of logits."""


@dataclass(frozen=True)
class Number:
    """How one numeric column is read: clipped on its scale, gaps filled with the median.

    The scale is the signed log, or for smoothed rates the logit.
    """

    column: str
    low: float
    high: float
    fill: float

    def read(self, features: pd.DataFrame) -> FloatArray:
        """Return the column on its scale, NaN where it is missing."""
        return np.clip(on_its_scale(self.column, features), self.low, self.high)


@dataclass(frozen=True)
class Term:
    """One column of the design matrix.

    ``kind`` is ``value``, ``missing``, ``level`` (of a categorical), ``hinge`` (what exceeds
    ``at``) or ``product`` (with ``other``).
    """

    kind: str
    column: str
    at: float | str | None = None
    other: str | None = None
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Design:
    """The columns of a linear model: fitted on training rows, applied to any."""

    numbers: Mapping[str, Number]
    terms: tuple[Term, ...] = field(default=())

    def matrix(self, features: pd.DataFrame) -> FloatArray:
        """Return one standardised column per term."""
        raw = {name: number.read(features) for name, number in self.numbers.items()}
        filled = {
            name: np.where(np.isnan(values), self.numbers[name].fill, values)
            for name, values in raw.items()
        }
        texts: dict[str, tuple[IntArray, dict[str, int]]] = {}
        matrix = np.empty((len(features), len(self.terms)), order="F")
        for i, term in enumerate(self.terms):
            if term.kind == "level" and term.column not in texts:
                codes, levels = pd.factorize(as_text(features[term.column]))
                texts[term.column] = codes, {str(level): k for k, level in enumerate(levels)}
            values = self._values(term, raw, filled, texts)
            matrix[:, i] = (values - term.mean) / term.scale
        return matrix

    def _values(
        self,
        term: Term,
        raw: Mapping[str, FloatArray],
        filled: Mapping[str, FloatArray],
        texts: Mapping[str, tuple[IntArray, dict[str, int]]],
    ) -> FloatArray:
        if term.kind == "value":
            return filled[term.column]
        if term.kind == "missing":
            return np.isnan(raw[term.column]).astype(np.float64)
        if term.kind == "hinge":
            return np.maximum(filled[term.column] - float(term.at or 0.0), 0.0)
        if term.kind == "product":
            # around the medians, so that a product says what its two values do not
            a, b = term.column, str(term.other)
            return (filled[a] - self.numbers[a].fill) * (filled[b] - self.numbers[b].fill)
        codes, places = texts[term.column]
        return np.asarray(codes == places.get(str(term.at), len(places)), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return the design as plain JSON types."""
        return {
            "numbers": [vars(number) for number in self.numbers.values()],
            "terms": [vars(term) for term in self.terms],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Design:
        """Read what :meth:`to_dict` wrote."""
        numbers = {entry["column"]: Number(**entry) for entry in content["numbers"]}
        return cls(numbers, tuple(Term(**entry) for entry in content["terms"]))


def on_its_scale(column: str, features: pd.DataFrame) -> FloatArray:
    """Return a rate, as its name says, as logit, any other number as signed log."""
    values = as_numbers(features[column])
    return to_logit(values) if column.endswith(RATE) else signed_log(values)


def signed_log(values: FloatArray) -> FloatArray:
    """Return ``sign(x) * log(1 + |x|)``: counts and money spread over decades."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)), dtype=np.float64)


def as_numbers(values: pd.Series[Any]) -> FloatArray:
    """Return a column as float64 with NaN for null and for infinite."""
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def fit_design(
    frame: TrainingFrame, columns: Sequence[str], *, hinges: int = 0, products: int = 0
) -> Design:
    """Fit a design on ``columns``.

    Parameters
    ----------
    hinges
        How many of the numeric columns most correlated with the label get hinge terms.
    products
        How many of them get their pairwise products.
    """
    numeric = [name for name in columns if name not in frame.categorical]
    numbers = {name: _fit_number(name, frame.features) for name in numeric}
    strongest = _strongest(frame, numbers)
    terms = [Term("value", name) for name in numeric]
    terms += [
        Term("missing", name)
        for name in numeric
        if RAREST_MISSING < np.isnan(as_numbers(frame.features[name])).mean() < 1 - RAREST_MISSING
    ]
    terms += [term for name in strongest[:hinges] for term in _hinges(numbers[name], frame)]
    pairs = strongest[:products]
    terms += [Term("product", a, other=b) for i, a in enumerate(pairs) for b in pairs[i + 1 :]]
    for name in columns:
        if name in frame.categorical:
            terms += _levels(name, frame)
    return _standardised(Design(numbers, tuple(terms)), frame.features)


def _fit_number(name: str, features: pd.DataFrame) -> Number:
    values = on_its_scale(name, features)
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return Number(name, 0.0, 0.0, 0.0)
    low, fill, high = np.quantile(known, (CLIP[0], 0.5, CLIP[1]))
    if low == high:  # rarer than one in 200, yet perhaps all that matters: keep its range
        low, high = known.min(), known.max()
    return Number(name, float(low), float(high), float(fill))


def _strongest(frame: TrainingFrame, numbers: Mapping[str, Number]) -> list[str]:
    """Return the numeric columns by falling correlation with the label."""
    label = frame.label - frame.label.mean()
    strength = {}
    for name, number in numbers.items():
        values = number.read(frame.features)
        values = np.where(np.isnan(values), number.fill, values)
        values = values - values.mean()
        spread = float(np.sqrt((values**2).mean()))
        strength[name] = abs(float((values * label).mean())) / spread if spread > 0 else 0.0
    return sorted(strength, key=lambda name: (-round(strength[name], 9), name))


def _hinges(number: Number, frame: TrainingFrame) -> list[Term]:
    values = number.read(frame.features)
    knots = np.unique(np.quantile(values[~np.isnan(values)], KNOTS))
    inside = knots[(knots > values[~np.isnan(values)].min()) & (knots < number.high)]
    return [Term("hinge", number.column, at=float(knot)) for knot in inside]


def _levels(name: str, frame: TrainingFrame) -> list[Term]:
    shares = as_text(frame.features[name]).value_counts(normalize=True)
    frequent = sorted(str(level) for level, share in shares.items() if share >= RAREST_LEVEL)
    return [Term("level", name, at=level) for level in frequent]


def _standardised(design: Design, features: pd.DataFrame) -> Design:
    """Return the design with each term centred and scaled; terms that never vary are dropped."""
    matrix = design.matrix(features)
    means, scales = matrix.mean(axis=0), matrix.std(axis=0)
    terms = tuple(
        Term(t.kind, t.column, t.at, t.other, float(mean), float(scale))
        for t, mean, scale in zip(design.terms, means, scales, strict=True)
        if scale > 1e-9  # noqa: PLR2004 - rounding, not variation
    )
    return Design(design.numbers, terms)
