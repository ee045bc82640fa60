"""The report: what it says agrees with the marts, and a browser shows it whole, offline."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from python_ml.errors import InputError
from python_ml.experiments.ladder.study import Section, Study
from python_ml.pipeline import Pipeline
from python_ml.reporting.landing import land_experiment
from python_ml.reporting.report import read_report, render_report, write_report
from python_ml.reporting.report.facts import Item, Report, Skipped
from python_ml.training.metrics import Interval
from tests.conftest import MakePipeline
from tests.test_road import rows

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}
SVG_TEXT_OUTSIDE = """
() => [...document.querySelectorAll('figure svg text')].filter(text => {
    const inner = text.getBoundingClientRect(), outer = text.closest('svg').getBoundingClientRect();
    return inner.width > 0 && (inner.left < outer.left - 1 || inner.right > outer.right + 1
        || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1);
}).map(text => text.textContent)
"""


@pytest.fixture(scope="module")
def climbed(open_shop: Pipeline) -> Pipeline:
    """The shop with two experiments of order habit, of which the newer counts."""
    for auc in (0.55, 0.71):
        study = Study(
            prediction="order_habit",
            source="order_lines",
            as_of=date(2025, 1, 1),
            horizon_days=60,
            seed=1,
            sections=(
                Section(
                    name="rungs",
                    title="",
                    records=(
                        {"rung": "01 base", "AUC as done": Interval(0.99, 0.98, 1.0),
                         "AUC honest": Interval(auc - 0.1, auc - 0.12, auc - 0.08)},
                        {"rung": "02 SMOTE", "AUC as done": None,
                         "AUC honest": Interval(auc, auc - 0.02, auc + 0.02)},
                    ),
                    test_date=date(2024, 11, 1),
                ),
            ),
        )  # fmt: skip
        land_experiment(open_shop.warehouse, study.metric_rows())
    return open_shop


@pytest.fixture(scope="module")
def report(climbed: Pipeline) -> Report:
    found = read_report(climbed.warehouse)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def page_file(climbed: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(climbed.warehouse, tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def opened(browser: Browser, path: Path, screen: str, scheme: str) -> tuple[Page, list[str]]:
    """The page as somebody sees it, and whatever it complained of or asked the network for."""
    width, height = SCREENS[screen]
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    amiss: list[str] = []
    page.on("console", lambda message: amiss.append(message.text))
    page.on("pageerror", lambda error: amiss.append(str(error)))
    page.on(
        "request",
        lambda asked: amiss.append(asked.url) if asked.url.startswith("http") else None,
    )
    page.goto(path.as_uri())
    return page, amiss


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_a_browser_shows_it_whole(
    browser: Browser, page_file: Path, screen: str, scheme: str
) -> None:
    page, amiss = opened(browser, page_file, screen, scheme)
    assert amiss == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SCREENS[screen][0]
    charts = page.locator("figure svg")
    assert charts.count() >= 20
    assert all(
        box is not None and box["width"] > 100 and box["height"] > 30
        for box in (charts.nth(number).bounding_box() for number in range(charts.count()))
    )
    assert page.evaluate(SVG_TEXT_OUTSIDE) == []
    serious = [
        (found["id"], [node["html"][:200] for node in found["nodes"]][:3])
        for found in Axe().run(page).response["violations"]
        if found["impact"] in ("serious", "critical")
    ]
    assert serious == []
    page.close()


def test_it_says_what_the_marts_say(open_shop: Pipeline, report: Report) -> None:
    told = {found.name: found for found in report.predictions}
    assert list(told) == ["order_habit", "purchase_potential", "return_risk"]
    for name, probability, money in (
        ("order_habit", "probability", "value_at_risk"),
        ("return_risk", "probability_at_order", "expected_saving"),
    ):
        [(count, mean, held_out, at_stake)] = rows(
            open_shop,
            f"select count(*), avg({probability}), count(*) filter (where is_holdout), "
            f"sum({money}) filter (where not is_holdout) from marts.{name}",
        )
        [level] = told[name].levels
        assert (level.rows, told[name].held_out) == (count, held_out)
        assert level.probability == pytest.approx(mean)
        assert sum(group.rows for group in level.bands) == count
        assert sum(group.rows for group in level.actions) == int(str(count)) - int(str(held_out))
        assert sum(group.money or 0 for group in level.actions) == pytest.approx(at_stake)
    levels = {level.name: level for level in told["purchase_potential"].levels}
    assert dict(
        rows(open_shop, "select item_level, count(*) from marts.purchase_potential group by 1")
    ) == {name: level.rows for name, level in levels.items()}
    assert levels["product"].items[0].expected_buyers >= levels["product"].items[-1].expected_buyers


def test_every_prediction_stands_beside_its_baselines_with_curves_and_reasons(
    report: Report,
) -> None:
    for told in report.predictions:
        for level in told.levels:
            measures = level.measures
            assert measures.published is not None
            assert measures.published.recipe == measures.chosen
            assert len(measures.recipes) >= 3
            assert {"calibration", "gain", "precision_recall"} <= set(measures.curves)
            assert measures.curves["gain"][-1].x == measures.curves["gain"][-1].y == 1
            assert measures.importances
            likely = [example.probability for example in level.examples]
            assert len(likely) >= 3
            assert likely == sorted(likely, reverse=True)
            assert all(example.reasons for example in level.examples)


def test_calibration_points_hold_the_measured_means(open_shop: Pipeline, report: Report) -> None:
    """The tenths of a curve, weighed by their rows, are the means that training measured."""
    for told in report.predictions:
        for level in told.levels:
            role = f"{level.name}_test_as_published" if level.name else "test_as_published"
            measured = dict(
                rows(
                    open_shop,
                    "select metric, value from predictions.metrics "
                    f"where bundle_id = '{told.run.bundle_id}' and role = '{role}' "
                    f"and recipe = '{level.measures.chosen}'",
                )
            )
            points = level.measures.curves["calibration"]
            whole = sum(point.rows for point in points)
            promised = sum(point.x * point.rows for point in points) / whole
            came_true = sum(point.y * point.rows for point in points) / whole
            assert promised == pytest.approx(measured["mean_probability"])
            assert came_true == pytest.approx(measured["positive_rate"])


def test_the_newest_ladder_stands_with_its_prediction(report: Report, page_file: Path) -> None:
    ladders = {told.name: told.ladder for told in report.predictions}
    assert ladders["return_risk"] is None
    found = ladders["order_habit"]
    assert found is not None
    assert (found.metric, found.tested_on) == ("AUC", date(2024, 11, 1))
    assert [rung.name for rung in found.rungs] == ["02 SMOTE", "01 base"]
    best, base = found.rungs
    assert best.as_done is None
    assert best.honest is not None and best.honest.value == 0.71
    assert base.as_done is not None and base.as_done.low == 0.98
    page = page_file.read_text(encoding="utf-8")
    assert page.count("How much of such a figure is leakage") == 1
    assert ">02 SMOTE<" in page


def test_the_same_runs_give_the_same_file(open_shop: Pipeline, tmp_path: Path) -> None:
    first = write_report(open_shop.warehouse, tmp_path)
    text = first.read_text()
    assert write_report(open_shop.warehouse, tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
    assert first.read_text() == text


def test_names_of_the_shop_are_text_and_what_is_missing_is_said(report: Report) -> None:
    evil = "<script>alert('shop')</script>"
    [_habit, pairs, risk] = report.predictions
    level = replace(pairs.levels[0], items=(Item(evil, 3, 1.5, None),), actions=(), bands=())
    changed = replace(
        report,
        predictions=(
            replace(pairs, levels=(level,), calibration_note=evil),
            replace(risk, is_proxy=True, warning="recency_days moved"),
        ),
        skipped=(Skipped("order_habit", "order_habit is skipped: too_small"),),
        segments=(),
    )
    page = render_report(changed)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "order_habit is skipped: too_small" in page
    assert "Proxy." in page
    assert "recency_days moved" in page
    assert "no customer summary yet" in page


def test_nothing_published_is_told_as_that(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Nothing was published yet"):
        write_report(make_pipeline().warehouse, tmp_path)
    assert list(tmp_path.iterdir()) == []
