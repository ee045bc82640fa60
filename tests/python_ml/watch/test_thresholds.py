"""The file of thresholds: ours is whole, and a wrong one is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from python_ml.errors import SettingsError
from python_ml.watch.thresholds import GATES_FILE, read_thresholds


def test_ours_is_whole() -> None:
    found = read_thresholds()
    assert found["drift"].warn.floor < found["drift"].refuse.floor
    assert found.challenger_margin > 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("drift:", "drifted:", "drift"),
        ("floor: 0.25, times: 3.0", "floor: 0.05, times: 3.0", "refuses before it warns"),
        ("floor: 0.10, times: 1.5", "floor: -1, times: 1.5", "no number from 0 up"),
        ("margin: 0.002", "margin: small", "no number from 0 up"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "gates.yml"
    text = GATES_FILE.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SettingsError, match=words):
        read_thresholds(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SMARTRETAIL_GATES_FILE"):
        read_thresholds(tmp_path / "nothing.yml")


def test_another_figure_is_another_digest(tmp_path: Path) -> None:
    path = tmp_path / "gates.yml"
    path.write_text(GATES_FILE.read_text().replace("0.10", "0.11"))
    assert read_thresholds(path).digest != read_thresholds().digest
