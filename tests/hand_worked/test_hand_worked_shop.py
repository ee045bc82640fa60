"""The shop that was worked out by hand before there was any SQL: docs/hand_worked_shop.md."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from python_ml.pipeline import Pipeline
from tests.hand_worked.compare import FOLDER, mismatches
from tests.time_rules.builds import Tables, build


@pytest.fixture(scope="module")
def built(time_rules_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder: Path = tmp_path_factory.mktemp("hand_worked")
    shop = pd.read_csv(
        FOLDER / "order_lines.csv",
        dtype={"order_id": str, "line_id": str},
        parse_dates=["ordered_at", "returned_at", "recorded_at"],
    )
    return build(time_rules_pipeline, shop, folder)


def test_features_come_out_as_written_down(built: Tables) -> None:
    assert mismatches("feat_order_habit", built["feat_order_habit"]) == []


def test_labels_come_out_as_written_down(built: Tables) -> None:
    assert mismatches("label_order_habit", built["label_order_habit"]) == []


def test_histories_of_order_lines_come_out_as_written_down(built: Tables) -> None:
    assert mismatches("feat_return_risk", built["feat_return_risk"]) == []


def test_no_label_exists_for_a_window_that_the_data_do_not_close(built: Tables) -> None:
    labels = built["label_order_habit"]
    assert (pd.to_datetime(labels["as_of_date"]) < "2024-06-03").all()
