"""Training rows of all slices but the test."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.data.splits import EXAMS, TEST, VALIDATION
from recsys_core.errors import DataError
from recsys_core.features.slices import item_features_by_slice, of_slice, user_features_by_slice
from recsys_core.ranking.slices import examples_of_slices
from tests import tiny_world
from tests.core.worlds import N_CANDIDATES, TinyRun


def test_the_test_slice_gives_no_rows_and_its_targets_are_not_read(tiny: TinyRun) -> None:
    without = replace(tiny.splits, targets=tiny.splits.targets.filter(pl.col("slice") != TEST))
    again = examples_of_slices(
        tiny.ratings, without, tiny.items, tiny.users, tiny.towers.__getitem__, n_candidates=N_CANDIDATES
    )
    assert again.rows.equals(tiny.examples.rows)
    assert again.n_targets.equals(tiny.examples.n_targets)
    assert again.rows["slice"].unique(maintain_order=True).to_list() == tiny.splits.names[:-1]


def test_each_slice_asks_its_own_tower(tiny: TinyRun) -> None:
    asked: list[str] = []
    examples_of_slices(
        tiny.ratings,
        tiny.splits,
        tiny.items,
        tiny.users,
        lambda name: (asked.append(name), tiny.towers[name])[1],
        n_candidates=10,
    )
    assert asked == tiny.splits.names[:-1]


def test_a_tower_of_another_slice_is_refused(tiny: TinyRun) -> None:
    with pytest.raises(DataError, match="the tower of slice validation_holdout_45 was fitted on ratings"):
        examples_of_slices(
            tiny.ratings, tiny.splits, tiny.items, tiny.users, lambda _: tiny.towers[VALIDATION], n_candidates=10
        )


def test_ratings_after_the_validation_change_nothing_of_its_features(tiny: TinyRun) -> None:
    """Its rows and those of its hold-outs rest on what was known then; all later ratings may go."""
    early = tiny.ratings.filter(pl.col("timestamp") < tiny.splits.fit_end(TEST))
    again = examples_of_slices(
        early, tiny.splits, tiny.items, tiny.users, tiny.towers.__getitem__, n_candidates=N_CANDIDATES
    )
    for name in (*tiny.splits.holdouts(VALIDATION), VALIDATION):
        assert again.rows.filter(slice=name).equals(tiny.examples.rows.filter(slice=name))


def future(fit_end: int) -> pl.DataFrame:
    """Likes from the very second of a cut-off on: by new users of all items, and by all users of new items."""
    strangers = [(10**6 + n % 7, int(item), 5.0, fit_end + n // 9) for n, item in enumerate(tiny_world.ITEM_IDS)]
    known = [(int(user), 10**6 + n % 5, 5.0, fit_end + n // 9) for n, user in enumerate(tiny_world.USER_IDS)]
    return pl.DataFrame(strangers + known, schema=RATINGS_COLUMNS, orient="row")


@pytest.mark.parametrize("exam", EXAMS)
def test_rows_appended_to_the_future_change_no_bit_of_any_feature(tiny: TinyRun, exam: str) -> None:
    """Of items, of users, and of pairs, as the ranker reads them, all computed anew for the slices before an exam."""
    fit_end = tiny.splits.fit_end(exam)
    names = tiny.splits.cutoffs.filter(pl.col("until") <= fit_end)["slice"].to_list()
    assert set(tiny.splits.holdouts(exam)) <= set(names)
    splits = replace(tiny.splits, cutoffs=tiny.splits.cutoffs.filter(pl.col("slice").is_in(names)))
    altered = pl.concat([tiny.ratings.filter(pl.col("timestamp") < fit_end), future(fit_end)])
    items = item_features_by_slice(altered, tiny.movies, splits)
    users = user_features_by_slice(altered, items, splits)
    again = examples_of_slices(altered, splits, items, users, tiny.towers.__getitem__, n_candidates=N_CANDIDATES)
    for name in names:
        assert of_slice(items, name).equals(of_slice(tiny.items, name))
        assert of_slice(users, name).equals(of_slice(tiny.users, name))
        assert of_slice(again.rows, name).equals(of_slice(tiny.examples.rows, name))
        assert np.isfinite(again.rows["pair_retrieval_z"].to_numpy()).all()
