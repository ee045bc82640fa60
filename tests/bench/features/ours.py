"""What peers are held against: the rows of ``feat_order_habit``, and whether theirs are equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from python_ml.pipeline import Pipeline

MODEL = "feat_order_habit"
AGREE = 1e-6
"""How far two values may lie apart, as a share of ours and in itself."""


@dataclass(frozen=True)
class Made:
    """What one peer made.

    Parameters
    ----------
    columns
        How many columns it made, keys aside.
    compared
        How many of them are columns of ours too.
    differing
        Those of them whose values are not ours, by our names.
    """

    seconds: float
    rows: int
    columns: int
    compared: int = 0
    differing: tuple[str, ...] = ()


class Ours:
    """The home's own rows, date by date."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._warehouse = pipeline.warehouse
        dates = self._warehouse.read(
            f"select as_of_date, count(*) as n from features.{MODEL} group by 1 order by 1"
        )
        self.rows_of: dict[date, int] = dict(
            zip(dates["as_of_date"].to_pylist(), dates["n"].to_pylist(), strict=True)
        )
        names = self._warehouse.read(f"select * from features.{MODEL} limit 0").schema.names
        self.columns = [name for name in names if name not in ("customer_id", "as_of_date")]

    @property
    def rows(self) -> int:
        """Rows of all dates."""
        return sum(self.rows_of.values())

    def differing(self, made: pd.DataFrame, day: date, shared: Mapping[str, str]) -> set[str]:
        """Our names of columns whose values are not ours on a date.

        Parameters
        ----------
        made
            Indexed by customer_id.
        shared
            Columns of it, and ours that say the same.
        """
        ours = self._warehouse.read(
            f"select customer_id, {', '.join(shared.values())} from features.{MODEL} "
            "where as_of_date = $1",
            [day],
        )
        table = ours.to_pandas().set_index("customer_id")
        if len(table) != len(made) or not table.index.isin(made.index).all():
            return {"customer_id"}
        table = table.reindex(made.index)
        return {
            own
            for name, own in shared.items()
            if not np.allclose(
                made[name].to_numpy(np.float64),
                table[own].to_numpy(np.float64),
                rtol=AGREE,
                atol=AGREE,
                equal_nan=True,
            )
        }


def line_versions(pipeline: Pipeline) -> pa.Table:
    """All order lines with the days from which and until which they were known."""
    return pipeline.warehouse.read(
        "select line_key, customer_id, order_id, product_id, category, ordered_at, ordered_on, "
        "known_on, superseded_on, quantity::float8 as quantity, net_amount::float8 as amount "
        "from intermediate.int_order_lines where customer_id is not null "
        "order by ordered_at, line_key"
    )
