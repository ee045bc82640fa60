"""Refresh: load, build, train where it is needed, score and publish."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.nights import Dates, NewRows, do_nights
from flows.observed import open_home


@flow(name="refresh")
def refresh(
    dates: Dates = Dates(),  # noqa: B008 - never written to
    load: NewRows | None = None,
    horizon_days: int | None = None,
    only: list[str] | None = None,
    home: Path | None = None,
) -> list[str]:
    """Bring the predictions up to date; train first where a feature changed or no model is there.

    Args:
        dates: For which as-of dates; missed nights are caught up, oldest first.
        load: What to load first; the shop's own tables are read again without it.
        horizon_days: Days ahead; each prediction's own by default.
        only: Names of predictions; all by default.
        home: The shop's home; SMARTRETAIL_HOME by default.

    Returns:
        The runs of these dates, oldest first.
    """
    return do_nights(
        open_home(home),
        dates,
        "if_changed",
        load=load,
        only=only or [],
        horizon_days=horizon_days,
    )


if __name__ == "__main__":
    refresh()
