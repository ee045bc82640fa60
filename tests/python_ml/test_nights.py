"""Which as-of dates a run makes, and the commands that keep a shop going."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from python_ml.errors import InputError, NoModelError
from python_ml.pipeline import (
    CUSTOMERS,
    Outcome,
    Pipeline,
    Request,
    _refuse_without_model,
    as_of_dates,
)
from tests.conftest import MakePipeline

SMARTRETAIL = str(Path(sys.executable).parent / "smartretail")
MONDAY = date(2025, 12, 1)


def test_months_weeks_and_days() -> None:
    months = as_of_dates(date(2025, 1, 15), date(2025, 4, 1), "month")
    assert [str(day) for day in months] == ["2025-02-01", "2025-03-01", "2025-04-01"]
    weeks = as_of_dates(MONDAY, MONDAY + timedelta(days=20), "week")
    assert [day.day for day in weeks] == [1, 8, 15]
    assert len(as_of_dates(MONDAY, MONDAY, "day")) == 1


@pytest.mark.parametrize("every", ["day", "month", "year"])
def test_no_date_is_an_error(every: str) -> None:
    with pytest.raises(InputError):
        as_of_dates(date(2025, 3, 20), date(2025, 3, 10), every)


@pytest.fixture(scope="module")
def ledger(make_pipeline: MakePipeline) -> Pipeline:
    """Order habit published for a Monday, return risk a day later, nothing of the third."""
    pipeline = make_pipeline()
    with psycopg.connect(pipeline.warehouse.url) as connection:
        connection.execute("create schema predictions")
        connection.execute(
            "create table predictions.runs (run_id text, prediction text, as_of_date date)"
        )
        connection.execute(
            "create table predictions.run_events "
            "(event_number bigint, run_id text, prediction text, event text, detail text)"
        )
        for number, (name, day, event) in enumerate(
            [
                ("order_habit", MONDAY, "published"),
                ("return_risk", MONDAY, "published"),
                ("return_risk", MONDAY + timedelta(days=1), "published"),
                ("return_risk", MONDAY + timedelta(days=9), "refused"),
                ("gift_wrapping", MONDAY, "published"),
                ("gift_wrapping", None, "skipped"),
            ]
        ):
            run_id = f"run{number}"
            connection.execute(
                "insert into predictions.runs values (%s, %s, %s)", (run_id, name, day)
            )
            connection.execute(
                "insert into predictions.run_events values (%s, %s, %s, %s, '')",
                (number, run_id, name, event),
            )
    return pipeline


def missed(pipeline: Pipeline, days_later: int, *names: str, **options: int) -> list[int]:
    """The days after the Monday that a run so many days after it would make."""
    request = Request(MONDAY + timedelta(days=days_later), dict.fromkeys(names, 90))
    return [(day - MONDAY).days for day in pipeline.missed(request, **options)]


def test_missed_dates_are_made_oldest_first(ledger: Pipeline) -> None:
    assert missed(ledger, 5, "order_habit") == [1, 2, 3, 4, 5]
    assert missed(ledger, 1, "order_habit") == [1]


def test_the_prediction_that_is_furthest_behind_decides(ledger: Pipeline) -> None:
    assert missed(ledger, 3, "return_risk") == [2, 3]
    assert missed(ledger, 3, "return_risk", "order_habit") == [1, 2, 3]


def test_what_was_never_published_has_missed_nothing(ledger: Pipeline) -> None:
    assert missed(ledger, 5, "purchase_potential") == [5]


def test_what_is_skipped_by_now_holds_nobody_up(ledger: Pipeline) -> None:
    assert missed(ledger, 5, "gift_wrapping") == [5]
    assert missed(ledger, 3, "gift_wrapping", "return_risk") == [2, 3]


def test_the_same_date_again_is_made_again(ledger: Pipeline) -> None:
    assert missed(ledger, 0, "order_habit") == [0]


def test_a_weekly_schedule_misses_weeks(ledger: Pipeline) -> None:
    assert missed(ledger, 21, "order_habit", every_days=7) == [7, 14, 21]


def test_a_long_silence_is_not_made_up_for_whole(ledger: Pipeline) -> None:
    assert missed(ledger, 100, "order_habit", most=3) == [98, 99, 100]


def test_a_night_without_any_model_is_an_error_and_with_some_is_not() -> None:
    summary = Outcome(CUSTOMERS, "run1")
    scored = Outcome("order_habit", "run2")
    without = Outcome("return_risk", skipped="There is no trained model of return_risk.")
    _refuse_without_model([summary, scored, without], "never")
    _refuse_without_model([summary], "never")
    _refuse_without_model([summary, without], "always")
    with pytest.raises(NoModelError, match="no trained model of return_risk"):
        _refuse_without_model([summary, without], "never")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["monitor"], 1, "nothing was ever published"),
        (["runs", "show", "nosuchrun"], 3, "There is no run nosuchrun"),
        (["prune", "--keep", "0d"], 3, "is no number of days"),
        (["prune", "--keep", "a year"], 3, "is no number of days"),
        (["backfill", "--from", "2025-03-20", "--to", "2025-03-10"], 3, "no as-of date"),
        (["backtest", "nothing_such"], 3, "nothing_such"),
    ],
)
def test_commands_say_what_is_wrong(
    database_url: str, home: Path, arguments: list[str], exit_code: int, words: str
) -> None:
    done = subprocess.run(
        [SMARTRETAIL, *arguments],
        env={
            **os.environ,
            "SMARTRETAIL_HOME": str(home),
            "SMARTRETAIL_DATABASE_URL": database_url,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
