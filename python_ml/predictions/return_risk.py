"""Return risk: will this order line come back."""

from __future__ import annotations

import csv

import yaml

from python_ml.predictions.base import Prediction
from python_ml.settings import PROJECT_DIR
from python_ml.training.payoff import Payoff
from python_ml.training.recipes import BaseRate, Blend, Boosted, Logistic, SmoothedRates
from python_ml.training.spec import PredictionSpec

RATES = ("return_customer_rate", "return_product_rate")


def _spec(horizon_days: int) -> PredictionSpec:
    return PredictionSpec(
        name="return_risk",
        horizon_days=horizon_days,
        recipes=(
            BaseRate(),
            SmoothedRates(RATES),
            Logistic(),
            Boosted(),
            Blend((Logistic(), Boosted())),
        ),
        baselines=("base_rate", "smoothed_rates"),
        payoff=_payoff(),
        test_span_days=30,
        max_training_rows=200_000,
        keep_newest=True,
        min_gain=0.0003,
        max_origin_rows=60_000,
    )


def _payoff() -> Payoff:
    """The costs are stated once, in the seed that the marts read."""
    with (PROJECT_DIR / "dbt_project" / "seeds" / "return_costs.csv").open() as file:
        costs = {name: float(value) for name, value in next(csv.DictReader(file)).items()}
    return Payoff(
        value_column="basket_line_value",
        fixed_cost=costs["return_fixed_cost"],
        value_share=costs["return_value_share"],
        action_cost=costs["intervention_cost"],
        saved_share=costs["intervention_saved_share"],
    )


def _return_window_days() -> int:
    """The window is stated once, where dbt reads it: rates of returns count it too."""
    project = yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text(encoding="utf-8"))
    return int(project["vars"]["return_window_days"])


PREDICTION = Prediction(
    name="return_risk",
    question="Will this order line come back?",
    entity_columns=("line_key",),
    group_column="customer_or_order_id",
    horizon_days=_return_window_days(),
    spec=_spec,
    open_rows="intermediate.int_line_outcomes",
    export_columns=(
        *("line_id", "order_id", "customer_id", "product_id", "ordered_at", "line_value"),
        *("as_of_date", "horizon_days", "probability_at_order as probability"),
        *("probability_still", "decile", "band", "threshold", "suggested_action"),
        *("expected_saving", "label_kind", "recipe", "model_version", "run_id", "scored_at"),
        *("label_known_at", "line_key"),
    ),
    without_yes="no_returns: nothing in this shop's data says that a line came back.",
)
