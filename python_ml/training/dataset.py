"""Reading features and labels from the warehouse into frames."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from python_ml.errors import InputError
from python_ml.predictions.base import Prediction
from python_ml.training.frame import DayArray, TrainingFrame
from python_ml.warehouse.catalogue import FeatureCatalogue
from python_ml.warehouse.postgres import Warehouse


def read_training_frame(
    warehouse: Warehouse,
    prediction: Prediction,
    catalogue: FeatureCatalogue,
    as_of: date,
    horizon_days: int,
    *,
    most_rows: int | None = None,
) -> TrainingFrame:
    """Read the rows whose label was known at ``as_of``, sorted by date and entity.

    Parameters
    ----------
    most_rows
        Where there are more, whole customers are drawn in the warehouse, always the same ones, so
        that memory stays bounded in big shops.

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
        sample = _sample(f"features.{group}", counted.column(0)[0].as_py(), most_rows)
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
    warehouse: Warehouse, prediction: Prediction, catalogue: FeatureCatalogue, as_of: date
) -> tuple[pa.Table, pd.DataFrame]:
    """Read the features of one as-of date: keys and features, sorted by the keys.

    Raises
    ------
    InputError
        When the date was never built; an empty shop gives no rows and no error.
    """
    keys = list(prediction.entity_columns)
    table = warehouse.read(
        f"select {', '.join(keys + catalogue.names)} from {prediction.features_table} "  # noqa: S608
        f"where as_of_date = $1 order by {_in_order(prediction)}",
        [as_of],
    )
    if table.num_rows == 0 and not _was_built(warehouse, prediction, as_of):
        raise InputError(
            f"The features of {as_of} were not built.", f"Run `smartretail build --as-of {as_of}`."
        )
    return table.select(keys), to_features(table, catalogue)


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
