"""The ladder of order habit."""

from __future__ import annotations

from python_ml.experiments.ladder.cuts import Leak
from python_ml.experiments.ladder.rungs import Rung

TOTALS = ("frequency_orders_total", "monetary_spend_total", "monetary_average_order_value")
RATES = (*TOTALS, "frequency_orders_per_month", "monetary_spend_per_day")
COUNTS = ("frequency_", "monetary_", "basket_", "product_", "category_", "return_")
TEMPORAL = ("rhythm_", "season_favourite_", "season_share_")
LEAN = ("rhythm_mean_gap_days", "season_favourite_season", "season_share_of_as_of_season")
RICH = ("recency_", *COUNTS, "rhythm_", "attribute_")

KNOWN = """
    from intermediate.int_order_lines
    where
        customer_id is not null and ordered_on < $1 and known_on < $1
        and (superseded_on is null or superseded_on >= $1)
"""
LEAKS = (
    Leak(
        name="as done",
        label=f"""
            select
                customer_id,
                cast($1 as date) as as_of_date,
                max(case when ordered_on >= $2 then 1 else 0 end) as label
            {KNOWN}
            group by 1
        """,
        says="ordered in the last {days} days of the very history that the features are made of",
    ),
    Leak(
        name="by order",
        # the last order of everybody counts as a no, even where its window is still open
        label=f"""
            with order_days as (
                select distinct customer_id, ordered_on
                {KNOWN}
            ),

            followed as (
                select
                    customer_id,
                    ordered_on,
                    lead(ordered_on) over (partition by customer_id order by ordered_on) as next_on
                from order_days
            )

            select
                customer_id,
                cast($1 as date) as as_of_date,
                case
                    when next_on - ordered_on <= cast($1 as date) - cast($2 as date) then 1 else 0
                end as label
            from followed
        """,  # noqa: S608
        says="one row per order, whether another followed within {days} days; features are the "
        "customer's at the end of all",
    ),
)

RUNGS = (
    Rung("01 baseline", "orders, spend, mean order", TOTALS),
    Rung("02 SMOTE", "balanced before the split", TOTALS, balance="smote", before_split=True),
    Rung("03 SMOTETomek", "split by hand, stratified", TOTALS, balance="smote_tomek",
         stratified=True),
    Rung("04 rates", "per month and per day", RATES, stratified=True),
    Rung("05 dropout", "DART, length by AUC", RATES, model="dart", stratified=True),
    Rung("06 selection", "by permutation, AUC", COUNTS, selected=True, stratified=True),
    Rung("07 temporal", "months, seasons, rhythm", (*RATES, *TEMPORAL), stratified=True),
    Rung("08 lean", "the leaner temporal set", (*RATES, *LEAN), stratified=True),
    Rung("final", "what the product publishes", (), model="recipe"),
    Rung("rich", "every theme but season", RICH, stratified=True),
    Rung("rich, season", "does season help?", (*RICH, "season_"), stratified=True, against="rich"),
    Rung("rich, class weights", "classes count alike", RICH, balance="class_weights",
         stratified=True, against="rich"),
    Rung("rich, SMOTE", "on training rows alone", RICH, balance="smote", stratified=True,
         against="rich"),
    Rung("rich, under-sampling", "as many of each", RICH, balance="under", stratified=True,
         against="rich"),
    Rung("rich, noise", "each row again, shaken", RICH, balance="noise", stratified=True,
         against="rich"),
    Rung("rich, bootstrap", "as many rows again, drawn", RICH, balance="bootstrap",
         stratified=True, against="rich"),
    Rung("rich, network", "neural network, 32 and 16", RICH, model="network", stratified=True,
         against="rich"),
)  # fmt: skip
