"""Parts of the users and of the items."""

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recsys_core.data.histories import Histories
from recsys_core.evaluation.accuracy import HEADLINE
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.protocols import REFITTED
from recsys_core.evaluation.report import OURS, EvalReport
from recsys_core.evaluation.segments import (
    ACTIVITY_BANDS,
    banded,
    item_bands,
    metric_by_segment,
    recall_by_item_band,
    user_segments,
)
from tests.core.evaluation.conftest import Judged
from tests.core.tables_by_hand import shuffled

CONFIG = EvaluationConfig(n_draws=100, n_slice_users=2)


def histories_of_lengths(lengths: list[int]) -> Histories:
    n = sum(lengths)
    return Histories(
        user_ids=np.arange(1, len(lengths) + 1),
        offsets=np.cumsum([0, *lengths]),
        item_idx=np.zeros(n, dtype=np.int64),
        ratings=np.ones(n, dtype=np.float32),
        timestamps=np.zeros(n, dtype=np.int64),
        n_items=1,
    )


def counted(counts: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"item_id": range(1, len(counts) + 1), "n_ratings": counts})


@pytest.mark.parametrize(("n", "band"), [(0, 0), (1, 0), (19, 0), (20, 1), (99, 1), (100, 2), (2000, 2)])
def test_activity_bands_begin_with_their_first_number(n: int, band: int) -> None:
    slices = user_segments(histories_of_lengths([n]), pl.Series([1]))
    assert slices.filter(dimension="activity")["slice"].to_list() == [ACTIVITY_BANDS[band][2]]


def test_users_without_a_rating_before_the_fit_are_new() -> None:
    slices = user_segments(histories_of_lengths([3, 3]), pl.Series([2, 9, 2]))
    assert slices.filter(dimension="user").rows() == [(1, "user", "new since"), (2, "user", "known when fitted")]


@given(st.lists(st.integers(0, 150), max_size=30), st.sets(st.integers(1, 30)))
def test_each_user_is_in_one_slice_of_each_dimension(lengths: list[int], trained: set[int]) -> None:
    slices = user_segments(histories_of_lengths(lengths), pl.Series(sorted(trained), dtype=pl.Int64))
    for dimension in ("activity", "user"):
        assert slices.filter(dimension=dimension)["user_id"].to_list() == list(range(1, len(lengths) + 1))
    assert slices.height == 2 * len(lengths)


def slices_of(judged: Judged) -> pl.DataFrame:
    """window, user_id, dimension, slice of all users by the refitted protocol."""
    return pl.concat(
        [
            user_segments(one.stages.users, one.trained_users).select(
                pl.lit(one.questions.window).alias("window"), pl.all()
            )
            for one in judged.of(REFITTED)
        ]
    )


def test_slices_cover_all_users_of_all_windows(report: EvalReport) -> None:
    sums = report.user_slices.group_by("model", "dimension").agg(pl.col("n").sum())
    assert sums["n"].unique().to_list() == [report.headline()["n_users"]]
    assert sums.height == 2 * report.per_user["model"].n_unique()


def test_the_mean_of_all_is_the_weighted_mean_of_the_slices(judged: Judged, report: EvalReport) -> None:
    refitted = report.per_user.filter(protocol=REFITTED)
    found = metric_by_segment(refitted, slices_of(judged), HEADLINE, CONFIG).filter(model=OURS, dimension="user")
    weighted = (found["mean"] * found["n"]).sum() / found["n"].sum()
    assert weighted == pytest.approx(report.mean(OURS))


def test_a_user_may_be_new_in_one_window_and_known_in_the_next() -> None:
    per_user = pl.DataFrame({"window": ["a", "b"], "model": [OURS] * 2, "user_id": [1, 1], HEADLINE: [0.2, 0.6]})
    slices = pl.DataFrame({"window": ["a", "b"], "user_id": [1, 1], "dimension": ["user"] * 2, "slice": ["new", "old"]})
    found = metric_by_segment(per_user, slices, HEADLINE, CONFIG.model_copy(update={"n_slice_users": 1}))
    assert found.select("slice", "mean", "n").rows() == [("new", 0.2, 1), ("old", 0.6, 1)]


def test_a_user_of_two_windows_is_one_user_and_one_unit_of_chance() -> None:
    """Two users with three values each are too few where three users are asked for, and no surer than two."""
    users, windows = [1, 2] * 3, ["a", "a", "b", "b", "c", "c"]
    about = {"window": windows, "user_id": users}
    per_user = pl.DataFrame({**about, "model": [OURS] * 6, HEADLINE: [0.2, 0.6] * 3})
    slices = pl.DataFrame({**about, "dimension": ["user"] * 6, "slice": ["all"] * 6})
    found = metric_by_segment(per_user, slices, HEADLINE, CONFIG.model_copy(update={"n_slice_users": 2}))
    assert found.select("mean", "low", "high", "n").row(0) == pytest.approx((0.4, 0.2, 0.6, 6))
    too_few = metric_by_segment(per_user, slices, HEADLINE, CONFIG.model_copy(update={"n_slice_users": 3}))
    assert np.isnan(too_few["mean"].item())


def test_a_slice_of_too_few_users_is_listed_without_figures(report: EvalReport, judged: Judged) -> None:
    config = EvaluationConfig(n_draws=100, n_slice_users=1000)
    found = metric_by_segment(report.per_user.filter(protocol=REFITTED), slices_of(judged), HEADLINE, config)
    assert found.select("model", "dimension", "slice", "n").equals(
        report.user_slices.select("model", "dimension", "slice", "n")
    )
    assert found.select(pl.col("mean", "low", "high").is_nan().all()).row(0) == (True, True, True)


def test_a_slices_figures_depend_on_nothing_beside_it(report: EvalReport, judged: Judged) -> None:
    """Neither on the order of the slices nor on the other models, also where slices outnumber users."""
    slices, refitted = slices_of(judged), report.per_user.filter(protocol=REFITTED)
    ours = refitted.filter(model=OURS)
    alone = metric_by_segment(ours, shuffled(slices), HEADLINE, CONFIG)
    assert metric_by_segment(refitted, slices, HEADLINE, CONFIG).filter(model=OURS).equals(alone)


# ---- items ----


def test_item_bands_by_hand() -> None:
    """Of 100 ratings: 40, 20 (from 40: head), 20 (from 60: middle), 10 (from 80: tail), 10."""
    bands = item_bands(counted([20, 10, 40, 20, 10]))
    assert bands.sort("item_id")["slice"].to_list() == ["head", "tail", "head", "middle", "tail"]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40))
@example([49, 49])
def test_half_of_the_ratings_go_to_the_head(counts: list[int]) -> None:
    items = counted(counts)
    bands = items.join(item_bands(items), on="item_id")
    by_band = {name: bands.filter(slice=name)["n_ratings"] for name in ("head", "middle", "tail")}
    assert sum(len(part) for part in by_band.values()) == len(counts), "each item in one band"
    assert by_band["head"].sum() >= sum(counts) / 2
    assert by_band["head"].sum() - by_band["head"].min() < sum(counts) / 2, "without its last item it is less"  # type: ignore[operator]
    assert by_band["tail"].sum() <= 0.2 * sum(counts) + 1e-9


def test_item_bands_do_not_depend_on_the_order_of_the_rows() -> None:
    items = counted([3, 3, 3, 3, 3, 3])
    assert item_bands(shuffled(items)).equals(item_bands(items))


def test_recall_of_the_bands_by_hand() -> None:
    """Item 9 is in no catalogue: its target is 'unseen', and counts."""
    lists = pl.DataFrame(
        {"window": "w", "model": ["a"] * 3 + ["b"], "user_id": [1] * 4, "item_id": [1, 2, 3, 3], "rank": [1, 2, 3, 1]}
    )
    targets = pl.DataFrame({"window": "w", "user_id": [1, 1, 1, 2], "item_id": [1, 3, 9, 3]})
    found = recall_by_item_band(lists, banded(targets, counted([50, 30, 20])), (2, 3))
    assert found.filter(k=2).drop("k").rows() == [
        ("a", "head", 1, 1.0), ("a", "tail", 2, 0.0), ("a", "unseen", 1, 0.0),
        ("b", "head", 1, 0.0), ("b", "tail", 2, 0.5), ("b", "unseen", 1, 0.0),
    ]  # fmt: skip
    assert found.filter(k=3, model="a", slice="tail")["recall"].item() == 0.5


def test_a_target_is_found_in_the_list_of_its_own_window() -> None:
    lists = pl.DataFrame({"window": ["v", "w"], "model": "a", "user_id": 1, "item_id": [1, 2], "rank": 1})
    targets = pl.DataFrame({"window": ["v", "w"], "user_id": 1, "item_id": [2, 2]})
    found = recall_by_item_band(lists, banded(targets, counted([50, 30])), (1,))
    assert found.select("n", "recall").rows() == [(2, 0.5)]


def test_an_item_without_a_rating_is_new() -> None:
    assert item_bands(counted([5, 0])).sort("item_id")["slice"].to_list() == ["head", "new"]


def test_bands_count_every_target_and_every_hit(judged: Judged, report: EvalReport) -> None:
    own = report.item_slices.filter(k=10)
    sums = own.group_by("model").agg(n=pl.col("n").sum(), hits=(pl.col("n") * pl.col("recall")).sum())
    per_user = report.per_user.filter(model="ease", protocol=REFITTED)
    n_targets = sum(one.questions.targets.height for one in judged.answered if one.questions.protocol == REFITTED)
    assert sums["n"].unique().to_list() == [n_targets]
    hits = (per_user["recall@10"] * per_user["n_targets"]).sum()
    assert sums.filter(model="ease")["hits"].item() == pytest.approx(hits)
