"""One shop in three tellings: all of it, what was known at a date, all of it with a wild future.

Features up to that date must not differ between them. The shop is the hand-worked one together
with a small simulated one, so that both every trap and ordinary numbers are there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from python_ml.ingest.demo import DemoShop, write_demo_shop

HAND_WORKED = Path(__file__).parents[1] / "hand_worked"
CUT = pd.Timestamp("2024-04-08")
"""The date of the cut: an as-of date on which the hand-worked shop has a fact at every boundary."""

AS_OF_DATES = ("2024-02-26", "2024-04-08", "2024-06-03")
HORIZON_DAYS = 30
TIMES = ("ordered_at", "returned_at", "recorded_at")
IDS = ("order_id", "customer_id", "product_id")
ATTRIBUTES = (
    "customer:state",
    "customer:points:number",
    "customer:joined:date",
    "product:brand",
    "line:size:number",
)
"""Named at load; all but the lines' change from month to month."""
TELLINGS = ("all", "cut", "noise")


def whole_shop(folder: Path) -> pd.DataFrame:
    """Both shops as one table in the order-line contract."""
    demo = pd.read_parquet(
        write_demo_shop(DemoShop(customers=120, years=3, products=60), folder).order_lines
    )
    hand = pd.read_csv(HAND_WORKED / "order_lines.csv", dtype=dict.fromkeys(IDS, str))
    for name in TIMES:
        demo[name] = pd.to_datetime(demo[name])
        hand[name] = pd.to_datetime(hand[name])
    demo["line_id"] = demo["line_id"].astype(str)
    hand["line_id"] = hand["line_id"].astype(str)
    return with_attributes(pd.concat([hand, demo[hand.columns]], ignore_index=True))


def with_attributes(shop: pd.DataFrame) -> pd.DataFrame:
    """Add attributes that hang on the entity and on the month in which the row was written."""
    month = shop["recorded_at"].fillna(shop["ordered_at"]).dt.month
    customer, product = (shop[name].fillna("-").map(lambda text: ord(text[-1])) for name in IDS[1:])
    mark = (customer + month).astype(int)
    return shop.assign(
        state=mark.mod(5).map("state {}".format),
        points=(mark * 1.5).astype(str),
        joined=(pd.Timestamp("2020-01-01") + pd.to_timedelta(mark, unit="D")).dt.strftime(
            "%d.%m.%Y"
        ),
        brand=(product + month).astype(int).mod(3).map("brand {}".format),
        size=shop.index.to_series().mod(7).astype(str),
    )


def known_at_cut(shop: pd.DataFrame) -> pd.DataFrame:
    """What had happened and was written down before the cut, late parts of old rows left out."""
    known = shop[(shop["ordered_at"] < CUT) & (shop["recorded_at"] < CUT)].copy()
    came_later = ~(known["returned_at"] < CUT)
    known.loc[came_later, ["returned", "returned_at"]] = [np.nan, pd.NaT]
    return known


def with_noise_after_cut(shop: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same past with another future: late rows, late parts of old rows and attributes."""
    random = np.random.default_rng(seed)
    noisy = shop.copy()
    late = ((noisy["ordered_at"] >= CUT) | (noisy["recorded_at"] >= CUT)).to_numpy()
    count = int(late.sum())
    noisy.loc[late, "unit_price"] = random.uniform(0.5, 500, count).round(2)
    noisy.loc[late, "quantity"] = random.integers(1, 60, count)
    noisy.loc[late, "discount"] = random.uniform(0, 0.9, count).round(2)
    for name in ("customer_id", "product_id", "product_name", "category"):
        pool = shop[name].dropna().unique()
        noisy.loc[late, name] = random.choice(pool, count)
    for name in (attribute.split(":")[1] for attribute in ATTRIBUTES):
        noisy.loc[late, name] = random.choice(shop[name].unique(), count)
    came_later = (~(noisy["returned_at"] < CUT)).to_numpy()
    returned = random.random(len(noisy)) < 0.5
    moment = CUT + pd.to_timedelta(random.integers(0, 5000, len(noisy)), unit="h")
    noisy.loc[came_later, "returned"] = np.where(returned[came_later], 1.0, 0.0)
    noisy.loc[came_later, "returned_at"] = pd.Series(moment).where(returned)[came_later]
    too_early = noisy["returned_at"] < noisy["ordered_at"]
    noisy.loc[too_early, "returned_at"] = noisy.loc[too_early, "ordered_at"]
    return noisy


def tellings(folder: Path) -> dict[str, pd.DataFrame]:
    """The three tellings by name."""
    shop = whole_shop(folder)
    return {"all": shop, "cut": known_at_cut(shop), "noise": with_noise_after_cut(shop, seed=7)}


def side_by_side(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """All tellings in one shop whose customers, orders and products do not touch."""
    renamed = []
    for name, part in parts.items():
        renamed.append(part.assign(**{column: name + ":" + part[column] for column in IDS}))
    return pd.concat(renamed, ignore_index=True)
