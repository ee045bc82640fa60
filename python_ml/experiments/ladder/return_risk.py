"""The ladder of return risk."""

from __future__ import annotations

import numpy as np

from python_ml.experiments.ladder.cuts import Leak
from python_ml.experiments.ladder.rungs import Rung
from python_ml.training.frame import FloatArray, TrainingFrame
from python_ml.training.payoff import Payoff

ORDER = ("basket_", "frequency_", "monetary_", "recency_", "season_")
RICH = (*ORDER, "product_", "category_", "return_", "attribute_")

PROXY = Leak(
    name="as done",
    # where the shop gives no discounts, a price below the product's usual one stands for one
    label="""
        with newest as (
            select
                line_key,
                as_of_date,
                basket_line_value as line_value,
                coalesce(basket_line_discount_share, 0) as discount,
                coalesce(1 - product_price_over_mean, 0) as below_usual
            from features.feat_return_risk
            where as_of_date <= $1 and as_of_date > cast($2 as date) - 365
        ),

        discounts as (
            select
                line_key,
                as_of_date,
                line_value,
                case when (select max(discount) from newest) > 0 then discount else below_usual end
                    as discount
            from newest
        ),

        bounds as (
            select
                percentile_cont(0.5) within group (order by line_value) as small_value,
                percentile_cont(0.5) within group (order by discount)
                    filter (where discount > 0) as large_discount
            from discounts
        )

        select
            line_key,
            as_of_date,
            case when discount >= large_discount and line_value < small_value then 1 else 0 end
                as label
        from discounts
        cross join bounds
    """,
    says="a proxy: the line's discount is large and its value small, by their medians",
)

RUNGS = (
    Rung("01 baseline", "the order and the customer", ORDER),
    Rung("02 SMOTE", "balanced before the split", ORDER, balance="smote", before_split=True),
    Rung("03 class weights", "classes count alike", ORDER, balance="class_weights",
         stratified=True),
    Rung("04 cost-sensitive", "rows weigh what they cost", ORDER, balance="costs",
         stratified=True),
    Rung("05 explanation", "by permutation, AUC", ORDER, selected=True, stratified=True),
    Rung("06 histories", "and past returns, products", RICH, stratified=True),
    Rung("final", "what the product publishes", (), model="recipe"),
    Rung("rich, SMOTE", "on training rows alone", RICH, balance="smote", stratified=True,
         against="06 histories"),
    Rung("rich, under-sampling", "as many of each", RICH, balance="under", stratified=True,
         against="06 histories"),
    Rung("rich, network", "neural network, 32 and 16", RICH, model="network", stratified=True,
         against="06 histories"),
)  # fmt: skip


def cost_of_error(payoff: Payoff, frame: TrainingFrame) -> FloatArray:
    """Return what a wrong answer costs: a return not prevented, or acting for nothing."""
    value = payoff.values(frame.features)
    missed = payoff.saved_share * (payoff.fixed_cost + payoff.value_share * value)
    return np.where(frame.label > 0, missed, payoff.action_cost)
