"""Purchase potential on a small shop, from order lines to what is exported."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from python_ml.cli import build_app
from python_ml.errors import BundleError
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Pipeline
from python_ml.predictions.purchase_potential import PREDICTION
from python_ml.reporting.doctor import examine
from python_ml.scoring.pairs import score_pairs
from python_ml.training.pairs.bundle import PairBundle, load_pair_bundle
from python_ml.training.pairs.candidates import candidate_pairs
from python_ml.training.pairs.shop import PairShop
from tests.conftest import MakePipeline
from tests.test_road import rows

AS_OF = date(2025, 12, 1)
NAME = "purchase_potential"


@pytest.fixture(scope="module")
def shop(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A shop of 400 customers with purchase potential published."""
    folder = tmp_path_factory.mktemp("demo")
    files = write_demo_shop(DemoShop(customers=400, products=150), folder)
    pipeline = make_pipeline(effort="quick")
    pipeline.load("order_lines", [files.order_lines], DEMO_MAPPING)
    [*_, outcome] = pipeline.run(pipeline.request(AS_OF, only=[NAME]))
    assert outcome.skipped is None, outcome
    return pipeline


@pytest.fixture(scope="module")
def bundle(shop: Pipeline) -> PairBundle:
    found = shop.newest_bundle(NAME, AS_OF, 90)
    assert isinstance(found, PairBundle)
    return found


def test_the_doctor_finds_its_bundle_well(shop: Pipeline) -> None:
    found = examine(shop.settings)
    [said] = [fact.text for fact in found.facts if fact.text.startswith(f"{NAME}: 1 bundle")]
    assert "1 fit the features as they are now" in said
    assert "damaged" not in said
    assert not [problem for problem in found.problems if NAME in problem.what]


def test_nobody_is_offered_what_they_already_bought(shop: Pipeline) -> None:
    assert rows(shop, "select count(*) > 2000 from marts.purchase_potential") == [(True,)]
    owned = rows(
        shop,
        """
        select count(*) from marts.purchase_potential as offered
        inner join intermediate.int_customer_items as owned
            on offered.customer_id = owned.customer_id
            and offered.item_level = owned.item_level
            and offered.item_id = owned.item_id
        where owned.known_on < offered.as_of_date
            and coalesce(owned.superseded_on, '9999-12-31') >= offered.as_of_date
        """,
    )
    assert owned == [(0,)]


def test_every_category_that_a_customer_never_bought_from_is_scored(shop: Pipeline) -> None:
    [(missing,)] = rows(
        shop,
        """
        select count(*) from (
            select people.customer_id, items.item_id
            from features.feat_purchase_potential_customers as people
            cross join features.feat_purchase_potential as items
            where people.as_of_date = '2025-12-01' and items.as_of_date = '2025-12-01'
                and items.item_level = 'category'
            except
            select customer_id, item_id from intermediate.int_customer_items
            where item_level = 'category' and known_on < '2025-12-01'
            except
            select customer_id, item_id from marts.purchase_potential
            where item_level = 'category'
        ) as unscored
        """,
    )
    assert missing == 0


def test_a_customer_has_at_most_the_asked_number_of_products_ranked_from_one(
    shop: Pipeline,
) -> None:
    ranks = rows(
        shop,
        "select max(item_rank), count(*) = max(item_rank) from marts.purchase_potential "
        "where item_level = 'product' group by customer_id",
    )
    assert {complete for _, complete in ranks} == {True}
    assert max(int(str(most)) for most, _ in ranks) == shop.settings.products_per_customer


def test_the_mart_says_what_the_probabilities_failed(shop: Pipeline, bundle: PairBundle) -> None:
    by_level = {level["level"]: level["calibration_note"] for level in bundle.manifest["levels"]}
    assert set(by_level) == {"product", "category"}
    said = rows(
        shop, "select distinct coalesce(calibration_note, '') from marts.purchase_potential"
    )
    assert said == [(bundle.calibration_note,)]
    for level, note in by_level.items():
        assert (f"{level.capitalize()}: {note}." in bundle.calibration_note) == bool(note)


def test_every_baseline_is_measured_beside_what_is_published(shop: Pipeline) -> None:
    measured = rows(
        shop,
        "select role, recipe, count(distinct metric) from predictions.metrics "
        f"where prediction = '{NAME}' and metric in ("
        "'ndcg_at_10', 'recall_at_10', 'ndcg_at_3', 'recall_at_3', 'log_loss') "
        "group by 1, 2",
    )
    for level in ("product", "category"):
        found = {str(recipe): count for role, recipe, count in measured if level in str(role)}
        assert {"popular", "item_to_item", "ease", "ease_popular"} <= set(found), level
        assert set(found.values()) == {3}, level
    recall = rows(
        shop,
        "select value from predictions.metrics where role = 'product_test_as_published' "
        "and metric like 'candidate_recall_at_%' order by value",
    )
    assert len(recall) > 2
    assert 0 < float(str(recall[0][0])) <= float(str(recall[-1][0])) <= 1


def test_the_same_run_again_publishes_nothing(shop: Pipeline) -> None:
    before = rows(shop, "select count(*) from predictions.purchase_potential")
    request = shop.request(AS_OF, only=[NAME])
    with shop.writing() as writer:
        outcome = shop.predict(request, NAME)
        assert shop.publish(writer, [outcome]) == []
    assert rows(shop, "select count(*) from predictions.purchase_potential") == before


def test_a_bundle_read_back_scores_to_the_same_bits(shop: Pipeline, bundle: PairBundle) -> None:
    [folder] = (shop.settings.bundles_dir / NAME).iterdir()
    again = load_pair_bundle(folder)
    tables = [
        score_pairs(
            shop.warehouse,
            PREDICTION,
            shop._catalogues(NAME),
            one,
            AS_OF,
            most_products=5,
            label_known_at=AS_OF,
        )
        for one in (bundle, again)
    ]
    assert tables[0].column("probability").equals(tables[1].column("probability"))
    landed = rows(
        shop,
        "select customer_id, item_id, probability from predictions.purchase_potential "
        "where item_level = 'product'",
    )
    known = {(customer, item): probability for customer, item, probability in landed}
    scored = tables[0].to_pandas().query("item_level == 'product'")
    assert len(scored) > 1000
    for row in scored.itertuples():
        assert known[row.customer_id, row.item_id] == row.probability


def test_a_column_that_does_not_fit_is_named(shop: Pipeline, bundle: PairBundle) -> None:
    level = bundle.levels[0]
    pairs = one_batch(shop, level.level)
    missing = pairs.drop(columns="collaborative_ease")
    with pytest.raises(BundleError, match="collaborative_ease"):
        level.predict(missing)
    renamed = pairs.rename(columns={"collaborative_ease": "collaborative_cheese"})
    with pytest.raises(BundleError, match="collaborative_cheese"):
        level.predict(renamed)


def test_a_changed_forest_is_refused(shop: Pipeline, tmp_path: Path) -> None:
    [folder] = (shop.settings.bundles_dir / NAME).iterdir()
    copy = tmp_path / "bundle"
    copy.mkdir()
    for path in folder.rglob("*"):
        target = copy / path.relative_to(folder)
        target.mkdir() if path.is_dir() else target.write_bytes(path.read_bytes())
    victim = next(path for path in copy.rglob("*.json") if path.parent != copy)
    victim.write_bytes(victim.read_bytes() + b" ")
    with pytest.raises(BundleError, match="changed after training"):
        load_pair_bundle(copy)


@pytest.mark.parametrize(
    ("level", "item"), [("products", "product_id"), ("categories", "category")]
)
def test_both_levels_are_exported(
    shop: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, item: str
) -> None:
    target = tmp_path / f"{level}.csv"
    export(shop, monkeypatch, NAME, "--level", level, "--to", str(target))
    with target.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0])[:5] == ["customer_id", item, "probability", "score", "rank"]
    first = [line for line in lines if line["customer_id"] == lines[0]["customer_id"]]
    assert [line["rank"] for line in first] == [str(n + 1) for n in range(len(first))]
    chances = [float(line["probability"]) for line in first]
    assert chances == sorted(chances, reverse=True)


def test_an_export_without_a_level_says_which_there_are(
    shop: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = export(shop, monkeypatch, NAME, "--to", str(tmp_path / "x.csv"), code=1)
    assert "--level products" in said


def test_probabilities_are_as_large_as_what_then_happens(shop: Pipeline) -> None:
    [(promised, happened)] = rows(
        shop,
        "select avg(case when metric = 'mean_probability' then value end), "
        "avg(case when metric = 'positive_rate' then value end) from predictions.metrics "
        f"where prediction = '{NAME}' and role = 'product_test_as_published' "
        "and recipe = 'pair_linear'",
    )
    assert float(str(happened)) / 3 < float(str(promised)) < float(str(happened)) * 3


def one_batch(shop: Pipeline, level: str) -> pd.DataFrame:
    part = PairShop(shop.warehouse, PREDICTION, shop._catalogues(NAME), level, AS_OF, 500)
    return next(iter(candidate_pairs(part.snapshot(AS_OF), np.arange(20), 200))).features


def export(shop: Pipeline, monkeypatch: pytest.MonkeyPatch, *arguments: str, code: int = 0) -> str:
    monkeypatch.setenv("SMARTRETAIL_DATABASE_URL", shop.warehouse.url)
    ended = CliRunner().invoke(
        build_app(), ["export", *arguments, "--home", str(shop.settings.home)]
    )
    assert (ended.exit_code != 0) == (code != 0), ended.output
    return ended.output + str(ended.exception or "")


def test_outcomes_say_what_became_of_each_level(shop: Pipeline, bundle: PairBundle) -> None:
    assert {part.split(": ")[0] for part in bundle.recipe.split(", ")} == {"product", "category"}
