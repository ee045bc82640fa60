from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from python_ml.errors import InputError
from python_ml.training.frame import TrainingFrame


def _frame(**changes: object) -> TrainingFrame:
    given: dict[str, object] = {
        "features": pd.DataFrame(
            {"recency_days": [1.0, 2.0, 3.0, 4.0], "season_as_of_month": [1, 1, 2, 2]}
        ),
        "categorical": ("season_as_of_month",),
        "entity": np.array(["a", "b", "a", "b"]),
        "as_of": np.array(["2020-01-01"] * 2 + ["2020-02-01"] * 2, dtype="datetime64[D]"),
        "label": np.array([0.0, 1.0, 1.0, 1.0]),
        "label_known_at": np.array(["2020-03-01"] * 2 + ["2020-04-01"] * 2, dtype="datetime64[D]"),
        "horizon_days": 59,
    }
    return TrainingFrame(**{**given, **changes})  # type: ignore[arg-type]


def test_rows_are_usable_from_the_day_their_label_is_known():
    assert len(_frame().matured_by("2020-02-29")) == 0
    assert list(_frame().matured_by("2020-03-01").label) == [0.0, 1.0]


def test_customers_are_counted_once_however_many_dates_they_have():
    assert _frame().customers() == 2
    assert _frame().customers_per_class() == (1, 2)


def test_columns_that_only_name_a_date_are_not_learned_from_until_two_years_are_there():
    assert _frame().usable_columns() == ["recency_days"]
    later = np.array(["2020-01-01"] * 2 + ["2022-02-01"] * 2, dtype="datetime64[D]")
    assert _frame(as_of=later).usable_columns() == ["recency_days", "season_as_of_month"]


def test_columns_of_the_calendar_wait_for_two_years_too():
    calendar = ("recency_days",)
    assert _frame(calendar=calendar).usable_columns() == []
    later = np.array(["2020-01-01"] * 2 + ["2022-02-01"] * 2, dtype="datetime64[D]")
    assert "recency_days" in _frame(as_of=later, calendar=calendar).usable_columns()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label": np.array([0.0, 1.0, 2.0, 1.0])}, "neither 0 nor 1"),
        ({"label": np.array([0.0, 1.0, np.nan, 1.0])}, "neither 0 nor 1"),
        ({"entity": np.array(["b", "a", "a", "b"])}, "not sorted"),
        ({"entity": np.array(["a", "b"])}, "differ in length"),
        ({"categorical": ("brand",)}, "brand"),
    ],
)
def test_a_frame_that_breaks_the_contract_is_refused(changes: dict[str, object], told: str):
    with pytest.raises(InputError, match=told):
        _frame(**changes)
