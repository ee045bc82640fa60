"""Purchase potential: which products and categories, new to a customer, will they buy next."""

from __future__ import annotations

from python_ml.predictions.base import PairPrediction

PREDICTION = PairPrediction(
    name="purchase_potential",
    question="Which products and categories, new to this customer, will they buy next?",
    entity_columns=("customer_id", "item_level", "item_id"),
    group_column="customer_id",
    horizon_days=90,
)
