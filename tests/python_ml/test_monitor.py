"""What the monitor calls amiss, and what happens when nobody takes the message."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from python_ml.monitor import Standing, amiss
from python_ml.notify import notify
from python_ml.settings import load_settings

NOW = datetime(2025, 12, 2, 8)
LATE = timedelta(hours=36)


def standing(hours_ago: float | None, refusal: str | None = None) -> Standing:
    published = None if hours_ago is None else NOW - timedelta(hours=hours_ago)
    return Standing("order_habit", published, NOW if refusal else None, refusal)


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        ([standing(5)], []),
        ([standing(35.9)], []),
        ([standing(36.1)], ["late"]),
        ([standing(None)], ["late"]),
        ([], ["late"]),
        ([standing(5, "a test failed")], ["refused"]),
        ([standing(50, "a test failed")], ["late", "refused"]),
    ],
)
def test_what_is_amiss(found: list[Standing], kinds: list[str]) -> None:
    assert [finding.kind for finding in amiss(found, NOW, LATE)] == kinds


def test_a_refusal_is_told_with_its_reason() -> None:
    [finding] = amiss([standing(5, "assert_nobody_is_likely failed")], NOW, LATE)
    assert "assert_nobody_is_likely failed" in finding.text


def test_a_webhook_that_does_not_answer_stops_nothing_and_stays_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(home=tmp_path, webhook_url="http://127.0.0.1:1/hook-secret")
    assert not notify(settings, "late", "scores are late")
    assert "did not take a message" in caplog.text
    assert "hook-secret" not in caplog.text


def test_without_a_webhook_nobody_is_told(tmp_path: Path) -> None:
    assert not notify(load_settings(home=tmp_path), "late", "scores are late")
