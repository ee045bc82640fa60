"""Settings: read once, refused by name, secrets kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from python_ml.errors import SettingsError
from python_ml.settings import PROJECT_DIR, Settings, load_settings


def test_a_wrong_value_is_refused_with_the_name_of_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMARTRETAIL_THREADS", "many")
    with pytest.raises(SettingsError, match="SMARTRETAIL_THREADS"):
        load_settings()


def test_a_wrong_database_url_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMARTRETAIL_DATABASE_URL", "mysql://user:tops3cret@host/db")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "SMARTRETAIL_DATABASE_URL" in str(refused.value)
    assert "tops3cret" not in str(refused.value)


def test_the_password_is_not_in_the_settings_text() -> None:
    settings = load_settings(database_url="postgresql://user:tops3cret@host/db")
    assert "tops3cret" not in repr(settings)


def test_arguments_win_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SMARTRETAIL_HOME", str(tmp_path / "a"))
    assert load_settings().home == tmp_path / "a"
    assert load_settings(home=tmp_path / "b").home == tmp_path / "b"


def test_every_setting_is_in_the_example_file() -> None:
    example = (PROJECT_DIR / ".env.example").read_text(encoding="utf-8")
    for name in Settings.model_fields:
        assert f"SMARTRETAIL_{name.upper()}=" in example
