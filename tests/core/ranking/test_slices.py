"""Training rows of all slices that ask."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.data.splits import NOW, TEST
from recsys_core.errors import DataError
from recsys_core.features.tables import SliceFeatures, item_features_by_slice, of_slice, user_features_by_slice
from recsys_core.ranking.slices import examples_of_slices
from tests import tiny_world
from tests.core.worlds import N_CANDIDATES, QUICK_SPLITS, TinyRun

N_EXAMS = QUICK_SPLITS.n_windows - QUICK_SPLITS.n_teaching


def rows_before(tiny: TinyRun, names: list[str]) -> pl.DataFrame:
    return tiny.examples.rows.filter(pl.col("slice").is_in(names))


def test_every_slice_that_asks_gives_rows_and_the_last_none(tiny: TinyRun) -> None:
    names = tiny.examples.rows["slice"].unique(maintain_order=True).to_list()
    assert names == tiny.splits.asking
    assert NOW not in names


def test_the_targets_of_the_test_change_no_row_of_any_other_window(tiny: TinyRun) -> None:
    tests = tiny.splits.slices_of(TEST)
    without = replace(tiny.splits, targets=tiny.splits.targets.filter(~pl.col("slice").is_in(tests)))
    again = examples_of_slices(tiny.ratings, without, tiny.features, tiny.towers.__getitem__, n_candidates=N_CANDIDATES)
    others = [name for name in tiny.splits.asking if name not in tests]
    assert again.rows.filter(pl.col("slice").is_in(others)).equals(rows_before(tiny, others))
    assert again.rows.drop("label").equals(tiny.examples.rows.drop("label"))
    assert again.rows.filter(pl.col("slice").is_in(tests))["label"].sum() == 0


def test_each_slice_asks_its_own_tower(tiny: TinyRun) -> None:
    asked: list[str] = []
    examples_of_slices(
        tiny.ratings,
        tiny.splits,
        tiny.features,
        lambda name: (asked.append(name), tiny.towers[name])[1],
        n_candidates=10,
    )
    assert asked == tiny.splits.asking


def test_a_tower_of_another_slice_is_refused(tiny: TinyRun) -> None:
    first = tiny.splits.asking[0]
    with pytest.raises(DataError, match=f"the tower of slice {first} was fitted on ratings"):
        examples_of_slices(tiny.ratings, tiny.splits, tiny.features, lambda _: tiny.towers[tiny.asked], n_candidates=10)


def future(fit_end: int) -> pl.DataFrame:
    """Likes from the very second of a cut-off on: by new users of all items, and by all users of new items."""
    strangers = [(10**6 + n % 7, int(item), 5.0, fit_end + n // 9) for n, item in enumerate(tiny_world.ITEM_IDS)]
    known = [(int(user), 10**6 + n % 5, 5.0, fit_end + n // 9) for n, user in enumerate(tiny_world.USER_IDS)]
    return pl.DataFrame(strangers + known, schema=RATINGS_COLUMNS, orient="row")


@pytest.mark.parametrize("at", range(N_EXAMS))
def test_rows_appended_to_the_future_change_no_bit_of_any_feature(tiny: TinyRun, at: int) -> None:
    """Of items, of users, and of pairs, as the ranker reads them, all computed anew for the slices before a window."""
    start = tiny.examples.start_of(tiny.splits.exams[at])
    names = tiny.splits.cutoffs.filter(pl.col("until") <= start)["slice"].to_list()
    assert names
    splits = replace(tiny.splits, cutoffs=tiny.splits.cutoffs.filter(pl.col("slice").is_in(names)))
    altered = pl.concat([tiny.ratings.filter(pl.col("timestamp") < start), future(start)])
    items = item_features_by_slice(altered, tiny.movies, splits)
    users = user_features_by_slice(altered, items, splits)
    features = SliceFeatures(items=items, users=users)
    again = examples_of_slices(altered, splits, features, tiny.towers.__getitem__, n_candidates=N_CANDIDATES)
    for name in names:
        assert of_slice(items, name).equals(of_slice(tiny.items, name))
        assert of_slice(users, name).equals(of_slice(tiny.users, name))
        assert of_slice(again.rows, name).equals(of_slice(tiny.examples.rows, name))
        assert np.isfinite(again.rows["pair_retrieval_z"].to_numpy()).all()
