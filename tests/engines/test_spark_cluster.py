"""Spark on a cluster: a standalone master and two workers on loopback, one killed half way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING
from python_ml.warehouse.server import free_port
from tests.conftest import MakePipeline
from tests.engines.conftest import NEEDS_SPARK, QUICK_JVM
from tests.engines.parity import assert_said_the_same, differences
from tests.test_road import wait_until

pytestmark = [pytest.mark.slow, *NEEDS_SPARK]

NAME = "order_habit"
LOOPBACK = "127.0.0.1"
DAYS = (date(2025, 12, 1), None)
HALF_WAY = "intermediate.int_order_lines"


@dataclass(frozen=True)
class Cluster:
    """A master and its workers, each the leader of a process group of its own."""

    port: int
    web_port: int
    workers: list[subprocess.Popen[bytes]]

    @property
    def master(self) -> str:
        return f"spark://{LOOPBACK}:{self.port}"

    def state(self) -> dict[str, list[dict[str, object]]]:
        """What the master says of itself; nothing until it is there."""
        try:
            with urlopen(f"http://{LOOPBACK}:{self.web_port}/json/") as answer:
                return dict(json.load(answer))
        except (URLError, ValueError):  # it answers before it has anything to say
            return {"workers": [], "completedapps": []}

    def alive(self) -> int:
        return sum(worker["state"] == "ALIVE" for worker in self.state()["workers"])


@contextmanager
def started(folder: Path, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of Spark's own processes; it and its children end by its process group."""
    spec = find_spec("pyspark")
    assert spec is not None and spec.submodule_search_locations
    spark_class = Path(spec.submodule_search_locations[0]) / "bin" / "spark-class"
    with (folder / f"{name.rsplit('.', 1)[1]}.log").open("ab") as log:
        process = subprocess.Popen(
            [str(spark_class), f"org.apache.spark.deploy.{name}", *arguments],
            env={
                **os.environ,
                "SPARK_LOCAL_IP": LOOPBACK,
                "SPARK_WORKER_DIR": str(folder / "work"),
                "SPARK_DAEMON_MEMORY": "256m",
            },
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children, as a machine that goes away does."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    port, web_port = free_port(), free_port()
    where = ["--host", LOOPBACK]
    with ExitStack() as processes:
        master = [*where, "--port", str(port), "--webui-port", str(web_port)]
        processes.enter_context(started(folder, "master.Master", *master))
        cluster = Cluster(port, web_port, [])
        for _ in range(2):
            worker = [*where, "--cores", "1", "--memory", "1g", "--webui-port", "0", cluster.master]
            cluster.workers.append(
                processes.enter_context(started(folder, "worker.Worker", *worker))
            )
        wait_until(lambda: cluster.alive() == 2)
        yield cluster


def test_a_worker_that_goes_half_way_changes_nothing(
    cluster: Cluster,
    make_pipeline: MakePipeline,
    make_spark: MakePipeline,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = write_demo_shop(
        DemoShop(customers=150, years=2, products=50), tmp_path_factory.mktemp("demo")
    ).order_lines
    here = {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK}
    settings = {**QUICK_JVM, **here}
    on_cluster = make_spark(effort="quick", spark_master=cluster.master, spark_settings=settings)
    beside = make_pipeline(effort="quick")
    killed: list[str] = []

    def kill_half_way(text: str) -> None:
        if HALF_WAY in text and not killed:
            end(cluster.workers[0])
            killed.append(text)

    on_cluster._say = kill_half_way
    for pipeline in (on_cluster, beside):
        pipeline.load("order_lines", [path], DEMO_MAPPING)
        for day in DAYS:  # the second adds to what the first has made
            pipeline.run(pipeline.request(day, only=[NAME]))

    assert killed, "dbt never said that it was half way"
    assert cluster.alive() == 1
    assert cluster.state()["completedapps"], "no session of ours came to this master"
    assert differences(beside, on_cluster) == []
    assert_said_the_same(beside, on_cluster, "marts", NAME)
