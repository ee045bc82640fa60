"""A home whose tables Spark makes: Parquet files in the home, and a small file for the driver.

Spark has no transactions and no second statement in one of them. So who may publish, what was
loaded and what is in force stay where a transaction can hold them: in the driver's own DuckDB
file. What it keeps is handed to Spark as Parquet files before dbt begins, each added whole by a
rename; what Spark has made is seen from the driver through views on its Parquet files, so that no
JVM is started to read it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import duckdb
from pyarrow import parquet

from python_ml.errors import BusyError, InputError, WarehouseError
from python_ml.settings import PROJECT_DIR, Engine
from python_ml.warehouse.child import begin
from python_ml.warehouse.duckdb_file import DuckDBWarehouse, HeldFile, hold_file
from python_ml.warehouse.postgres import Connection, identifier

DRIVER_FILE = "driver.duckdb"
SPARK_FOLDER = "spark"

_GIVEN = ("raw", "predictions")
"""Layers that the driver writes, and Spark reads."""

_OF_SPARK = {("predictions", "feature_builds"), ("predictions", "digested_loads")}
"""Tables of these layers that dbt writes itself."""

_LANDED = {("predictions", None), ("raw", "actions")}
"""What dbt creates empty and the driver then fills; None stands for all of a layer."""

_MARK = ".event"
"""Keeps the number of the newest event that the views of a folder show."""


def require_spark() -> None:
    """Refuse where the optional group or the JVM is missing.

    Raises
    ------
    InputError
        With what to install.
    """
    if find_spec("pyspark") is None or find_spec("dbt.adapters.spark") is None:
        raise InputError(
            "The engine spark is not installed.",
            "Install it with `make spark`, or `pip install --require-hashes -r "
            "requirements-spark.lock`.",
        )
    if not has_java():
        raise InputError(
            "The engine spark needs a JVM, and no `java` is found.",
            "Install Java 17 or later, or set JAVA_HOME.",
        )


def has_java() -> bool:
    """Whether a JVM can be started."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin" if home else None) is not None


class SparkWarehouse(DuckDBWarehouse):
    """A shop's tables as Spark makes them, with the driver's file beside them.

    Parameters
    ----------
    home
        The home, on storage that the driver and all workers see under the same path.
    master
        Spark's master: ``local[2]``, ``spark://host:7077``, ``yarn``.
    settings
        Further settings of Spark; they are stronger than ours.
    memory
        Memory of the driver, as ``4g`` or ``8GB``.
    threads
        Parts into which a shuffle is cut, and threads of the driver's own reading.
    wait_seconds
        How long to wait for a process that uses the home.
    """

    engine: ClassVar[Engine] = "spark"

    # Newton's method, step by step: Spark works each step out once for every reader of it, twice as
    # often with each step, and ends without memory
    not_published: ClassVar[tuple[str, ...]] = ("performance_rows+",)

    def __init__(
        self,
        home: Path,
        *,
        master: str | None = None,
        settings: Mapping[str, str] | None = None,
        threads: int = 2,
        memory: str | None = None,
        wait_seconds: float = 60,
    ) -> None:
        super().__init__(
            home / DRIVER_FILE, threads=threads, memory=memory, wait_seconds=wait_seconds
        )
        self.folder = (home / SPARK_FOLDER).resolve()
        self._settings = dict(settings or {})
        self._dbt_ran = False
        # a task is tried up to four times, as on a cluster
        self.master = master or f"local[{threads},4]"

    def __repr__(self) -> str:
        return f"SparkWarehouse({self.folder})"

    @property
    def profiles(self) -> str:
        """Name of the folder that holds dbt's profile for this engine."""
        return "profiles/spark"

    @property
    def tables(self) -> Path:
        """The folder of Spark's own tables: one folder for each schema, ``features.db``."""
        return self.folder / "warehouse"

    def environment(self) -> dict[str, str]:
        """The variables that dbt's profile, its macros and Spark's own scripts read."""
        variables = {
            "SMARTRETAIL_SPARK_CONF": json.dumps(self.configuration()),
            "SMARTRETAIL_SPARK_GIVEN": json.dumps(self._given()),
            "PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON", sys.executable),
        }
        if self._is_local:
            variables["SPARK_LOCAL_IP"] = "127.0.0.1"
        return variables

    def configuration(self) -> dict[str, str]:
        """Spark's settings: every session of this home is begun with them."""
        scratch = self.folder / "scratch"
        return {
            "spark.master": self.master,
            "spark.app.name": "smartretail",
            "spark.log.level": "ERROR",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.memory": _java_size(self._memory or "2g"),
            "spark.driver.extraJavaOptions": (
                "-Duser.timezone=UTC -XX:+ExitOnOutOfMemoryError "
                f'"-Dderby.system.home={scratch}" "-Djava.io.tmpdir={scratch}"'
            ),
            "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
            "spark.executorEnv.OMP_NUM_THREADS": "1",  # a task has one core, its model no more
            "spark.local.dir": str(scratch),
            "spark.hadoop.javax.jdo.option.ConnectionURL": (
                f"jdbc:derby:;databaseName={self.folder / 'metastore'};create=true"
            ),
            "spark.sql.warehouse.dir": self.tables.as_uri(),
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.timestampType": "TIMESTAMP_NTZ",  # a time is what the shop's clock showed
            "spark.sql.shuffle.partitions": str(self._threads),
            "spark.sql.sources.default": "parquet",
            "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
            "spark.sql.parser.escapedStringLiterals": "true",  # a backslash is a backslash
            # what is multiplied keeps its decimals; a sum beyond 38 digits is empty
            "spark.sql.decimalOperations.allowPrecisionLoss": "false",
            "spark.sql.analyzer.maxIterations": "1000",  # some models have many steps
            "spark.sql.optimizer.maxIterations": "1000",
            **self._settings,
        }

    @contextmanager
    def while_dbt_runs(self) -> Iterator[None]:
        """Hand over what Spark shall read, and see afterwards what it has made."""
        with self.session():
            self._hand_over()
            self._dbt_ran = True
            try:
                yield
            finally:
                self._look_at_tables()

    @contextmanager
    def session(self) -> Iterator[HeldFile]:
        """Be the only process of this home with a Spark session: its catalogue takes one.

        Raises
        ------
        BusyError
            When another process has one for longer than it is waited for.
        """
        (self.folder / "scratch").mkdir(parents=True, exist_ok=True)
        busy = BusyError(
            f"Another process uses Spark in {self.folder} (waited {self._wait_seconds:g} s).",
            "Let it finish, or wait longer with SMARTRETAIL_LOCK_WAIT_SECONDS.",
        )
        with hold_file(self.folder / "session.lock", self._wait_seconds, busy) as held:
            yield held

    def after_publishing(self) -> None:
        """Hand over what is in force now, and see what the marts say of it."""
        if not self._is_unseen or not any((self.tables / "mart_rows.db").glob("*")):
            return
        with self.session():
            self._hand_over()
            folder = self.folder / "seen" / secrets.token_hex(6)
            self.run("python_ml.warehouse.spark_views", [str(folder)], "the marts were copied")
            self._dbt_ran = False
            with self.connect() as connection:  # all of them at once
                for path in sorted(folder.glob("*/*")):
                    schema = identifier(path.parent.name)
                    connection.execute(f"create schema if not exists {schema}".encode())
                    self._look_at(connection, path.parent.name, path.name, path)
            for path in folder.parent.iterdir():
                if path != folder:
                    shutil.rmtree(path)
            (folder / _MARK).write_text(self._newest_event(), encoding="ascii")

    @property
    def _is_unseen(self) -> bool:
        """Whether dbt has run, or an event came, since the marts were last seen."""
        if self._dbt_ran or not self.relation_exists("predictions", "run_events"):
            return True
        marks = [path.read_text(encoding="ascii") for path in self.folder.glob(f"seen/*/{_MARK}")]
        return marks != [self._newest_event()]

    def _newest_event(self) -> str:
        with self.connect() as connection:
            row = connection.execute(
                "select coalesce(max(event_number), 0) from predictions.run_events"
            ).fetchone()
        return str(row[0]) if row else "0"

    def run(self, module: str, arguments: Sequence[str], work: str) -> None:
        """Run a module that begins a Spark session, in a process of its own.

        The caller holds :meth:`session`.

        Parameters
        ----------
        work
            What it does, after "Spark failed while".

        Raises
        ------
        WarehouseError
            With the end of what it said, when it fails.
        """
        with begin(
            module, arguments, folder=PROJECT_DIR, environment=self.environment()
        ) as process:
            assert process.stdout is not None
            lines = deque(process.stdout, maxlen=15)
        if process.returncode != 0:
            raise WarehouseError(
                f"Spark failed while {work}:\n{''.join(lines)}",
                "Nothing of this step was kept. Mend what it names, then do it again.",
            )

    # -- to Spark -----------------------------------------------------------------------------

    def _given(self) -> list[dict[str, Any]]:
        """The raw tables that Spark is told of: name, columns, and where their files are."""
        return [
            {
                "name": path.name,
                "columns": columns,
                "location": path.as_uri(),
            }
            for path in sorted((self.tables / "raw.db").glob("*"))
            if (columns := _columns(path))
        ]

    def _hand_over(self) -> None:
        if not self.path.exists():
            return
        with self.connect() as connection:
            found = connection.execute(
                "select table_schema, table_name, list(column_name) "
                "from information_schema.columns inner join information_schema.tables "
                "using (table_catalog, table_schema, table_name) "
                "where table_type = 'BASE TABLE' and table_schema = any(%s) group by all",
                (list(_GIVEN),),
            ).fetchall()
            for schema, table, columns in found:
                folder = self.tables / f"{schema}.db" / table
                # an empty table that dbt has not made yet has nobody who asks for it
                if schema == "raw" or folder.is_dir():
                    _write_parts(connection, schema, table, columns, folder)

    # -- from Spark ---------------------------------------------------------------------------

    def _look_at_tables(self) -> None:
        """Make views on what Spark has made, and the driver's own tables where they are new."""
        if not self.tables.is_dir():
            return
        with self.connect() as connection:
            for schema_folder in sorted(self.tables.glob("*.db")):
                schema = schema_folder.name.removesuffix(".db")
                connection.execute(f"create schema if not exists {identifier(schema)}".encode())
                seen = {
                    path.name for path in schema_folder.iterdir() if any(path.glob("*.parquet"))
                }
                for name in sorted(seen):
                    self._look_at(connection, schema, name, schema_folder / name)
                self._forget_others(connection, schema, seen)

    def _look_at(self, connection: Connection, schema: str, name: str, folder: Path) -> None:
        relation = f"{identifier(schema)}.{identifier(name)}"
        files = f"select * from read_parquet({_text(folder / '*.parquet')})"  # noqa: S608 - ours
        is_of_driver = schema in _GIVEN and (schema, name) not in _OF_SPARK
        if not is_of_driver:
            connection.execute(f"create or replace view {relation} as {files}".encode())
        elif (schema, None) in _LANDED or (schema, name) in _LANDED:
            connection.execute(f"create table if not exists {relation} as {files} limit 0".encode())

    def _forget_others(self, connection: Connection, schema: str, seen: set[str]) -> None:
        views = connection.execute(
            "select view_name, sql from duckdb_views() "
            "where database_name = current_database() and schema_name = %s",
            (schema,),
        ).fetchall()
        for name, definition in views:
            if name not in seen and str(self.tables) in definition:
                relation = f"{identifier(schema)}.{identifier(name)}"
                connection.execute(f"drop view {relation}".encode())

    def _before_question(self, raw: duckdb.DuckDBPyConnection) -> None:
        raw.execute(f"set allowed_directories = [{_text(self.folder)}]")

    @property
    def _is_local(self) -> bool:
        return self.master.startswith("local")


def _write_parts(
    connection: Connection, schema: str, table: str, columns: list[str], folder: Path
) -> None:
    """Write a table of the driver's as Parquet files: what was loaded or scored once, once."""
    folder.mkdir(parents=True, exist_ok=True)
    relation = f"{identifier(schema)}.{identifier(table)}"
    part = None
    if "_load_id" in columns:
        part = "_load_id"
    elif schema == "predictions" and {"run_id", "probability"} <= set(columns):
        part = "run_id"
    # a file without rows, too: Spark learns the columns from it
    wanted = {"none.parquet": "false"} if part else {"all.parquet": "true"}
    if part:
        values = connection.execute(f"select distinct {part} from {relation}".encode())  # noqa: S608
        wanted |= {f"{value}.parquet": f"{part} = '{value}'" for (value,) in values.fetchall()}
    for name, condition in wanted.items():
        if part and (folder / name).exists():
            continue
        draft = folder / f".{name}.draft"
        connection.execute(
            f"copy (select * from {relation} where {condition}) "  # noqa: S608 - names of our own
            f"to {_text(draft)} (format parquet)".encode()
        )
        draft.replace(folder / name)
    for path in folder.glob("*.parquet"):
        if path.name not in wanted:  # the empty one that dbt made
            path.unlink()


def _columns(folder: Path) -> list[str]:
    files = sorted(folder.glob("*.parquet"))
    if not files:
        return []
    return [str(name) for name in parquet.read_schema(files[0]).names]


def _java_size(memory: str) -> str:
    """A size as Java writes it.

    Examples
    --------
    >>> _java_size("8GB"), _java_size("1.5 GiB"), _java_size("2g")
    ('8192m', '1536m', '2g')
    """
    number = memory.strip().rstrip("iB").strip()
    if memory.strip().upper().endswith("B") and number[-1:].upper() in "KMGT":
        mebibytes = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}[number[-1].upper()]
        return f"{max(1, int(float(number[:-1]) * mebibytes))}m"
    return memory


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
