"""The order-line contract as SQL: converting cells, and saying what is wrong with a row.

Cells arrive in a relation ``given`` whose columns carry the names of the raw table. Nothing that
stands in a file, neither name nor value, becomes part of a statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from python_ml.ingest.sources import Column, SourceTable
from python_ml.warehouse.postgres import identifier

LARGEST_AMOUNT = 1e12
"""Quantities, prices and amounts from here on are typing errors; they would overflow the sums."""

LONGEST_TEXT = 500
"""Characters; a longer id would not fit into an index."""

DateOrder = Literal["iso", "dmy", "mdy"]
Decimal = Literal["point", "comma"]

_NUMBERS = ("DOUBLE", "FLOAT", "DECIMAL", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT",
            "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")  # fmt: skip
_WIDEST_EXACT_FLOAT = 1e15

_NOTHING = "'', 'nan', 'nat', 'null', 'none', 'n/a', '#n/a'"

_YEAR_FIRST, _DAY_FIRST, _MONTH_FIRST = r"\1-\2-\3\4", r"\3-\2-\1\4", r"\3-\1-\2\4"
_WHOLE = r"[+-]?\d+(\.0+)?"
_DATE = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_TIME = r"[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
_ZONE = r" ?(Z|UTC|[+-]\d{2}(:?\d{2})?)"
_TWELVE_HOURS = r"[ T]\d{1,2}:\d{2}(:\d{2})? ?[AaPp][Mm]"


@dataclass(frozen=True)
class Reading:
    """How the cells of one file are to be understood.

    Parameters
    ----------
    types
        DuckDB type of each column that the file has, by its name in the raw table.
    date_orders
        Order of day, month and year for text columns of times; ISO where not named.
    decimal
        Mark between units and tenths in text columns of numbers.
    """

    types: Mapping[str, str]
    date_orders: Mapping[str, DateOrder] = field(default_factory=dict)
    decimal: Decimal = "point"


def checked_rows(
    table: SourceTable, attributes: tuple[str, ...], reading: Reading, today: str
) -> str:
    """The query that converts ``given`` and finds the first reason against each row.

    Texts in ``given`` have no blanks around them. The columns of the result are those of the raw
    table, ``_row_number``, ``_line``, ``_reason`` (null where the row keeps the contract) and
    ``_text`` (the row as it was given, where it does not).
    """
    columns = [*table.columns, *(Column(name, "text", name) for name in attributes)]
    present = [column for column in columns if column.name in reading.types]
    cells = ", ".join(
        f"{_cell(c, reading)} as {_cell_of(c)}, {_plain(c, reading)} as {_plain_of(c)}"
        for c in present
    )
    values = ", ".join(
        f"{_value(c, reading) if c in present else f'cast(null as {duckdb_type(c.type)})'} "
        f"as {identifier(c.name)}"
        for c in columns
    )
    kept = ", ".join(_cell_of(c) for c in present)
    shown = " || ".join(
        f"coalesce('; {c.name}=' || cast({_cell_of(c)} as varchar), '')" for c in present
    )
    checks = [check for c in present for check in _column_checks(c, today)]
    if table.is_flat_file:
        checks += _flat_file_checks(reading)
    names = ", ".join(identifier(column.name) for column in columns)
    return f"""
        with cells as (select _row_number, _line, {cells} from given),
        typed as (select _row_number, _line, {kept}, {values} from cells),
        checked as (select *, case {" ".join(checks)} end as _reason from typed)
        select {names}, _row_number, _line, _reason,
            case when _reason is not null then ({shown})[3:] end as _text
        from checked
    """  # noqa: S608 - names of our own raw table only


def iso_text(text: str, order: DateOrder) -> str:
    """Rewrite a time in that order of day, month and year as ISO; null where it is in another."""
    if order == "iso":
        joined = r"^(\d{4})\.?(\d{2})\.?(\d{2})([ T].*)?$"
        return (
            f"case when {_matches(text, _DATE + '.*')} then {text} "
            f"when {_matches(text, joined)} then {_replace(text, joined, _YEAR_FIRST)} end"
        )
    long = r"^(\d{1,2})[./-](\d{1,2})[./-](\d{4})(\D.*)?$"
    short = long.replace("{4}", "{2}")  # a year without its century: 20 stands before it
    by = _DAY_FIRST if order == "dmy" else _MONTH_FIRST
    return (
        f"case when {_matches(text, long)} then {_replace(text, long, by)} "
        f"when {_matches(text, short)} then {_replace(text, short, '20' + by)} end"
    )


def iso_time(text: str) -> str:
    """The time that an ISO text says, null where it says none; zones become UTC."""
    stamp = f"{_DATE}({_TIME})?"
    joined = f"regexp_replace(replace({text}, 'UTC', 'Z'), ' ([Z+-][0-9:]*)$', '\\1')"
    twelve = f"regexp_replace(replace({text}, '/', '-'), ' ?([AaPp][Mm])$', ' \\1')"
    return (
        f"case when {_matches(text, stamp)} then try_cast({text} as timestamp) "
        f"when {_matches(text, _DATE + _TIME + _ZONE)} "
        f"then make_timestamp(epoch_us(try_cast({joined} as timestamptz))) "
        f"when {_matches(text, _DATE + _TWELVE_HOURS)} then try_strptime({twelve}, "
        "['%Y-%m-%d %I:%M %p', '%Y-%m-%d %I:%M:%S %p']) end"
    )


def parsed_number(text: str, decimal: Decimal) -> str:
    """The number that a text says, null where it says none."""
    if decimal == "comma":
        pattern = r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?"
        plain = f"replace(replace({text}, '.', ''), ',', '.')"
        return f"case when {_matches(text, pattern)} then try_cast({plain} as double) end"
    simple = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
    grouped = r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?"
    return (
        f"case when {_matches(text, simple)} then try_cast({text} as double) "
        f"when {_matches(text, grouped)} then try_cast(replace({text}, ',', '') as double) end"
    )


def duckdb_type(type_: str) -> str:
    """The type of a raw column under DuckDB's name."""
    return {"text": "varchar", "double precision": "double"}.get(type_, type_)


def _cell_of(column: Column) -> str:
    return identifier(column.name + "?")


def _plain_of(column: Column) -> str:
    return identifier(column.name + "!")


def _cell(column: Column, reading: Reading) -> str:
    """What the file has, null where that is nothing."""
    name = identifier(column.name)
    file_type = reading.types[column.name]
    if file_type == "VARCHAR":
        empty = "''" if column.type == "text" else _NOTHING
        return f"case when lower({name}) not in ({empty}) then {name} end"
    if file_type in ("DOUBLE", "FLOAT"):
        return f"case when not isnan({name}) then {name} end"
    return name


def _plain(column: Column, reading: Reading) -> str:
    """The cell in one notation."""
    cell = _cell(column, reading)
    if column.type == "timestamp" and reading.types[column.name] == "VARCHAR":
        return iso_text(cell, reading.date_orders.get(column.name, "iso"))
    return cell


def _value(column: Column, reading: Reading) -> str:
    """The expression that converts a column, null where it cannot."""
    plain, file_type = _plain_of(column), reading.types[column.name]
    if column.type == "text":
        return _text_value(plain, file_type)
    if column.type == "timestamp":
        return _time_value(plain, file_type)
    if file_type == "VARCHAR":
        return _value_of_text(column.type, plain, reading.decimal)
    if file_type.startswith(_NUMBERS):
        return f"try_cast({plain} as {duckdb_type(column.type)})"
    return f"cast(null as {duckdb_type(column.type)})"


def _time_value(plain: str, file_type: str) -> str:
    if file_type == "VARCHAR":
        return iso_time(plain)
    if file_type.startswith(("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")):
        instant = f"try_cast({plain} as timestamptz)"
        return f"case when isfinite({instant}) then make_timestamp(epoch_us({instant})) end"
    if file_type.startswith(("TIMESTAMP", "DATE")):
        time = f"try_cast({plain} as timestamp)"
        return f"case when isfinite({time}) then {time} end"
    return "cast(null as timestamp)"


def _value_of_text(type_: str, text: str, decimal: Decimal) -> str:
    if type_ == "double precision":
        return parsed_number(text, decimal)
    whole = f"case when {_matches(text, _WHOLE)} then try_cast({text} as double) end"
    if type_ == "bigint":
        return f"try_cast({whole} as bigint)"
    return (
        f"case when lower({text}) in ('true', 'yes', 'y') then 1 "
        f"when lower({text}) in ('false', 'no', 'n') then 0 else try_cast({whole} as integer) end"
    )


def _text_value(given: str, file_type: str) -> str:
    if not file_type.startswith(("DOUBLE", "FLOAT", "DECIMAL")):
        return f"nullif(cast({given} as varchar), '')"
    # ids that a spreadsheet or pandas turned into 13085.0
    return (
        f"case when abs({given}) < {_WIDEST_EXACT_FLOAT} and {given} = floor({given}) "
        f"then cast(cast({given} as bigint) as varchar) else cast({given} as varchar) end"
    )


def _column_checks(column: Column, today: str) -> Iterator[str]:
    name, value, cell = column.name, identifier(column.name), _cell_of(column)
    if column.type != "text":
        yield (
            f"when {value} is null and {cell} is not null "
            f"then '{name} is not {_described(column.type)}'"
        )
    if column.required and not column.nullable:
        yield f"when {value} is null then '{name} is empty'"
    if column.type == "text":
        yield f"when contains({value}, chr(0)) then '{name} has a zero byte'"
        yield (
            f"when length({value}) > {LONGEST_TEXT} "
            f"then '{name} is longer than {LONGEST_TEXT} characters'"
        )
    if column.type == "double precision":
        yield f"when not abs({value}) < {LARGEST_AMOUNT} then '{name} is out of range'"
    if column.type == "timestamp":
        # two days, for shops east of Greenwich and clocks that are not exact
        yield (
            f"when {value} < timestamp '1950-01-01' or {value} >= timestamp '{today}' "
            f"+ interval 2 day then '{name} lies before 1950 or in the future'"
        )


def _flat_file_checks(reading: Reading) -> Iterator[str]:
    """Rules of the order-line contract beyond types."""
    yield "when unit_price < 0 then 'unit_price is negative'"
    yield f"when abs(quantity * unit_price) >= {LARGEST_AMOUNT} then 'the amount is out of range'"
    if "discount" in reading.types:
        yield ("when discount < 0 or discount > 1 then 'discount is not a fraction from 0 to 1'")
    if "returned" in reading.types:
        yield "when returned not in (0, 1) then 'returned is neither 1 nor 0 nor empty'"
    if "returned_at" in reading.types:
        yield "when returned_at < ordered_at then 'returned_at is before ordered_at'"


def _matches(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, '{pattern}')"


def _replace(text: str, pattern: str, by: str) -> str:
    return f"regexp_replace({text}, '{pattern}', '{by}')"


def _described(type_: str) -> str:
    return {"timestamp": "a time", "double precision": "a number"}.get(type_, "a whole number")
