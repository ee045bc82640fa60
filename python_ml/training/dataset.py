"""Reading features and labels from the warehouse into frames."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from python_ml.errors import InputError
from python_ml.predictions.base import Prediction
from python_ml.training.frame import DayArray, TrainingFrame
from python_ml.warehouse.catalogue import FeatureCatalogue
from python_ml.warehouse.postgres import Warehouse

LOOKED_AT = 200_000
"""Rows, about, that are enough to see how features lie."""


def read_training_frame(
    warehouse: Warehouse,
    prediction: Prediction,
    catalogue: FeatureCatalogue,
    as_of: date,
    horizon_days: int,
    *,
    most_rows: int | None = None,
    keep_newest: bool = False,
) -> TrainingFrame:
    """Read the rows whose label was known at ``as_of``, sorted by date and entity.

    Parameters
    ----------
    most_rows
        Where there are more, whole customers are drawn in the warehouse, always the same ones, so
        that memory stays bounded in big shops.
    keep_newest
        Take the newest rows instead, twice as many: half of them to measure on.

    Returns
    -------
    TrainingFrame
        Possibly without rows, when no window has closed yet.
    """
    columns = ", ".join(f"features.{name}" for name in catalogue.names)
    keys = " and ".join(f"features.{key} = labels.{key}" for key in catalogue.keys)
    group = prediction.group_column
    known = "labels.horizon_days = $1 and labels.label_known_at <= $2"
    sample = ""
    if most_rows is not None:
        counted = warehouse.read(
            f"select count(*) from {prediction.labels_table} as labels where {known}",  # noqa: S608
            [horizon_days, as_of],
        )
        count = counted.column(0)[0].as_py()
        if keep_newest:
            sample = _newest(prediction, known, count, 2 * most_rows)
        else:
            sample = _sample(f"features.{group}", count, most_rows)
    table = warehouse.read(
        f"select features.{group}, features.as_of_date, labels.label, labels.label_known_at, "  # noqa: S608
        f"{columns} from {prediction.features_table} as features "
        f"inner join {prediction.labels_table} as labels on {keys} "
        f"where {known} {sample} "
        f"order by features.as_of_date, {_in_order(prediction, 'features.')}",
        [horizon_days, as_of],
    )
    return TrainingFrame(
        features=to_features(table, catalogue),
        categorical=catalogue.categorical,
        entity=table.column(group).to_numpy(zero_copy_only=False),
        as_of=_days(table, "as_of_date"),
        label=table.column("label").to_numpy(zero_copy_only=False).astype(np.float64),
        label_known_at=_days(table, "label_known_at"),
        horizon_days=horizon_days,
        calendar=catalogue.calendar,
    )


def read_features(
    warehouse: Warehouse,
    prediction: Prediction,
    catalogue: FeatureCatalogue,
    as_of: date,
    horizon_days: int,
    *,
    most_rows: int | None = None,
) -> tuple[pa.Table, pd.DataFrame]:
    """Read the features of what is to be scored at one as-of date, sorted by the keys.

    Parameters
    ----------
    most_rows
        Where there are more, about so many: whole customers are drawn.

    Returns
    -------
    tuple
        Keys, with ``label_known_at`` where each row has one of its own, and features.

    Raises
    ------
    InputError
        When the date was never built; an empty shop gives no rows and no error.
    """
    query = rows_to_score(prediction, catalogue, "$1", "$2")
    parameters: list[Any] = [as_of]
    if prediction.open_rows is not None:
        parameters.append(horizon_days)
    if most_rows is not None:
        counted = warehouse.read(f"select count(*) from ({query}) as counted", parameters)  # noqa: S608
        group = f"features.{prediction.group_column}"
        query = f"{query} {_sample(group, counted.column(0)[0].as_py(), most_rows)}"
    # byte by byte, the same on every engine; here, for an engine would move wide rows to sort them
    table = warehouse.read(query, parameters).sort_by(
        [(name, "ascending") for name in prediction.entity_columns]
    )
    keys = keys_of_scores(prediction)
    if table.num_rows == 0 and not _was_built(warehouse, prediction, as_of):
        raise InputError(
            f"The features of {as_of} were not built.", f"Run `smartretail build --as-of {as_of}`."
        )
    return table.select(keys), to_features(table, catalogue)


def keys_of_scores(prediction: Prediction) -> list[str]:
    """Columns of :func:`rows_to_score` beside the features."""
    own = [] if prediction.open_rows is None else ["label_known_at"]
    return [*prediction.entity_columns, *own]


def rows_to_score(
    prediction: Prediction, catalogue: FeatureCatalogue, as_of: str, horizon_days: str
) -> str:
    """Return the query of keys and features of what is to be scored, in no order.

    Parameters
    ----------
    as_of, horizon_days
        Parameters as the engine writes them.
    """
    keys = list(prediction.entity_columns)
    columns = ", ".join(f"features.{name}" for name in keys + catalogue.names)
    if prediction.open_rows is None:
        return (
            f"select {columns} from {prediction.features_table} as features "  # noqa: S608
            f"where features.as_of_date = {as_of}"
        )
    same = " and ".join(f"features.{key} = open_rows.{key}" for key in keys)
    return (
        f"select {columns}, "  # noqa: S608
        f"case when open_rows.due_on > {as_of} then open_rows.due_on end as label_known_at "
        f"from {prediction.features_table} as features "
        f"inner join {prediction.open_rows} as open_rows on {same} "
        f"where open_rows.horizon_days = {horizon_days} and open_rows.as_of_date <= {as_of} "
        f"and (open_rows.open_until is null or open_rows.open_until > {as_of})"
    )


def to_features(table: pa.Table, catalogue: FeatureCatalogue) -> pd.DataFrame:
    """Turn feature columns into floats, and categorical ones into what they are.

    Numbers are float64 with NaN for null; categories keep their own values.
    """
    columns = {}
    for feature in catalogue.features:
        column = table.column(feature.name)
        if feature.role == "categorical" and pa.types.is_string(column.type):
            columns[feature.name] = column.to_pandas()
        else:
            columns[feature.name] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return pd.DataFrame(columns)


def _sample(entity: str, rows: int, most_rows: int) -> str:
    """A condition that keeps about ``most_rows`` of ``rows``, by whole entities."""
    if rows <= most_rows:
        return ""
    # md5 is the same on every engine; four hex digits cut to 1 in 65,536
    return f"and substr(md5({entity}), 1, 4) < '{int(65536 * most_rows / rows):04x}'"


def _newest(prediction: Prediction, known: str, rows: int, most_rows: int) -> str:
    """A condition that keeps the newest as-of dates, ``most_rows`` of ``rows`` at most."""
    if rows <= most_rows:
        return ""
    return (
        "and features.as_of_date > (select labels.as_of_date "  # noqa: S608 - names of our own
        f"from {prediction.labels_table} as labels where {known} "
        f"order by labels.as_of_date desc limit 1 offset {most_rows:d})"
    )


def _in_order(prediction: Prediction, prefix: str = "") -> str:
    """Group first, then the rest of the key: the same rows in the same order on every engine."""
    columns = dict.fromkeys((prediction.group_column, *prediction.entity_columns))
    return ", ".join(f'{prefix}{name} collate "C"' for name in columns)


def _was_built(warehouse: Warehouse, prediction: Prediction, as_of: date) -> bool:
    with warehouse.connect() as connection:
        row = connection.execute(
            "select 1 from intermediate.int_as_of_dates where prediction = %s and as_of_date = %s",
            (prediction.name, as_of),
        ).fetchone()
    return row is not None


def _days(table: pa.Table, name: str) -> DayArray:
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False), dtype="datetime64[D]")
