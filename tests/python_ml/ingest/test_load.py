"""Loading on a real database: whole or not at all, accounted for, and safe to repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from python_ml.errors import InputError, SmartRetailError
from python_ml.ingest.load import LoadReport, load, prepare, shop_source
from python_ml.ingest.read import ReadOptions
from python_ml.ingest.sources import ColumnMapping
from python_ml.warehouse.postgres import Warehouse
from tests.python_ml.ingest.shop_files import (
    COLUMNS,
    Row,
    csv_text,
    line,
    lines,
    rows_of,
    state_of,
    write,
)

UNNUMBERED = tuple(column for column in COLUMNS if column != "line_id")


@pytest.fixture
def warehouse(database_url: str) -> Warehouse:
    return Warehouse(database_url)


@pytest.fixture
def load_rows(warehouse: Warehouse, tmp_path: Path) -> Callable[..., LoadReport]:
    """Write rows to a file of that name and load it."""

    def run(
        rows: list[Row], name: str = "lines.csv", columns: tuple[str, ...] = COLUMNS, **options: Any
    ) -> LoadReport:
        path = write(tmp_path / name, csv_text(rows, columns=columns))
        return load(warehouse, "order_lines", [path], **options)

    return run


def counts(report: LoadReport) -> tuple[int, int, int, int]:
    return report.given, report.loaded, report.rejected, report.unchanged


def assert_accounted_for(warehouse: Warehouse, report: LoadReport) -> None:
    assert report.given == report.loaded + report.rejected + report.unchanged
    assert report.rejected == sum(report.reasons.values())
    if report.load_id is None:
        return
    booked = rows_of(
        warehouse,
        "select sum(rows_given), sum(rows_loaded), sum(rows_rejected), sum(rows_unchanged) "
        f"from raw.loads where load_id = {report.load_id}",
    )
    there = rows_of(
        warehouse,
        f"select (select count(*) from raw.order_lines where _load_id = {report.load_id}), "
        f"(select count(*) from raw.rejected_rows where load_id = {report.load_id})",
    )
    assert booked == [counts(report)]
    assert there == [(report.loaded, report.rejected)]


# -- one load ----------------------------------------------------------------------------------


def test_every_row_is_loaded_or_kept_with_file_line_row_and_reason(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    report = load_rows([*lines(40), line(41, quantity="many"), *lines(9)])

    assert counts(report) == (50, 49, 1, 0)
    assert report.reasons == {"quantity is not a number": 1}
    assert rows_of(warehouse, "select * from raw.rejected_rows") == [
        (
            1,
            "lines.csv",
            42,
            "order_id=O41; line_id=1; customer_id=C6; ordered_at=2024-03-14 10:00:00; "
            "product_id=P1; quantity=many; unit_price=3.50",
            "quantity is not a number",
        )
    ]
    assert_accounted_for(warehouse, report)


def test_a_rejected_row_is_kept_so_that_it_can_be_read(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    load_rows([*lines(30), line(31, customer_id="a\0b" + "x" * 5000)])
    ((text, reason),) = rows_of(warehouse, "select row_text, reason from raw.rejected_rows")
    assert "customer_id=a\N{SYMBOL FOR NULL}bxxx" in text
    assert len(text) == 1000
    assert reason == "customer_id has a zero byte"


def test_more_bad_rows_than_the_threshold_change_nothing(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    prepare(warehouse)
    before = state_of(warehouse)

    with pytest.raises(InputError) as refusal:
        load_rows([*lines(93), *(line(n, unit_price="-1") for n in range(94, 101))])

    assert "7 of 100 rows break the contract" in str(refusal.value)
    assert "lines.csv, line 95: unit_price is negative" in str(refusal.value)
    assert "SMARTRETAIL_REJECT_THRESHOLD" in str(refusal.value)
    assert state_of(warehouse) == before == {}
    assert shop_source(warehouse) is None


def test_a_refused_load_leaves_what_was_there(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    load_rows(lines(20))
    before = state_of(warehouse)

    with pytest.raises(InputError, match="break the contract"):
        load_rows([line(n, quantity="x") for n in range(30)], "bad.csv")

    assert state_of(warehouse) == before


def test_the_threshold_itself_is_not_too_much(load_rows: Callable[..., LoadReport]) -> None:
    rows = [*lines(95), *(line(n, quantity="x") for n in range(96, 101))]
    assert counts(load_rows(rows)) == (100, 95, 5, 0)


def test_a_higher_threshold_loads_the_rest(load_rows: Callable[..., LoadReport]) -> None:
    rows = [line(1), line(2, quantity="x"), line(3, ordered_at="")]
    assert counts(load_rows(rows, reject_threshold=1.0)) == (3, 1, 2, 0)


def test_one_bad_file_keeps_the_others_out(warehouse: Warehouse, tmp_path: Path) -> None:
    good = write(tmp_path / "good.csv", csv_text(lines(30)))
    header_only = write(tmp_path / "bad.csv", csv_text([]))

    with pytest.raises(InputError, match=r"bad\.csv: the file has no rows"):
        load(warehouse, "order_lines", [good, header_only])

    assert state_of(warehouse) == {}


def test_a_hopeless_file_is_not_read_to_its_end(warehouse: Warehouse, tmp_path: Path) -> None:
    rows = [line(number, quantity="x") for number in range(150_000)]
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    pq.write_table(pa.table(columns), tmp_path / "lines.parquet")
    seen: list[int] = []

    with pytest.raises(InputError, match="Already 65,536 rows break the contract"):
        load(
            warehouse,
            "order_lines",
            [tmp_path / "lines.parquet"],
            on_progress=lambda _, count: seen.append(count),
        )

    assert seen == []


def test_rejected_rows_of_two_files_keep_their_file_and_line(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    first = csv_text([*lines(30), line(31, quantity="x")])
    second = csv_text([line(1), line(2, unit_price="x"), *lines(30)]) + "too,few\n"
    paths = [write(tmp_path / "a.csv", first), write(tmp_path / "b.csv", second)]

    report = load(warehouse, "order_lines", paths)

    assert rows_of(
        warehouse, "select file_name, line_number, reason from raw.rejected_rows order by 1, 2"
    ) == [
        ("a.csv", 32, "quantity is not a number"),
        ("b.csv", 3, "unit_price is not a number"),
        ("b.csv", 34, "malformed line: 2 columns instead of 7"),
    ]
    assert rows_of(
        warehouse, "select file_name, rows_given, rows_loaded, rows_rejected from raw.loads"
    ) == [("a.csv", 31, 30, 1), ("b.csv", 33, 31, 2)]
    assert_accounted_for(warehouse, report)


def test_rows_are_numbered_through_all_files_of_a_load(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    paths = [write(tmp_path / name, csv_text([*lines(3), line(i)])) for i, name in
             enumerate(("a.csv", "b.csv"))]  # fmt: skip
    load(warehouse, "order_lines", paths)
    numbers = rows_of(warehouse, "select _row_number, _file_number from raw.order_lines order by 1")
    assert numbers == [(n, 1 if n < 5 else 2) for n in range(1, 9)]


def test_two_files_of_one_name_are_two_files(warehouse: Warehouse, tmp_path: Path) -> None:
    paths = []
    for folder in ("may", "june"):
        (tmp_path / folder).mkdir()
        rows = [line(1), line(2, order_id=folder)]
        paths.append(write(tmp_path / folder / "lines.csv", csv_text(rows)))

    load(warehouse, "order_lines", paths)

    assert rows_of(warehouse, "select count(distinct file_digest) from raw.loads") == [(2,)]


def test_many_chunks_of_rows_keep_their_numbers_and_lines(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    count = 140_000
    cells = [f"O{n},1,C{n % 7},2024-03-01,P1,{'x' if n % 1000 == 0 else n % 9 + 1},1.5\n"
             for n in range(2, count + 2)]  # fmt: skip
    path = write(tmp_path / "lines.csv", ",".join(COLUMNS) + "\n" + "".join(cells))
    progress: list[tuple[str, int]] = []

    report = load(warehouse, "order_lines", [path], on_progress=lambda *said: progress.append(said))

    assert counts(report) == (count, count - 140, 140, 0)
    assert rows_of(
        warehouse, "select count(*) from raw.order_lines where order_id <> 'O' || _row_number + 1"
    ) == [(0,)]
    assert rows_of(
        warehouse,
        "select count(*) from raw.rejected_rows "
        "where row_text not like 'order_id=O' || line_number || ';%'",
    ) == [(0,)]
    assert [name for name, _ in progress] == ["lines.csv"] * len(progress)
    assert len(progress) > 1
    assert progress[-1][1] == count


# -- the shop of a home ------------------------------------------------------------------------


def test_another_source_is_refused_with_the_home_to_use(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse, tmp_path: Path
) -> None:
    load_rows(lines(3))
    with pytest.raises(InputError, match=r"--home \.smartretail-online_retail"):
        load(warehouse, "online_retail", [tmp_path])


def other_shop(count: int = 20) -> list[Row]:
    return [
        line(n, order_id=f"X{n}", customer_id=f"other-{n}", product_id=f"Q{n}")
        for n in range(count)
    ]


def test_a_file_that_shares_no_customer_and_no_product_is_another_shop(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    load_rows(lines(3))
    before = state_of(warehouse)

    with pytest.raises(InputError, match=r"looks like another shop[\s\S]*--home[\s\S]*--same-shop"):
        load_rows(other_shop(), "other.csv")

    assert state_of(warehouse) == before
    assert load_rows(other_shop(), "other.csv", same_shop=True).loaded == 20


def test_a_few_new_customers_and_products_are_a_quiet_day(
    load_rows: Callable[..., LoadReport],
) -> None:
    load_rows(lines(3))
    assert load_rows(other_shop(3), "small.csv").loaded == 3


@pytest.mark.parametrize("shared", [{"customer_id": "C1"}, {"product_id": "P1"}])
def test_one_shared_customer_or_product_is_enough(
    load_rows: Callable[..., LoadReport], shared: Row
) -> None:
    load_rows(lines(3))
    assert (
        load_rows([*other_shop(), line(9) | shared | {"order_id": "X99"}], "more.csv").loaded == 21
    )


def test_guests_alone_do_not_make_another_shop(load_rows: Callable[..., LoadReport]) -> None:
    load_rows([line(1, customer_id="", product_id="P1")])
    guests = [line(2, customer_id="", product_id="")]
    assert load_rows(guests, "guests.csv").loaded == 1


def test_two_shops_in_one_load_are_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "a.csv", csv_text(lines(3))),
        write(tmp_path / "b.csv", csv_text(other_shop())),
    ]
    with pytest.raises(InputError, match="looks like another shop"):
        load(warehouse, "order_lines", paths)
    assert state_of(warehouse) == {}


def test_a_file_with_other_columns_is_refused(load_rows: Callable[..., LoadReport]) -> None:
    load_rows(lines(3))
    with pytest.raises(InputError, match="missing line_id, new none"):
        load_rows(lines(4), "short.csv", UNNUMBERED)
    with pytest.raises(InputError, match="missing none, new discount"):
        load_rows(lines(4), "long.csv", (*COLUMNS, "discount"))
    assert load_rows(lines(4), "long.csv", (*COLUMNS, "discount"), same_shop=True).loaded == 1


def test_other_attributes_are_refused(load_rows: Callable[..., LoadReport]) -> None:
    columns = (*COLUMNS, "Brand")
    rows = [row | {"Brand": "Acme"} for row in lines(3)]
    load_rows(rows, columns=columns, mapping=ColumnMapping.parse([], ["product:Brand"]))
    with pytest.raises(InputError, match=r"attributes attribute_product_brand.*names none"):
        load_rows(lines(4), "more.csv", same_shop=True)


# -- loading again -----------------------------------------------------------------------------


def test_the_same_file_again_changes_nothing(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    load_rows(lines(3))
    before = state_of(warehouse)

    again = load_rows(lines(3), "copy.csv")

    assert again == LoadReport(None, 0, 0, 0, 0, {}, ("copy.csv",))
    assert state_of(warehouse) == before


def test_the_same_file_twice_in_one_load_is_loaded_once(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    path = write(tmp_path / "lines.csv", csv_text(lines(3)))
    report = load(warehouse, "order_lines", [path, path])
    assert counts(report) == (3, 3, 0, 0)
    assert report.already_loaded == ("lines.csv",)


def test_the_same_file_read_another_way_is_another_file(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    rows = [line(1, ordered_at="02/03/2024")]
    load_rows(rows, options=ReadOptions(date_order="dmy"))
    assert load_rows(rows, options=ReadOptions(date_order="mdy")).loaded == 1
    times = rows_of(warehouse, "select ordered_at::date from raw.order_lines order by _load_id")
    assert times == [(date(2024, 3, 2),), (date(2024, 2, 3),)]


def test_a_superset_brings_only_what_is_new(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    load_rows(lines(20))
    report = load_rows(lines(25), "more.csv")
    assert counts(report) == (25, 5, 0, 20)
    assert_accounted_for(warehouse, report)


def test_a_file_with_nothing_new_is_remembered(load_rows: Callable[..., LoadReport]) -> None:
    load_rows(lines(3))
    assert counts(load_rows(lines(2), "part.csv")) == (2, 0, 0, 2)
    assert load_rows(lines(2), "part.csv").already_loaded == ("part.csv",)


def prices(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return rows_of(
        warehouse,
        "select _load_id, order_id, line_id, unit_price from raw.order_lines order by 1, 2, 3",
    )


def test_a_corrected_line_arrives_as_a_new_version(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    order = [line(1, line_id="1"), line(1, line_id="2")]
    load_rows(order)

    report = load_rows([order[0], order[1] | {"unit_price": "9"}], "corrected.csv")

    assert counts(report) == (2, 1, 0, 1)
    assert prices(warehouse) == [(1, "O1", "1", 3.5), (1, "O1", "2", 3.5), (2, "O1", "2", 9.0)]


def test_a_correction_that_is_taken_back_is_a_third_version(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    load_rows([line(1)])
    load_rows([line(1, unit_price="9")], "corrected.csv")

    report = load_rows([line(1), line(2)], "reverted.csv")

    assert counts(report) == (2, 2, 0, 0)
    assert [row[3] for row in prices(warehouse) if row[1] == "O1"] == [3.5, 9.0, 3.5]
    # what is current now is known to be current
    assert counts(load_rows([line(2), line(1)], "once_more.csv")) == (2, 0, 0, 2)


def test_a_corrected_product_of_a_numbered_line_can_be_taken_back_too(
    load_rows: Callable[..., LoadReport],
) -> None:
    load_rows([line(1)])
    assert load_rows([line(1, product_id="P9")], "corrected.csv").loaded == 1
    assert counts(load_rows([line(1), line(2)], "reverted.csv")) == (2, 2, 0, 0)


def test_without_line_numbers_an_order_is_the_unit(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    order = [line(1, product_id=product) for product in ("P1", "P2")]
    load_rows([*order, line(2)], columns=UNNUMBERED)

    corrected = [order[0], order[1] | {"unit_price": "9"}, line(2)]
    report = load_rows(corrected, "corrected.csv", UNNUMBERED)

    assert counts(report) == (3, 2, 0, 1)
    assert [row[:2] for row in prices(warehouse)] == [(1, "O1"), (1, "O1"), (1, "O2"),
                                                      (2, "O1"), (2, "O1")]  # fmt: skip


def test_unnumbered_lines_of_one_product_are_compared_together(
    load_rows: Callable[..., LoadReport],
) -> None:
    order = [line(1, quantity=quantity) for quantity in "123"]
    load_rows(order, columns=UNNUMBERED)
    assert load_rows([*order, line(2)], "same.csv", UNNUMBERED).loaded == 1
    assert load_rows([*reversed(order)], "turned_round.csv", UNNUMBERED).loaded == 0
    assert load_rows([*order[:2], line(1, quantity="4")], "corrected.csv", UNNUMBERED).loaded == 3
    assert load_rows([*order], "reverted.csv", UNNUMBERED).already_loaded == ("reverted.csv",)
    assert load_rows([*order, line(3)], "reverted.csv", UNNUMBERED).loaded == 4


def test_the_same_row_twice_is_not_a_change(load_rows: Callable[..., LoadReport]) -> None:
    load_rows([line(1), line(1), line(2)], columns=UNNUMBERED)
    assert counts(load_rows([line(1), line(2)], "clean.csv", UNNUMBERED)) == (2, 0, 0, 2)
    assert counts(load_rows([line(1), line(2), line(2)], "dirty.csv", UNNUMBERED)) == (3, 0, 0, 3)


def test_what_was_emptied_is_a_change(load_rows: Callable[..., LoadReport]) -> None:
    load_rows([line(1), line(2)])
    assert load_rows([line(1, customer_id=""), line(2)], "emptied.csv").loaded == 1


def newest_before(warehouse: Warehouse) -> list[Any]:
    rows = rows_of(warehouse, "select newest_before from raw.loads order by load_id")
    return [row[0] for row in rows]


def test_a_load_remembers_how_far_the_home_knew_the_shop(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    load_rows([line(1), line(2, ordered_at="2024-03-05 12:00")])
    load_rows([line(1), line(3, ordered_at="2024-03-04")], "late.csv")
    load_rows([line(1), line(4, ordered_at="2024-03-09")], "new.csv")
    newest = datetime(2024, 3, 5, 12)
    assert newest_before(warehouse) == [None, newest, newest]


def test_what_happens_at_the_as_of_date_that_was_asked_for_is_not_late(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    load_rows([line(1, ordered_at="2024-03-05")])
    with warehouse.connect() as connection:
        connection.execute(
            "insert into raw.as_of_requests values ('order_habit', '2024-03-06', 180, now())"
        )
    load_rows([line(1, order_id="O2", ordered_at="2024-03-06")], "next_day.csv")
    assert newest_before(warehouse)[1] == datetime(2024, 3, 6) - timedelta(microseconds=1)


def test_no_files_are_no_load(warehouse: Warehouse) -> None:
    with pytest.raises(InputError, match="nothing to load"):
        load(warehouse, "order_lines", [])
    assert shop_source(warehouse) is None


def test_two_loads_at_once_load_a_file_once(warehouse: Warehouse, tmp_path: Path) -> None:
    path = write(tmp_path / "lines.csv", csv_text(lines(500)))
    reports: list[LoadReport] = []
    threads = [
        Thread(target=lambda: reports.append(load(warehouse, "order_lines", [path])))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.loaded for report in reports) == [0, 0, 500]
    assert len(prices(warehouse)) == 500


# -- what stands in a file never becomes a statement -------------------------------------------

NASTY = "'; drop schema raw cascade; --"


def test_values_are_values_whatever_they_say(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    nasty = [NASTY, '"); delete from raw.shop; --', "$1", "%s", "{0}", "\\", "O'Brien", "Ünï 🛒"]
    load_rows([line(n, order_id=text, customer_id=text) for n, text in enumerate(nasty)])
    assert rows_of(warehouse, "select customer_id from raw.order_lines order by _row_number") == [
        (text,) for text in nasty
    ]


def test_column_names_are_names_whatever_they_say(
    load_rows: Callable[..., LoadReport], warehouse: Warehouse
) -> None:
    evil = ['x" int); drop table raw.loads; --', NASTY, "price'"]
    columns = (*COLUMNS[:-1], *evil)
    mapping = ColumnMapping({"price'": "unit_price"}, ColumnMapping.parse([], [
        f"product:{NASTY}", f"line:{evil[0]}"]).attributes)  # fmt: skip
    rows = [row | {evil[0]: NASTY, evil[1]: NASTY, "price'": "4"} for row in lines(2)]

    assert load_rows(rows, columns=columns, mapping=mapping).loaded == 2

    assert rows_of(
        warehouse, "select distinct attribute_product_drop_schema_raw_cascade, unit_price "
        "from raw.order_lines"
    ) == [(NASTY, 4.0)]  # fmt: skip


def test_a_file_may_have_any_name(load_rows: Callable[..., LoadReport]) -> None:
    report = load_rows([*lines(30), line(9, quantity="x")], 'it\'s "a" file; -- %s $1.csv')
    assert report.rejected == 1


# -- mangled files -----------------------------------------------------------------------------

CELLS = st.one_of(
    st.sampled_from(
        ["", "nan", "None", "1", "-1", "0", "1e18", "inf", "1,5", "1.234,5", "12 pcs", "a\0b",
         "2024-02-30", "31/12/2023", "02/03/2024", "1900-01-01", "2999-01-01", "x" * 600, '"', '"a',
         "a\nb", "a;b", "\ufeff", "é", "O1", "13085.0", " 7 ", "2024-03-01T10:00:00+02:00"]
    ),
    st.text(max_size=6),
)  # fmt: skip


@st.composite
def mangled_files(draw: st.DrawFn) -> bytes:
    """A file of order lines with a few things wrong, or nothing."""
    rows = [dict(line(number)) for number in range(1, draw(st.integers(0, 40)) + 1)]
    for _ in range(draw(st.integers(0, 4)) if rows else 0):
        row = draw(st.sampled_from(rows))
        row[draw(st.sampled_from(COLUMNS))] = draw(CELLS)
    rows += [dict(row) for row in draw(st.lists(st.sampled_from(rows), max_size=3) if rows
                                       else st.just([]))]  # fmt: skip
    columns = list(COLUMNS)
    if draw(st.integers(0, 9)) == 0:
        columns.remove(draw(st.sampled_from(COLUMNS)))
    if draw(st.integers(0, 9)) == 0:
        columns.append(
            draw(st.sampled_from(["extra", "order_id", "Order ID", "", '"', "discount"]))
        )
    text = csv_text(
        rows,
        columns=columns,
        delimiter=draw(st.sampled_from(",;\t|")),
        end=draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"])),
    )
    encoding = draw(st.sampled_from(["utf-8"] * 5 + ["utf-8-sig", "utf-16", "latin-1"]))
    content = bytearray(text.encode(encoding, "replace"))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        start = draw(st.integers(0, max(0, len(content) - 1)))
        content[start : start + draw(st.integers(0, 5))] = draw(st.binary(max_size=3))
    return bytes(content[: draw(st.sampled_from([len(content)] * 3 + [len(content) // 2]))])


@pytest.fixture(scope="module")
def shared_warehouse(make_database: Callable[[], str]) -> Iterator[Warehouse]:
    yield Warehouse(make_database())


def check_mangled_file(warehouse: Warehouse, path: Path, content: bytes, threshold: float) -> None:
    with warehouse.connect() as connection:
        connection.execute("drop schema if exists raw cascade")
    write(path, content)
    try:
        report = load(warehouse, "order_lines", [path], reject_threshold=threshold)
    except SmartRetailError as error:
        assert path.name in str(error)
        assert error.hint
        assert state_of(warehouse) == {}
        return
    assert report.given > 0
    assert report.rejected <= threshold * report.given
    assert_accounted_for(warehouse, report)
    before = state_of(warehouse)
    assert load(warehouse, "order_lines", [path]).load_id is None
    assert state_of(warehouse) == before


mangled = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(mangled, max_examples=200)
@given(content=mangled_files(), threshold=st.sampled_from([0.05, 1.0]))
def test_any_file_is_accounted_for_or_refused(
    shared_warehouse: Warehouse, tmp_path: Path, content: bytes, threshold: float
) -> None:
    check_mangled_file(shared_warehouse, tmp_path / "mangled.csv", content, threshold)


@pytest.mark.slow
@settings(mangled, max_examples=2_000, derandomize=False)
@given(content=mangled_files(), threshold=st.sampled_from([0.05, 1.0]))
def test_any_of_many_files_is_accounted_for_or_refused(
    shared_warehouse: Warehouse, tmp_path: Path, content: bytes, threshold: float
) -> None:
    check_mangled_file(shared_warehouse, tmp_path / "mangled.csv", content, threshold)
