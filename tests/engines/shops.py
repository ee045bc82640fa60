"""Small random shops that are all edge: ties, month ends, leap days, free goods, late rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

DAYS = pd.to_datetime(
    [
        "2023-11-30", "2023-12-01", "2023-12-31", "2024-01-01", "2024-01-31", "2024-02-26",
        "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-31", "2024-04-07", "2024-04-08",
        "2024-04-30", "2024-05-31", "2024-06-02", "2024-06-03",
    ]
)  # fmt: skip
"""Ends of months and years, a leap day, and the as-of dates with the days beside them."""

HOURS = ["00:00:00", "00:00:00.000001", "12:00:00", "23:59:59.999999"]
CUSTOMERS = [None, "c1", "C1", "ä", "Ä", "客 7", "o'Neil", "zz"]
PRODUCTS = [None, "p1", "p2", "P1", "été", "日本", "a|b", 'q"']
CATEGORIES = {
    None: None, "p1": "x", "p2": "X", "P1": "é", "été": None, "日本": "é", "a|b": "x", 'q"': "",
}  # fmt: skip
PRICES = [0.0, 0.01, 1 / 3, 2.5, 19.99, 99999.5]
QUANTITIES = [1, 1, 1, 2, 3, 7, -1, -2, 0.5]
DISCOUNTS = [np.nan, 0.0, 0.05, 0.15, 1.0]


def random_shop(seed: int, orders: int, *, named_lines: bool, prefix: str = "") -> pd.DataFrame:
    """The order lines of one shop.

    Parameters
    ----------
    named_lines
        Whether lines have numbers of their own.
    prefix
        Put before every id, so that several shops can stand side by side.
    """
    random = np.random.default_rng(seed)
    lines = [
        line
        for order in range(orders)
        for line in _order(random, f"{prefix}o{order}", named_lines=named_lines)
    ]
    shop = pd.DataFrame(lines)
    for name in ("customer_id", "product_id", "line_id"):
        shop[name] = [None if pd.isna(value) else prefix + str(value) for value in shop[name]]
    for name in ("ordered_at", "returned_at", "recorded_at"):
        shop[name] = pd.to_datetime(shop[name])
    return shop.astype({"discount": "float64", "returned": "float64"})


def corrected(shop: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A later file of the same shop: some lines again as they were, some changed, some new."""
    random = np.random.default_rng(seed)
    again = shop.sample(frac=0.5, random_state=seed).sort_index().copy()
    again = shop[shop["order_id"].isin(again["order_id"])].copy()
    changed = random.random(len(again)) < 0.5
    again.loc[changed, "quantity"] = random.choice([0.0, 1, 5], int(changed.sum()))
    again.loc[changed, "recorded_at"] = again["ordered_at"] + pd.Timedelta(days=3)
    new = again.head(3).assign(order_id=again["order_id"].head(3) + "-late")
    return pd.concat([again, new], ignore_index=True)


def _order(
    random: np.random.Generator, order_id: str, *, named_lines: bool
) -> list[dict[str, object]]:
    day = DAYS[random.integers(len(DAYS))]
    ordered_at = day + pd.Timedelta(HOURS[random.integers(len(HOURS))])
    customer = CUSTOMERS[random.integers(len(CUSTOMERS))]
    lines = []
    for place in range(int(random.integers(1, 5))):
        product = PRODUCTS[random.integers(len(PRODUCTS))]
        returned = random.random() < 0.3
        later = pd.Timedelta(days=int(random.choice([0, 1, 29, 30, 31])))
        late = random.random() < 0.2
        lines.append(
            {
                "order_id": order_id,
                "line_id": str(place) if named_lines else None,
                "customer_id": customer,
                "ordered_at": ordered_at,
                "product_id": product,
                "product_name": product,
                "category": CATEGORIES[product],
                "quantity": float(random.choice(QUANTITIES)),
                "unit_price": float(random.choice(PRICES)),
                "discount": float(random.choice(DISCOUNTS)),
                "returned": float(returned),
                "returned_at": ordered_at + later if returned else pd.NaT,
                "recorded_at": ordered_at + pd.Timedelta(days=40) if late else pd.NaT,
                "brand": str(random.integers(3)),
                "joined": f"{int(random.integers(1, 29)):02d}.02.2024",
            }
        )
    return lines
