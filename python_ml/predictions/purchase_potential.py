"""Purchase potential: which products and categories, new to a customer, will they buy next."""

from __future__ import annotations

from python_ml.predictions.base import PairPrediction
from python_ml.training.pairs.spec import PairSpec, pair_recipes
from python_ml.training.recipes import Ranker

EFFORTS = {
    "quick": PairSpec(
        recipes=pair_recipes(Ranker(pace=2)),
        customers_per_date=1_200,
        test_customers=2_500,
        negatives_share=0.15,
        train_dates=2,
        most_items=2_000,
        pairs_measured=15_000,
    ),
    "normal": PairSpec(),
    "thorough": PairSpec(
        customers_per_date=8_000,
        train_dates=6,
        negatives_share=0.3,
        recipes=pair_recipes(Ranker(bags=5)),
    ),
}

PREDICTION = PairPrediction(
    name="purchase_potential",
    question="Which products and categories, new to this customer, will they buy next?",
    entity_columns=("customer_id", "item_level", "item_id"),
    group_column="customer_id",
    horizon_days=90,
    efforts=EFFORTS,
)
