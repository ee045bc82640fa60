"""The Spark session of a home, for processes that :class:`SparkWarehouse` begins."""

from __future__ import annotations

import json
import os

from pyspark.sql import SparkSession


def home_session() -> SparkSession:
    """Begin a session of the home that the environment names."""
    builder = SparkSession.builder.enableHiveSupport()
    for name, value in json.loads(os.environ["SMARTRETAIL_SPARK_CONF"]).items():
        builder = builder.config(name, value)
    spark: SparkSession = builder.config("spark.sql.ansi.enabled", "false").getOrCreate()
    return spark
