"""Holding what two engines built against each other, row by row."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from python_ml.pipeline import Pipeline
from python_ml.warehouse.postgres import columns_of

LAYERS = ("intermediate", "features", "labels")
RELATIVE = 1e-9
OF_THE_RUN = r"(?:run_id|model_version|scored_at)$"
"""Columns that tell two runs apart that say the same."""

Tables = dict[str, pd.DataFrame]


def built_models(pipeline: Pipeline) -> list[tuple[str, str]]:
    """Layer and name of every intermediate, feature and label model that was built."""
    manifest = json.loads((pipeline.settings.dbt_target_dir / "manifest.json").read_text())
    found = {
        (node["schema"], node["name"])
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] in LAYERS
    }
    return sorted(found)


def read_table(pipeline: Pipeline, layer: str, name: str) -> pd.DataFrame:
    """All rows of a model; exact numbers as doubles, for drivers hand them on in different ways."""
    with pipeline.warehouse.connect() as connection:
        types = columns_of(connection, layer, name)
    columns = ", ".join(
        f"cast({column} as double precision) as {column}"
        if type_.lower().startswith(("numeric", "decimal"))
        else column
        for column, type_ in types.items()
    )
    return pipeline.warehouse.read(f"select {columns} from {layer}.{name}").to_pandas()


def assert_said_the_same(one: Pipeline, other: Pipeline, layer: str, name: str) -> None:
    """Hold a table of predictions in force against another's, but for what names the run.

    A score may differ by what its sums were added up in; what hangs on it stays the same.
    """
    told = [
        read_table(pipeline, layer, name).sort_values("customer_id", ignore_index=True)
        for pipeline in (one, other)
    ]
    mine, theirs = (rows.loc[:, ~rows.columns.str.contains(OF_THE_RUN)] for rows in told)
    assert len(mine) > 100
    pd.testing.assert_frame_equal(mine, theirs, rtol=1e-6, atol=1e-6, check_dtype=False)


def differences(one: Pipeline, other: Pipeline) -> list[str]:
    """What tells the builds of two homes apart; nothing where every row is the same."""
    assert built_models(one) == built_models(other)
    return [
        f"{layer}.{name}: {found}"
        for layer, name in built_models(one)
        if (found := difference(read_table(one, layer, name), read_table(other, layer, name)))
    ]


def difference(one: pd.DataFrame, other: pd.DataFrame) -> str | None:
    """What tells two tables apart: texts, dates and counts exactly, other numbers to 1e-9.

    Rows are put in order by what is exact in them.
    """
    if list(one.columns) != list(other.columns):
        return f"columns {set(one.columns) ^ set(other.columns) or 'in another order'}"
    if len(one) != len(other):
        return f"{len(one)} rows and {len(other)}"
    inexact = [
        name
        for name in one.columns
        if any(pd.api.types.is_float_dtype(table[name]) for table in (one, other))
    ]
    exact = [name for name in one.columns if name not in inexact]
    one, other = (_in_order(table, exact, inexact) for table in (one, other))
    for name in exact:
        mine, theirs = one[name], other[name]
        apart = ~((mine == theirs) | (mine.isna() & theirs.isna()))
        if apart.any():
            return _first(one, other, name, apart.to_numpy(dtype=bool))
    for name in inexact:
        mine, theirs = (table[name].astype("float64").to_numpy() for table in (one, other))
        same = np.isclose(mine, theirs, rtol=RELATIVE, atol=1e-9, equal_nan=True)
        if not same.all():
            return _first(one, other, name, ~same)
    return None


def _in_order(table: pd.DataFrame, exact: list[str], inexact: list[str]) -> pd.DataFrame:
    keys = {name: table[name].map(str) for name in exact}
    keys |= {name: table[name].astype("float64").map("{:.6g}".format) for name in inexact}
    order = pd.DataFrame(keys, index=table.index).sort_values([*exact, *inexact]).index
    return table.loc[order].reset_index(drop=True)


def _first(one: pd.DataFrame, other: pd.DataFrame, name: str, apart: np.ndarray) -> str:
    place = int(np.flatnonzero(apart)[0])
    row = {key: str(value) for key, value in one.iloc[place].items()}
    return (
        f"{name} of {int(apart.sum())} rows, the first {one[name][place]!r} "
        f"and {other[name][place]!r} in {row}"
    )
