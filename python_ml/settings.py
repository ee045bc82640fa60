"""The one place where configuration is read.

Values come, strongest first, from arguments, from environment variables that start with
``SMARTRETAIL_``, and from ``.env`` in the working folder. A wrong value stops the program at
start with the name of the setting.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal
from zoneinfo import available_timezones

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from python_ml.errors import SettingsError
from python_ml.warehouse.layout import LAYERS

Engine = Literal["postgres", "duckdb", "spark"]
"""What keeps a shop's tables."""

PROJECT_DIR = Path(__file__).resolve().parents[1]
"""The folder with ``dbt_project.yml``."""


class Settings(BaseSettings):
    """All settings, each with the default that fits a newcomer.

    Every field is read from ``SMARTRETAIL_<FIELD>``; ``.env.example`` lists them.
    """

    model_config = SettingsConfigDict(
        env_prefix="SMARTRETAIL_", env_file=".env", extra="ignore", frozen=True
    )

    home: Path = Field(
        default=Path(".smartretail"),
        description="Folder that holds one shop: database, bundles, reports, logs.",
    )
    engine: Engine | None = Field(
        default=None,
        description="postgres, duckdb or spark; unset, what the home was made with, else postgres.",
    )
    engine_memory: str | None = Field(
        default=None,
        pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$",
        description="What DuckDB may use before it works on disk, as 8GB; unset, most of the "
        "machine. With Spark, the memory of the driver; unset, 2 GB.",
    )
    spark_master: str | None = Field(
        default=None,
        description="Where Spark works, as spark://host:7077 or yarn; unset, on this machine.",
    )
    spark_settings: dict[str, str] = Field(
        default={},
        description="Further settings of Spark, or other values for ours, as JSON: "
        '{"spark.executor.memory": "8g"}.',
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://user:password@host:port/database of your own server; "
        "unset, an embedded one is started in the home.",
    )
    warehouse_schema: str | None = Field(
        default=None,
        description="The one schema that everything goes to, for a role that may create in no "
        "other; unset, there is a schema for each layer.",
    )
    data_dir: Path = Field(
        default=Path("../shared/data"), description="Where tests find real data sets."
    )
    threads: int = Field(
        default=min(4, os.cpu_count() or 1),
        ge=1,
        le=64,
        description="Threads for dbt and training; with one, predictions train in turn.",
    )
    candidates: int = Field(
        default=200,
        ge=10,
        le=2000,
        description="Items per customer that purchase potential looks at.",
    )
    products_per_customer: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="Products per customer that purchase potential publishes.",
    )
    reject_threshold: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of bad rows above which a load is refused whole.",
    )
    lock_wait_seconds: int = Field(
        default=60, ge=0, description="How long a run waits for another one to finish publishing."
    )
    time_zone: str = Field(
        default="UTC", description="Where the shop is, as Europe/Berlin: schedules, and its today."
    )
    retries: int = Field(
        default=4,
        ge=0,
        le=20,
        description="How often a flow does a night again that a lost connection or a busy lock "
        "ended.",
    )
    retry_delay_seconds: float = Field(
        default=10,
        ge=0,
        description="Before the first of these; it doubles with each, and a random part is added.",
    )
    webhook_url: SecretStr | None = Field(
        default=None, description="Where flows and `monitor` post what is amiss, as JSON."
    )
    late_after_hours: float = Field(
        default=36, gt=0, description="From what age of the newest publishing scores are late."
    )
    return_label: Literal["observed", "proxy"] = Field(
        default="observed",
        description="What return risk learns: returns as they were observed, or, where none are "
        "recorded, a proxy that every row is marked with.",
    )
    seed: int = Field(default=20240229, ge=0, description="Seed of everything random.")
    effort: Literal["quick", "normal", "thorough"] | None = Field(
        default=None,
        description="How many settings training tries; unset, normal, and quick for the demo.",
    )
    gates_file: Path | None = Field(
        default=None,
        description="Thresholds of the gates, instead of python_ml/watch/gates.yml.",
    )

    @field_validator("home", "data_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("database_url", mode="after")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value

    @field_validator("time_zone", mode="after")
    @classmethod
    def _is_known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("must be a name like Europe/Berlin or America/New_York")
        return value

    @field_validator("webhook_url", mode="after")
    @classmethod
    def _is_web_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("must start with https:// or http://")
        return value

    @field_validator("warehouse_schema", mode="after")
    @classmethod
    def _is_plain(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not re.fullmatch("[a-z_][a-z0-9_]{0,40}", value) or value in LAYERS:
            raise ValueError(
                "must be a name of small letters, digits and _, at most 41 of them, "
                f"and none of {', '.join(LAYERS)}"
            )
        return value

    @property
    def home_option(self) -> str:
        """What a command needs to find this home from where we are: nothing, or ``--home``."""
        is_default = self.home == Settings.model_fields["home"].default.resolve()
        return "" if is_default else f" --home {self.home}"

    @property
    def bundles_dir(self) -> Path:
        """Where trained models are kept."""
        return self.home / "bundles"

    @property
    def reports_dir(self) -> Path:
        """Where reports are kept."""
        return self.home / "reports"

    @property
    def logs_dir(self) -> Path:
        """Where logs of dbt and of the server are kept."""
        return self.home / "logs"

    @property
    def dbt_target_dir(self) -> Path:
        """Dbt's target folder for this home."""
        return self.home / "dbt" / "target"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; ``None`` among the overrides means "not given".

    Raises
    ------
    SettingsError
        Naming each wrong setting and what is wrong with it. Values are never shown: one of them
        may be a password.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = "; ".join(
            f"SMARTRETAIL_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}"
            for e in error.errors()
        )
        raise SettingsError(
            f"Wrong setting: {problems}", "See .env.example for every setting and its meaning."
        ) from None
