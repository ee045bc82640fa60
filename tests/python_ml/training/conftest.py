"""A shop with known laws: customers buy at a rate of their own and one day stay away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from python_ml.training.choose import TrainingResult, train
from python_ml.training.frame import TrainingFrame
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

START = np.datetime64("2020-01-01")
HISTORY = HistoryColumns("frequency_order_days_total", "recency_days", "recency_tenure_days")
LOG_RFM = (
    "recency_days",
    "frequency_orders_total",
    "monetary_spend_total",
    "recency_tenure_days",
)


@dataclass(frozen=True)
class Shop:
    """Order days since the start of the shop, one array per customer."""

    orders: list[np.ndarray]
    spend: np.ndarray
    colour: np.ndarray

    def frame(self, days: list[int], horizon: int) -> TrainingFrame:
        """Features and labels at each of ``days``; all windows must lie within the simulation."""
        parts = [self._at(day, horizon) for day in days]
        features = pd.concat([part[0] for part in parts], ignore_index=True)
        return TrainingFrame(
            features=features,
            categorical=("season_as_of_month", "attribute_colour"),
            entity=np.concatenate([part[1] for part in parts]),
            as_of=np.concatenate(
                [np.full(len(part[1]), START + day) for part, day in zip(parts, days, strict=True)]
            ),
            label=np.concatenate([part[2] for part in parts]),
            label_known_at=np.concatenate(
                [
                    np.full(len(part[1]), START + day + horizon + 1)
                    for part, day in zip(parts, days, strict=True)
                ]
            ),
            horizon_days=horizon,
        )

    def _at(self, day: int, horizon: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        rows, names, labels = [], [], []
        for i, orders in enumerate(self.orders):
            past = orders[orders < day]
            if len(past) == 0:
                continue
            recency, tenure = day - past[-1], day - past[0]
            gap = (past[-1] - past[0]) / (len(past) - 1) if len(past) > 1 else np.nan
            rows.append(
                {
                    "recency_days": float(recency),
                    "recency_tenure_days": float(tenure),
                    "recency_over_mean_gap": recency / gap if gap else np.nan,
                    "frequency_orders_total": float(len(past)),
                    "frequency_order_days_total": float(len(past)),
                    "frequency_orders_90d": float((past >= day - 90).sum()),
                    "frequency_decayed_90d": float((0.5 ** ((day - past) / 90)).sum()),
                    "monetary_spend_total": float(len(past) * self.spend[i]),
                    "basket_constant": 1.0,
                    "season_as_of_month": float(
                        (START + day).astype("datetime64[M]").astype(int) % 12 + 1
                    ),
                    "attribute_colour": self.colour[i],
                }
            )
            names.append(f"c{i:05d}")
            labels.append(float(((orders >= day) & (orders < day + horizon)).any()))
        return pd.DataFrame(rows), np.array(names, dtype=object), np.array(labels)


def simulate(
    customers: int,
    seed: int,
    *,
    days: int = 720,
    r: float = 0.8,
    alpha: float = 8.0,
    a: float = 0.6,
    b: float = 3.0,
) -> Shop:
    """Draw a BG/NBD shop; time in weeks for the parameters, in days for the orders."""
    random = np.random.default_rng(seed)
    rate = random.gamma(r, 1 / alpha, customers) / 7
    dropout = random.beta(a, b, customers)
    orders = []
    for i in range(customers):
        day = float(random.integers(0, days * 2 // 3))
        dates = [int(day)]
        while day < days and (len(dates) == 1 or random.random() > dropout[i]):
            day += random.exponential(1 / max(rate[i], 1e-9))
            dates.append(int(min(day, 10 * days)))
        orders.append(np.unique(dates))
    return Shop(
        orders,
        random.lognormal(3, 1, customers),
        random.choice(["red", "green", "blue"], customers),
    )


@pytest.fixture(scope="session")
def shop() -> Shop:
    return simulate(900, seed=11)


@pytest.fixture(scope="session")
def frame(shop: Shop) -> TrainingFrame:
    return shop.frame(list(range(120, 601, 60)), horizon=90)


@pytest.fixture(scope="session")
def small_frame() -> TrainingFrame:
    return simulate(70, seed=3).frame(list(range(120, 601, 60)), horizon=90)


SpecMaker = Callable[..., PredictionSpec]


@pytest.fixture(scope="session")
def make_spec() -> SpecMaker:
    def make(**changes: object) -> PredictionSpec:
        blend = Blend((Logistic(), Boosted(), BgNbd(HISTORY)))
        given: dict[str, object] = {
            "name": "order_habit",
            "horizon_days": 90,
            "recipes": (
                Recency("recency_days"),
                Frequency("frequency_orders_total"),
                LogRfm(LOG_RFM),
                BgNbd(HISTORY),
                Logistic(),
                Boosted(),
                blend,
            ),
            "baselines": ("recency", "frequency", "log_rfm", "bgnbd"),
            "level_reference": "bgnbd",
            "most_origins": 2,
            "bootstrap_rounds": 50,
        }
        return PredictionSpec(**{**given, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def result(frame: TrainingFrame, make_spec: SpecMaker) -> TrainingResult:
    newest = frame.at(frame.dates()[-1]).features
    return train(make_spec(), frame, as_of="2022-01-01", seed=5, threads=1, newest=newest)
