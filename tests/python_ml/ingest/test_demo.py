"""The demo shop keeps the flat-file contract, is reproducible, and its oracle tells the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.special import expit
from scipy.stats import beta, gamma, norm
from sklearn.metrics import roc_auc_score

from python_ml.errors import InputError, SettingsError
from python_ml.ingest.demo import DemoFiles, DemoShop, write_demo_shop
from python_ml.ingest.demo.catalogue import build_catalogue
from python_ml.ingest.demo.clock import build_clock
from python_ml.ingest.demo.customers import Customers, Orders
from python_ml.ingest.demo.habit_oracle import HabitTruth, habit_truth, probability_of_order
from python_ml.ingest.demo.return_oracle import GUEST, ReturnEvidence, return_probabilities
from python_ml.ingest.demo.shop import HABIT_LAW, RETURN_LAW

SMALL = DemoShop(customers=200, seed=5)
LINE = ["order_id", "line_id"]


@dataclass(frozen=True)
class Written:
    """A demo shop as it was read back from its files."""

    shop: DemoShop
    files: DemoFiles
    lines: pd.DataFrame
    habit: pd.DataFrame
    returns: pd.DataFrame

    @property
    def first_versions(self) -> pd.DataFrame:
        return self.lines.sort_values("recorded_at", kind="stable").drop_duplicates(LINE)


def read(path: Path | None) -> pd.DataFrame:
    assert path is not None
    frame: pd.DataFrame = pq.read_table(path).to_pandas()
    return frame


@pytest.fixture(scope="module", params=[1, 2])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    shop = DemoShop(customers=1_500, seed=request.param)
    files = write_demo_shop(shop, tmp_path_factory.mktemp("demo"), with_oracle=True)
    return Written(
        shop, files, read(files.order_lines), read(files.order_habit), read(files.return_risk)
    )


# -- reproducible ------------------------------------------------------------------------------


def test_the_same_shop_gives_the_same_bytes(tmp_path: Path) -> None:
    one = write_demo_shop(SMALL, tmp_path / "one", with_oracle=True)
    two = write_demo_shop(SMALL, tmp_path / "two", with_oracle=True)
    for name in ("order_lines", "order_habit", "return_risk"):
        assert getattr(one, name).read_bytes() == getattr(two, name).read_bytes()


def test_another_seed_gives_other_rows(tmp_path: Path) -> None:
    one = write_demo_shop(SMALL, tmp_path / "one")
    two = write_demo_shop(replace(SMALL, seed=SMALL.seed + 1), tmp_path / "two")
    assert not read(one.order_lines).equals(read(two.order_lines))


def test_asking_for_the_oracle_changes_no_order_line(tmp_path: Path) -> None:
    without = write_demo_shop(SMALL, tmp_path / "without")
    beside = write_demo_shop(SMALL, tmp_path / "beside", with_oracle=True)
    assert without.order_lines.read_bytes() == beside.order_lines.read_bytes()


def test_rows_of_a_full_chunk_do_not_depend_on_the_chunks_that_follow(tmp_path: Path) -> None:
    chunked = replace(SMALL, chunk_customers=SMALL.customers)
    alone = write_demo_shop(chunked, tmp_path / "alone", with_oracle=True)
    followed = write_demo_shop(
        replace(chunked, customers=450), tmp_path / "followed", with_oracle=True
    )
    expected, rows = read(alone.order_lines), read(followed.order_lines)
    pd.testing.assert_frame_equal(rows.head(len(expected)), expected)
    later = rows.iloc[len(expected) :]
    assert later.customer_id.nunique() == 250
    assert not set(later.order_id) & set(expected.order_id)
    habit = read(followed.order_habit)
    in_first_chunk = habit[habit.customer_id < "C00000200"].reset_index(drop=True)
    pd.testing.assert_frame_equal(in_first_chunk, read(alone.order_habit))


def test_row_groups_are_bounded_and_do_not_change_the_rows(tmp_path: Path) -> None:
    whole = write_demo_shop(SMALL, tmp_path / "whole")
    parted = write_demo_shop(replace(SMALL, rows_per_group=700), tmp_path / "parted")
    metadata = pq.ParquetFile(parted.order_lines).metadata
    assert metadata.num_row_groups > 1
    assert max(metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)) <= 700
    assert metadata.num_rows == parted.rows
    assert read(parted.order_lines).equals(read(whole.order_lines))


def test_a_file_of_many_customers_is_written_chunk_by_chunk(tmp_path: Path) -> None:
    shop = replace(SMALL, customers=600, chunk_customers=100)
    files = write_demo_shop(shop, tmp_path)
    assert pq.ParquetFile(files.order_lines).metadata.num_row_groups == 6


# -- contract ----------------------------------------------------------------------------------


def test_columns_are_those_of_the_contract(written: Written) -> None:
    contract = (
        "order_id line_id customer_id ordered_at quantity unit_price discount product_id "
        "product_name category returned returned_at recorded_at size brand state"
    )
    assert list(written.lines.columns) == contract.split()
    empty = written.lines.isna().any()
    assert set(empty[empty].index) == {"customer_id", "state", "returned", "returned_at"}


def test_a_line_version_is_told_by_order_line_and_recorded_at(written: Written) -> None:
    assert not written.lines.duplicated([*LINE, "recorded_at"]).any()
    assert all(isinstance(value, str) for value in written.lines[LINE].to_numpy().ravel())


def test_numbers_are_in_range(written: Written) -> None:
    lines = written.lines
    assert (lines.unit_price > 0).all()
    assert (lines.quantity >= 1).all()
    assert lines.discount.between(0, 0.5).all()
    assert lines.returned.dropna().isin([0, 1]).all()


def test_times_are_in_order_and_before_the_end(written: Written) -> None:
    lines, shop = written.lines, written.shop
    assert (shop.start, shop.end) == (date(2023, 1, 1), date(2026, 1, 1))
    assert (lines.ordered_at >= pd.Timestamp(shop.start)).all()
    assert (lines.recorded_at >= lines.ordered_at).all()
    assert (lines.recorded_at < pd.Timestamp(shop.end)).all()
    returned = lines.dropna(subset="returned_at")
    assert (returned.returned_at > returned.ordered_at).all()
    assert (returned.returned_at < returned.ordered_at + pd.Timedelta(days=30)).all()
    assert (returned.returned_at < pd.Timestamp(shop.end)).all()


def test_a_line_is_returned_exactly_when_it_has_a_return_time(written: Written) -> None:
    lines = written.lines
    assert (lines.returned.eq(1) == lines.returned_at.notna()).all()


def test_whether_a_line_comes_back_is_open_until_its_window_closes(written: Written) -> None:
    lines = written.lines
    is_closed = lines.ordered_at + pd.Timedelta(days=30) <= pd.Timestamp(written.shop.end)
    assert lines.returned[is_closed].notna().all()
    assert not lines.returned[~is_closed].eq(0).any()
    assert lines.returned[~is_closed].isna().any()


def test_orders_customers_and_products_are_consistent(written: Written) -> None:
    lines = written.lines
    assert lines.customer_id.nunique() == written.shop.customers
    one_per_order = lines.groupby("order_id")[["customer_id", "ordered_at"]].nunique(dropna=False)
    assert one_per_order.eq(1).all(axis=None)
    assert lines.groupby("customer_id").state.nunique(dropna=False).eq(1).all()
    of_product = lines.groupby("product_id")[["product_name", "category", "brand"]].nunique()
    assert of_product.eq(1).all(axis=None)


def test_guests_late_rows_corrections_and_returns_come_in_the_stated_shares(
    written: Written,
) -> None:
    first = written.first_versions
    orders = first.drop_duplicates("order_id")
    assert orders.customer_id.isna().mean() == pytest.approx(0.08, abs=0.015)
    assert (first.recorded_at > first.ordered_at).mean() == pytest.approx(0.02, abs=0.008)
    corrections = len(written.lines) - len(first)
    assert corrections / len(first) == pytest.approx(0.005, abs=0.002)
    assert 0.05 < first.returned.mean() < 0.20
    delay = (first.returned_at - first.ordered_at).dt.total_seconds() / 86_400
    assert delay.median() == pytest.approx(9, abs=1)


def test_a_correction_changes_price_or_quantity_and_nothing_else(written: Written) -> None:
    is_corrected = written.lines.duplicated(LINE, keep=False)
    corrected = written.lines[is_corrected].groupby(LINE)
    assert (corrected[["unit_price", "quantity"]].nunique().max(axis=1) == 2).all()
    rest = ["ordered_at", "product_id", "discount", "size", "returned", "returned_at"]
    assert corrected[rest].nunique(dropna=False).eq(1).all(axis=None)


def test_late_rows_are_a_few_days_late_and_never_a_customers_first_order(written: Written) -> None:
    first = written.first_versions
    delay = (first.recorded_at - first.ordered_at).dt.days
    assert delay.max() <= 6
    of_customers = first.dropna(subset="customer_id").sort_values("ordered_at")
    opening = of_customers.drop_duplicates("customer_id")
    assert (opening.recorded_at == opening.ordered_at).all()


def test_products_are_sold_only_between_launch_and_retirement(written: Written) -> None:
    catalogue = build_catalogue(written.shop, months=36)
    ordered = written.lines.ordered_at.dt
    month = (ordered.year - written.shop.start.year) * 12 + ordered.month - 1
    product = written.lines.product_id.str[1:].astype(int) - 1
    assert (month >= catalogue.first_month[product]).all()
    assert (month <= catalogue.last_month[product]).all()
    assert (catalogue.first_month > 0).mean() > 0.3
    assert (catalogue.last_month < 36).mean() > 0.1


# -- the oracle --------------------------------------------------------------------------------


def assert_calibrated(truth: pd.DataFrame, slack: float = 0.0) -> None:
    """Mean probability and share of ones agree overall and per decile, within 4 errors."""
    deciles = pd.qcut(truth.probability, 10, labels=False, duplicates="drop")
    for _, rows in [(None, truth), *truth.groupby(deciles)]:
        error = np.sqrt((rows.probability * (1 - rows.probability)).sum()) / len(rows)
        assert abs(rows.probability.mean() - rows.label.mean()) < 4 * error + slack


@pytest.mark.parametrize("as_of", [date(2024, 7, 1), date(2025, 1, 1), date(2025, 7, 1)])
def test_order_habit_is_calibrated(written: Written, as_of: date) -> None:
    truth = written.habit[written.habit.as_of_date == as_of]
    assert truth.label.notna().all()
    assert 0.3 < truth.label.mean() < 0.6
    assert_calibrated(truth)


def test_return_risk_is_calibrated(written: Written) -> None:
    truth = written.returns.dropna(subset="label")
    # Lines of a new product share its effect until the first windows close: a little slack.
    assert_calibrated(truth, slack=0.005)


def test_the_oracle_finds_both_questions_hard_but_answerable(written: Written) -> None:
    habit = written.habit.dropna(subset="label")
    for _, truth in habit.groupby("as_of_date"):
        assert 0.75 < roc_auc_score(truth.label, truth.probability) < 0.88
    returns = written.returns.dropna(subset="label")
    assert 0.62 < roc_auc_score(returns.label, returns.probability) < 0.75


def test_order_habit_stands_at_month_starts_and_is_open_where_the_window_is(
    written: Written,
) -> None:
    habit = written.habit
    dates = sorted(habit.as_of_date.unique())
    assert (dates[0], dates[-1], len(dates)) == (date(2024, 7, 1), date(2025, 12, 1), 18)
    assert habit.horizon_days.eq(180).all()
    is_open = habit.as_of_date.map(lambda day: day + timedelta(days=181) > written.shop.end)
    assert (habit.label.isna() == is_open).all()


def test_order_habit_labels_can_be_counted_from_the_order_lines(written: Written) -> None:
    as_of = date(2025, 2, 1)
    lines = written.lines.dropna(subset="customer_id")
    start = pd.Timestamp(as_of)
    known = lines[(lines.ordered_at < start) & (lines.recorded_at < start)]
    window = lines[
        (lines.ordered_at >= start)
        & (lines.ordered_at < start + pd.Timedelta(days=180))
        & (lines.recorded_at < start + pd.Timedelta(days=181))
    ]
    truth = written.habit[written.habit.as_of_date == as_of].set_index("customer_id")
    assert set(truth.index) == set(known.customer_id)
    assert set(truth.index[truth.label == 1]) == set(window.customer_id) & set(truth.index)


def test_return_risk_has_every_line_once_with_the_outcome_on_file(written: Written) -> None:
    both = written.first_versions.merge(written.returns, on=LINE, validate="one_to_one")
    assert len(both) == len(written.returns) == len(written.first_versions)
    assert (both.ordered_at_x == both.ordered_at_y).all()
    settled = both.dropna(subset="label")
    assert (settled.returned == settled.label).all()
    is_open = both.ordered_at_x + pd.Timedelta(days=30) > pd.Timestamp(written.shop.end)
    assert (both.label.isna() == is_open).all()


@pytest.mark.parametrize(("repeats", "last", "span"), [(0, 0.0, 200.0), (4, 150.0, 210.0)])
def test_order_habit_formula_equals_the_integral_it_stands_for(
    repeats: int, last: float, span: float
) -> None:
    horizon, scale, a = 180.0, 60.0, 0.9
    # Customers of the population, evenly spread over both laws, weighted with how likely each of
    # them is to have shown this history.
    spread = (np.arange(1_000) + 0.5) / 1_000
    rate = gamma.ppf(spread, HABIT_LAW.rate_shape, scale=1 / scale)[:, None]
    leave = beta.ppf(spread, a, HABIT_LAW.leave_b)[None, :]
    here = rate**repeats * np.exp(-rate * span) * (1 - leave) ** (repeats + 1)
    gone = rate**repeats * np.exp(-rate * last) * (1 - leave) ** repeats * leave
    expected = (here * (1 - np.exp(-rate * horizon))).sum() / (here + gone).sum()
    stated = probability_of_order(
        repeats=np.array([repeats]),
        last=np.array([last]),
        span=np.array([span]),
        horizon=horizon,
        rate_scale=np.array([scale]),
        leave_a=np.array([a]),
    )
    assert stated[0] == pytest.approx(expected, rel=2e-4)


def habit_of_one(days: list[int], late_days: list[int], as_of: int, end: int = 1_096) -> HabitTruth:
    """State the truth for one customer who orders at midnight of the given days."""
    clock = build_clock(SMALL)
    customers = Customers(
        number=np.array([0]),
        state=np.array([0]),
        has_voucher=np.array([False]),
        first_at=clock.midnights[days[:1]],
        rate_scale=np.array([60.0]),
        leave_a=np.array([0.4]),
    )
    orders = Orders(
        buyer=np.zeros(len(days), dtype=np.int64),
        number=np.arange(1, len(days) + 1),
        clock_at=clock.midnights[days],
        day=np.array(days),
        second=np.zeros(len(days), dtype=np.int64),
        late_days=np.array(late_days),
    )
    return habit_truth(clock, customers, orders, as_of, end)


@pytest.mark.parametrize(("as_of", "is_known"), [(99, False), (102, False), (103, True)])
def test_a_late_order_is_unknown_to_the_oracle_until_it_is_recorded(
    as_of: int, is_known: bool
) -> None:
    with_it = habit_of_one([10, 99], [0, 3], as_of).probability[0]
    without = habit_of_one([10], [0], as_of).probability[0]
    assert (with_it > without) if is_known else (with_it == without)


@pytest.mark.parametrize(
    ("day", "late", "label"), [(100, 0, 1), (99, 0, 0), (279, 1, 1), (280, 0, 0), (279, 2, 0)]
)
def test_a_label_counts_the_half_open_window_known_within_the_grace(
    day: int, late: int, label: int
) -> None:
    assert habit_of_one([10, day], [0, late], as_of=100).label[0] == label


def test_a_label_is_open_until_the_grace_is_over() -> None:
    assert habit_of_one([10], [0], as_of=100, end=280).label[0] == -1
    assert habit_of_one([10], [0], as_of=100, end=281).label[0] == 0


def evidence(rows: list[tuple[int, int, int, bool]]) -> ReturnEvidence:
    """Lines from (customer, product, day, returned)."""
    customer, product, day, returned = (np.array(column) for column in zip(*rows, strict=True))
    return ReturnEvidence(customer, product, day, np.full(len(rows), -1.5), returned)


@pytest.mark.parametrize(("age", "is_known"), [(30, False), (31, True)])
def test_a_return_teaches_the_oracle_once_its_window_has_closed(age: int, is_known: bool) -> None:
    kept, returned = (
        return_probabilities(evidence([(0, 0, 5, outcome), (0, 1, 5 + age, False)]), 1, 2)[1]
        for outcome in (False, True)
    )
    assert (returned > kept) if is_known else (returned == kept)


def test_the_oracle_learns_about_products_from_guests_but_not_about_other_guests() -> None:
    rows = [(GUEST, 0, 0, True), (GUEST, 0, 40, False), (GUEST, 1, 40, False), (0, 1, 40, False)]
    _, same_product, other_product, customer = return_probabilities(evidence(rows), 1, 2)
    assert same_product > other_product
    assert other_product == customer


def test_what_the_oracle_learns_about_a_product_is_close_to_the_exact_posterior() -> None:
    outcomes = [n % 3 == 0 for n in range(60)]
    rows = [(GUEST, 0, n, outcome) for n, outcome in enumerate(outcomes)]
    stated = return_probabilities(evidence([*rows, (GUEST, 0, 91, False)]), 1, 1)[-1]
    # The same by brute force: a grid of product effects, the guests' own effects averaged out.
    grid = np.linspace(-4, 4, 801) * RETURN_LAW.product_sd
    guests = norm.ppf((np.arange(1_000) + 0.5) / 1_000) * RETURN_LAW.customer_sd
    chance = expit(-1.5 + grid[:, None] + guests).mean(axis=1)
    posterior = norm.pdf(grid / RETURN_LAW.product_sd)
    posterior *= chance ** sum(outcomes) * (1 - chance) ** (60 - sum(outcomes))
    assert stated == pytest.approx((posterior * chance).sum() / posterior.sum(), rel=0.005)


# -- errors and leftovers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [{"customers": 0}, {"years": 0}, {"years": 99}, {"seed": -1}, {"products": 3}]
)
def test_a_wrong_size_is_refused_by_name(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        DemoShop(**wrong)  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="taken"):
        write_demo_shop(SMALL, tmp_path / "taken")


def test_the_oracle_of_an_earlier_shop_does_not_stay_behind(tmp_path: Path) -> None:
    write_demo_shop(SMALL, tmp_path, with_oracle=True)
    write_demo_shop(replace(SMALL, seed=9), tmp_path)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["order_lines.parquet"]


@pytest.mark.parametrize(
    ("first_day", "years", "end"),
    [(date(2024, 2, 29), 1, date(2025, 3, 1)), (date(2022, 6, 15), 2, date(2024, 6, 15))],
)
def test_a_shop_may_open_on_any_day(tmp_path: Path, first_day: date, years: int, end: date) -> None:
    shop = DemoShop(customers=50, years=years, first_day=first_day)
    assert shop.end == end
    files = write_demo_shop(shop, tmp_path, with_oracle=True)
    ordered = read(files.order_lines).ordered_at
    assert ordered.min() >= pd.Timestamp(first_day)
    assert ordered.max() < pd.Timestamp(end)


def test_a_shop_of_one_customer_can_be_written(tmp_path: Path) -> None:
    files = write_demo_shop(DemoShop(customers=1, years=1), tmp_path, with_oracle=True)
    assert read(files.order_lines).customer_id.dropna().nunique() == 1
