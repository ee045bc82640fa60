"""Other faults: connections cut, a full disk, a clock that jumps, two runs at once."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from python_ml.errors import InputError, LostLockError
from python_ml.pipeline import CUSTOMERS, Pipeline
from python_ml.warehouse.ledger import (
    Run,
    events_of,
    in_force,
    land_run,
    list_runs,
    prune,
    roll_back,
)
from python_ml.warehouse.postgres import PUBLISH_LOCK
from python_ml.warehouse.server import EmbeddedServer
from tests.faults.shop import HABIT, FaultShop

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
RUN = ("run", "--only", HABIT)
HOLDER = "select pid from pg_locks where locktype = 'advisory' and objid = %s and granted"
OTHERS = (
    "select pid from pg_stat_activity "
    "where datname = current_database() and pid != pg_backend_pid()"
)
LOCK_ID = PUBLISH_LOCK & 0xFFFFFFFF


@pytest.fixture(scope="module")
def shop(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> FaultShop:
    return FaultShop(tmp_path_factory.mktemp("faults"), make_database())


def cut(url: str, query: str, *parameters: object) -> int:
    """End the connections that a query names; return how many there were."""
    with psycopg.connect(url, autocommit=True) as connection:
        ended = connection.execute(
            f"select pg_terminate_backend(pid) from ({query}) as found".encode(), parameters
        ).fetchall()
    return len(ended)


# -- the lock ----------------------------------------------------------------------------------


def test_a_run_that_lost_its_lock_cannot_publish(shop: FaultShop) -> None:
    pipeline = shop.pipeline
    before = in_force(pipeline.warehouse)
    events = len(events_of(pipeline.warehouse, before[HABIT]))
    with pytest.raises(LostLockError), pipeline.writing() as writer:
        assert cut(pipeline.warehouse.url, HOLDER, LOCK_ID) == 1
        writer.record([(before[HABIT], HABIT)], "published")
    assert len(events_of(pipeline.warehouse, before[HABIT])) == events


def test_a_lock_that_was_given_up_counts_as_lost(shop: FaultShop) -> None:
    pipeline = shop.pipeline
    before = in_force(pipeline.warehouse)
    with pytest.raises(LostLockError), pipeline.writing() as writer:
        with writer.transaction() as connection:  # the connection stands, the lock does not
            connection.execute("select pg_advisory_unlock_all()")
        writer.record([(before[HABIT], HABIT)], "published")


def test_dbt_ends_when_the_lock_is_lost_and_nothing_is_published(shop: FaultShop) -> None:
    shop.load(shop.grow())
    before = shop.answers()
    process = shop.start(*RUN, "--as-of", str(shop.day))
    assert process.stderr is not None
    said = next(line for line in process.stderr if "dbt build" in line)
    assert cut(shop.pipeline.warehouse.url, HOLDER, LOCK_ID) == 1
    rest = process.communicate()[1]
    assert process.returncode == LostLockError.exit_code, said + rest
    assert "lost the shop's lock" in rest
    assert not shop.check_in_force(before)
    shop.check_next_run()


def test_two_processes_cannot_land_the_same_run(shop: FaultShop) -> None:
    run = list_runs(shop.pipeline.warehouse, HABIT)[0]
    twice = Run(run.run_id, HABIT, run.as_of_date, 180, None, None, "", None, run.row_count)
    with (
        pytest.raises(LostLockError, match="another process"),
        shop.pipeline.warehouse.bulk() as writer,
    ):
        land_run(writer, twice)


@pytest.mark.slow
def test_two_runs_at_once_publish_once_ten_times(shop: FaultShop) -> None:
    for _ in range(10):
        shop.load(shop.grow())
        both = [shop.start(*RUN, "--as-of", str(shop.day)) for _ in range(2)]
        said = [process.communicate()[1] for process in both]
        assert [process.returncode for process in both] == [0, 0], said
        for prediction, run_id in in_force(shop.pipeline.warehouse).items():
            events = [event.event for event in events_of(shop.pipeline.warehouse, run_id)]
            assert events == ["scored", "checking", "checked", "published"], prediction
        shop.check_next_run()


def test_a_run_that_may_not_wait_ends_with_a_clear_message(shop: FaultShop) -> None:
    shop.environment["SMARTRETAIL_LOCK_WAIT_SECONDS"] = "0"
    try:
        with shop.pipeline.writing():
            second = shop.run()
    finally:
        shop.environment["SMARTRETAIL_LOCK_WAIT_SECONDS"] = "120"
    assert second.returncode == 8
    assert "Another run is at work on this shop" in second.stderr


# -- the database goes away --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
def test_connections_cut_at_a_random_moment(shop: FaultShop, number: int) -> None:
    shop.load(shop.grow())
    before = shop.answers()
    process = shop.start(*RUN, "--as-of", str(shop.day))
    time.sleep(3 + random.Random(number).random() * 18)  # the moment is the point
    cut(shop.pipeline.warehouse.url, OTHERS)
    said = process.communicate()[1]
    assert process.returncode in (0, 4, 5, 8), said
    assert "Traceback" not in said
    shop.check_in_force(before)
    shop.check_next_run()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server that a test may restart without disturbing others."""
    server = EmbeddedServer(tmp_path / "home")
    yield server
    server.stop()
    shutil.rmtree(server.data_dir.parent)


@pytest.mark.slow
def test_the_server_restarted_at_random_moments(own_server: EmbeddedServer, tmp_path: Path) -> None:
    shop = FaultShop(tmp_path)
    for number in range(5):
        shop.load(shop.grow())
        before = shop.answers()
        process = shop.start(*RUN, "--as-of", str(shop.day))
        time.sleep(3 + random.Random(number).random() * 18)  # the moment is the point
        own_server.stop()
        own_server.start()
        said = process.communicate()[1]
        assert process.returncode in (0, 4, 5, 8), said
        assert "Traceback" not in said
        shop.check_in_force(before)
        shop.check_next_run()


# -- the disk ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(server_url: str, tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB that the server may write to."""
    folder = Path("/tmp") / f"smartretail-small-{os.getpid()}"
    folder.mkdir()
    mounted = os.geteuid() == 0 and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0777", "tmpfs", folder],
        check=False,
        capture_output=True,
    ).returncode  # fmt: skip
    if not mounted:
        folder.rmdir()
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


@pytest.fixture
def shop_on_small_disk(server_url: str, small_disk: Path, tmp_path: Path) -> Iterator[FaultShop]:
    """A shop whose tables stand on the small disk; the server's log of writes does not."""
    place = small_disk / "tables"
    with psycopg.connect(server_url, autocommit=True) as connection:
        [owner] = connection.execute("select current_setting('data_directory')").fetchone() or [""]
        place.mkdir(mode=0o700)
        shutil.chown(place, Path(owner).owner(), Path(owner).group())
        connection.execute(
            sql.SQL("create tablespace small location {}").format(sql.Literal(str(place)))
        )
        connection.execute("create database on_small_disk tablespace small")
    url = urlunsplit(urlsplit(server_url)._replace(path="/on_small_disk"))
    yield FaultShop(tmp_path, url)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("drop database on_small_disk with (force)")
        connection.execute("drop tablespace small")


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_room_mends_it(
    shop_on_small_disk: FaultShop, small_disk: Path
) -> None:
    shop = shop_on_small_disk
    for free_kilobytes in (0, 200):
        shop.load(shop.grow())
        before = shop.answers()
        free = shutil.disk_usage(small_disk).free - free_kilobytes * 1024
        (small_disk / "ballast").write_bytes(b"0" * free)
        stopped = shop.run()
        assert stopped.returncode in (4, 5), stopped.stderr
        assert "No space left on device" in stopped.stderr
        assert not shop.check_in_force(before)
        (small_disk / "ballast").unlink()
        shop.check_next_run()


# -- the clock ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not FAKETIME.exists(), reason="needs Debian's libfaketime")
def test_a_clock_that_jumps_changes_nothing_but_times(shop: FaultShop) -> None:
    for jump in ("+400d", "-400d", "+0"):
        shop.load(shop.grow())
        faked = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME": jump,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a wall clock jumps, that one does not
        }
        honest = dict(shop.environment)
        shop.environment |= faked
        try:
            shop.check_next_run()
        finally:
            shop.environment = honest
        newest = list_runs(shop.pipeline.warehouse, HABIT, 1)[0]
        assert newest.is_in_force
        assert newest.as_of_date == shop.day
        outcomes = shop.pipeline.outcomes_of(shop.request(shop.day))
        assert newest.run_id in {outcome.run_id for outcome in outcomes}


# -- pruning -----------------------------------------------------------------------------------


def test_pruning_spares_what_is_in_force_and_a_pruned_run_is_refused_by_name(
    shop: FaultShop,
) -> None:
    warehouse = shop.pipeline.warehouse
    shop.load(shop.grow())
    shop.check_next_run()
    before = shop.answers()
    current = in_force(warehouse)
    old = next(run for run in list_runs(warehouse, HABIT, 50) if not run.is_in_force)
    with warehouse.connect() as connection:  # years pass, and even what is in force is old
        connection.execute(
            "update predictions.runs set created_at = created_at - interval '500 days' "
            "where run_id != %s",
            (current[CUSTOMERS],),
        )
        for table in ("prediction_outcomes_rows", "customers_items_rows"):
            connection.execute(
                f"insert into mart_rows.{table} (run_id, customer_id) values (%s, 'somebody')",
                (old.run_id,),
            )
    with shop.pipeline.writing() as writer:
        pruned = prune(writer, timedelta(days=400))
    assert old.run_id in {run.run_id for run in pruned}
    assert not {run.run_id for run in pruned} & set(current.values())
    assert shop.answers() == before
    with warehouse.connect() as connection:
        left = connection.execute(
            "select run_id from predictions.order_habit union "
            "select run_id from mart_rows.order_habit_rows union "
            "select run_id from mart_rows.prediction_outcomes_rows union "
            "select run_id from mart_rows.customers_items_rows union "
            "select run_id from predictions.runs where prediction = 'order_habit'"
        ).fetchall()
    assert {run_id for (run_id,) in left} == {current[HABIT]}
    with shop.pipeline.writing() as writer, pytest.raises(InputError, match="was pruned on"):
        roll_back(warehouse, writer, HABIT, old.run_id)
    assert in_force(warehouse) == current
    shop.check_next_run()


def test_the_newest_run_is_read_without_reading_years_of_history(shop: FaultShop) -> None:
    pipeline = shop.pipeline
    few = _blocks_read(pipeline)
    _add_years_of_history(pipeline)
    assert _blocks_read(pipeline) < few + 200  # the ledger's own blocks grow, the rows' do not
    with pipeline.writing() as writer:
        assert len(prune(writer, timedelta(days=400))) == 2_000
    assert in_force(pipeline.warehouse)[HABIT] == shop.answers()[HABIT].run_id


def _blocks_read(pipeline: Pipeline) -> int:
    """Blocks that the database touches to answer from the mart."""
    with pipeline.warehouse.connect(autocommit=True) as connection:
        connection.execute("vacuum analyze mart_rows.order_habit_rows")
        connection.execute("vacuum analyze predictions.run_events")
        connection.execute("vacuum analyze predictions.runs")
        plan = connection.execute(
            "explain (analyze, buffers, format json) select * from marts.order_habit"
        ).fetchone()
    assert plan is not None
    top = plan[0][0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


def _add_years_of_history(pipeline: Pipeline) -> None:
    """Two thousand earlier published runs, as nightly scoring leaves them in five years."""
    with pipeline.warehouse.connect() as connection:
        connection.execute(
            """
            insert into predictions.runs
            select 'old_' || number, runs.prediction, runs.as_of_date, runs.horizon_days,
                runs.bundle_id, runs.recipe, runs.feature_hash, runs.newest_input_at,
                runs.row_count, runs.created_at - interval '401 days', runs.detail
            from predictions.runs cross join generate_series(1, 2000) as number
            where runs.run_id = (
                select run_id from predictions.run_events
                where prediction = 'order_habit' and event = 'published'
                order by event_number desc limit 1
            )
            """
        )
        connection.execute(
            """
            insert into predictions.run_events
            select -number, 'old_' || number, 'order_habit', 'published', now(), ''
            from generate_series(1, 2000) as number
            """
        )
        connection.execute(
            """
            create temporary table history as
            select order_habit_rows.* from mart_rows.order_habit_rows
            inner join marts.order_habit using (run_id, customer_id)
            """
        )
        connection.execute("alter table history drop column run_id")
        columns = "customer_id, as_of_date, horizon_days, probability, decile, band, reasons"
        connection.execute(
            f"insert into mart_rows.order_habit_rows (run_id, {columns}) "
            f"select 'old_' || number, {columns} "
            "from history cross join generate_series(1, 2000) as number".encode()
        )
