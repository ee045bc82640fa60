"""Actions taken: a file is taken whole or not at all, and only once."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from python_ml.errors import InputError
from python_ml.forgetting.register import digest_of, own_salt
from python_ml.forgetting.tables import count_rows, delete_rows
from python_ml.ingest.actions import load_actions, read_actions
from python_ml.ingest.load import prepare
from python_ml.pipeline import Pipeline
from tests.conftest import MakePipeline
from tests.test_road import rows

LATEST = datetime(2025, 7, 1, 12)


def written(folder: Path, *lines: str, header: str = "customer_id,action,acted_at") -> Path:
    path = folder / "actions.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> Pipeline:
    pipeline = make_pipeline()
    prepare(pipeline.warehouse)
    return pipeline


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",mail,2025-06-01,,", "customer_id is empty"),
        ("ada,,2025-06-01,,", "action is empty"),
        ("ada,mail,,,", "acted_at is empty"),
        ("ada,mail,01.06.2025,,", "acted_at '01.06.2025' is no date or time"),
        ("ada,mail,2025-07-01 12:01,,", "lies in the future"),
        ("ada,mail,2025-06-01T10:00+02:00,,", "names a time zone"),
        ("ada,mail,2025-06-01,order_habits,", "'order_habits' is no prediction"),
        ("ada,mail,2025-06-02,,2025-06-01", "is before acted_at"),
    ],
)
def test_a_row_that_breaks_the_contract_is_named(tmp_path: Path, row: str, reason: str) -> None:
    header = "customer_id,action,acted_at,prediction,recorded_at"
    path = written(tmp_path, "ben,call,2025-06-01,,", row, header=header)
    with pytest.raises(InputError, match=f"1 of 2 rows .* row 2: .*{reason}"):
        read_actions(path, LATEST)


def test_a_missing_column_and_an_unreadable_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column action, acted_at; there are customer_id"):
        read_actions(written(tmp_path, "ada,x", header="customer_id,what"), LATEST)
    with pytest.raises(InputError, match="cannot be read"):
        read_actions(tmp_path / "nowhere.csv", LATEST)


def test_customer_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    [one] = read_actions(written(tmp_path, "00042;mail;2025-06-01 09:30",
                                 header="customer_id;action;acted_at"), LATEST)  # fmt: skip
    assert (one.customer_id, one.acted_at) == ("00042", datetime(2025, 6, 1, 9, 30))
    assert one.prediction is None


def test_a_file_that_grew_adds_what_is_new(pipeline: Pipeline, tmp_path: Path) -> None:
    home, warehouse = pipeline.settings.home, pipeline.warehouse
    first = written(tmp_path, "ada,mail,2025-06-01", "ben,mail,2025-06-02", "ben,mail,2025-06-02")
    report = load_actions(warehouse, first, home, latest=LATEST)
    assert (report.given, report.loaded, report.unchanged) == (3, 2, 1)
    grown = written(
        tmp_path, "ada,mail,2025-06-01", "ada,mail,2025-06-20", "cleo,call,2025-05-01"
    )  # fmt: skip
    report = load_actions(warehouse, grown, home, latest=LATEST)
    assert (report.given, report.loaded, report.unchanged) == (3, 2, 1)
    known = dict(
        rows(
            pipeline,
            "select customer_id || acted_at::date, known_at = acted_at from raw.actions",
        )
    )
    # what is older than what was there has come late, and was not known before
    assert known == {
        "ada2025-06-01": True, "ben2025-06-02": True, "ada2025-06-20": True,
        "cleo2025-05-01": False,
    }  # fmt: skip


def test_a_forgotten_customer_has_no_actions_and_gets_none(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    home, warehouse = pipeline.settings.home, pipeline.warehouse
    path = written(tmp_path, "ada,mail,2025-06-01", "ben,mail,2025-06-02")
    load_actions(warehouse, path, home, latest=LATEST)
    with warehouse.connect(autocommit=True) as connection:
        counts = {str(table): count for table, count in count_rows(connection, "ada").items()}
        assert counts == {"raw.actions": 1}
        delete_rows(connection, "ada", digest_of(own_salt(home), "ada"))
    report = load_actions(warehouse, path, home, latest=LATEST)
    assert (report.loaded, report.unchanged, report.forgotten) == (0, 1, 1)
    assert rows(pipeline, "select customer_id from raw.actions") == [("ben",)]
