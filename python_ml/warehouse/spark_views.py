"""Write what Spark's views say as Parquet files: a process of its own, for a JVM serves one home.

Its argument is the folder. The views are those that Python and BI read: the marts, and what staging
says of predictions.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import SparkSession

from python_ml.warehouse.child import end_with_parent
from python_ml.warehouse.spark_session import home_session


def main() -> None:
    """Write the views into the folder that the argument of this process names."""
    end_with_parent()
    spark = home_session()
    try:
        for view in _seen(spark):
            folder = Path(sys.argv[1], *view.split("."))
            spark.table(view).coalesce(1).write.mode("overwrite").parquet(folder.as_uri())
    finally:
        spark.stop()


def _seen(spark: SparkSession) -> list[str]:
    schemas = {row[0] for row in spark.sql("show schemas").collect()}
    return [
        f"{row[0]}.{row[1]}"
        for schema, names in (("marts", "*"), ("staging", "stg_predictions__*"))
        if schema in schemas
        for row in spark.sql(f"show views in {schema} like '{names}'").collect()
    ]


if __name__ == "__main__":
    main()
