"""The ladders on a small shop."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from python_ml.cli import build_app
from python_ml.errors import InputError
from python_ml.experiments.ladder import order_habit, return_risk
from python_ml.experiments.ladder.experiment import (
    LADDERS,
    Options,
    cut_of,
    run_experiment,
)
from python_ml.experiments.ladder.pairs import HiddenPairs, products_of
from python_ml.experiments.ladder.runner import Climber
from python_ml.experiments.ladder.study import Section, Study
from python_ml.pipeline import Pipeline
from python_ml.predictions import get_prediction
from python_ml.predictions.base import PairPrediction
from python_ml.settings import PROJECT_DIR
from python_ml.training.metrics import Interval
from tests.test_road import rows

NOTEBOOKS = sorted((PROJECT_DIR / "python_ml" / "experiments" / "notebooks").glob("*.py"))


def climb(shop: Pipeline, name: str, **options: object) -> Study:
    return run_experiment(shop, name, Options(most_rows=3_000, seed=5, **options), lambda _: None)


def figure(section: Section, row: str, column: str) -> float:
    [record] = [r for r in section.records if str(next(iter(r.values()))).startswith(row)]
    cell = record[column]
    assert isinstance(cell, Interval)
    return cell.value


@pytest.fixture(scope="module")
def habit(shop: Pipeline, oracle: Path) -> Study:
    return climb(shop, "order_habit", oracle=oracle / "oracle")


@pytest.fixture(scope="module")
def risk(shop: Pipeline) -> Study:
    return climb(shop, "return_risk")


def test_every_rung_has_a_line_and_a_name_of_its_own(habit: Study, risk: Study) -> None:
    for study, rungs in ((habit, order_habit.RUNGS), (risk, return_risk.RUNGS)):
        names = [rung.name for rung in rungs]
        shown = [str(record["rung"]) for record in study.sections[0].records]
        assert len(set(names)) == len(names)
        assert {rung.against for rung in rungs} <= {None, *names}
        assert all(line.startswith(name) for line, name in zip(shown, names, strict=False))


def test_rungs_name_features_that_there_are(shop: Pipeline) -> None:
    for name, (_, rungs) in LADDERS.items():
        features = cut_of(shop, name, most_rows=3_000).as_done["as done"].features.columns
        for rung in rungs:
            for prefix in rung.features:
                assert any(feature.startswith(prefix) for feature in features), (rung, prefix)


def test_order_habit_as_done_is_far_above_what_holds(habit: Study) -> None:
    [section] = habit.sections
    for rung in ("04", "06", "07", "08", "final", "rich, network"):
        done, honest = (figure(section, rung, f"AUC {how}") for how in ("as done", "honest"))
        assert done > honest + 0.05, rung
    assert figure(section, "06", "AUC as done") > 0.99


def test_a_proxy_is_found_again_and_says_nothing_of_returns(risk: Study) -> None:
    [section] = risk.sections
    assert figure(section, "01", "AUC as done") > 0.99
    assert figure(section, "06", "AUC honest") < 0.85
    [explanation] = [n for n in section.notes if n.startswith("05 explanation, as done")]
    assert explanation.index("basket_line_discount_share") < explanation.index("basket_line_value")


def test_no_rung_is_better_than_who_knows_the_laws(habit: Study) -> None:
    [section] = habit.sections
    best = max(
        record["AUC honest"].value
        for record in section.records
        if record["rung"] != "oracle" and isinstance(record["AUC honest"], Interval)
    )
    assert figure(section, "oracle", "AUC honest") > best - 0.02


def test_the_same_seed_gives_the_same_study_and_another_seed_another(
    shop: Pipeline, habit: Study, oracle: Path
) -> None:
    files = sorted((shop.settings.home / "experiments").glob("order_habit*"))
    before = [path.read_bytes() for path in files]
    landed = "select count(*) from predictions.metrics where bundle_id like 'experiment-%'"
    count = rows(shop, landed)
    again = climb(shop, "order_habit", oracle=oracle / "oracle")
    assert again == habit
    assert [path.read_bytes() for path in files] == before
    assert rows(shop, landed) == count
    rungs = order_habit.RUNGS[:2]
    cut = cut_of(shop, "order_habit", most_rows=3_000)
    one, other = (
        Climber(cut, seed, 1, lambda _: None).climb(rungs)[1].as_done["as done"].auc
        for seed in (5, 6)
    )
    assert one != other


def test_time_lies_between_what_trains_and_what_tests(shop: Pipeline) -> None:
    for name in LADDERS:
        honest = cut_of(shop, name, most_rows=3_000).honest
        assert honest is not None and honest.level_tested
        day = np.datetime64(honest.test_date)
        for frame in (honest.known, honest.train):
            assert (frame.label_known_at <= day).all()
        assert (honest.test.as_of >= day).all()


def test_balancing_never_touches_rows_that_test(shop: Pipeline) -> None:
    cut = cut_of(shop, "order_habit", most_rows=3_000)
    assert cut.honest is not None
    plain, before, after = (
        Climber(cut, 1, 1, lambda _: None).climb([rung])[0]
        for rung in (
            order_habit.RUNGS[0],
            order_habit.RUNGS[1],
            replace(order_habit.RUNGS[1], before_split=False),
        )
    )
    assert plain.honest is not None and before.honest is not None
    assert before.honest.rows == plain.honest.rows == len(cut.honest.test)
    assert before.honest.positive_rate == plain.honest.positive_rate
    # as it was done, made rows tested too
    assert before.as_done["by order"].rows > plain.as_done["by order"].rows
    assert after.as_done["by order"].rows == plain.as_done["by order"].rows


def test_as_done_nothing_after_the_cut_is_read_either(shop: Pipeline) -> None:
    cut = cut_of(shop, "order_habit", most_rows=3_000)
    day = np.datetime64(cut.as_of)
    for frame in cut.as_done.values():
        assert (frame.as_of == day).all()
    [(customers,)] = rows(shop, "select count(distinct customer_id) from intermediate.int_orders")
    assert cut.as_done["as done"].customers() == customers


def test_purchase_potential_climbs_in_the_order_of_its_rungs(shop: Pipeline) -> None:
    study = climb(shop, "purchase_potential")
    rungs, labels, groups = study.sections
    assert [r["rung"] for r in rungs.records] == [
        "popular", "category_spending", "item_to_item", "low_rank", "ranker",
    ]  # fmt: skip
    assert isinstance(rungs.records[2]["gain in NDCG"], Interval)
    means = labels.records[-1]
    assert float(str(means["AUC as done"])) > float(str(means["AUC honest"]))
    known = sum(int(str(r["customers"])) for r in groups.records if str(r["segment"])[:3] == "SVD")
    assert known == sum(
        int(str(r["customers"])) for r in groups.records if str(r["segment"])[:3] == "NMF"
    )


def test_hidden_purchases_are_not_among_those_left(shop: Pipeline) -> None:
    prediction = get_prediction("purchase_potential")
    assert isinstance(prediction, PairPrediction)
    as_of = shop.request().as_of
    whole = products_of(shop, prediction, as_of, 500)
    hidden = HiddenPairs(whole, seed=1)
    left, gone = hidden.snapshot(as_of), hidden.truth(as_of)
    row = np.array([list(left.customers).index(c) for c in gone["customer_id"]])
    column = np.array([list(left.items).index(i) for i in gone["item_id"]])
    assert len(gone) + left.owned.nnz == whole.snapshot(as_of).owned.nnz
    assert left.owned[row, column].sum() == 0
    assert left.bought[row, column].sum() == 0


def test_the_command_prints_what_it_keeps(
    shop: Pipeline, risk: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMARTRETAIL_HOME", str(shop.settings.home))
    monkeypatch.setenv("SMARTRETAIL_DATABASE_URL", shop.warehouse.url)
    command = "experiment return_risk --seed 5 --most-rows 3000 --format json"
    shown = CliRunner().invoke(build_app(), command.split())
    assert shown.exit_code == 0, shown.output
    assert shown.stdout == risk.to_json()


def test_a_ladder_that_is_not_there_names_those_that_are(shop: Pipeline) -> None:
    with pytest.raises(InputError, match="order_habit"):
        climb(shop, "weather")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_runs(
    shop: Pipeline, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMARTRETAIL_HOME", str(shop.settings.home))
    monkeypatch.setenv("SMARTRETAIL_DATABASE_URL", shop.warehouse.url)
    runpy.run_path(str(path))
    assert "|" in capsys.readouterr().out
