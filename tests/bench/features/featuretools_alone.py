"""The features that featuretools makes with primitives of its own; runs in ``.venv-peers``.

It knows nothing of the project: `featuretools_alone.py FOLDER SECONDS DATE...` reads
`lines.parquet` in the folder and writes a Parquet file for each date, until the seconds are over.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import featuretools as ft
import pandas as pd
from featuretools import primitives

WINDOWS = (7, 30, 90, 180, 365)


def entities(known: pd.DataFrame) -> ft.EntitySet:
    """Lines of orders of customers, each with the time at which it is known."""
    orders = known.drop_duplicates("order_key")[["order_key", "customer_id", "ordered_on"]]
    found = ft.EntitySet("shop")
    found.add_dataframe(
        dataframe_name="lines",
        dataframe=known[
            ["line_key", "order_key", "product_id", "category", "ordered_on", "quantity", "amount"]
        ],
        index="line_key",
        time_index="ordered_on",
        logical_types={"product_id": "Categorical", "category": "Categorical"},
    )
    found.add_dataframe(
        dataframe_name="orders", dataframe=orders, index="order_key", time_index="ordered_on"
    )
    found.add_dataframe(
        dataframe_name="customers",
        dataframe=orders[["customer_id"]].drop_duplicates(),
        index="customer_id",
    )
    found.add_relationship("orders", "order_key", "lines", "order_key")
    found.add_relationship("customers", "customer_id", "orders", "customer_id")
    return found


def total_features(shop: ft.EntitySet) -> list[ft.FeatureBase]:
    """Columns over the whole history."""
    lines, orders = shop["lines"].ww, shop["orders"].ww

    def of_customers(base: object, primitive: object) -> ft.FeatureBase:
        return ft.Feature(base, parent_dataframe_name="customers", primitive=primitive)

    def of_orders(base: object, primitive: object) -> ft.FeatureBase:
        return ft.Feature(base, parent_dataframe_name="orders", primitive=primitive)

    def of_day(primitive: object) -> ft.FeatureBase:
        return ft.Feature(orders["ordered_on"], primitive=primitive)

    value = of_orders(lines["amount"], primitives.Sum)
    named = {
        "recency_days": of_customers(orders["ordered_on"], primitives.TimeSinceLast("days")),
        "recency_tenure_days": of_customers(
            orders["ordered_on"], primitives.TimeSinceFirst("days")
        ),
        "frequency_orders_total": of_customers(orders["order_key"], primitives.Count),
        "frequency_order_days_total": of_customers(orders["ordered_on"], primitives.NUniqueDays),
        "monetary_spend_total": of_customers(lines["amount"], primitives.Sum),
        "monetary_average_order_value": of_customers(value, primitives.Mean),
        "monetary_largest_order_value": of_customers(value, primitives.Max),
        "basket_mean_lines": of_customers(
            of_orders(lines["line_key"], primitives.Count), primitives.Mean
        ),
        "basket_mean_units": of_customers(
            of_orders(lines["quantity"], primitives.Sum), primitives.Mean
        ),
        "product_distinct_total": of_customers(lines["product_id"], primitives.NumUnique),
        "category_distinct_total": of_customers(lines["category"], primitives.NumUnique),
        "rhythm_weekend_share": of_customers(of_day(primitives.IsWeekend), primitives.PercentTrue),
        "rhythm_favourite_weekday": of_customers(of_day(primitives.Weekday), primitives.Mode),
        "season_favourite_month": of_customers(of_day(primitives.Month), primitives.Mode),
    }
    return [feature.rename(name) for name, feature in named.items()]


def window_features(shop: ft.EntitySet, days: int) -> list[ft.FeatureBase]:
    """Columns over the last days."""
    lines, orders = shop["lines"].ww, shop["orders"].ww
    count = ft.Feature(
        orders["order_key"], parent_dataframe_name="customers", primitive=primitives.Count
    )
    spend = ft.Feature(lines["amount"], parent_dataframe_name="customers", primitive=primitives.Sum)
    return [
        count.rename(f"frequency_orders_{days}d"),
        spend.rename(f"monetary_spend_{days}d"),
    ]


def features_at(known: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """All of them for the customers known at a date."""
    shop = entities(known)
    asked = {"entityset": shop, "cutoff_time": as_of, "include_cutoff_time": False}
    made = [ft.calculate_feature_matrix(total_features(shop), **asked)]
    for days in WINDOWS:
        made.append(
            ft.calculate_feature_matrix(
                window_features(shop, days), training_window=f"{days} days", **asked
            )
        )
    table: pd.DataFrame = pd.concat(made, axis=1)
    table["rhythm_favourite_weekday"] = table["rhythm_favourite_weekday"].astype(int) + 1
    return table


def main() -> None:
    """Make date after date until the next would end too late, and say how long they took."""
    folder, allowed, dates = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    lines = pd.read_parquet(folder / "lines.parquet")
    for day in ("ordered_on", "known_on", "superseded_on"):
        lines[day] = pd.to_datetime(lines[day])
    lines["order_key"] = lines.groupby(["customer_id", "order_id"]).ngroup()
    seconds, done = 0.0, 0
    for name in dates:
        as_of = pd.Timestamp(name)
        known = lines[
            (lines["ordered_on"] < as_of)
            & (lines["known_on"] < as_of)
            & (lines["superseded_on"].isna() | (lines["superseded_on"] >= as_of))
        ]
        started = time.monotonic()
        made = features_at(known, as_of)
        seconds += time.monotonic() - started
        done += 1
        made.astype(float).rename_axis("customer_id").reset_index().to_parquet(
            folder / f"{name}.parquet"
        )
        if seconds + seconds / done > allowed:
            break
    said = {"dates": done, "seconds": seconds}
    (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main()
