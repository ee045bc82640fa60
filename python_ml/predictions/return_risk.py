"""Return risk: will this order line come back."""

from __future__ import annotations

import yaml

from python_ml.predictions.base import Prediction
from python_ml.settings import PROJECT_DIR
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
        test_span_days=30,
        max_training_rows=200_000,
        max_origin_rows=60_000,
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
    without_yes="no_returns: nothing in this shop's data says that a line came back.",
)
