"""The time rule of first-stage models is that of the SQL macros."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from python_ml.training.pairs.interactions import NEVER, Interactions, day_number, decayed

DAY = date(2024, 3, 1)
DAYS = st.integers(min_value=-5, max_value=5)


def one(ordered: int, known: int, superseded: int | None) -> Interactions:
    base = day_number(DAY)
    return Interactions(
        customers=np.array(["ada"], dtype=object),
        items=np.array(["tea"], dtype=object),
        customer=np.array([0], dtype=np.int32),
        item=np.array([0], dtype=np.int32),
        ordered=np.array([base + ordered], dtype=np.int32),
        known=np.array([base + known], dtype=np.int32),
        superseded=np.array([NEVER if superseded is None else base + superseded], dtype=np.int32),
    )


@settings(deadline=None)  # machines are noisy
@given(DAYS, DAYS, st.none() | DAYS)
def test_a_version_counts_when_it_had_happened_was_known_and_not_yet_replaced(
    ordered: int, known: int, superseded: int | None
) -> None:
    counts = ordered < 0 and known < 0 and (superseded is None or superseded >= 0)
    assert one(ordered, known, superseded).known_before(DAY).tolist() == [counts]


def weight(of: Interactions, as_of: date, half_life_days: float) -> float:
    zero = np.zeros(1, dtype=np.int32)
    return float(
        decayed(of, as_of, half_life_days, rows=zero, columns=zero, shape=(1, 1)).toarray()[0, 0]
    )


def test_weights_halve_with_age_and_never_exceed_one() -> None:
    bought = one(-1, -1, None)
    assert weight(bought, DAY + timedelta(days=29), 30.0) == np.float32(0.5)
    doubled = Interactions(
        bought.customers,
        bought.items,
        *(
            np.repeat(getattr(bought, name), 3)
            for name in ("customer", "item", "ordered", "known", "superseded")
        ),
    )
    assert weight(doubled, DAY, 30.0) == 1.0


def test_what_comes_later_weighs_nothing() -> None:
    assert weight(one(0, 0, None), DAY, 30.0) == 0.0
    assert weight(one(-3, 1, None), DAY, 30.0) == 0.0
