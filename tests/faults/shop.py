"""A small shop that grows by a few days at a time, and what must hold of it at any moment."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from psycopg import sql

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import CUSTOMERS, Pipeline, Request
from python_ml.settings import load_settings

HABIT = "order_habit"
FIRST_DAY = date(2025, 5, 1)
CUSTOMERS_OF_THE_SHOP = 100
SMARTRETAIL = [sys.executable, "-c", "from python_ml.cli import main; main()"]


@dataclass(frozen=True)
class Answer:
    """What the marts say of one prediction: which run, how many rows, and a digest of them all."""

    run_id: str
    rows: int
    digest: str


class FaultShop:
    """A home with one published run, whose rows of later days are not loaded yet.

    Parameters
    ----------
    folder
        Where its files and its home are kept.
    database_url
        A database of its own; without one, the home starts an embedded server.
    """

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        demo = write_demo_shop(DemoShop(customers=CUSTOMERS_OF_THE_SHOP, years=2), folder)
        self._lines = pq.read_table(demo.order_lines)
        self._folder = folder
        self.day = FIRST_DAY
        self.environment = {
            **os.environ,
            "SMARTRETAIL_HOME": str(folder / "home"),
            "SMARTRETAIL_THREADS": "2",
            "SMARTRETAIL_EFFORT": "quick",
            "SMARTRETAIL_LOCK_WAIT_SECONDS": "120",
        }
        if database_url is not None:
            self.environment["SMARTRETAIL_DATABASE_URL"] = database_url
        self.pipeline = Pipeline(
            load_settings(
                home=folder / "home", database_url=database_url, threads=2, effort="quick"
            ),
            say=lambda _: None,
        )
        self.load(self._rows(date(2000, 1, 1), self.day))
        self.pipeline.run(self.request(self.day))
        self.built = self.day
        """The newest day that a whole run was made for."""

    def request(self, day: date) -> Request:
        return self.pipeline.request(day, only=[HABIT])

    def load(self, path: Path) -> None:
        self.pipeline.load("order_lines", [path])

    def grow(self) -> Path:
        """Let a few days pass; return the file with the rows written down in them."""
        before = self.day
        self.day += timedelta(days=1)
        while self._count(before, self.day) < 2:
            self.day += timedelta(days=1)
        return self._rows(before, self.day)

    def _between(self, start: date, end: date) -> pc.Expression:
        recorded = pc.field("recorded_at").cast(pa.date32())
        return (recorded >= start) & (recorded < end)

    def _count(self, start: date, end: date) -> int:
        return int(self._lines.filter(self._between(start, end)).num_rows)

    def _rows(self, start: date, end: date) -> Path:
        path = self._folder / f"rows_until_{end}.parquet"
        pq.write_table(self._lines.filter(self._between(start, end)), path)
        return path

    # -- what is typed -----------------------------------------------------------------------

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Type a command; its messages can be read line by line."""
        return subprocess.Popen(
            [*SMARTRETAIL, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, day: date | None = None) -> subprocess.CompletedProcess[str]:
        """Type ``smartretail run`` for the shop's day, as a schedule would."""
        return subprocess.run(
            [*SMARTRETAIL, "run", "--only", HABIT, "--as-of", str(day or self.day)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
        )

    # -- what must hold ----------------------------------------------------------------------

    def answers(self) -> dict[str, Answer]:
        """What a reader gets from the marts now, all in one transaction."""
        found = {}
        with self.pipeline.warehouse.connect() as connection:
            connection.execute("set transaction isolation level repeatable read, read only")
            for name in (HABIT, CUSTOMERS):
                # the summary carries columns of the run of order habit, which may change apart
                of_run = "run_id" if name == HABIT else "run_id, customer_id, as_of_date"
                query = sql.SQL(
                    "select min(run_id), count(distinct run_id), count(*), "
                    "md5(string_agg(md5(row({columns})::text), '' order by customer_id)), "
                    "(select row_count from predictions.runs where run_id = min(mart.run_id)) "
                    "from marts.{name} as mart"
                ).format(
                    name=sql.Identifier(name),
                    columns=sql.SQL(of_run if name != HABIT else "mart"),
                )
                row = connection.execute(query).fetchone()
                assert row is not None
                run_id, runs, rows, digest, expected = row
                assert runs == 1, f"marts.{name} mixes {runs} runs"
                assert rows == expected, (
                    f"marts.{name} has {rows} of the {expected} rows of its run"
                )
                found[name] = Answer(run_id, rows, digest)
        return found

    def check_in_force(self, before: dict[str, Answer]) -> bool:
        """Hold the marts against what they said before; return whether something new is in force.

        A fault may strike after the one insert that publishes. Then the new run answers, in full,
        and the old one if not.
        """
        now = self.answers()
        news = {name for name, answer in now.items() if answer.run_id != before[name].run_id}
        for name, answer in now.items():
            if name not in news:
                assert answer == before[name], f"marts.{name} changed under run {answer.run_id}"
        assert news in (set(), set(now)), f"only {news} came into force"
        return bool(news)

    def check_next_run(self) -> None:
        """The next run succeeds with no cleaning by hand, and its day is in force."""
        done = self.run()
        assert done.returncode == 0, (
            f"the next run failed ({done.returncode}):\n{done.stderr[-3000:]}"
        )
        self.answers()
        with self.pipeline.warehouse.connect() as connection:
            rows = connection.execute(
                "select 'order_habit', as_of_date, count(*) from marts.order_habit group by 2 "
                "union all "
                "select 'customers', as_of_date, count(*) from marts.customers group by 2"
            ).fetchall()
            known = connection.execute(
                "select count(*) from features.feat_order_habit where as_of_date = %s", (self.day,)
            ).fetchone()
        assert known is not None
        self.built = self.day
        assert sorted(rows) == [(CUSTOMERS, self.day, known[0]), (HABIT, self.day, known[0])]
