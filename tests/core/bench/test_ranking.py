"""The stages on other data: the same lists as the assets would give, for everybody who is asked about."""

import logging
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.bench.ranking import BenchSettings, ranked_lists
from recsys_core.bench.tables import BenchData
from recsys_core.data.config import HoldoutsConfig, SplitsConfig
from recsys_core.data.slicing import make_splits
from recsys_core.data.splits import TEST, fit_ratings, known_ratings
from recsys_core.ranking.inputs import after_the_last, propose
from recsys_core.ranking.lists import rank
from recsys_core.retrieval.config import CandidatesConfig, IndexConfig
from tests import tiny_world
from tests.core.worlds import N_CANDIDATES, QUICK_RANKER, QUICK_TOWER, TinyRun, run_tiny_world

SETTINGS = BenchSettings(
    holdouts=HoldoutsConfig(),
    two_tower=QUICK_TOWER,
    index=IndexConfig(),
    candidates=CandidatesConfig(n_candidates=N_CANDIDATES),
    ranker=QUICK_RANKER,
)


def of_the_test(tiny: TinyRun) -> BenchData:
    """What the assets know at the test: the past to fit on, the test's users to ask about. Numbers are the ids."""
    train = fit_ratings(tiny.ratings, tiny.splits, TEST)
    known = known_ratings(tiny.ratings, tiny.splits, TEST)
    numbers = pl.Series(np.arange(10_000))
    return BenchData(train=train, context=known, movies=tiny.movies, user_ids=numbers, item_ids=numbers)


@pytest.fixture(scope="module")
def tiny() -> TinyRun:
    """The tiny world with its past moved up to the second before the test: outside data end with their last rating."""
    ratings = tiny_world.ratings()
    fit_end = make_splits(ratings, SplitsConfig()).fit_end(TEST)
    is_past = pl.col("timestamp") < fit_end
    gap = fit_end - 1 - int(ratings.filter(is_past)["timestamp"].to_numpy().max())
    return run_tiny_world(ratings.with_columns(pl.col("timestamp") + pl.when(is_past).then(gap).otherwise(0)))


@pytest.fixture(scope="module")
def lists(tiny: TinyRun) -> pl.DataFrame:
    return ranked_lists(of_the_test(tiny), SETTINGS, "ranking", N_CANDIDATES)


def test_it_gives_what_the_assets_give(tiny: TinyRun, lists: pl.DataFrame) -> None:
    """To the last bit: towers, hold-outs, ranker and order, by another way of calling them."""
    known = known_ratings(tiny.ratings, tiny.splits, TEST)
    inputs = propose(tiny.proposer(indexed=True), known, after_the_last(known), n_candidates=N_CANDIDATES)
    ordered = rank(tiny.ranker, inputs)
    assert lists["user_id"].to_list() == np.repeat(inputs.users.user_ids, N_CANDIDATES).tolist()
    assert lists["item_id"].to_list() == tiny.tower.catalogue.item_ids[ordered.item_idx].ravel().tolist()
    assert lists["score"].to_list() == ordered.scores.ravel().tolist()
    retrieval = ranked_lists(of_the_test(tiny), SETTINGS, "retrieval", N_CANDIDATES)
    assert retrieval["item_id"].to_list() == tiny.tower.catalogue.item_ids[inputs.candidates.item_idx].ravel().tolist()


def test_every_list_is_in_order_and_holds_nothing_seen_or_twice(tiny: TinyRun, lists: pl.DataFrame) -> None:
    assert not lists.select("user_id", "item_id").is_duplicated().any()
    assert lists.join(of_the_test(tiny).context, on=["user_id", "item_id"], how="semi").is_empty()
    for (_,), own in lists.group_by("user_id"):
        assert own["rank"].to_list() == list(range(1, N_CANDIDATES + 1))
        assert own["score"].is_sorted(descending=True)


def test_the_length_of_the_lists_is_what_is_asked(tiny: TinyRun) -> None:
    data = of_the_test(tiny)
    short = ranked_lists(data, SETTINGS, "retrieval", 5)
    assert short.group_by("user_id").len()["len"].unique().to_list() == [5]
    everything = ranked_lists(data, SETTINGS, "retrieval", 500)
    n_items = data.train["item_id"].n_unique()
    counts = (
        everything.group_by("user_id").len().join(data.context.group_by("user_id").agg(seen=pl.len()), on="user_id")
    )
    assert (counts["len"] + counts["seen"]).min() >= n_items  # a seen item may lie outside the catalogue


def test_a_user_whom_nobody_knows_and_an_item_that_nobody_rated(tiny: TinyRun) -> None:
    data = of_the_test(tiny)
    stranger = data.context.head(3).with_columns(user_id=pl.lit(9_999, pl.Int64), item_id=pl.lit(9_998, pl.Int64))
    asked = replace(data, context=pl.concat([data.context, stranger.head(1)]))
    lists = ranked_lists(asked, SETTINGS, "ranking", 10)
    assert lists.filter(user_id=9_999).height == 10
    assert 9_998 not in lists["item_id"].to_list()


def test_nothing_is_known_of_the_items_but_their_ratings(tiny: TinyRun) -> None:
    blank = tiny.movies.with_columns(
        title=pl.lit(""), genres=pl.lit([], pl.List(pl.String)), year=pl.lit(None, pl.Int32)
    )
    lists = ranked_lists(replace(of_the_test(tiny), movies=blank), SETTINGS, "ranking", 10)
    assert lists["user_id"].n_unique() == tiny.splits.users.filter(slice=TEST).height
    assert not lists["score"].is_nan().any()
    nothing = ranked_lists(replace(of_the_test(tiny), movies=blank.clear()), SETTINGS, "ranking", 10)
    assert nothing.equals(lists)


def test_without_order_in_time_the_towers_order_stands(tiny: TinyRun, caplog: pytest.LogCaptureFixture) -> None:
    data = of_the_test(tiny)
    at_once = replace(data, train=data.train.with_columns(timestamp=pl.lit(tiny_world.FIRST_DAY, pl.Int64)))
    with caplog.at_level(logging.WARNING):
        lists = ranked_lists(at_once, SETTINGS, "ranking", 10)
    assert "no user has enough likes at different times" in caplog.text
    assert lists.equals(ranked_lists(at_once, SETTINGS, "retrieval", 10))


def test_likes_that_are_never_found_teach_nothing(tiny: TinyRun, caplog: pytest.LogCaptureFixture) -> None:
    """Everybody's last like is a movie that nobody else rated, so that no tower can propose it."""
    data = of_the_test(tiny)
    last = data.train.group_by("user_id").agg(pl.col("timestamp").max() + 1).with_row_index()
    item_id = 9_000 + pl.col("index").cast(pl.Int64)
    own = last.select("user_id", item_id=item_id, rating=pl.lit(5.0, pl.Float32), timestamp="timestamp")
    dull = data.train.with_columns(rating=pl.min_horizontal("rating", pl.lit(3.5, pl.Float32)))
    liked = pl.concat([dull, own, own.with_columns(pl.col("item_id") + 500, pl.col("timestamp") + 1)])
    settings = replace(SETTINGS, holdouts=HoldoutsConfig(holdout_likes=2, n_holdouts=1))
    with caplog.at_level(logging.WARNING):
        lists = ranked_lists(replace(data, train=liked), settings, "ranking", 10)
    assert "retrieval found none of the held-out likes" in caplog.text
    assert lists.height == 10 * lists["user_id"].n_unique()


def test_another_seed_gives_other_lists_and_the_same_one_the_same(tiny: TinyRun, lists: pl.DataFrame) -> None:
    again = ranked_lists(of_the_test(tiny), SETTINGS, "ranking", N_CANDIDATES)
    assert again.equals(lists)
    other = replace(SETTINGS, two_tower=QUICK_TOWER.model_copy(update={"seed": 3}))
    assert not ranked_lists(of_the_test(tiny), other, "ranking", N_CANDIDATES).equals(lists)
