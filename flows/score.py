"""Score: every night, with the newest model."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.nights import Dates, NewRows, do_nights
from flows.observed import open_home


@flow(name="score")
def score(
    dates: Dates = Dates(),  # noqa: B008 - frozen by Prefect's schema, never written to
    load: NewRows | None = None,
    only: list[str] | None = None,
    home: Path | None = None,
) -> list[str]:
    """Load new rows, build, score with the newest model that fits, and publish.

    Where no model fits, because a feature changed or none was trained, nothing is published:
    refresh and train make one.

    Args:
        dates: For which as-of dates; missed nights are caught up, oldest first.
        load: What to load first; the shop's own tables are read again without it.
        only: Names of predictions; all by default.
        home: The shop's home; SMARTRETAIL_HOME by default.

    Returns:
        The runs of these dates, oldest first.
    """
    return do_nights(open_home(home), dates, "never", load=load, only=only or [])


if __name__ == "__main__":
    score()
