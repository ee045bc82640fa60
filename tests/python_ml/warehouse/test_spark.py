"""What can be said of a Spark home without a JVM; the rest is in tests/engines/test_spark.py."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from python_ml.errors import InputError
from python_ml.settings import PROJECT_DIR, load_settings
from python_ml.warehouse.engines import open_warehouse
from python_ml.warehouse.spark import SparkWarehouse


def test_without_a_jvm_or_the_group_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "no_java"))
    with pytest.raises(InputError, match="The engine spark") as refused:
        open_warehouse(load_settings(home=tmp_path / "home", engine="spark"))
    assert "nstall" in str(refused.value.hint)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("said", "for_java"), [("8GB", "8192m"), ("1.5 GiB", "1536m"), ("512MB", "512m"), (None, "2g")]
)
def test_memory_is_said_as_java_reads_it(tmp_path: Path, said: str | None, for_java: str) -> None:
    configuration = SparkWarehouse(tmp_path, memory=said).configuration()
    assert configuration["spark.driver.memory"] == for_java


def test_settings_of_the_user_are_stronger_than_ours(tmp_path: Path) -> None:
    warehouse = SparkWarehouse(tmp_path, settings={"spark.sql.shuffle.partitions": "7"})
    assert warehouse.configuration()["spark.sql.shuffle.partitions"] == "7"
    assert warehouse.configuration()["spark.sql.session.timeZone"] == "UTC"


def test_each_load_is_handed_over_once_as_a_file_of_its_own(tmp_path: Path) -> None:
    warehouse = SparkWarehouse(tmp_path)
    folder = warehouse.tables / "raw.db" / "order_lines"
    with warehouse.connect() as connection:
        connection.execute("create schema raw")
        connection.execute("create table raw.order_lines (order_id text, _load_id bigint)")
    written = []
    for load_id in (1, 2):
        rows = pa.table({"order_id": ["a", "b"], "_load_id": [load_id] * 2})
        with warehouse.bulk() as writer:
            writer.append("raw", "order_lines", rows)
        with warehouse.while_dbt_runs():
            pass
        written.append({path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")})
    assert written[0].keys() == {"none.parquet", "1.parquet"}
    assert written[1].keys() == {"none.parquet", "1.parquet", "2.parquet"}
    assert written[0].items() < written[1].items()


def test_dbt_makes_one_model_at_a_time() -> None:
    """Two that add rows to one table of files at once undo each other."""
    profile = PROJECT_DIR / "dbt_project" / "profiles" / "spark" / "profiles.yml"
    outputs = yaml.safe_load(profile.read_text(encoding="utf-8"))["smartretail"]["outputs"]
    assert {output["threads"] for output in outputs.values()} == {1}
