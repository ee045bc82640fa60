"""Scoring what somebody asks about: a basket that is not placed, a history that is not loaded.

The scores are those that the run in force would have given to the same line or customer: the same
features, the same model, the same level.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from python_ml.errors import BundleError, InputError, StaleModelError
from python_ml.predictions import get_prediction
from python_ml.predictions.base import Prediction
from python_ml.scoring.one_statement import CompiledModels, Statement
from python_ml.scoring.reasons import top_reasons
from python_ml.training.bundle import MANIFEST, Bundle, load_bundle
from python_ml.training.dataset import read_features
from python_ml.warehouse.catalogue import FeatureCatalogue, feature_hash
from python_ml.warehouse.postgres import Warehouse

HABIT_MODELS = (
    "int_order_lines", "int_returns", "int_orders", "int_customer_items", "int_customer_variety",
    "feat_order_habit",
)  # fmt: skip
RISK_MODELS = ("int_order_lines", "int_lines_at_order", "feat_return_risk")
SOMEBODY = "asked about"
"""Customer of a history: whose it is makes no difference."""
ORDER = "asked about "
LONG_AGO = date(1, 1, 1)


@dataclass(frozen=True)
class Scored:
    """A probability and its strongest reasons."""

    probability: float
    reasons: list[dict[str, Any]] | None


@dataclass(frozen=True, eq=False)
class Scorer:
    """The model of one run, ready to score.

    Parameters
    ----------
    level_shift
        That of the run: single rows have no level of their own.
    attributes
        Attributes of lines or customers that the shop was loaded with.
    """

    warehouse: Warehouse
    compiled: CompiledModels
    catalogue: FeatureCatalogue
    bundle: Bundle
    run_id: str
    as_of: date
    horizon_days: int
    level_shift: float
    attributes: frozenset[str]

    def scored(self, features: pd.DataFrame, reasons: bool) -> list[Scored]:
        """Score rows of features."""
        probability = self.bundle.predict(features, self.level_shift)
        texts: list[str] = []
        if reasons:
            contributions = self.bundle.contributions(features)
            texts = top_reasons(contributions, features, self.catalogue.features)
        return [
            Scored(float(p), json.loads(texts[row]) if reasons else None)
            for row, p in enumerate(probability)
        ]

    def attribute_columns(self, entity: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes under the names of their columns.

        Raises
        ------
        InputError
            Naming those that the shop was not loaded with.
        """
        return attribute_columns(self.attributes, entity, given)


def attribute_columns(
    known: frozenset[str], entity: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Attributes of an entity under the names of their columns, which must be among ``known``.

    Raises
    ------
    InputError
        Naming those that the shop was not loaded with.
    """
    prefix = f"attribute_{entity}_"
    columns = {f"{prefix}{name}": value for name, value in given.items()}
    unknown = sorted(columns.keys() - known)
    if unknown:
        names = sorted(name.removeprefix(prefix) for name in known if name.startswith(prefix))
        raise InputError(
            f"No {entity} has the attribute {unknown[0].removeprefix(prefix)}.",
            f"Known are: {', '.join(names) or 'none'}.",
        )
    return columns


def make_scorer(
    warehouse: Warehouse,
    compiled: CompiledModels,
    catalogue: FeatureCatalogue,
    bundles_dir: Path,
    *,
    prediction: str,
    run_id: str,
    bundle_id: str,
    as_of: date,
    horizon_days: int,
) -> Scorer:
    """Make the scorer of a run.

    Raises
    ------
    BundleError
        When the home has no bundle of that id.
    StaleModelError
        When the features have changed since it was trained.
    """
    known = get_prediction(prediction)
    assert isinstance(known, Prediction)
    bundle = load_bundle(bundle_folder(bundles_dir / prediction, bundle_id))
    require_same_features(warehouse, prediction, bundle.feature_hash)
    _, features = read_features(warehouse, known, catalogue, as_of, horizon_days)
    shop = "shop_customers" if prediction == "order_habit" else "shop_order_lines"
    probe = warehouse.read(f"select * from {compiled.relations[shop]} limit 0")  # noqa: S608
    return Scorer(
        warehouse,
        compiled,
        catalogue,
        bundle,
        run_id,
        as_of,
        horizon_days,
        bundle.level_shift(features),
        frozenset(name for name in probe.column_names if name.startswith("attribute_")),
    )


def require_same_features(warehouse: Warehouse, prediction: str, trained_on: str) -> None:
    """Refuse a model whose features are made otherwise by now.

    Raises
    ------
    StaleModelError
        When they are.
    """
    if trained_on != feature_hash(warehouse, prediction):
        raise StaleModelError(
            f"The features of {prediction} have changed since its model was trained.",
            "Run `smartretail run`.",
        )


def bundle_folder(folder: Path, bundle_id: str) -> Path:
    """The folder of the bundle of an id.

    Raises
    ------
    BundleError
        When it is not in this home.
    """
    for path in sorted(folder.glob(f"*/{MANIFEST}")):
        if json.loads(path.read_text(encoding="utf-8")).get("bundle_id") == bundle_id:
            return path.parent
    raise BundleError(
        f"The model {bundle_id} of the run in force is not in this home.",
        "Serve from the home that trained it, or run `smartretail run`.",
    )


def basket_features(
    scorer: Scorer,
    lines: Sequence[Mapping[str, Any]],
    *,
    customer_id: str | None,
    ordered_on: date,
) -> pd.DataFrame:
    """Features of the lines of a basket ordered on a day, with what was known before that day.

    Parameters
    ----------
    lines
        ``product_id``, ``category``, ``quantity``, ``unit_price``, ``discount``, ``attributes``.
    """
    statement = Statement(scorer.compiled)
    rows = [
        {
            **_line(line, place, ORDER, customer_id, ordered_on),
            **scorer.attribute_columns("line", line["attributes"]),
        }
        for place, line in enumerate(lines)
    ]
    statement.given("shop_order_lines", rows)
    _products(statement, scorer, lines)
    statement.model("int_order_lines")
    statement.model("int_lines_at_order", as_="basket_lines")
    day = statement.value(ordered_on, "date")
    stored = scorer.compiled.relations["int_lines_at_order"]
    statement.text(
        "int_lines_at_order",
        f"select * from {stored} where as_of_date <= {day} "  # noqa: S608 - names of dbt
        "union all select * from basket_lines",
    )
    statement.given(
        "int_as_of_dates",
        [{"prediction": "return_risk", "as_of_date": ordered_on + timedelta(days=1)}],
    )
    statement.nothing("feat_return_risk")
    statement.model("feat_return_risk", as_="asked_features", until=day)
    return statement.features(scorer.warehouse, scorer.catalogue, "line_key")


def history_features(
    scorer: Scorer,
    orders: Sequence[Mapping[str, Any]],
    *,
    as_of: date,
    attributes: Mapping[str, Any],
) -> pd.DataFrame:
    """Features of a customer by their orders before a date, one row.

    Parameters
    ----------
    orders
        ``ordered_on`` and ``lines``, each with ``product_id``, ``category``, ``quantity``,
        ``unit_price``, ``discount`` and ``returned_on``.

    Raises
    ------
    InputError
        When no order lies before the date.
    """
    known = [order for order in orders if order["ordered_on"] < as_of]
    if not known:
        raise InputError(f"No order lies before {as_of}.", "Give one, or a later as_of.")
    columns = scorer.attribute_columns("customer", attributes)
    statement = Statement(scorer.compiled)
    rows, lines = [], []
    for number, order in enumerate(known):
        for place, line in enumerate(order["lines"]):
            row = _line(line, place, f"{ORDER}{number:06d}", SOMEBODY, order["ordered_on"])
            returned_on = line["returned_on"]
            if returned_on is not None and returned_on < as_of:
                row |= {"returned": 1, "returned_at": returned_on}
            rows.append(row)
            lines.append(line)
    statement.given("shop_order_lines", rows)
    _products(statement, scorer, lines)
    statement.given("int_customers", [{"customer_id": SOMEBODY, **columns, "known_on": LONG_AGO}])
    statement.model("int_order_lines")
    statement.nothing("int_return_matches")
    for model in HABIT_MODELS[1:-1]:
        statement.model(model)
    statement.given("int_as_of_dates", [{"prediction": "order_habit", "as_of_date": as_of}])
    statement.nothing("feat_order_habit")
    statement.model("feat_order_habit", as_="asked_features")
    return statement.features(scorer.warehouse, scorer.catalogue, "customer_id")


def _line(
    line: Mapping[str, Any], place: int, order: str, customer_id: str | None, ordered_on: date
) -> dict[str, Any]:
    return {
        "line_key": f"{order}|{place:06d}",
        "order_id": order,
        "line_id": f"{place:06d}",
        "customer_id": customer_id,
        "product_id": line["product_id"] or _unnamed(line),
        "ordered_at": ordered_on,
        "known_at": ordered_on,
        "quantity": line["quantity"],
        "unit_price": line["unit_price"],
        "discount": line["discount"],
        "load_id": 0,
        "row_number": place,
    }


def _unnamed(line: Mapping[str, Any]) -> str | None:
    """A product that is known by its category alone."""
    return None if line["category"] is None else f"{ORDER}{line['category']}"


def _products(statement: Statement, scorer: Scorer, lines: Sequence[Mapping[str, Any]]) -> None:
    """The shop's products that occur, and those of which only the question knows the category."""
    said = {line["product_id"] or _unnamed(line): line["category"] for line in lines}
    statement.given(
        "int_products",
        [
            {"product_id": product, "category": category, "known_on": LONG_AGO}
            for product, category in said.items()
            if product is not None
        ],
        as_="said_products",
    )
    stored = scorer.compiled.relations["int_products"]
    statement.text(
        "int_products",
        f"select * from {stored} where product_id in (select product_id from said_products) "  # noqa: S608
        "union all select * from said_products where category is not null "
        f"and product_id not in (select product_id from {stored} where product_id is not null)",
    )
