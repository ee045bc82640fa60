from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from python_ml.errors import InputError
from python_ml.training.choose import _choose, train
from python_ml.training.spec import PredictionSpec, TooSmallError


def test_the_table_holds_every_recipe_on_every_split(result):
    by_role: dict[str, set[str]] = {}
    for line in result.measured:
        by_role.setdefault(line.role, set()).add(line.recipe)
    every = {recipe.name for recipe in result.spec.recipes}
    assert by_role == {"test": every, "origin": every, "origins_pooled": every}


def test_the_chosen_recipe_is_the_simplest_nearly_best_on_earlier_origins(result):
    assert result.chosen_on == "rolling origins"
    best = min(result.selection.values())
    nearly = [name for name, loss in result.selection.items() if loss < best + 0.001]
    assert result.chosen == nearly[0]


def test_a_gain_under_the_margin_goes_to_the_simpler():
    assert _choose({"simple": 0.5009, "blend": 0.5}, 0.001, by_time=True) == "simple"
    assert _choose({"simple": 0.5011, "blend": 0.5}, 0.001, by_time=True) == "blend"


def test_where_time_has_not_compared_the_blend_is_the_safer_choice():
    assert _choose({"simple": 0.5, "blend": 0.5011}, 0.001, by_time=False) == "blend"
    assert _choose({"simple": 0.5009, "rich": 0.5}, 0.001, by_time=False) == "simple"


def test_the_published_model_is_measured_against_each_baseline(result):
    tested = result.tested()
    assert set(tested.gains) == {*result.spec.baselines, "base_rate"}
    assert tested.gains["base_rate"]["log_loss"].low > 0
    assert tested.gains["recency"]["log_loss"].value > 0


def test_the_final_model_saw_every_matured_date(result, frame):
    assert result.window.rows == len(frame)
    assert result.window.last_date == str(frame.dates()[-1]) == result.window.test_date
    assert result.window.test_train_last_date < result.window.test_date


def test_importances_name_features_and_themes(result, frame):
    assert set(result.importances["feature"]) == set(frame.features.columns)
    assert result.importances["importance"].is_monotonic_decreasing
    constant = result.importances.set_index("feature").loc["basket_constant"]
    assert constant["theme"] == "basket"
    assert constant["importance"] == 0


def test_outcomes_known_only_later_change_nothing(result, frame, make_spec):
    """Rule 2: turn every label that is not known yet round, and train again."""
    as_of = frame.label_known_at[frame.as_of == frame.dates()[-3]][0]
    later = frame.label_known_at > as_of
    turned = replace(frame, label=np.where(later, 1 - frame.label, frame.label))
    spec = make_spec(recipes=make_spec().recipes[:3], level_reference=None, baselines=())
    first, second = (train(spec, f, as_of=str(as_of), seed=1, threads=1) for f in (frame, turned))
    assert first.measured == second.measured
    assert first.published.model.to_files() == second.published.model.to_files()
    assert first.window == second.window


def test_a_small_shop_gets_simple_recipes_as_they_are_and_is_told_why(small_frame, make_spec):
    found = train(make_spec(), small_frame, as_of="2022-01-01", seed=1, threads=1)
    assert set(found.left_out) == {"logistic", "boosted", "blend"}
    assert "needs 300 customers" in found.left_out["blend"]
    assert found.published.level.kind == "none"
    assert found.published.calibrator.kind == "none"


def test_a_shop_too_small_for_anything_is_skipped_with_the_reason(make_spec, small_frame):
    few = sorted(set(small_frame.entity))[:6]
    tiny = small_frame.rows(np.isin(small_frame.entity, few))
    with pytest.raises(TooSmallError, match="recency needs 10 customers"):
        train(make_spec(), tiny, as_of="2022-01-01", seed=1, threads=1)


def test_a_young_shop_is_measured_by_customer_and_says_so(frame, make_spec):
    young = frame.rows(frame.as_of <= frame.dates()[1])
    spec = make_spec(recipes=make_spec().recipes[:4])
    found = train(spec, young, as_of="2022-01-01", seed=1, threads=1)
    assert not found.level_tested
    assert found.chosen_on == "folds of customers"


def test_before_any_window_has_closed_there_is_nothing_to_train_on(frame, make_spec):
    with pytest.raises(InputError, match="No outcome is known"):
        train(make_spec(), frame, as_of="2020-02-01", seed=1, threads=1)


def test_a_large_shop_trains_on_a_sample_of_whole_customers(frame, make_spec):
    spec = make_spec(
        recipes=make_spec().recipes[:3], level_reference=None, baselines=(), max_training_rows=1500
    )
    found = train(spec, frame, as_of="2022-01-01", seed=1, threads=1)
    assert 900 < found.window.rows <= 2000
    assert found.tested().measurement.rows == len(frame.at(frame.dates()[-1]))


def test_each_long_step_is_told(frame, make_spec):
    told: list[str] = []
    spec = make_spec(recipes=make_spec().recipes[:2], level_reference=None, baselines=())
    train(spec, frame, as_of="2022-01-01", seed=1, threads=1, on_step=told.append)
    assert any("Fitting recency" in text for text in told)
    assert any("Refitting" in text for text in told)


def test_a_spec_that_names_an_unknown_baseline_is_refused(make_spec):
    with pytest.raises(ValueError, match="oracle"):
        make_spec(baselines=("oracle",))
    assert isinstance(make_spec(), PredictionSpec)
