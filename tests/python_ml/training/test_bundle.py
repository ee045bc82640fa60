from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from python_ml.errors import BundleError
from python_ml.settings import PROJECT_DIR
from python_ml.training.bundle import _bundle_id, load_bundle, save_bundle
from python_ml.training.choose import train

SCORE = """
import sys
import numpy as np
import pandas as pd
from pathlib import Path
from python_ml.training.bundle import load_bundle

folder = Path(sys.argv[1])
np.save(folder.parent / "scores.npy", load_bundle(folder).predict(pd.read_parquet(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def result(frame, make_spec):
    """A blend whose level is drawn: every kind of file a bundle can hold."""
    by_name = {recipe.name: recipe for recipe in make_spec().recipes}
    spec = make_spec(
        recipes=(by_name["blend"], by_name["bgnbd"]),
        baselines=(),
        min_gain=10.0,  # so that the first recipe and the default level stand
        bootstrap_rounds=5,
    )
    found = train(spec, frame, as_of="2022-01-01", seed=5, threads=1)
    assert (found.chosen, found.published.level.kind) == ("blend", "reference")
    return found


@pytest.fixture
def folder(result, tmp_path: Path) -> Path:
    save_bundle(result, tmp_path / "bundle", feature_hash="abc")
    return tmp_path / "bundle"


def test_a_new_process_scores_to_the_same_bits(folder: Path, result, frame):
    features = frame.at(frame.dates()[-1]).features
    features.to_parquet(folder.parent / "features.parquet")
    subprocess.run(
        [sys.executable, "-c", SCORE, str(folder), str(folder.parent / "features.parquet")],
        check=True,
        cwd=PROJECT_DIR,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
    )
    here = result.published.predict(features, result.published.level_shift(features))
    assert (np.load(folder.parent / "scores.npy") == here).all()


def test_same_training_same_id(frame, make_spec, tmp_path: Path):
    spec = make_spec(recipes=make_spec().recipes[3:5], baselines=("bgnbd",), bootstrap_rounds=5)
    ids = [
        save_bundle(
            train(spec, frame, as_of="2022-01-01", seed=5, threads=1),
            tmp_path / str(i),
            feature_hash="abc",
        )
        for i in range(2)
    ]
    assert ids[0] == ids[1] == load_bundle(tmp_path / "0").bundle_id


def test_the_bundle_is_text_and_names_what_it_saw(folder: Path, result):
    manifest = json.loads((folder / "bundle.json").read_text())
    assert manifest["recipe"] == result.chosen
    assert manifest["feature_hash"] == "abc"
    assert manifest["window"]["rows"] == result.window.rows
    assert {"lightgbm", "numpy", "python"} <= set(manifest["versions"])
    for path in folder.rglob("*.*"):
        path.read_text(encoding="utf-8")


def test_any_changed_file_is_refused_by_name(folder: Path):
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        before = path.read_bytes()
        digit = re.search(rb"[0-9]", before)
        assert digit is not None
        other = b"7" if digit.group() != b"7" else b"8"
        path.write_bytes(before[: digit.start()] + other + before[digit.end() :])
        with pytest.raises(BundleError, match=path.name):
            load_bundle(folder)
        path.write_bytes(before)
    load_bundle(folder)


def test_a_missing_file_is_refused_by_name(folder: Path):
    (folder / "published.json").unlink()
    with pytest.raises(BundleError, match=r"published\.json"):
        load_bundle(folder)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        load_bundle(folder / "elsewhere")


def test_columns_go_by_name_not_by_place(folder: Path, frame):
    bundle, features = load_bundle(folder), frame.features.head(200)
    turned = features[features.columns[::-1]]
    assert (bundle.predict(turned) == bundle.predict(features)).all()
    assert list(bundle.contributions(turned).columns) == list(features.columns)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f.drop(columns="recency_days"), "issing: recency_days"),
        (lambda f: f.assign(brand="x"), "xtra: brand"),
        (lambda f: f.assign(recency_days=f.recency_days.astype(str)), "etyped: recency_days"),
        (lambda f: f.assign(attribute_colour=1.0), "etyped: attribute_colour"),
        (lambda f: f.assign(season_as_of_month="may"), "etyped: season_as_of_month"),
    ],
)
def test_columns_that_do_not_fit_are_refused_by_name(folder: Path, frame, change, told: str):
    with pytest.raises(BundleError, match=told):
        load_bundle(folder).predict(change(frame.features.head(50)))


def test_whole_numbers_and_categoricals_are_no_other_type(folder: Path, frame):
    bundle, features = load_bundle(folder), frame.features.head(50)
    other = features.assign(
        recency_days=features.recency_days.astype("int64"),
        season_as_of_month=features.season_as_of_month.astype("int32"),
        attribute_colour=features.attribute_colour.astype("category"),
    )
    assert (bundle.predict(other) == bundle.predict(features)).all()


def test_an_unseen_category_is_a_missing_one(folder: Path, frame):
    bundle, features = load_bundle(folder), frame.features.head(50)
    unseen = bundle.predict(features.assign(attribute_colour="ultraviolet"), level_shift=0.0)
    missing = bundle.predict(features.assign(attribute_colour=None), level_shift=0.0)
    assert (unseen == missing).all()


def test_one_customer_scores_as_in_the_run_of_everyone(folder: Path, frame):
    bundle, features = load_bundle(folder), frame.at(frame.dates()[-1]).features
    everyone = bundle.predict(features)
    shift = bundle.level_shift(features)
    assert bundle.predict(features.head(1), level_shift=shift)[0] == pytest.approx(
        everyone[0], abs=1e-12
    )
    assert bundle.level_shift(features.head(1)) == bundle.manifest["level_shift"]


def test_reasons_cover_every_feature(folder: Path, frame):
    bundle = load_bundle(folder)
    reasons = bundle.contributions(frame.features.head(5))
    assert list(reasons.columns) == list(frame.features.columns)
    assert np.isfinite(bundle.base_logit())
    assert isinstance(reasons, pd.DataFrame)


def test_a_bundle_cannot_point_outside_its_folder(folder: Path):
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"]["../secret.json"] = "0" * 64
    manifest["bundle_id"] = _bundle_id(manifest)
    (folder / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="outside its folder"):
        load_bundle(folder)
