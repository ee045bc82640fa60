"""Reasons: the strongest contributions, strongest first."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from python_ml.scoring.reasons import REASONS_PER_ROW, top_reasons


def test_the_strongest_come_first_whatever_their_sign() -> None:
    contributions = pd.DataFrame({"a": [0.1], "b": [-2.0], "c": [0.5], "d": [0.01]})
    features = pd.DataFrame({"a": [1.0], "b": [2.0], "c": [np.nan], "d": [4.0]})
    [row] = top_reasons(contributions, features)
    reasons = json.loads(row)
    assert [reason["feature"] for reason in reasons] == ["b", "c", "a"]
    assert [reason["value"] for reason in reasons] == [2.0, None, 1.0]
    assert reasons[0]["logit"] == -2.0
    assert len(reasons) == REASONS_PER_ROW


def test_fewer_features_than_reasons_give_what_there_is() -> None:
    one = pd.DataFrame({"a": [0.5, -0.5]})
    assert [len(json.loads(row)) for row in top_reasons(one, one)] == [1, 1]
