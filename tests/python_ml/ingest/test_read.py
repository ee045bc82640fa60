"""Reading files: what is read, what costs a row, and what refuses a file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from python_ml.errors import InputError
from python_ml.ingest.read import ReadOptions, plan_file, read_file
from python_ml.ingest.records import BadRow
from python_ml.ingest.sources import ColumnMapping, source_tables
from tests.python_ml.ingest.shop_files import COLUMNS, Row, csv_text, line, lines, write

TABLE = source_tables("order_lines")[0]


def read(
    path: Path, mapping: ColumnMapping | None = None, **options: Any
) -> tuple[list[dict[str, Any]], list[BadRow]]:
    """All good rows and all bad ones; together they are the rows given."""
    plan = plan_file(path, TABLE, mapping or ColumnMapping(), ReadOptions(**options))
    good: list[dict[str, Any]] = []
    bad: list[BadRow] = []
    given = 0
    with read_file(plan, datetime.now(UTC).date().isoformat()) as stretches:
        for rows in stretches:
            good += rows.good.to_pylist()
            bad += rows.bad
            given += rows.given
    assert given == len(good) + len(bad)
    return good, bad


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines.csv"


def read_rows(
    path: Path, rows: Sequence[Row], columns: Sequence[str] = COLUMNS, **options: Any
) -> tuple[list[dict[str, Any]], list[BadRow]]:
    return read(write(path, csv_text(rows, columns=columns)), **options)


def reason_for(path: Path, **cells: Any) -> str | None:
    """Why a row with these cells is rejected; None when it is not."""
    columns = tuple(dict.fromkeys((*COLUMNS, *cells)))
    _, bad = read_rows(path, [line(1), line(2), line(3, **cells)], columns)
    return bad[0].reason if bad else None


def value_of(path: Path, column: str, cell: str, **options: Any) -> Any:
    columns = tuple(dict.fromkeys((*COLUMNS, column)))
    good, bad = read_rows(path, [line(1, **{column: cell})], columns, **options)
    assert bad == []
    return good[0][column]


# -- how text files are written ----------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiters_line_ends_and_byte_order_marks_are_found_out(
    path: Path, delimiter: str, end: str, encoding: str
) -> None:
    rows = [line(1, customer_id="Zoë"), line(2, product_id=f"a{delimiter}b")]
    write(path, csv_text(rows, delimiter=delimiter, end=end), encoding)
    good, bad = read(path)
    assert [row["customer_id"] for row in good] == ["Zoë", "C2"]
    assert [row["product_id"] for row in good] == ["P1", f"a{delimiter}b"]
    assert bad == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_byte_order_mark_before_a_quote_is_no_part_of_a_name(path: Path, encoding: str) -> None:
    text = csv_text(lines(2)).replace("order_id", '"order_id"')
    good, bad = read(write(path, "\ufeff" + text, encoding), encoding=encoding)
    assert (len(good), bad) == (2, [])


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "cp1250"])
def test_other_encodings_are_read_when_named(path: Path, encoding: str) -> None:
    write(path, csv_text([line(1, customer_id="Jürgen")]), encoding)
    good, _ = read(path, encoding=encoding)
    assert good[0]["customer_id"] == "Jürgen"


@pytest.mark.parametrize(
    ("encoding", "hint"), [("latin-1", "--encoding cp1252"), ("utf-16", "--encoding utf-16")]
)
def test_a_wrong_encoding_names_file_line_and_flag(path: Path, encoding: str, hint: str) -> None:
    write(path, csv_text([line(1), line(2, customer_id="Zoë")]), encoding)
    with pytest.raises(InputError, match=r"lines\.csv.*: the text is") as refusal:
        read(path)
    assert hint in str(refusal.value)
    if encoding == "latin-1":
        assert "line 3" in str(refusal.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "ascii"])
def test_the_wrong_encoding_named_is_refused(path: Path, encoding: str) -> None:
    write(path, csv_text([line(1, customer_id="Zoë ü")]))
    assert f"the text is not {encoding}" in refusal_of(path, encoding=encoding)


def test_a_wrong_byte_far_down_names_its_line(path: Path) -> None:
    content = bytearray(csv_text(lines(100_000)).encode())
    content[content.index(b"O90000,") + 1] = 0xFF
    write(path, bytes(content))
    with pytest.raises(InputError, match=r"line 90001: the text is not utf-8"):
        read(path)


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "hex"])
def test_an_unknown_encoding_is_refused(path: Path, encoding: str) -> None:
    write(path, csv_text(lines(1)))
    with pytest.raises(InputError, match=f"there is no text encoding named '{encoding}'"):
        read(path, encoding=encoding)


def test_an_encoding_with_halves_of_characters_is_refused(path: Path) -> None:
    write(path, csv_text(lines(1)).replace("C1", "+2AA-"))
    with pytest.raises(InputError, match="encoding"):
        read(path, encoding="utf-7")


# -- lines that are no rows --------------------------------------------------------------------

HEADER = ",".join(COLUMNS)
GOOD = "O1,1,C1,2024-03-01,P1,2,3.50"


def bad_lines(path: Path, *given: str, end: str = "\n") -> list[tuple[int, str]]:
    _, bad = read(write(path, end.join([HEADER, *given])))
    return [(row.line, row.reason) for row in bad]


def test_ragged_rows_cost_themselves(path: Path) -> None:
    assert bad_lines(path, GOOD, "O2,1,C1", GOOD, GOOD + ",more", GOOD) == [
        (3, "malformed line: 3 columns instead of 7"),
        (5, "malformed line: 8 columns instead of 7"),
    ]


def test_a_last_line_that_was_cut_off_costs_itself(path: Path) -> None:
    assert bad_lines(path, GOOD, GOOD, "O3,1,C1,2024-0") == [
        (4, "malformed line: 4 columns instead of 7")
    ]
    assert bad_lines(path, GOOD, 'O3,1,C1,2024-03-01,P1,2,"3.5') == [
        (3, "malformed line: unexpected end of data")
    ]


def test_a_stray_quote_does_not_swallow_the_rows_behind_it(path: Path) -> None:
    stray = GOOD.replace("P1", '"P1')
    assert bad_lines(path, stray, GOOD, GOOD) == [(2, "malformed line: unexpected end of data")]
    pair = bad_lines(path, GOOD, stray, *[GOOD] * 5, stray, GOOD)
    assert [number for number, _ in pair] == [3, 9]
    inside = GOOD.replace("P1", '6" pipe')
    assert bad_lines(path, inside, GOOD) == []


def test_a_stray_quote_before_many_rows_costs_one(path: Path) -> None:
    stray = GOOD.replace("P1", '"P1')
    good, bad = read(write(path, "\n".join([HEADER, stray, *[GOOD] * 150_000])))
    assert (len(good), [row.line for row in bad]) == (150_000, [2])


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_counted_through_quoted_line_breaks_and_blank_lines(path: Path, end: str) -> None:
    two_lines = GOOD.replace("P1", f'"P{end}1"')
    bad = GOOD.replace(",2,", ",x,")
    assert bad_lines(path, two_lines, bad, "", "  ", two_lines, "short", bad, end=end) == [
        (4, "quantity is not a number"),
        (9, "malformed line: 1 columns instead of 7"),
        (10, "quantity is not a number"),
    ]


def test_blank_lines_alone_are_counted_too(path: Path) -> None:
    assert bad_lines(path, "", GOOD, "", "", GOOD.replace(",2,", ",x,"), "", "") == [
        (6, "quantity is not a number")
    ]


def test_quoted_line_breaks_are_kept_where_blocks_of_the_file_meet(path: Path) -> None:
    rows = [line(n, product_id=f"P\n{n}", quantity="x" if n % 5000 == 0 else "1")
            for n in range(1, 120_001)]  # fmt: skip
    write(path, csv_text(rows))
    good, bad = read(path)
    assert all(row["product_id"] == f"P\n{row['order_id'][1:]}" for row in good)
    assert [row.line for row in bad] == [2 * n for n in range(5000, 120_001, 5000)]
    assert len(good) + len(bad) == 120_000


def test_quick_and_careful_splitting_agree(path: Path) -> None:
    rows = [line(n, customer_id=f" C{n}\t", product_id="é|;" * (n % 3)) for n in range(500)]
    plain, _ = read(write(path, csv_text(rows)))
    careful, _ = read(write(path, csv_text([*rows, line(500, product_id='quo"te')])))
    assert careful[:-1] == plain


def test_a_row_with_several_faults_is_one_row(path: Path) -> None:
    _, bad = read_rows(path, [line(1, quantity="x", unit_price="y", ordered_at="z"), line(2)])
    assert [(row.line, row.reason) for row in bad] == [(2, "ordered_at is not a time")]


def test_a_line_too_long_for_memory_costs_itself(path: Path) -> None:
    long = GOOD.replace("P1", "x" * (6 << 20))
    assert bad_lines(path, GOOD, long, GOOD.replace(",2,", ",x,")) == [
        (3, "malformed line: field larger than field limit (131072)"),
        (4, "quantity is not a number"),
    ]
    wide = bad_lines(path, GOOD, ",".join(["x" * 100_000] * 60), GOOD)
    assert wide == [(3, "malformed line: longer than 1,048,576 characters")]


# -- files that are refused --------------------------------------------------------------------


def refusal_of(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as refusal:
        read(path, **options)
    assert refusal.value.hint
    return refusal.value.message


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert refusal_of(tmp_path) == f"{tmp_path}: not a file."
    assert refusal_of(tmp_path / "missing.csv") == f"{tmp_path / 'missing.csv'}: no such file."


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the first line is empty"),
        (b"   \norder_id\n", "the first line is empty"),
        (b'"order_id,quantity\n', "quotes of the first line"),
        (b"PK\x03\x04rest", "a spreadsheet or an archive"),
        (b"\x1f\x8brest", "compressed"),
        (b"order_id\n1\n", "the required column 'customer_id' is missing"),
        (b"O1,C1,2024-01-01,1,1\n", "the required column 'order_id' is missing"),
    ],
)
def test_a_file_of_no_use_is_refused_by_name(path: Path, content: bytes, what: str) -> None:
    message = refusal_of(write(path, content))
    assert message.startswith(str(path))
    assert what in message


def test_a_missing_column_comes_with_those_there_are(path: Path) -> None:
    write(path, csv_text(lines(1), columns=(*COLUMNS[:-1], "Price")))
    with pytest.raises(InputError, match=r"unit_price.*missing[\s\S]*quantity, Price.*--map"):
        read(path)
    good, _ = read(
        write(path, csv_text([line(1, Price="4")], columns=(*COLUMNS[:-1], "Price"))),
        ColumnMapping({"Price": "unit_price"}),
    )
    assert good[0]["unit_price"] == 4


@pytest.mark.parametrize("name", ["order_id", "Order ID", " ORDER_ID "])
def test_two_columns_that_could_be_one_are_refused(path: Path, name: str) -> None:
    write(path, csv_text([line(1)], columns=(*COLUMNS, name)))
    assert "several columns could be 'order_id'" in refusal_of(path)


def test_two_columns_of_a_mapped_name_are_refused(path: Path) -> None:
    write(path, csv_text([line(1)], columns=(*COLUMNS, "Brand", "Brand")))
    mapping = ColumnMapping.parse([], ["product:Brand"])
    assert "2 columns are named 'Brand'" in refusal_of(path, mapping=mapping)


def test_columns_that_nobody_asked_for_are_ignored(path: Path) -> None:
    columns = ("note", *COLUMNS, "note", "")
    good, bad = read_rows(path, [line(1, note="\0" * 9)], columns)
    assert (len(good), bad) == (1, [])
    assert "note" not in good[0]


@pytest.mark.parametrize(
    ("mapping", "what"),
    [
        (ColumnMapping({"Nope": "quantity"}), "--map names 'Nope'"),
        (ColumnMapping({"order_id": "nope"}), "there is no column 'nope' to map to"),
        (ColumnMapping.parse([], ["product:Nope"]), "--attribute names 'Nope'"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(
    path: Path, mapping: ColumnMapping, what: str
) -> None:
    assert what in refusal_of(write(path, csv_text(lines(1))), mapping=mapping)


@pytest.mark.parametrize("option", ["date_order", "decimal"])
def test_an_unknown_choice_is_refused(path: Path, option: str) -> None:
    message = refusal_of(write(path, csv_text(lines(1))), **{option: "nope"})
    assert message == f"--{option.replace('_', '-')} nope: not understood."


# -- cells -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"order_id": " "}, "order_id is empty"),
        ({"customer_id": ""}, None),
        ({"order_id": "a\0b"}, "order_id has a zero byte"),
        ({"product_id": "x" * 501}, "product_id is longer than 500 characters"),
        ({"product_id": "é" * 500}, None),
        ({"quantity": ""}, "quantity is empty"),
        ({"quantity": "NaN"}, "quantity is empty"),
        ({"quantity": "12 pcs"}, "quantity is not a number"),
        ({"quantity": "1_000"}, "quantity is not a number"),
        ({"quantity": "0x10"}, "quantity is not a number"),
        ({"quantity": "inf"}, "quantity is not a number"),
        ({"quantity": "1e400"}, "quantity is out of range"),
        ({"quantity": "1" + "0" * 18}, "quantity is out of range"),
        ({"quantity": "1e9", "unit_price": "1e9"}, "the amount is out of range"),
        ({"quantity": "-2"}, None),
        ({"quantity": "1,234"}, None),
        ({"unit_price": "-1"}, "unit_price is negative"),
        ({"unit_price": "3,5"}, "unit_price is not a number"),
        ({"ordered_at": ""}, "ordered_at is empty"),
        ({"ordered_at": "yesterday"}, "ordered_at is not a time"),
        ({"ordered_at": "2024-02-30"}, "ordered_at is not a time"),
        ({"ordered_at": "31/12/2023"}, "ordered_at is not a time"),
        ({"ordered_at": "infinity"}, "ordered_at is not a time"),
        ({"ordered_at": "2024-03-01 10:00:00 Europe/Berlin"}, "ordered_at is not a time"),
        ({"ordered_at": "1900-01-01"}, "ordered_at lies before 1950 or in the future"),
        ({"ordered_at": "2999-01-01"}, "ordered_at lies before 1950 or in the future"),
        ({"discount": "1.5"}, "discount is not a fraction from 0 to 1"),
        ({"discount": "none"}, None),
        ({"returned": "2"}, "returned is neither 1 nor 0 nor empty"),
        ({"returned": "maybe"}, "returned is not a whole number"),
        ({"returned_at": "2024-01-01"}, "returned_at is before ordered_at"),
    ],
)
def test_a_bad_cell_costs_its_row(path: Path, cells: Row, reason: str | None) -> None:
    assert reason_for(path, **cells) == reason


def test_tomorrow_is_no_future_yet(path: Path) -> None:
    today = datetime.now(UTC).date()
    assert reason_for(path, ordered_at=(today + timedelta(days=1)).isoformat()) is None
    assert reason_for(path, ordered_at=(today + timedelta(days=2)).isoformat()) is not None


@pytest.mark.parametrize(
    "text", ["|x|", "nan", "None", "NULL", "13085.0", "007", "'", "\\N", "a\nb"]
)
def test_texts_stay_as_they_are(path: Path, text: str) -> None:
    assert value_of(path, "customer_id", text) == text


def test_blanks_around_texts_go(path: Path) -> None:
    assert value_of(path, "customer_id", " \t\N{NO-BREAK SPACE} C 1 \N{NO-BREAK SPACE}") == "C 1"
    assert value_of(path, "customer_id", "\N{NO-BREAK SPACE}") is None


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("0.0", 0), ("TRUE", 1), ("no", 0), ("nan", None), ("", None)]
)
def test_returned_is_one_zero_or_empty(path: Path, text: str, value: int | None) -> None:
    assert value_of(path, "returned", text) == value


def test_a_rejected_row_shows_what_was_given(path: Path) -> None:
    _, bad = read_rows(path, [line(1, quantity="a\0b;" + "x" * 2000)])
    shown = bad[0].printable().text
    assert "quantity=a\N{SYMBOL FOR NULL}b;xxx" in shown
    assert len(shown) == 1000


# -- dates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-03-01", datetime(2024, 3, 1)),
        ("2024/3/1 8:05", datetime(2024, 3, 1, 8, 5)),
        ("2024-03-01T08:05:06.5", datetime(2024, 3, 1, 8, 5, 6, 500_000)),
        ("20240301", datetime(2024, 3, 1)),
        ("20240301 08:05", datetime(2024, 3, 1, 8, 5)),
        ("2024-03-01T10:00:00Z", datetime(2024, 3, 1, 10)),
        ("2024-03-01 10:00:00 UTC", datetime(2024, 3, 1, 10)),
        ("2024-03-01 10:00:00+02:00", datetime(2024, 3, 1, 8)),
        ("2024-03-01 10:00:00.5 -0530", datetime(2024, 3, 1, 15, 30, 0, 500_000)),
        ("2024-03-01 10:00+02", datetime(2024, 3, 1, 8)),
        ("31/12/2023 23:59:58", datetime(2023, 12, 31, 23, 59, 58)),
        ("31.12.2023", datetime(2023, 12, 31)),
        ("31-12-23", datetime(2023, 12, 31)),
        ("12/31/2023 8:26 PM", datetime(2023, 12, 31, 20, 26)),
        ("12/31/23 12:26:01 am", datetime(2023, 12, 31, 0, 26, 1)),
    ],
)
def test_times_are_understood(path: Path, text: str, time: datetime) -> None:
    assert value_of(path, "ordered_at", text) == time


@pytest.mark.parametrize(("order", "day"), [("dmy", date(2024, 3, 2)), ("mdy", date(2024, 2, 3))])
def test_dates_that_could_be_both_are_asked_for(path: Path, order: str, day: date) -> None:
    write(path, csv_text([line(1, ordered_at="02/03/2024")]))
    with pytest.raises(InputError, match=r"lines\.csv: ordered_at could be.*[\s\S]*--date-order"):
        read(path)
    good, _ = read(path, date_order=order)
    assert good[0]["ordered_at"].date() == day


def test_one_date_that_is_clear_settles_the_column(path: Path) -> None:
    rows = [line(n, ordered_at="02/03/2024") for n in range(70_000)]
    good, bad = read_rows(path, [*rows, line(0, ordered_at="13/03/2024")])
    assert bad == []
    assert {row["ordered_at"].date() for row in good} == {date(2024, 3, 2), date(2024, 3, 13)}


def test_each_column_has_its_own_order(path: Path) -> None:
    cells = {"ordered_at": "13/03/2024", "returned_at": "03/25/2024", "recorded_at": "2024-03-14"}
    good, _ = read_rows(path, [line(1, **cells)], (*COLUMNS, "returned_at", "recorded_at"))
    times = (good[0]["ordered_at"], good[0]["returned_at"], good[0]["recorded_at"])
    assert times == (datetime(2024, 3, 13), datetime(2024, 3, 25), datetime(2024, 3, 14))


def test_the_odd_ones_among_mixed_dates_are_rejected(path: Path) -> None:
    days = ["13/03/2024", "14/03/2024", "03/25/2024", "2024-03-01"]
    _, bad = read_rows(path, [line(n, ordered_at=day) for n, day in enumerate(days)])
    assert [row.line for row in bad] == [4, 5]


# -- decimals ----------------------------------------------------------------------------------


def prices(path: Path, *cells: str, **options: Any) -> list[float | None]:
    good, bad = read_rows(path, [line(1, unit_price=cell) for cell in cells], **options)
    by_line = {row.line: None for row in bad}
    values = iter([row["unit_price"] for row in good])
    return [by_line[n] if n in by_line else next(values) for n in range(2, len(cells) + 2)]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["3,50", "1.234,5", "7", "1.000"], [3.5, 1234.5, 7, 1000]),
        (["3.50", "1,234.5", "7", "1,000"], [3.5, 1234.5, 7, 1000]),
        (["1.234", "1"], [1.234, 1]),
        (["0,500", "1,000"], [0.5, 1]),
        (["3.5", "4.5", "1,25"], [3.5, 4.5, None]),
        (["3,5", "4,5", "1.25"], [3.5, 4.5, None]),
        ([".5", "2.", "+1", "1e2"], [0.5, 2, 1, 100]),
    ],
)
def test_the_decimal_mark_is_found_out(
    path: Path, cells: list[str], values: list[float | None]
) -> None:
    assert prices(path, *cells) == values


def test_numbers_that_could_be_both_are_asked_for(path: Path) -> None:
    write(path, csv_text([line(1, unit_price="1,234")]))
    with pytest.raises(InputError, match=r"lines\.csv: numbers like 1,234[\s\S]*--decimal comma"):
        read(path)
    assert prices(path, "1,234", decimal="comma") == [1.234]
    assert prices(path, "1,234", decimal="point") == [1234]


# -- Parquet -----------------------------------------------------------------------------------


def parquet(path: Path, count: int = 2, **columns: Any) -> Path:
    rows = lines(count)
    table = {name: [row[name] for row in rows] for name in COLUMNS} | columns
    target = path.with_suffix(".parquet")
    pq.write_table(pa.table(table), target)
    return target


def test_typed_columns_of_parquet_are_read_as_they_are(path: Path) -> None:
    zone = pa.timestamp("ns", "America/New_York")
    good, bad = read(
        parquet(
            path,
            order_id=pa.array([10, 11]),
            customer_id=pa.array([13085.0, float("nan")]),
            product_id=pa.array(["P1", "P2"]).dictionary_encode(),
            line_id=pa.array([Decimal("1.00"), Decimal("1.50")]),
            quantity=pa.array([1, 2], pa.int16()),
            unit_price=pa.array([Decimal("3.50"), Decimal("4.00")]),
            ordered_at=pa.array([datetime(2024, 3, 1, 15, tzinfo=UTC)] * 2, zone),
            returned=pa.array([1.0, float("nan")]),
            returned_at=pa.array([date(2024, 3, 9), None]),
            recorded_at=pa.array([datetime(2024, 3, 1, 16)] * 2, pa.timestamp("ns")),
        )
    )  # fmt: skip
    assert bad == []
    first, second = good
    assert (first["order_id"], first["customer_id"], first["line_id"]) == ("10", "13085", "1")
    assert (second["customer_id"], second["product_id"], second["line_id"]) == (None, "P2", "1.50")
    assert (first["quantity"], first["unit_price"]) == (1.0, 3.5)
    assert (first["ordered_at"], first["returned_at"]) == (
        datetime(2024, 3, 1, 15), datetime(2024, 3, 9))  # fmt: skip
    assert first["recorded_at"] == datetime(2024, 3, 1, 16)
    assert (first["returned"], second["returned"]) == (1, None)


def test_bad_values_of_parquet_cost_their_row(path: Path) -> None:
    quantities = [1.0, float("nan"), float("inf"), 1e18, 2.0]
    _, bad = read(parquet(path, 5, quantity=pa.array(quantities)))
    assert [(row.line, row.reason) for row in bad] == [
        (2, "quantity is empty"),
        (3, "quantity is out of range"),
        (4, "quantity is out of range"),
    ]


@pytest.mark.parametrize(
    "times",
    [
        pa.array([1_700_000_000, 1_700_000_001]),
        pa.array([1, 2], pa.time64("us")),
        pa.array([2**62, 2**62], pa.timestamp("ms")),
        pa.array([2**63 - 1] * 2, pa.timestamp("us")),
        pa.array([2**63 - 1] * 2, pa.timestamp("us", "UTC")),
        pa.array([True, False]),
    ],
)
def test_what_is_no_time_in_parquet_costs_its_row(path: Path, times: Any) -> None:
    target = parquet(path, ordered_at=times)
    try:
        good, bad = read(target)
    except InputError as error:
        assert str(target) in str(error)
    else:
        assert (len(good), len(bad)) == (0, 2)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[1], [2]]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
    ],
)
def test_nested_columns_are_refused_where_they_are_used(path: Path, values: Any) -> None:
    message = refusal_of(parquet(path, quantity=values))
    assert "'quantity' holds several values in one cell" in message
    assert len(read(parquet(path, other=values))[0]) == 2


def test_a_part_of_a_parquet_file_is_refused(path: Path) -> None:
    whole = parquet(path).read_bytes()
    for content in (whole[: len(whole) // 2], whole[len(whole) // 2 :], b"order_id\n"):
        target = write(path.with_suffix(".parquet"), content)
        assert "not a whole Parquet file" in refusal_of(target)


def test_a_damaged_parquet_file_is_refused(path: Path) -> None:
    content = bytearray(parquet(path, 1000).read_bytes())
    content[4:400] = b"\xff" * 396
    assert "parquet" in refusal_of(write(path.with_suffix(".parquet"), bytes(content)))


def test_texts_of_parquet_that_are_not_utf8_are_refused(path: Path) -> None:
    table = {name: [line(1)[name]] for name in COLUMNS}
    raw = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
    )
    pq.write_table(pa.table(table | {"customer_id": raw}), path.with_suffix(".parquet"))
    assert "lines.parquet" in refusal_of(path.with_suffix(".parquet"))


def test_parquet_is_known_by_its_content(path: Path) -> None:
    target = parquet(path)
    target.rename(path)
    assert len(read(path)[0]) == 2


def test_parquet_with_two_columns_of_one_name_is_refused(path: Path) -> None:
    row = line(1)
    names = [*COLUMNS, "quantity"]
    table = pa.table([pa.array([row[name]]) for name in names], names=names)
    pq.write_table(table, path.with_suffix(".parquet"))
    assert "several columns could be 'quantity'" in refusal_of(path.with_suffix(".parquet"))
