"""Faults of three strengths, and what the gates make of them.

    python -m tests.faults.gates --customers 1500

One shop is loaded and published a month before its newest rows. Each fault gets a copy of it.
Prices are wrong in the rows of the last month as they are loaded; everything else is put into what
dbt built from them, where the gates look. Then the night is run, without making marts. Prints what
was caught, with its message, and whether what was published before is still in force. Exit code 1
when a refused run left anything else in force.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from psycopg import sql

from python_ml.errors import GateError
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Pipeline, Request, Training
from python_ml.settings import load_settings
from python_ml.warehouse.dbt import DbtNode
from python_ml.warehouse.ledger import in_force
from python_ml.warehouse.server import EmbeddedServer
from python_ml.watch.gates import verdicts_of

HABIT = "order_habit"
BEFORE, NOW = date(2025, 12, 1), date(2026, 1, 1)
SHARED_CATEGORIES = 1_000
WORK = "work"


@dataclass(frozen=True)
class Outcome:
    """What became of one fault."""

    caught: str
    in_force_before: bool
    text: str


class HabitAlone(Pipeline):
    """Builds what order habit hangs on, and no marts: data tests of dbt are not tried here."""

    def _dbt(self, arguments: Sequence[str]) -> list[DbtNode]:
        if "--exclude" not in arguments:
            return []
        return super()._dbt(["run", "--select", "+feat_order_habit", "+label_order_habit"])


class GateShop:
    """A shop with one published run, of which each fault gets a copy.

    Copies have one name, one after the other, so that dbt need not read the project anew.

    Parameters
    ----------
    folder
        Where its files and its homes are kept.
    server_url
        A server to make databases on.
    """

    def __init__(self, folder: Path, server_url: str, customers: int) -> None:
        self._folder, self._server_url = folder, server_url
        demo = write_demo_shop(DemoShop(customers=customers), folder / "files")
        self.lines = pq.read_table(demo.order_lines)
        self._files = 0
        self._do("create database {}", WORK)
        pipeline = self._open()
        self._load(pipeline, self.until(BEFORE))
        pipeline.run(self.request(pipeline, BEFORE))
        self._keep("before")
        with self.copy("before") as pipeline:
            self._load(pipeline, self.month())
            with pipeline.writing():
                pipeline.build(self.request(pipeline, NOW))
            self._keep("built")

    def request(self, pipeline: Pipeline, day: date) -> Request:
        return pipeline.request(day, only=[HABIT])

    def until(self, day: date) -> pa.Table:
        return self.lines.filter(pc.field("recorded_at").cast(pa.date32()) < day)

    def month(self) -> pa.Table:
        """The rows that are written down in the month before ``NOW``."""
        recorded = pc.field("recorded_at").cast(pa.date32())
        return self.lines.filter((recorded >= BEFORE) & (recorded < NOW))

    def _load(self, pipeline: Pipeline, rows: pa.Table) -> None:
        self._files += 1
        path = self._folder / f"rows_{self._files}.parquet"
        pq.write_table(rows, path)
        pipeline.load("order_lines", [path], DEMO_MAPPING)

    def _do(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _open(self) -> Pipeline:
        url = urlunsplit(urlsplit(self._server_url)._replace(path=f"/{WORK}"))
        home = self._folder / WORK
        settings = load_settings(home=home, database_url=url, threads=2, effort="quick")
        return HabitAlone(settings, say=lambda _: None)

    def _keep(self, name: str) -> None:
        """Keep the shop as it is now, to be copied."""
        self._do("create database {} template {}", name, WORK)
        shutil.copytree(self._folder / WORK, self._folder / name)

    @contextmanager
    def copy(self, of: str) -> Iterator[Pipeline]:
        """Yield a copy of the shop as it was kept."""
        self._do("drop database if exists {} with (force)", WORK)
        self._do("create database {} template {}", WORK, of)
        shutil.rmtree(self._folder / WORK)
        shutil.copytree(self._folder / of, self._folder / WORK)
        yield self._open()

    # -- faults ------------------------------------------------------------------------------

    def of_rows(self, change: Callable[[pa.Table], pa.Table]) -> Outcome:
        """Load the month with a fault in its rows, and run the night."""
        with self.copy("before") as pipeline:
            self._load(pipeline, change(self.month()))
            return self._night(pipeline)

    def of_table(self, statement: str, *, retrain: bool = False) -> Outcome:
        """Change a table that was built from the whole month, and run the night."""
        with self.copy("built") as pipeline:
            with pipeline.warehouse.connect(autocommit=True) as connection:
                connection.execute(statement.encode())
            return self._night(pipeline, retrain=retrain, built=True)

    def _night(self, pipeline: Pipeline, *, retrain: bool = False, built: bool = False) -> Outcome:
        held = in_force(pipeline.warehouse)
        request = self.request(pipeline, NOW)
        training: Training = "always" if retrain else "never"
        try:
            if built:
                with pipeline.writing() as writer:
                    outcomes = [pipeline.predict(request, HABIT, training=training)]
                    pipeline.publish(writer, outcomes)
            else:
                [outcomes] = pipeline.nights(request, [NOW], training=training)
        except GateError as error:
            return Outcome("refuse", in_force(pipeline.warehouse) == held, error.message)
        [run] = [outcome for outcome in outcomes if outcome.prediction == HABIT]
        verdict = verdicts_of(pipeline.warehouse, [run.run_id or ""])[run.run_id or ""]
        caught = "warn" if verdict.level == "warn" else "not caught"
        return Outcome(caught, in_force(pipeline.warehouse) == held, verdict.text())


# -- what the faults are ---------------------------------------------------------------------


def prices(factor: float) -> Callable[[pa.Table], pa.Table]:
    def change(rows: pa.Table) -> pa.Table:
        place = rows.schema.get_field_index("unit_price")
        column = pc.multiply(rows.column(place).cast(pa.float64()), factor)
        return rows.set_column(place, "unit_price", pc.round(column, 2))

    return change


def late(days: int) -> str:
    """Take away what the source brought in the last days."""
    return (
        "delete from intermediate.int_order_lines "
        f"where greatest(ordered_on, known_on) >= date '{NOW}' - {days}"
    )


def missing(percent: int) -> str:
    """Take away a share of the orders of the last day."""
    return (
        f"delete from intermediate.int_order_lines where ordered_on = date '{NOW}' - 1 "
        f"and abs(hashtext(order_id)) % 100 < {percent}"
    )


def renamed(most: int) -> str:
    """Give so many categories, the rarest first, another name from ``BEFORE`` on."""
    return f"""
        update intermediate.int_order_lines set category = 'New ' || category
        where known_on >= '{BEFORE}' and category in (
            select category from intermediate.int_order_lines
            where category is not null group by 1 order by count(*), 1 limit {most}
        )
    """


def emptied(percent: int) -> str:
    return (
        "update features.feat_order_habit set recency_over_tenure = null "
        f"where as_of_date = '{NOW}' and abs(hashtext(customer_id)) % 100 < {percent}"
    )


def shuffled(percent: int) -> str:
    """Exchange labels between customers of the same date."""
    return f"""
        with chosen as (
            select ctid as place, as_of_date, label, hashtext(customer_id || as_of_date) as lot
            from labels.label_order_habit
            where abs(hashtext('x' || customer_id || as_of_date)) % 100 < {percent}
        ), numbered as (
            select place, label, as_of_date,
                row_number() over (partition by as_of_date order by place) as there,
                row_number() over (partition by as_of_date order by lot) as here
            from chosen
        )
        update labels.label_order_habit as labels set label = donors.label
        from numbered as takers
        inner join numbered as donors
            on takers.as_of_date = donors.as_of_date and takers.here = donors.there
        where labels.ctid = takers.place
    """


def faults(shop: GateShop) -> dict[str, Callable[[], Outcome]]:
    """Every fault at every strength, by name."""
    found: dict[str, Callable[[], Outcome]] = {"nothing": lambda: shop.of_table("select 1")}
    for percent in (5, 15, 30):
        found[f"a feature empty for {percent} % of customers"] = (
            lambda p=percent: shop.of_table(emptied(p))
        )  # fmt: skip
    for days in (1, 2, 7):
        found[f"the source {days} days late"] = lambda d=days: shop.of_table(late(d))
    for percent in (10, 25, 50):
        found[f"{percent} % of a day's orders missing"] = (
            lambda p=percent: shop.of_table(missing(p))
        )  # fmt: skip
    for most in (1, 3, SHARED_CATEGORIES):
        name = "all categories" if most == SHARED_CATEGORIES else f"the {most} rarest categories"
        found[f"{name} renamed"] = lambda m=most: shop.of_table(renamed(m))
    for percent in (25, 50, 100):
        found[f"{percent} % of the labels shuffled in training"] = (
            lambda p=percent: shop.of_table(shuffled(p), retrain=True)
        )  # fmt: skip
    for factor in (2, 10, 100):
        found[f"prices of a month x {factor}"] = lambda f=factor: shop.of_rows(prices(f))
    return found


def write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description="Cause faults, see what the gates make of them.")
    parser.add_argument("--customers", type=int, default=1_500)
    parser.add_argument(
        "--only", nargs="+", default=[""], help="faults that have one of these words"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="smartretail-gates-"))
    server = EmbeddedServer(folder / "server")
    wrong = 0
    try:
        shop = GateShop(folder, server.ensure_started(), options.customers)
        per_day = shop.month().group_by("order_id").aggregate([]).num_rows / 31
        write(f"{options.customers:,} customers, {per_day:.0f} orders a day\n")
        write("| fault | caught | the run before in force | message |\n|---|---|---|---|")
        for name, cause in faults(shop).items():
            if not any(word in name for word in options.only):
                continue
            found = cause()
            write(f"| {name} | {found.caught} | {found.in_force_before} | {found.text} |")
            wrong += found.in_force_before != (found.caught == "refuse")
    finally:
        server.stop()
        shutil.rmtree(server.data_dir.parent, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
