"""The stages on other data: the same lists as the assets would give, for everybody who is asked about."""

import logging
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.bench.ranking import BenchSettings, ranked_lists
from recsys_core.bench.tables import BenchData
from recsys_core.data.config import HoldoutsConfig, SplitsConfig
from recsys_core.data.splits import (
    NOW,
    TEST,
    Splits,
    chained,
    fit_ratings,
    fitted_before,
    hold_out,
    known_ratings,
    make_splits,
)
from recsys_core.errors import DataError
from recsys_core.features.tables import SliceFeatures, item_features_by_slice, of_slice, user_features_by_slice
from recsys_core.ranking.inputs import after_the_last, generate_candidates, generator_of
from recsys_core.ranking.lists import rank
from recsys_core.ranking.ranker import fit_ranker
from recsys_core.ranking.training_rows import examples_of_slices
from recsys_core.retrieval.config import CandidatesConfig, IndexConfig
from recsys_core.retrieval.training import fit_retrieval_models
from tests import tiny_world
from tests.core.worlds import N_CANDIDATES, QUICK_RANKER, QUICK_SPLITS, QUICK_TRAINING

BY_TIME = BenchSettings(
    holdouts=HoldoutsConfig(),
    splits=SplitsConfig(first_share=0.3, n_windows=4, n_refits=1, n_teaching=1),
    two_tower=QUICK_TRAINING,
    index=IndexConfig(),
    candidates=CandidatesConfig(n_candidates=N_CANDIDATES),
    ranker=QUICK_RANKER,
    protocol="time",
    n_refits=3,
)
BY_USER = replace(BY_TIME, protocol="user")


@pytest.fixture(scope="module")
def data() -> BenchData:
    """What was known when the test of the tiny world began, and what is known of its users when they ask later."""
    ratings = tiny_world.ratings()
    splits = make_splits(ratings, QUICK_SPLITS)
    first, *_ = splits.slices_of(TEST)
    known = pl.concat([known_ratings(ratings, splits, name) for name in splits.slices_of(TEST)])
    numbers = pl.Series(np.arange(10_000))
    return BenchData(
        train=fit_ratings(ratings, splits, first),
        context=known.sort("timestamp", "user_id", "item_id"),
        movies=tiny_world.movies(),
        user_ids=numbers,
        item_ids=numbers,
    )


def end_of(data: BenchData) -> int:
    return int(data.train["timestamp"].to_numpy().max()) + 1


def asked_in(data: BenchData) -> pl.DataFrame:
    """user_id, requested_at, the earliest first."""
    return after_the_last(data.context).sort("requested_at", "user_id")


@pytest.fixture(scope="module")
def by_user(data: BenchData) -> pl.DataFrame:
    return ranked_lists(data, BY_USER, "ranking", N_CANDIDATES)


@pytest.fixture(scope="module")
def by_time(data: BenchData) -> pl.DataFrame:
    return ranked_lists(data, BY_TIME, "ranking", N_CANDIDATES)


def by_hand(data: BenchData, ratings: pl.DataFrame, past: Splits, answering: Splits) -> pl.DataFrame:
    """The stages as the assets call them: the lists of those who ask the last of some slices."""
    splits, name = chained(past, answering), answering.names[-1]
    items = item_features_by_slice(ratings, data.movies, splits)
    models = fit_retrieval_models(ratings, items, splits, QUICK_TRAINING)
    features = SliceFeatures(items=items, users=user_features_by_slice(ratings, items, past))
    examples = examples_of_slices(ratings, past, features, models.__getitem__, n_candidates=N_CANDIDATES)
    ranker = fit_ranker(examples.rows, examples.feature_set, QUICK_RANKER, past.last_until)
    is_later = pl.col("requested_at") >= answering.fit_end(name)
    asked = asked_in(data) if len(answering.names) == 1 else asked_in(data).filter(is_later)
    inputs = generate_candidates(
        generator_of(models[name], of_slice(items, name)),
        data.context.join(asked, on="user_id", how="semi"),
        asked,
        n_candidates=N_CANDIDATES,
    )
    ordered = rank(ranker, inputs)
    return pl.DataFrame(
        {
            "user_id": np.repeat(inputs.users.user_ids, N_CANDIDATES),
            "item_id": models[name].catalogue.item_ids[ordered.item_idx].ravel(),
            "score": ordered.scores.ravel(),
        }
    )


def test_by_user_it_gives_what_the_stages_give(data: BenchData, by_user: pl.DataFrame) -> None:
    """To the last bit: hold-outs of everybody's latest likes, one tower on everything, ranker and order."""
    end = end_of(data)
    expected = by_hand(data, data.train, hold_out(data.train, end, HoldoutsConfig()), fitted_before(end))
    assert by_user.select("user_id", "item_id", "score").equals(expected)


def refit_starts(data: BenchData) -> list[int]:
    """When the models of the protocol by time are fitted: at the end of the data, and when a third has asked."""
    times, end = asked_in(data)["requested_at"].to_list(), end_of(data)
    return sorted({end, *(max(end, times[len(times) * step // 3]) for step in (1, 2))})


@pytest.mark.slow
def test_by_time_it_gives_what_the_stages_give_and_the_last_models_know_what_was_said_by_then(
    data: BenchData, by_time: pl.DataFrame
) -> None:
    """To the last bit: a ranker of the windows before, and models that are refitted while people ask."""
    starts = refit_starts(data)
    assert len(starts) == 3
    both = pl.concat([data.train, data.context]).sort("timestamp", "user_id", "item_id")
    past = make_splits(data.train, BY_TIME.splits).without(NOW)
    answering = chained(*[fitted_before(start, f"now_{step}") for step, start in enumerate(starts)])
    expected = by_hand(data, both, past, answering)
    own = by_time.join(expected, on="user_id", how="semi", maintain_order="left")
    assert own.select("user_id", "item_id", "score").equals(expected)
    assert 0 < expected["user_id"].n_unique() < by_time["user_id"].n_unique()


def test_what_was_rated_for_the_first_time_since_is_listed_by_the_models_that_were_fitted_later(
    data: BenchData,
) -> None:
    """A movie that everybody who asks early likes; no model that was fitted before can list it."""
    starts, asked = refit_starts(data), asked_in(data)
    early = asked.filter(pl.col("requested_at") < starts[1] - 1)
    likes = early.select(
        "user_id",
        item_id=pl.lit(9_000, pl.Int64),
        rating=pl.lit(5.0, pl.Float32),
        timestamp=pl.col("requested_at") - 1,
    )
    context = pl.concat([data.context, likes.select(data.context.columns)]).sort("timestamp", "user_id", "item_id")
    lists = ranked_lists(replace(data, context=context), BY_TIME, "retrieval", 60)
    new = lists.filter(item_id=9_000)["user_id"].to_list()
    late = asked.filter(pl.col("requested_at") >= starts[1])["user_id"].to_list()
    assert set(new) <= set(late)
    assert len(new) > len(late) / 2


@pytest.mark.slow
def test_an_answer_by_time_depends_on_nothing_that_was_said_after_its_request(
    data: BenchData, by_time: pl.DataFrame
) -> None:
    """New movies and turned stars in the contexts of those who ask later: earlier lists stay bit for bit."""
    asked = asked_in(data)
    moment = int(asked["requested_at"][asked.height * 2 // 3])
    assert moment > refit_starts(data)[1]
    is_later = pl.col("timestamp") >= moment
    item = pl.col("item_id") + pl.when(is_later).then(3_000).otherwise(0)
    stars = pl.when(is_later).then(5.5 - pl.col("rating")).otherwise("rating").cast(pl.Float32)
    altered = data.context.with_columns(item_id=item, rating=stars)
    again = ranked_lists(replace(data, context=altered), BY_TIME, "ranking", N_CANDIDATES)
    early = asked.filter(pl.col("requested_at") <= moment)["user_id"].to_list()
    before, after = (lists.filter(pl.col("user_id").is_in(early)) for lists in (by_time, again))
    assert before.equals(after)
    assert before["user_id"].n_unique() == len(early)
    assert not again.equals(by_time)


@pytest.mark.slow
def test_the_ranker_by_time_learns_from_nothing_but_the_training_data(data: BenchData, by_time: pl.DataFrame) -> None:
    """Who asks first is answered by models that know no context: with all others gone, the lists stay."""
    first = asked_in(data).filter(pl.col("requested_at") < refit_starts(data)[1])
    alone = replace(data, context=data.context.join(first, on="user_id", how="semi"))
    lists = ranked_lists(alone, replace(BY_TIME, n_refits=1), "ranking", N_CANDIDATES)
    assert lists.equals(by_time.join(first, on="user_id", how="semi", maintain_order="left"))


@pytest.mark.slow
def test_whoever_asks_after_the_data_end_is_asked_by_time_and_others_by_user(
    data: BenchData, by_time: pl.DataFrame, by_user: pl.DataFrame
) -> None:
    asked = asked_in(data)
    assert (asked["requested_at"] > end_of(data)).mean() > 0.5
    auto = replace(BY_TIME, protocol="auto")
    assert ranked_lists(data, auto, "ranking", N_CANDIDATES).equals(by_time)
    assert not by_user.equals(by_time)
    past = replace(data, context=data.train.filter(pl.col("user_id").is_in(data.train["user_id"].unique().sort()[:40])))
    short = ranked_lists(past, auto, "retrieval", 5)
    assert short.equals(ranked_lists(past, BY_USER, "retrieval", 5))


def test_somebody_who_asks_before_the_first_models_is_answered_by_them(data: BenchData) -> None:
    """Nobody is left without a list, and every list comes once."""
    early = data.context.filter(pl.col("timestamp") < end_of(data) - 1)
    lists = ranked_lists(replace(data, context=early), BY_TIME, "retrieval", 5)
    assert lists["user_id"].n_unique() == early["user_id"].n_unique()
    assert lists.height == 5 * early["user_id"].n_unique()


@pytest.mark.parametrize("name", ["by_user", "by_time"])
def test_every_list_is_in_order_and_holds_nothing_seen_or_twice(
    data: BenchData, request: pytest.FixtureRequest, name: str
) -> None:
    lists: pl.DataFrame = request.getfixturevalue(name)
    assert lists["user_id"].n_unique() == data.context["user_id"].n_unique()
    assert not lists.select("user_id", "item_id").is_duplicated().any()
    assert lists.join(data.context, on=["user_id", "item_id"], how="semi").is_empty()
    for (_,), own in lists.group_by("user_id"):
        assert own["rank"].to_list() == list(range(1, N_CANDIDATES + 1))
        assert own["score"].is_sorted(descending=True)


@pytest.mark.slow
def test_the_length_of_the_lists_is_what_is_asked(data: BenchData) -> None:
    short = ranked_lists(data, BY_USER, "retrieval", 5)
    assert short.group_by("user_id").len()["len"].unique().to_list() == [5]
    everything = ranked_lists(data, BY_USER, "retrieval", 500)
    n_items = data.train["item_id"].n_unique()
    seen = data.context.join(data.train, on="item_id", how="semi").group_by("user_id").agg(seen=pl.len())
    counts = everything.group_by("user_id").len().join(seen, on="user_id")
    # An item that was rated for the first time after the user asked is not listed either.
    assert (counts["len"] + counts["seen"]).max() == n_items


@pytest.mark.slow
def test_a_user_whom_nobody_knows_and_an_item_that_nobody_rated(data: BenchData) -> None:
    stranger = data.context.head(1).with_columns(user_id=pl.lit(9_999, pl.Int64), item_id=pl.lit(9_998, pl.Int64))
    asked = replace(data, context=pl.concat([data.context, stranger]))
    lists = ranked_lists(asked, BY_USER, "ranking", 10)
    assert lists.filter(user_id=9_999).height == 10
    assert 9_998 not in lists["item_id"].to_list()


@pytest.mark.slow
def test_nothing_is_known_of_the_items_but_their_ratings(data: BenchData) -> None:
    blank = data.movies.with_columns(
        title=pl.lit(""), genres=pl.lit([], pl.List(pl.String)), year=pl.lit(None, pl.Int32)
    )
    lists = ranked_lists(replace(data, movies=blank), BY_USER, "ranking", 10)
    assert lists["user_id"].n_unique() == data.context["user_id"].n_unique()
    assert not lists["score"].is_nan().any()
    nothing = ranked_lists(replace(data, movies=blank.clear()), BY_USER, "ranking", 10)
    assert nothing.equals(lists)


@pytest.mark.slow
def test_retrieval_alone_is_the_retrieval_of_the_whole(data: BenchData, by_time: pl.DataFrame) -> None:
    """The same towers, so that what ranking adds is seen: it reorders what they found."""
    alone = ranked_lists(data, BY_TIME, "retrieval", N_CANDIDATES)
    pair = ["user_id", "item_id"]
    assert alone.sort(pair).select(pair).equals(by_time.sort(pair).select(pair))
    assert not alone.equals(by_time)


@pytest.mark.slow
def test_without_order_in_time_the_towers_order_stands(data: BenchData, caplog: pytest.LogCaptureFixture) -> None:
    at_once = replace(data, train=data.train.with_columns(timestamp=pl.lit(tiny_world.FIRST_DAY, pl.Int64)))
    with caplog.at_level(logging.WARNING):
        lists = ranked_lists(at_once, BY_USER, "ranking", 10)
    assert "no user has enough likes at different times to learn a ranking from" in caplog.text
    assert lists.equals(ranked_lists(at_once, BY_USER, "retrieval", 10))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stars", "n_rows", "sentence"),
    [
        (
            3.5,
            10_000,
            "no rating has 4 stars or more, as a like has (write 5 for a play or a click), to learn a ranking",
        ),
        (5.0, 3, "no user has 5 likes, which are ratings of 4 stars or more, to learn a ranking from"),
    ],
)
def test_why_there_is_no_ranker_is_what_lacks(
    data: BenchData, caplog: pytest.LogCaptureFixture, stars: float, n_rows: int, sentence: str
) -> None:
    rating = pl.lit(stars, pl.Float32)
    train = data.train.with_columns(rating=rating).group_by("user_id", maintain_order=True).head(n_rows)
    with caplog.at_level(logging.WARNING):
        ranked_lists(replace(data, train=train.select(data.train.columns)), BY_USER, "ranking", 5)
    assert sentence in caplog.text


@pytest.mark.slow
def test_what_tells_no_order_in_time_is_asked_by_user(data: BenchData, by_user: pl.DataFrame) -> None:
    unordered = replace(data, is_ordered=False)
    assert ranked_lists(unordered, replace(BY_TIME, protocol="auto"), "ranking", N_CANDIDATES).equals(by_user)
    with pytest.raises(DataError, match="--protocol time needs times"):
        ranked_lists(unordered, BY_TIME, "ranking", 5)


@pytest.mark.slow
def test_what_is_done_is_told_as_it_goes(data: BenchData, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        ranked_lists(data, BY_USER, "ranking", 5)
    steps = ["fitting retrieval 4 times", "two-tower trained", "fitting the ranker", "listing items for"]
    at = [caplog.text.index(step) for step in steps]
    assert at == sorted(at)


def test_likes_that_are_never_found_teach_nothing(data: BenchData, caplog: pytest.LogCaptureFixture) -> None:
    """Everybody's last like is a movie that nobody else rated, so that no model can propose it."""
    last = data.train.group_by("user_id").agg(pl.col("timestamp").max() + 1).sort("user_id").with_row_index()
    item_id = 9_000 + pl.col("index").cast(pl.Int64)
    own = last.select("user_id", item_id=item_id, rating=pl.lit(5.0, pl.Float32), timestamp="timestamp")
    dull = data.train.with_columns(rating=pl.min_horizontal("rating", pl.lit(3.5, pl.Float32)))
    liked = pl.concat([dull, own, own.with_columns(pl.col("item_id") + 500, pl.col("timestamp") + 1)])
    settings = replace(BY_USER, holdouts=HoldoutsConfig(holdout_likes=2, n_holdouts=1))
    with caplog.at_level(logging.WARNING):
        lists = ranked_lists(replace(data, train=liked), settings, "ranking", 10)
    assert "retrieval found none of the likes to learn a ranking from" in caplog.text
    assert lists.height == 10 * lists["user_id"].n_unique()


@pytest.mark.slow
def test_another_seed_gives_other_lists_and_the_same_one_the_same(data: BenchData, by_user: pl.DataFrame) -> None:
    assert ranked_lists(data, BY_USER, "ranking", N_CANDIDATES).equals(by_user)
    other = replace(BY_USER, two_tower=QUICK_TRAINING.model_copy(update={"seed": 3}))
    assert not ranked_lists(data, other, "ranking", N_CANDIDATES).equals(by_user)
