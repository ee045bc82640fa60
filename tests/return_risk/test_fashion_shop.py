"""A fashion shop's flat file: 0 or 1 for what came back, no dates, empty for the newest lines."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.ingest.read import ReadOptions
from python_ml.ingest.sources import ColumnMapping
from python_ml.pipeline import Pipeline
from python_ml.scoring.new_lines import NewLines
from python_ml.training.dataset import to_features
from tests.conftest import MakePipeline
from tests.test_road import rows, smartretail

MAPS = ["date=ordered_at", "article=product_id", "client=customer_id", "position=line_id"]
ATTRIBUTES = ["line:size", "product:brand", "customer:state"]
MAPPING = ColumnMapping.parse(MAPS, ATTRIBUTES)
AS_OF = date(2025, 12, 1)
BLANK_FROM = "2025-10-10"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The file, outcomes of the newest seven weeks left empty, and rows after the as-of date."""
    folder = tmp_path_factory.mktemp("fashion")
    shop = pd.read_parquet(write_demo_shop(DemoShop(customers=500), folder).order_lines)
    shop = shop.drop_duplicates(["order_id", "line_id"]).drop(
        columns=["returned_at", "recorded_at"]
    )
    shop["returned"] = shop["returned"].fillna(0).astype("Int64")
    shop.loc[shop["ordered_at"] >= BLANK_FROM, "returned"] = pd.NA
    names = {ours: theirs for theirs, ours in MAPPING.renames.items()}
    return shop.rename(columns=names)


@pytest.fixture(scope="module")
def shop(
    make_pipeline: MakePipeline, told: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Pipeline:
    path = tmp_path_factory.mktemp("files") / "lines.csv"
    told[told["date"] < str(AS_OF)].to_csv(path, index=False)
    pipeline = make_pipeline()
    pipeline.load("order_lines", [path], MAPPING)
    pipeline.run(pipeline.request(AS_OF, only=["return_risk"]))
    return pipeline


def test_every_line_without_an_outcome_is_scored_whatever_its_age(
    shop: Pipeline, told: pd.DataFrame
) -> None:
    blank = told[(told["date"] >= BLANK_FROM) & (told["date"] < str(AS_OF))]
    assert rows(
        shop,
        "select count(*), count(distinct line_key), count(probability_still), "
        "bool_and(probability_at_order between 0 and 1) from marts.return_risk",
    ) == [(len(blank), len(blank), 0, True)]
    # who is past their window has no day on which anybody will know
    overdue = blank["date"].dt.normalize() + pd.Timedelta(days=31) <= str(AS_OF)
    assert rows(shop, "select count(*) from marts.return_risk where label_known_at is null") == [
        (int(overdue.sum()),)
    ]


def test_no_line_without_an_outcome_is_learned_from(shop: Pipeline) -> None:
    assert rows(
        shop,
        "select count(*) from labels.label_return_risk "
        f"inner join features.feat_return_risk using (line_key) where ordered_on >= '{BLANK_FROM}'",
    ) == [(0,)]


def test_the_export_can_be_joined_back_to_the_file(
    shop: Pipeline, told: pd.DataFrame, tmp_path: Path
) -> None:
    target = tmp_path / "risks.parquet"
    smartretail(shop, "export", "return_risk", "--to", str(target))
    exported = pq.read_table(target).to_pandas()
    joined = exported.merge(
        told, left_on=["order_id", "line_id"], right_on=["order_id", "position"]
    )
    assert len(joined) == len(exported)
    assert (joined["product_id"] == joined["article"]).all()
    assert set(exported["label_kind"]) == {"observed"}


def test_figures_stand_beside_the_baselines_and_savings(shop: Pipeline) -> None:
    metrics = {
        row[0]
        for row in rows(
            shop, "select metric from predictions.metrics where role = 'test_as_published'"
        )
    }
    assert {"log_loss_gain_over_base_rate", "log_loss_gain_over_smoothed_rates"} <= metrics
    assert {"saving_expected", "saving_realised", "saving_realised_all"} <= metrics


def test_acting_is_suggested_where_it_pays(shop: Pipeline) -> None:
    assert rows(
        shop,
        "select count(*) from marts.return_risk where "
        "(probability_at_order > threshold) <> (suggested_action = 'intervene')",
    ) == [(0,)]


def test_a_file_scores_as_if_it_had_been_loaded(
    shop: Pipeline, told: pd.DataFrame, tmp_path: Path
) -> None:
    """Lines of the as-of date itself look back on the same facts, loaded or not."""
    new = told[told["date"] >= str(AS_OF)].drop(columns="returned")
    path = tmp_path / "new.csv"
    new.to_csv(path, index=False)
    request = shop.request(AS_OF, only=["return_risk"])
    before = everything(shop)
    scored = shop.score_lines(request, "return_risk", NewLines(path, MAPPING, ReadOptions()))
    assert everything(shop) == before
    assert scored.given == scored.lines.num_rows == len(new)
    assert scored.lines.column("line_id").to_pylist() == new["position"].tolist()

    later = tmp_path / "later.csv"
    told[told["date"] >= str(AS_OF)].to_csv(later, index=False)
    shop.load("order_lines", [later], MAPPING)
    with shop.writing():
        shop.build(shop.request(AS_OF + timedelta(days=2), only=["return_risk"]))
    catalogue = shop._catalogue("return_risk")
    loaded = shop.warehouse.read(
        f"select order_id, line_id, {', '.join(catalogue.names)} from features.feat_return_risk "
        "where ordered_on = $1 order by order_id, line_id",
        [AS_OF],
    )
    bundle = shop.newest_bundle("return_risk", AS_OF, 30)
    expected = bundle.predict(to_features(loaded, catalogue))
    lines = scored.lines.to_pandas()
    first_day = lines[lines["ordered_at"].dt.date == AS_OF].sort_values(["order_id", "line_id"])
    assert len(first_day) == len(expected) > 5
    np.testing.assert_allclose(first_day["probability"], expected, rtol=1e-9)


def test_lines_that_do_not_fit_are_refused_and_leave_nothing_behind(
    shop: Pipeline, told: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "old.csv"
    told.tail(2000).to_csv(path, index=False)
    named = [part for text in MAPS for part in ("--map", text)]
    named += [part for text in ATTRIBUTES for part in ("--attribute", text)]
    command = ("score", "return_risk", "--lines", str(path), "--as-of", str(AS_OF))
    for arguments, reason in ((named, "before --as-of"), (named[:-2], "attributes")):
        refused = smartretail(shop, *command, *arguments, check=False)
        assert refused.returncode == 3
        assert reason in refused.stderr
    assert rows(shop, "select count(*) from pg_namespace where nspname like 'scratch%'") == [(0,)]


def test_without_returns_it_is_skipped_unless_a_proxy_is_asked_for(
    make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    demo = pd.read_parquet(write_demo_shop(DemoShop(customers=120), tmp_path).order_lines)
    path = tmp_path / "no_returns.csv"
    demo.drop(columns=["returned", "returned_at"]).to_csv(path, index=False)
    pipeline = make_pipeline()
    pipeline.load("order_lines", [path])
    outcomes = pipeline.run(pipeline.request(only=["return_risk"]))
    assert "no_returns" in str(outcomes[-1].skipped)

    proxied = Pipeline(pipeline.settings.model_copy(update={"return_label": "proxy"}))
    outcomes = proxied.run(proxied.request(only=["return_risk"]))
    assert outcomes[-1].skipped is None
    assert rows(proxied, "select distinct label_kind from marts.return_risk") == [("proxy",)]
    printed = smartretail(proxied, "report").stdout
    assert "PROXY" in printed
    assert "says nothing about real returns" in printed


def everything(pipeline: Pipeline) -> dict[str, object]:
    """What a scored file must not touch."""
    tables = ("raw.order_lines", "raw.loads", "raw.as_of_requests", "features.feat_return_risk",
              "predictions.feature_builds", "predictions.runs", "marts.return_risk")  # fmt: skip
    return {
        name: rows(
            pipeline,
            f"select count(*), md5(string_agg(t::text, '' order by t::text)) from {name} t",
        )
        for name in tables
    }
