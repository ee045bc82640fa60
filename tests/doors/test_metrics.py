"""The five metrics: what `mf query` answers, held against SQL typed by hand."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from python_ml.pipeline import Pipeline
from python_ml.settings import PROJECT_DIR
from python_ml.warehouse.dbt import dbt_environment, offer_metrics
from python_ml.warehouse.ledger import in_force
from tests.test_road import rows

Mf = Callable[..., str]
Agrees = Callable[..., None]
Table = dict[tuple[str, ...], list[float]]

RUNS = {  # name: as-of date, when it was published
    "m_replaced": ("2025-04-01", "2025-04-01 03:00"),
    "m_april": ("2025-04-01", "2025-04-02 03:00"),
    "m_may": ("2025-05-01", "2025-05-01 03:00"),
    "m_unseen": ("2025-05-01", None),
    "m_open": ("2025-11-01", "2025-11-01 03:00"),  # its window has not closed
}
"""Runs of the past, each with probabilities of its own."""


@pytest.fixture(scope="module")
def settled_shop(open_shop: Pipeline) -> Iterator[Pipeline]:
    """The shop as it would be had it published in spring; what is in force stays so."""
    before = in_force(open_shop.warehouse)
    with open_shop.warehouse.connect() as connection:
        for number, (name, (as_of, published_at)) in enumerate(RUNS.items(), start=1):
            connection.execute(
                "insert into predictions.runs (run_id, prediction, as_of_date, horizon_days, "
                "detail) values (%s, 'order_habit', %s, 180, '{}')",
                (name, as_of),
            )
            connection.execute(
                "insert into predictions.order_habit (customer_id, as_of_date, horizon_days, "
                "run_id, probability, reasons, scored_at, label_known_at) "
                "select customer_id, as_of_date, 180, %(run)s, "
                "mod(abs(hashtext(customer_id || %(run)s)), 1000) / 1000.0, '[]', "
                "as_of_date, as_of_date + 181 "
                "from features.feat_order_habit where as_of_date = %(as_of)s",
                {"run": name, "as_of": as_of},
            )
            if published_at:  # before all others: what is in force stays so
                connection.execute(
                    "insert into predictions.run_events (event_number, run_id, prediction, event, "
                    "happened_at) values (%s, %s, 'order_habit', 'published', %s)",
                    (-number, name, published_at),
                )
    with open_shop.writing():
        open_shop._dbt(["run", "--select", "order_habit_rows", "prediction_outcomes_rows"])
    assert in_force(open_shop.warehouse) == before
    yield open_shop
    with open_shop.warehouse.connect() as connection:
        for table in (
            "predictions.runs", "predictions.run_events", "predictions.order_habit",
            "mart_rows.order_habit_rows", "mart_rows.prediction_outcomes_rows",
        ):  # fmt: skip
            connection.execute(f"delete from {table} where run_id like 'm\\_%'".encode())


@pytest.fixture(scope="module")
def mf(settled_shop: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Mf:
    """`mf` in the environment that `smartretail env` prints, in a folder that no other test has."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(PROJECT_DIR / "dbt_project.yml", folder)
    offer_metrics(settled_shop.settings, folder)
    settings, warehouse = settled_shop.settings, settled_shop.warehouse
    environment = dbt_environment(settings, warehouse, settled_shop.staging(), "dev")
    environment |= {
        "DBT_PROJECT_DIR": str(folder),
        "DBT_LOG_PATH": str(folder / "logs"),
        "SMARTRETAIL_DEV_SCHEMA": "dev_nobody",  # nothing is there: the published marts answer
    }

    def run(*arguments: str) -> str:
        said = subprocess.run(
            [str(Path(sys.executable).parent / "mf"), *arguments],
            check=False, capture_output=True, text=True, cwd=folder,
            env={**os.environ, **environment},
        )  # fmt: skip
        assert said.returncode == 0, said.stdout + said.stderr
        return said.stdout

    return run


@pytest.fixture
def agrees(mf: Mf, settled_shop: Pipeline, tmp_path: Path) -> Agrees:
    """Asks `mf query` for metrics, and compares with what SQL typed by hand answers."""

    def compare(
        metrics: str, query: str, group_by: str = "", *, where: str = "", at_least: int = 1
    ) -> None:
        keys = len(group_by.split(",")) if group_by else 0
        answer = ask(mf, tmp_path / "answer.csv", metrics, group_by, where)
        expected = table(rows(settled_shop, query), keys)
        assert len(expected) >= at_least
        answered = table(answer, keys)
        assert answered.keys() == expected.keys()
        for key, figures in expected.items():
            assert answered[key] == pytest.approx(figures, rel=1e-9), key

    return compare


def ask(mf: Mf, to: Path, metrics: str, group_by: str, where: str) -> list[list[str]]:
    given = [
        *(["--group-by", group_by] if group_by else []),
        *(["--where", where] if where else []),
    ]
    mf("query", "--quiet", "--metrics", metrics, *given, "--csv", str(to))
    with to.open() as file:
        return list(csv.reader(file))[1:]


def table(lines: Sequence[Sequence[object]], keys: int) -> Table:
    """Figures by what they are grouped by, which comes first."""
    return {
        tuple("" if key is None else str(key) for key in line[:keys]):
            [float(str(value)) for value in line[keys:]]
        for line in lines
    }  # fmt: skip


def test_predicted_reorders(agrees: Agrees) -> None:
    agrees(
        "predicted_reorders",
        "select o.as_of_date::timestamp::text, c.segment, sum(o.probability) "
        "from marts.order_habit o join marts.customers c on c.customer_id = o.customer_id "
        "group by 1, 2",
        group_by="metric_time__day,customer__segment",
        at_least=4,
    )


def test_revenue_at_risk(agrees: Agrees) -> None:
    agrees(
        "revenue_at_risk",
        "select value_decile, sum((1 - order_habit_probability) * total_spend / order_count) "
        "from marts.customers group by 1",
        group_by="customer__value_decile",
        at_least=10,
    )
    agrees(  # what is at stake is margin, and margin is this share of revenue
        "revenue_at_risk",
        "select sum(value_at_risk) / (select order_margin_share from seeds.margins) "
        "from marts.order_habit",
    )


def test_expected_returns(agrees: Agrees) -> None:
    agrees(
        "expected_returns",
        "select band, initcap(is_holdout::text), "
        "sum(coalesce(probability_still, probability_at_order)) "
        "from marts.return_risk group by 1, 2",
        group_by="order_line__band,order_line__is_holdout",
        at_least=4,
    )


def test_potential_revenue(agrees: Agrees) -> None:
    agrees(
        "potential_revenue",
        "select category, coalesce(sum(probability * item_price), 0) "
        "from marts.purchase_potential where item_level = 'product' group by 1",
        group_by="pair__category",
        at_least=3,
    )
    agrees(
        "potential_revenue",
        "select sum(expected_value) / (select product_margin_share from seeds.margins) "
        "from marts.purchase_potential where item_level = 'product' and not is_holdout",
        where="{{ Dimension('pair__is_holdout') }} = false",
    )


def test_realised_reorder_rate_counts_what_is_known_of_what_was_published_last(
    agrees: Agrees,
) -> None:
    # straight from what the shop loaded: who was known before, and who ordered in the window
    outcomes = """
        with scored as (
            select customer_id, as_of_date, case when probability >= 0.7 then 'very likely'
                when probability >= 0.4 then 'likely' when probability >= 0.15 then 'unlikely'
                else 'very unlikely' end as band
            from predictions.order_habit where run_id in ('m_april', 'm_may')
        ), truth as (
            select band, as_of_date, (exists (select 1 from raw.order_lines as l
                where l.customer_id = scored.customer_id and l.quantity > 0
                and l.ordered_at >= as_of_date and l.ordered_at < as_of_date + 180))::int as yes
            from scored
        )
    """
    agrees(
        "realised_reorder_rate",
        outcomes + "select as_of_date::timestamp::text, band, avg(yes) from truth group by 1, 2",
        group_by="metric_time__day,settled_score__band",
        at_least=8,
    )
    agrees("realised_reorder_rate", outcomes + "select avg(yes) from truth")


def test_metrics_of_different_marts_stand_side_by_side(agrees: Agrees) -> None:
    agrees(
        "predicted_reorders,revenue_at_risk",
        "select initcap(is_holdout::text), sum(order_habit_probability), "
        "sum((1 - order_habit_probability) * average_order_value) "
        "from marts.customers group by 1",
        group_by="customer__is_holdout",
        at_least=2,
    )


def test_the_metrics_are_valid_in_the_warehouse(mf: Mf) -> None:
    said = mf("validate-configs")
    assert "Successfully validated metrics against data warehouse" in said
    assert "ERRORS: 0" in said
    assert "ERRORS: 1" not in said


def test_no_window_counts_before_it_has_closed(settled_shop: Pipeline) -> None:
    assert rows(
        settled_shop, "select distinct run_id from marts.order_habit_outcomes order by 1"
    ) == [("m_april",), ("m_may",)]
    [(latest,)] = rows(
        settled_shop, "select max(label_known_at) from mart_rows.prediction_outcomes_rows"
    )
    [(newest,)] = rows(settled_shop, "select newest_on from intermediate.int_data_window")
    assert str(latest) <= str(newest)


def test_the_calendar_holds_every_day_that_a_prediction_speaks_of(settled_shop: Pipeline) -> None:
    assert rows(
        settled_shop,
        "select min(date_day)::text, max(date_day)::text, count(*) from marts.calendar",
    ) == [("2025-01-01", "2025-12-31", 365)]


def test_env_offers_the_metrics_of_the_home_to_mf(
    open_shop: Pipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    offer_metrics(open_shop.settings, tmp_path)
    offered = tmp_path / "target" / "semantic_manifest.json"
    built = open_shop.settings.dbt_target_dir / "semantic_manifest.json"
    assert offered.read_bytes() == built.read_bytes()
    assert "realised_reorder_rate" in offered.read_text()
    assert [path.name for path in offered.parent.iterdir()] == [offered.name]
    (tmp_path / "file").touch()
    offer_metrics(open_shop.settings, tmp_path / "file")  # cannot hold a folder
    assert "mf will not know" in caplog.text
