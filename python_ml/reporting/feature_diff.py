"""Comparing a build of the features with the published one, inside the database.

Two passes over each build and one over both: figures of every feature and the edges of its bins;
then, on the join by key, which rows changed and how many fall into each bin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from psycopg import sql

from python_ml.errors import BuildError
from python_ml.predictions import AnyPrediction
from python_ml.warehouse.catalogue import FeatureCatalogue, read_catalogue
from python_ml.warehouse.postgres import Connection, Warehouse, columns_of

BINS = 10
STABLE = 0.1
"""The usual reading of the population stability index: below it stable, above .25 another
distribution (Siddiqi, Credit Risk Scorecards, 2006)."""

ROUNDING = 1e-9
"""Sums that differ by less, relative to their size, are equal: a rebuild adds in another order."""

_SMALLEST_SHARE = 1e-4
_FEATURES_PER_QUERY = 60  # a query returns at most 1,664 columns
_NUMERIC = {"smallint", "integer", "bigint", "real", "double precision", "numeric"}


@dataclass(frozen=True)
class Figures:
    """One feature in one build.

    ``mean`` and the quantiles are those of the values that are there, and none for categories.
    """

    coverage: float
    mean: float | None = None
    p5: float | None = None
    median: float | None = None
    p95: float | None = None

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return 1 - self.coverage


@dataclass(frozen=True)
class FeatureChange:
    """One feature in both builds.

    Parameters
    ----------
    status
        ``kept``, ``added``, ``removed`` or ``retyped``.
    changed
        Share of the rows of both builds whose value differs.
    psi
        Population stability index of the values that are there; none where the feature is in one
        build only.
    """

    feature: str
    status: str
    types: tuple[str | None, str | None]
    published: Figures | None = None
    dev: Figures | None = None
    changed: float | None = None
    psi: float | None = None

    @property
    def differs(self) -> bool:
        """Whether it differs on rows that both builds have, or looks different for other rows."""
        return self.status != "kept" or bool(self.changed) or (self.psi or 0) >= STABLE

    def record(self) -> dict[str, Any]:
        """As one flat row."""
        row: dict[str, Any] = {"feature": self.feature, "status": self.status}
        row |= {"type_published": self.types[0], "type_dev": self.types[1]}
        row |= {"rows_changed": self.changed, "psi": self.psi}
        for side, figures in (("published", self.published), ("dev", self.dev)):
            known = asdict(figures) if figures else dict.fromkeys(asdict(Figures(0)))
            known["missing"] = figures.missing if figures else None
            row |= {f"{name}_{side}": value for name, value in known.items()}
        return row

    def cells(self) -> list[str]:
        """As a row for people."""
        pairs = ("mean", "median", "p5", "p95")
        return [
            self.feature,
            self.status if self.changed is None else f"{self.changed:.2%}",
            "" if self.psi is None else f"{self.psi:.3f}",
            self._pair("coverage", ".1%"),
            *(self._pair(name, ".4g") for name in pairs),
        ]

    def _pair(self, name: str, form: str) -> str:
        values = [getattr(side, name) if side else None for side in (self.published, self.dev)]
        if values == [None, None]:
            return ""
        shown = ["-" if value is None else format(value, form) for value in values]
        return shown[0] if shown[0] == shown[1] else " -> ".join(shown)


@dataclass(frozen=True)
class FeatureDiff:
    """What differs between two builds of a feature model; features that changed most first."""

    published: str
    dev: str
    rows_published: int
    rows_dev: int
    only_published: int
    only_dev: int
    features: tuple[FeatureChange, ...]

    @property
    def differs(self) -> bool:
        """Whether anything differs."""
        return bool(self.only_published or self.only_dev or self.changed_features())

    def changed_features(self) -> list[FeatureChange]:
        """The features that differ."""
        return [feature for feature in self.features if feature.differs]

    def summary(self) -> dict[str, Any]:
        """Everything but the features."""
        return {name: value for name, value in asdict(self).items() if name != "features"}

    def headlines(self) -> list[str]:
        """What stands above the table."""
        lines = [f"{self.published}: {self.rows_published:,} rows; {self.dev}: {self.rows_dev:,}"]
        if self.only_published or self.only_dev:
            lines.append(
                f"Keys only in {self.published}: {self.only_published:,}; "
                f"only in {self.dev}: {self.only_dev:,}"
            )
        for status in ("added", "removed", "retyped"):
            named = [_named(feature) for feature in self.features if feature.status == status]
            if named:
                lines.append(f"Columns {status}: {', '.join(named)}")
        changed = len(self.changed_features())
        of_all = f"{changed} of {len(self.features)} features differ"
        lines.append(of_all if self.differs else "No difference")
        return lines


def compare_builds(
    warehouse: Warehouse, target_dir: Path, prediction: AnyPrediction, dev_schema: str
) -> FeatureDiff:
    """Compare ``<dev_schema>.feat_<prediction>`` with ``features.feat_<prediction>``.

    Parameters
    ----------
    target_dir
        Dbt's target folder of the published build, which says what is a key or a category.

    Raises
    ------
    BuildError
        When one of the two was not built, with the commands that build it.
    """
    model = f"feat_{prediction.name}"
    with warehouse.connect() as connection:
        connection.read_only = True
        before, after = (columns_of(connection, name, model) for name in ("features", dev_schema))
        if not before:
            raise BuildError(
                f"features.{model} was not built yet: there is nothing to compare with.",
                "Run `smartretail build` first.",
            )
        if not after:
            raise BuildError(
                f"There is no dev build: {dev_schema}.{model} does not exist.",
                'Make it: eval "$(smartretail env)" && dbt build --select ',
            )
        catalogue = read_catalogue(target_dir, prediction.name)
        return _Comparison(
            connection,
            catalogue=catalogue,
            model=model,
            dev_schema=dev_schema,
            before=before,
            after=after,
        ).run()


class _Comparison:
    """One comparison on one connection, which sees one state of the database."""

    def __init__(
        self,
        connection: Connection,
        *,
        catalogue: FeatureCatalogue,
        model: str,
        dev_schema: str,
        before: dict[str, str],
        after: dict[str, str],
    ) -> None:
        self._connection = connection
        self._keys = catalogue.keys
        self._categorical = set(catalogue.categorical)
        self._model = model
        self._dev_schema = dev_schema
        self._before = before
        self._after = after

    def run(self) -> FeatureDiff:
        published, dev = (sql.Identifier(s, self._model) for s in ("features", self._dev_schema))
        names = [n for n in {**self._before, **self._after} if n not in self._keys]
        both = [n for n in names if n in self._before and n in self._after]
        figures = {
            side: self._figures(table, [n for n in names if n in columns], columns)
            for side, table, columns in (
                ("published", published, self._before), ("dev", dev, self._after),
            )
        }  # fmt: skip
        edges = self._edges(published, [n for n in both if self._is_number(n)])
        counts = self._keys_and_changes(published, dev, both)
        psi = self._stability(published, dev, both, edges)
        changes = [
            FeatureChange(
                name,
                self._status(name),
                (self._before.get(name), self._after.get(name)),
                figures["published"].get(name),
                figures["dev"].get(name),
                counts[name] / max(counts["both"], 1) if name in both else None,
                psi.get(name),
            )
            for name in names
        ]
        return FeatureDiff(
            f"features.{self._model}",
            f"{self._dev_schema}.{self._model}",
            counts["both"] + counts["only_published"],
            counts["both"] + counts["only_dev"],
            counts["only_published"],
            counts["only_dev"],
            tuple(sorted(changes, key=_how_much, reverse=True)),
        )

    def _status(self, name: str) -> str:
        if name not in self._before:
            return "added"
        if name not in self._after:
            return "removed"
        return "kept" if self._before[name] == self._after[name] else "retyped"

    def _is_number(self, name: str) -> bool:
        """Whether it is a number in every build that has it."""
        types = {columns[name] for columns in (self._before, self._after) if name in columns}
        return name not in self._categorical and types <= _NUMERIC

    def _figures(
        self, table: sql.Identifier, names: Sequence[str], columns: dict[str, str]
    ) -> dict[str, Figures]:
        found = {}
        for part in _parts(names):
            expressions: list[sql.Composable] = [sql.SQL("count(*)")]
            for name in part:
                column = sql.Identifier(name)
                expressions.append(sql.SQL("count({})").format(column))
                if name not in self._categorical and columns[name] in _NUMERIC:
                    expressions += [
                        sql.SQL("avg({}::double precision)").format(column),
                        sql.SQL(
                            "percentile_cont(array[.05, .5, .95]) within group "
                            "(order by {}::double precision)"
                        ).format(column),
                    ]
                else:
                    expressions += [sql.SQL("null"), sql.SQL("null")]
            rows, *values = self._one(
                sql.SQL("select {} from {}").format(_listed(expressions), table)
            )
            for place, name in enumerate(part):
                count, mean, quantiles = values[3 * place : 3 * place + 3]
                coverage = count / rows if rows else 0.0
                found[name] = Figures(coverage, mean, *(quantiles or (None, None, None)))
        return found

    def _edges(self, table: sql.Identifier, names: Sequence[str]) -> dict[str, list[float]]:
        """Inner edges of the bins: the deciles of the published build, ties taken together."""
        shares = ", ".join(f"{place / BINS:g}" for place in range(1, BINS))
        found = {}
        for part in _parts(names):
            expressions = [
                sql.SQL(
                    f"percentile_disc(array[{shares}]) within group "
                    "(order by {}::double precision)"
                ).format(sql.Identifier(name))
                for name in part
            ]
            row = self._one(sql.SQL("select {} from {}").format(_listed(expressions), table))
            for name, values in zip(part, row, strict=True):
                found[name] = sorted(set(values or []))
        return found

    def _keys_and_changes(
        self, published: sql.Identifier, dev: sql.Identifier, names: Sequence[str]
    ) -> dict[str, int]:
        key = sql.Identifier(self._keys[0])
        join = sql.SQL("from {} as p full join {} as d using ({})").format(
            published, dev, _listed([sql.Identifier(name) for name in self._keys])
        )
        heads = [
            sql.SQL("count(*) filter (where p.{0} is not null and d.{0} is not null)").format(key),
            sql.SQL("count(*) filter (where d.{} is null)").format(key),
            sql.SQL("count(*) filter (where p.{} is null)").format(key),
        ]
        found: dict[str, int] = {}
        for part in _parts(names) or [[]]:
            expressions = [
                sql.SQL("count(*) filter (where p.{0} is not null and d.{0} is not null and {1})")
                .format(key, self._is_changed(name))
                for name in part
            ]  # fmt: skip
            row = self._one(sql.SQL("select {} {}").format(_listed([*heads, *expressions]), join))
            found |= dict(zip(["both", "only_published", "only_dev", *part], row, strict=True))
        return found

    def _is_changed(self, name: str) -> sql.Composable:
        column = sql.Identifier(name)
        if self._before[name] != self._after[name] and not self._is_number(name):
            return sql.SQL("p.{0}::text is distinct from d.{0}::text").format(column)
        differs = sql.SQL("p.{0} is distinct from d.{0}").format(column)
        if not self._is_number(name):
            return differs
        return sql.SQL(
            "{0} and coalesce(abs(p.{1}::double precision - d.{1}::double precision) > "
            f"{ROUNDING} * greatest(1, abs(p.{{1}}), abs(d.{{1}})), true)"
        ).format(differs, column)

    def _stability(
        self,
        published: sql.Identifier,
        dev: sql.Identifier,
        names: Sequence[str],
        edges: dict[str, list[float]],
    ) -> dict[str, float]:
        found: dict[str, float] = {}
        for part in _parts(names):
            known, new = (self._histograms(table, part, edges) for table in (published, dev))
            found |= {name: population_stability(known[name], new[name]) for name in part}
        return found

    def _histograms(
        self, table: sql.Identifier, names: Sequence[str], edges: dict[str, list[float]]
    ) -> dict[str, dict[str, int]]:
        """Rows per bin or category, in one pass that turns columns into rows."""
        bins = [
            sql.SQL("({}, {})").format(sql.Literal(name), self._bin(name, edges.get(name)))
            for name in names
        ]
        query = sql.SQL(
            "select bins.feature, bins.bin, count(*) from {} "
            "cross join lateral (values {}) as bins (feature, bin) "
            "where bins.bin is not null group by 1, 2"
        ).format(table, _listed(bins))
        counts: dict[str, dict[str, int]] = {name: {} for name in names}
        for name, place, count in self._connection.execute(query).fetchall():
            counts[str(name)][str(place)] = int(count)
        return counts

    def _bin(self, name: str, edges: list[float] | None) -> sql.Composable:
        column = sql.Identifier(name)
        if not edges:
            return sql.SQL("{}::text").format(column)
        # from an edge on counts as above it: a value that many rows share keeps a bin of its own
        return sql.SQL("width_bucket({}::double precision, {})::text").format(
            column, sql.Literal(edges)
        )

    def _one(self, query: sql.Composed) -> tuple[Any, ...]:
        row = self._connection.execute(query).fetchone()
        assert row is not None
        return row


def population_stability(known: dict[str, int], new: dict[str, int]) -> float:
    """Population stability index of two histograms: sum of (q - p) ln(q / p) over the bins.

    Empty bins count as a share of one in ten thousand.

    Examples
    --------
    >>> population_stability({"a": 50, "b": 50}, {"a": 500, "b": 500})
    0.0
    >>> round(population_stability({"a": 50, "b": 50}, {"a": 60, "b": 40}), 4)
    0.0405
    """
    totals = sum(known.values()), sum(new.values())
    if not all(totals):
        return 0.0 if totals == (0, 0) else math.inf
    index = 0.0
    for place in sorted({*known, *new}):
        p = max(known.get(place, 0) / totals[0], _SMALLEST_SHARE)
        q = max(new.get(place, 0) / totals[1], _SMALLEST_SHARE)
        index += (q - p) * math.log(q / p)
    return index


def _parts(names: Sequence[str]) -> list[Sequence[str]]:
    return [
        names[start : start + _FEATURES_PER_QUERY]
        for start in range(0, len(names), _FEATURES_PER_QUERY)
    ]


def _listed(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _how_much(change: FeatureChange) -> tuple[bool, float, float]:
    return change.status != "kept", change.psi or 0.0, change.changed or 0.0


def _named(change: FeatureChange) -> str:
    if change.status != "retyped":
        return change.feature
    return f"{change.feature} ({change.types[0]} -> {change.types[1]})"
