"""Predictions are found, not listed."""

from __future__ import annotations

import pytest

from python_ml.errors import InputError
from python_ml.predictions import all_predictions, get_prediction
from python_ml.predictions.base import PairPrediction
from python_ml.settings import PROJECT_DIR


def test_each_prediction_has_its_feature_and_label_models() -> None:
    for name in all_predictions():
        assert (PROJECT_DIR / "models_sql" / "features" / f"feat_{name}.sql").is_file()
        assert (PROJECT_DIR / "models_sql" / "labels" / f"label_{name}.sql").is_file()


def test_each_prediction_names_its_baselines_among_its_recipes() -> None:
    for prediction in all_predictions().values():
        if isinstance(prediction, PairPrediction):
            continue
        spec = prediction.spec(prediction.horizon_days)
        names = {recipe.name for recipe in spec.recipes}
        assert spec.baselines
        assert set(spec.baselines) <= names


def test_an_unknown_prediction_lists_the_known_ones() -> None:
    with pytest.raises(InputError) as refused:
        get_prediction("weather")
    assert "order_habit" in str(refused.value)
