"""Published scores meet their truth: what the marts say of it equals what scikit-learn says."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from python_ml.errors import UnsettledError
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Pipeline
from python_ml.training.metrics import measure
from python_ml.warehouse.ledger import in_force
from tests.conftest import MakePipeline
from tests.test_road import rows

SETTLED = date(2025, 5, 1)
"""The windows of all three predictions have closed by the end of the data."""
OPEN = date(2025, 12, 1)
TABLES = ("prediction_outcomes_rows", "performance_rows", "calibration_rows")
EDGE = 1e-6


@pytest.fixture(scope="module")
def shop(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A shop with one run whose truth is known, and one whose window is open."""
    folder = tmp_path_factory.mktemp("demo")
    files = write_demo_shop(DemoShop(customers=250, products=120), folder)
    pipeline = make_pipeline(effort="quick")
    pipeline.load("order_lines", [files.order_lines], DEMO_MAPPING)
    request = pipeline.request(OPEN)
    first, second = pipeline.nights(
        request, [SETTLED, OPEN], training="if_changed", as_history=True
    )
    assert [one.skipped for one in [*first, *second]] == [None] * 8
    return pipeline


def table(shop: Pipeline, query: str) -> pd.DataFrame:
    return shop.warehouse.read(query).to_pandas()


def of_cell(outcomes: pd.DataFrame, cell: pd.Series) -> pd.DataFrame:
    """The outcomes that a row of the performance speaks of."""
    own = outcomes[(outcomes.run_id == cell.run_id) & (outcomes.score_kind == cell.score_kind)]
    if cell.segment_kind == "all":
        return own
    column = cell.segment_kind
    return own[own["customer_group" if column.startswith("attribute_") else column] == cell.segment]


def slope(label: np.ndarray, probability: np.ndarray) -> float:
    logit = np.log(probability / (1 - probability))
    spread = logit.std()
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000, solver="newton-cholesky")
    model.fit(((logit - logit.mean()) / spread)[:, None], label)
    return float(model.coef_[0][0] / spread)


def test_every_figure_equals_that_of_scikit_learn_on_the_exported_rows(shop: Pipeline) -> None:
    outcomes = table(shop, "select * from marts.prediction_outcomes")
    performance = table(shop, "select * from marts.model_performance where is_settled")
    assert set(performance.score_kind) >= {"customer", "product", "category", "line"}
    assert set(performance.segment_kind) >= {"all", "customer_kind", "value_band", "category"}
    slopes = 0
    for _, cell in performance.iterrows():
        own = of_cell(outcomes, cell)
        label, probability = own.label.to_numpy(), own.probability.to_numpy()
        kept = np.clip(probability, EDGE, 1 - EDGE)
        assert cell.row_count == len(own)
        assert cell.realised_count == label.sum()
        assert cell.expected_count == pytest.approx(probability.sum(), rel=1e-9)
        assert cell.brier == pytest.approx(brier_score_loss(label, probability), abs=1e-9)
        assert cell.log_loss == pytest.approx(log_loss(label, kept, labels=[0, 1]), abs=1e-9)
        if 0 < label.sum() < len(label):
            assert cell.auc == pytest.approx(roc_auc_score(label, probability), abs=1e-9)
            precision = average_precision_score(label, probability)
            assert cell.average_precision == pytest.approx(precision, abs=1e-9)
        if not pd.isna(cell.calibration_slope):
            slopes += 1
            assert cell.calibration_slope == pytest.approx(slope(label, kept), abs=1e-6)
    assert slopes > 10


def test_training_would_have_measured_the_same_on_the_same_rows(shop: Pipeline) -> None:
    own = table(shop, "select * from marts.prediction_outcomes where prediction = 'order_habit'")
    [cell] = table(
        shop,
        "select * from marts.model_performance where is_settled and prediction = 'order_habit' "
        "and segment_kind = 'all'",
    ).itertuples()
    measured = measure(
        own.label.to_numpy(float), own.probability.to_numpy(), own.customer_id.to_numpy(),
        rounds=200, seed=1,
    )  # fmt: skip
    assert measured.auc is not None
    assert cell.auc == pytest.approx(measured.auc.value, abs=1e-9)
    assert cell.log_loss == pytest.approx(measured.log_loss.value, abs=1e-9)
    assert cell.brier == pytest.approx(measured.brier.value, abs=1e-9)
    assert cell.calibration_slope == pytest.approx(measured.calibration.slope, abs=1e-3)
    # two ways to the same interval: by influence, and by drawing customers
    for name in ("auc", "log_loss", "brier", "average_precision"):
        drawn = getattr(measured, name)
        low, high = getattr(cell, f"{name}_low"), getattr(cell, f"{name}_high")
        assert (high - low) == pytest.approx(drawn.high - drawn.low, rel=0.3), name


def test_labels_of_outcomes_are_what_the_shop_loaded(shop: Pipeline) -> None:
    assert rows(
        shop,
        "select count(*) from marts.prediction_outcomes as o where prediction = 'order_habit' "
        "and label <> (exists (select 1 from raw.order_lines as l "
        "where l.customer_id = o.customer_id and l.quantity > 0 and l.ordered_at >= o.as_of_date "
        "and l.ordered_at < o.as_of_date + o.horizon_days))::int",
    ) == [(0,)]
    [(wrong, bought)] = rows(
        shop,
        "select count(*) filter (where label <> came::int), sum(label) from (select label, exists "
        "(select 1 from raw.order_lines as l where l.customer_id = o.customer_id "
        "and l.product_id = o.item_id and l.quantity > 0 and l.ordered_at >= o.as_of_date "
        "and l.ordered_at < o.as_of_date + o.horizon_days) as came "
        "from marts.prediction_outcomes as o where score_kind = 'product') as held",
    )
    assert wrong == 0
    assert int(str(bought)) > 0


def test_a_window_that_is_open_is_estimated_and_not_judged(shop: Pipeline) -> None:
    assert rows(
        shop,
        f"select count(*) from marts.prediction_outcomes where as_of_date = '{OPEN}' "
        "and prediction = 'order_habit'",
    ) == [(0,)]
    [(settled, realised, estimated, low, high)] = rows(
        shop,
        "select is_settled, auc, estimated_auc, estimated_auc_low, estimated_auc_high "
        f"from marts.model_performance where as_of_date = '{OPEN}' and prediction = 'order_habit'",
    )
    assert (settled, realised) == (False, None)
    assert 0.5 < float(str(low)) < float(str(estimated)) < float(str(high)) < 1


def test_the_estimate_is_what_drawing_labels_from_the_corrected_scores_gives(
    shop: Pipeline,
) -> None:
    scores = table(
        shop, f"select probability from marts.order_habit_history where as_of_date = '{OPEN}'"
    ).probability.to_numpy()
    figures = table(shop, "select * from marts.model_performance where segment_kind = 'all'")
    figures = figures[figures.prediction == "order_habit"].set_index("as_of_date")
    closed, estimate = figures.loc[SETTLED], figures.loc[OPEN]
    assert estimate.closed_window_count == 1
    assert closed.closed_window_count == 0
    logits = logit_of(scores)
    # one window counts by how well it is known, against no correction (docs/watch.md)
    level = logit_of(closed.realised_rate) - logit_of(closed.expected_rate)
    level_noise = (closed.realised_rate_high - closed.realised_rate_low) / 3.92
    level_noise /= closed.realised_rate * (1 - closed.realised_rate)
    slope_noise = (closed.calibration_slope_high - closed.calibration_slope_low) / 3.92
    level *= 0.4**2 / (0.4**2 + 0.2**2 + level_noise**2)
    slope_off = (closed.calibration_slope - 1) * 0.2**2 / (0.2**2 + 0.06**2 + slope_noise**2)
    corrected = logits + level + slope_off * (logits - logits.mean())
    chance = 1 / (1 + np.exp(-corrected))
    assert estimate.estimated_count == pytest.approx(chance.sum(), rel=1e-9)
    assert estimate.expected_count == pytest.approx(scores.sum(), rel=1e-9)
    random = np.random.default_rng(7)
    drawn = [(random.random(len(scores)) < chance).astype(int) for _ in range(400)]
    aucs = [roc_auc_score(label, scores) for label in drawn]
    losses = [log_loss(label, scores) for label in drawn]
    assert estimate.estimated_auc == pytest.approx(np.mean(aucs), abs=4 * np.std(aucs) / 20)
    assert estimate.estimated_log_loss == pytest.approx(
        np.mean(losses), abs=4 * np.std(losses) / 20
    )


def logit_of(probability: np.ndarray) -> np.ndarray:
    return np.log(probability / (1 - probability))


def test_deciles_hold_every_row_once(shop: Pipeline) -> None:
    assert rows(
        shop,
        "select count(*) from (select run_id, score_kind, sum(row_count) as all_rows, "
        "sum(realised_count) as yes, count(*) as deciles from marts.model_calibration "
        "group by 1, 2) as d inner join marts.model_performance as p "
        "on p.run_id = d.run_id and p.score_kind = d.score_kind and p.segment_kind = 'all' "
        "where p.row_count <> d.all_rows or p.realised_count <> d.yes",
    ) == [(0,)]


def test_what_matured_is_settled_where_nothing_else_is_new(shop: Pipeline) -> None:
    before = {name: sorted(rows(shop, f"select {digest(name)}")) for name in TABLES}
    marts = rows(shop, "select md5(t::text) from mart_rows.order_habit_rows as t order by 1")
    with shop.warehouse.connect() as connection:  # as if the labels came only now
        for name in TABLES:
            connection.execute(f"delete from mart_rows.{name}".encode())
    said: list[str] = []
    shop._say = said.append
    with shop.writing() as writer:
        assert shop.publish(writer, shop.outcomes_of(shop.request(OPEN))) == []
        settling = [line for line in said if line.startswith("Settling")]
        said.clear()
        assert shop.publish(writer, shop.outcomes_of(shop.request(OPEN))) == []
    assert len(settling) == 1
    assert said == ["Nothing new to publish"]  # and not again
    after = {name: sorted(rows(shop, f"select {digest(name)}")) for name in TABLES}
    assert after == before
    assert marts == rows(
        shop, "select md5(t::text) from mart_rows.order_habit_rows as t order by 1"
    )


def digest(name: str) -> str:
    """Rows and their figures to nine digits: what a settlement made again must equal."""
    figure = {
        "prediction_outcomes_rows": "probability + label",
        "performance_rows": "coalesce(auc, 0) + log_loss",
        "calibration_rows": "mean_probability + realised_rate",
    }[name]
    return (
        f"count(*), round(sum({figure})::numeric, 6) "
        f"from mart_rows.{name} group by run_id, score_kind"
    )


def test_a_failed_test_of_outcomes_is_told_and_loses_no_prediction(
    shop: Pipeline, tmp_path: Path
) -> None:
    day = date(2025, 11, 1)
    with shop.warehouse.connect() as connection:
        connection.execute(
            "insert into mart_rows.performance_rows "
            "(run_id, score_kind, segment_kind, segment, row_count, realised_count, log_loss) "
            "values ('broken', 'customer', 'all', 'all', 1, 2, 0)"
        )
    try:
        with pytest.raises(UnsettledError, match="performance_lies_where_it_can"):
            shop.nights(
                shop.request(day, only=["order_habit"]), [day], training="if_changed",
                as_history=True,
            )  # fmt: skip
    finally:
        with shop.warehouse.connect() as connection:
            connection.execute("delete from mart_rows.performance_rows where run_id = 'broken'")
    [(published,)] = rows(
        shop,
        "select count(*) from marts.order_habit_history "
        f"where as_of_date = '{day}' and published_at is not null",
    )
    assert int(str(published)) > 0
    [(detail,)] = rows(shop, "select detail from predictions.run_events where event = 'unsettled'")
    assert "performance_lies_where_it_can" in str(detail)
    assert in_force(shop.warehouse)["order_habit"]
