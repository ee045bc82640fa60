"""Whether rows are late, by the shop's own rhythm of loading."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from python_ml.watch.standing import Loads, stale

NOW = datetime(2025, 12, 20, 8)


def nightly(last_days_ago: float, lag_hours: float = 5) -> Loads:
    loaded = [NOW - timedelta(days=last_days_ago + nights) for nights in range(10, -1, -1)]
    return Loads(tuple(at - timedelta(hours=lag_hours) for at in loaded), tuple(loaded))


@pytest.mark.parametrize(("days", "is_late"), [(0.2, False), (1, False), (2, False), (3, True)])
def test_a_shop_that_loads_every_night_is_late_after_some_days(days: float, is_late: bool) -> None:
    assert bool(stale(nightly(days), NOW)) is is_late


def test_the_message_says_how_old_and_what_is_usual() -> None:
    [finding] = stale(nightly(7), NOW)
    assert finding.kind == "late"
    assert "7 days old" in finding.text
    assert "never older than 2" in finding.text


def test_a_shop_of_old_rows_or_a_single_load_has_no_rhythm() -> None:
    years = timedelta(days=900)
    old = Loads((NOW - years, NOW - years), (NOW - timedelta(hours=2), NOW - timedelta(hours=1)))
    assert stale(old, NOW) == []
    assert stale(Loads((NOW - timedelta(days=30),), (NOW - timedelta(days=29),)), NOW) == []
    assert stale(Loads((), ()), NOW) == []
