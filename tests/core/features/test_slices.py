"""Feature tables of every slice."""

import polars as pl
import pytest

from recsys_core.data.splits import Splits, fit_ratings, fitted_before, known_ratings, make_splits
from recsys_core.features.slices import item_features_by_slice, of_slice, user_features_by_slice
from recsys_core.features.tables import item_features, user_features
from tests import tiny_world
from tests.core.tables_by_hand import T0, every_rating_of, movies_of, ratings_of
from tests.core.worlds import QUICK_SPLITS


@pytest.fixture(scope="module")
def ratings() -> pl.DataFrame:
    return tiny_world.ratings()


@pytest.fixture(scope="module")
def splits(ratings: pl.DataFrame) -> Splits:
    return make_splits(ratings, QUICK_SPLITS)


@pytest.fixture(scope="module")
def items(ratings: pl.DataFrame, splits: Splits) -> pl.DataFrame:
    return item_features_by_slice(ratings, tiny_world.movies(), splits)


def test_each_slice_sees_its_own_past(ratings: pl.DataFrame, splits: Splits, items: pl.DataFrame) -> None:
    users = user_features_by_slice(ratings, items, splits)
    assert items["slice"].unique(maintain_order=True).to_list() == splits.names
    for name in splits.names:
        alone = item_features(fit_ratings(ratings, splits, name), tiny_world.movies(), splits.fit_end(name))
        assert of_slice(items, name).equals(alone)
        known, asked = known_ratings(ratings, splits, name), splits.requests(name)
        user_ids, times = asked["user_id"].to_numpy(), asked["requested_at"].to_numpy()
        assert of_slice(users, name).equals(user_features(known, alone, user_ids, times))


def test_everybody_who_is_evaluated_has_a_row(ratings: pl.DataFrame, splits: Splits, items: pl.DataFrame) -> None:
    users = user_features_by_slice(ratings, items, splits)
    assert sorted(users.select("slice", "user_id").rows()) == sorted(splits.users.select("slice", "user_id").rows())


def test_targets_are_not_counted(ratings: pl.DataFrame, splits: Splits, items: pl.DataFrame) -> None:
    """Without a slice's targets in the table at all, every number of the slice is the same."""
    users = user_features_by_slice(ratings, items, splits)
    for name in splits.asking:
        targets = splits.targets.filter(slice=name)
        without = ratings.join(targets, on=["user_id", "item_id"], how="anti", maintain_order="left")
        assert without.height < ratings.height
        again = item_features_by_slice(without, tiny_world.movies(), splits)
        assert of_slice(again, name).equals(of_slice(items, name))
        assert of_slice(user_features_by_slice(without, items, splits), name).equals(of_slice(users, name))


def test_a_slice_that_does_not_exist_is_empty(items: pl.DataFrame) -> None:
    assert of_slice(items, "holdout_99").is_empty()


def test_neither_a_target_nor_what_shares_its_second_is_counted() -> None:
    """User 2 is asked at second 7, in which the target and a dislike stand; user 9 rates in the cut-off's second."""
    past = [(1, 1, 5.0, 0), (2, 1, 3.0, 1), (2, 2, 5.0, 2)]
    ties = [(9, 2, 4.0, 6), (2, 3, 5.0, 7), (2, 4, 1.0, 7)]
    ratings = ratings_of([*past, *ties, (2, 5, 5.0, 8)])
    target = ratings.filter(user_id=2, item_id=3)
    by_hand = Splits(
        cutoffs=pl.DataFrame(
            {"slice": ["one"], "window": ["one"], "fit_end": [T0 + 6], "until": [T0 + 9], "is_exam": [True]}
        ),
        users=pl.DataFrame({"slice": ["one"], "user_id": [2], "cut": [T0 + 7]}),
        targets=target.select(pl.lit("one").alias("slice"), pl.all()),
    )
    items = item_features_by_slice(ratings, movies_of([(1, [], 1999)]), by_hand)
    users = user_features_by_slice(ratings, items, by_hand)
    assert items.select("item_id", "n_ratings", "item_mean_rating").rows() == [(1, 2, 4.0), (2, 1, 5.0)]
    assert users.select("user_id", "user_n_ratings", "user_mean_rating").rows() == [(2, 2.0, 4.0)]


def test_an_item_that_is_rated_again_is_counted_as_it_was_rated_at_the_time() -> None:
    """User 1 likes item 1 in second 0 and takes it back in second 5; whoever asks in between knows of the like."""
    ratings = every_rating_of([(1, 1, 5.0, 0), (2, 1, 5.0, 1), (1, 1, 1.0, 5)])

    def at(fit_end: int) -> Splits:
        return fitted_before(T0 + fit_end, "then")

    def likes(fit_end: int) -> list[tuple[int, int]]:
        made = item_features_by_slice(ratings, movies_of([]), at(fit_end))
        return made.select("n_ratings", "n_likes").rows()

    assert [likes(fit_end) for fit_end in (1, 5, 6)] == [[(1, 1)], [(2, 2)], [(2, 1)]]
