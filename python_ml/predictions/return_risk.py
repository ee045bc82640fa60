"""Return risk: will this order line come back."""

from __future__ import annotations

from python_ml.predictions.base import Prediction
from python_ml.training.recipes import Blend, Boosted, Logistic
from python_ml.training.spec import PredictionSpec


def _spec(horizon_days: int) -> PredictionSpec:
    return PredictionSpec(
        name="return_risk",
        horizon_days=horizon_days,
        recipes=(Logistic(), Boosted(), Blend((Logistic(), Boosted()))),
    )


PREDICTION = Prediction(
    name="return_risk",
    question="Will this order line come back?",
    entity_columns=("line_key",),
    group_column="customer_or_order_id",
    horizon_days=30,
    spec=_spec,
)
