"""Finding out from the values how a file writes its dates and numbers.

Values vote: ``31/12/2024`` can only be day first, ``3,99`` can only have a decimal comma. What no
value settles is asked, never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from python_ml.errors import InputError
from python_ml.ingest.contract import DateOrder, Decimal, iso_text, iso_time
from python_ml.warehouse.postgres import identifier


class DateVotes:
    """The order of day, month and year in one text column.

    Parameters
    ----------
    column
        Name in the raw table.
    stated
        What the user says; it counts unless the values are ISO.
    """

    def __init__(self, column: str, stated: str | None) -> None:
        self.column = column
        self.columns = [column]
        self._stated: DateOrder | None = "dmy" if stated == "dmy" else "mdy" if stated else None
        self._votes: Counter[str] = Counter()

    @property
    def query(self) -> str:
        """Counts the votes among ``cells``."""
        orders: tuple[DateOrder, ...] = ("iso", "dmy", "mdy")
        text = identifier(self.column)
        plain = ", ".join(f"{iso_text(text, order)} as {order}" for order in orders)
        times = ", ".join(f"{iso_time(order)} as {order}" for order in orders)
        return f""",
            plain as (select {plain} from cells),
            times as (select {times} from plain)
            select
                count(iso) as iso,
                count(*) filter (where dmy is not null and mdy is null) as dmy,
                count(*) filter (where mdy is not null and dmy is null) as mdy,
                count(*) filter (where dmy <> mdy) as either
            from times
        """  # noqa: S608 - a column of our own

    def add(self, counts: Mapping[str, int]) -> None:
        """Add what the query counted."""
        self._votes.update({name: int(count) for name, count in counts.items()})

    @property
    def is_decided(self) -> bool:
        """Whether no further values need to be looked at."""
        votes = self._votes
        if votes["iso"] > votes["dmy"] + votes["mdy"] + votes["either"]:
            return True
        return votes["dmy"] != votes["mdy"] or (self._stated is not None and votes.total() > 0)

    def verdict(self) -> DateOrder:
        """The order that most values are in.

        Raises
        ------
        InputError
            When the values leave it open and the user did not say.
        """
        votes = self._votes
        if votes["iso"] >= votes["dmy"] + votes["mdy"] + votes["either"]:
            return "iso"
        if self._stated is not None:
            return self._stated
        if votes["dmy"] == votes["mdy"] and votes["dmy"] + votes["either"]:
            raise InputError(
                f"{self.column} could be day first or month first.",
                "Add --date-order dmy (31/12/2024) or --date-order mdy (12/31/2024).",
            )
        return "dmy" if votes["dmy"] >= votes["mdy"] else "mdy"


class NumberVotes:
    """The decimal mark of a file: one for all its text columns of numbers.

    Parameters
    ----------
    columns
        Names in the raw table.
    stated
        What the user says; it counts in any case.
    """

    def __init__(self, columns: Sequence[str], stated: str | None) -> None:
        self.columns = list(columns)
        self._stated: Decimal | None = "comma" if stated == "comma" else "point" if stated else None
        self._votes: Counter[str] = Counter()

    @property
    def query(self) -> str:
        """Counts the votes among ``cells``."""
        numbers = " union all ".join(
            f"select {name} as number from cells"  # noqa: S608
            for name in map(identifier, self.columns)
        )
        comma = r"[+-]?(\d+,(\d{1,2}|\d{4,})|\d{4,},\d{3}|\d{1,3}(\.\d{3})+,\d+|0+,\d+)"
        point = r"[+-]?(\d*\.(\d{1,2}|\d{4,})|\d{4,}\.\d{3}|\d{1,3}(,\d{3})+\.\d+|0*\.\d+)"
        either = r"[+-]?\d{1,3},\d{3}"
        return f""",
            numbers as ({numbers})
            select
                count(*) filter (where regexp_full_match(number, '{comma}')) as comma,
                count(*) filter (where regexp_full_match(number, '{point}')) as point,
                count(*) filter (where regexp_full_match(number, '{either}')) as either
            from numbers
        """  # noqa: S608 - columns of our own

    def add(self, counts: Mapping[str, int]) -> None:
        """Add what the query counted."""
        self._votes.update({name: int(count) for name, count in counts.items()})

    @property
    def is_decided(self) -> bool:
        """Whether no further values need to be looked at."""
        return self._stated is not None or self._votes["comma"] != self._votes["point"]

    def verdict(self) -> Decimal:
        """The mark that most values have; a point where no value has any.

        Raises
        ------
        InputError
            When the values leave it open and the user did not say.
        """
        votes = self._votes
        if self._stated is not None:
            return self._stated
        if votes["comma"] == votes["point"] and votes["comma"] + votes["either"]:
            raise InputError(
                "numbers like 1,234 could be thousands or have a decimal comma.",
                "Add --decimal point (1,234.50) or --decimal comma (1.234,50).",
            )
        return "comma" if votes["comma"] > votes["point"] else "point"
