"""Order habit: will this customer order again in the next six months."""

from __future__ import annotations

from python_ml.predictions.base import Prediction
from python_ml.training.recipes import (
    BgNbd,
    Blend,
    Boosted,
    Frequency,
    HistoryColumns,
    Logistic,
    LogRfm,
    Recency,
)
from python_ml.training.spec import PredictionSpec

RFM = (
    "recency_days",
    "frequency_orders_total",
    "monetary_spend_total",
    "recency_tenure_days",
)
HISTORY = HistoryColumns(
    order_days="frequency_order_days_total",
    recency="recency_days",
    tenure="recency_tenure_days",
)


def _spec(horizon_days: int) -> PredictionSpec:
    parts = (Logistic(), Boosted(), BgNbd(HISTORY))
    return PredictionSpec(
        name="order_habit",
        horizon_days=horizon_days,
        recipes=(
            Recency("recency_days"),
            Frequency("frequency_orders_total"),
            LogRfm(RFM),
            BgNbd(HISTORY),
            Logistic(),
            Boosted(),
            Blend(parts),
        ),
        baselines=("recency", "frequency", "log_rfm", "bgnbd"),
        level_reference="bgnbd",
        burn_in_days=90,
    )


PREDICTION = Prediction(
    name="order_habit",
    question="Will this customer order again?",
    entity_columns=("customer_id",),
    group_column="customer_id",
    horizon_days=180,
    spec=_spec,
)
