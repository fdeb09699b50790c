"""Training rows of all slices but the test."""

from dataclasses import replace

import polars as pl
import pytest

from recsys_core.data.splits import TEST, VALIDATION
from recsys_core.errors import DataError
from recsys_core.ranking.slices import examples_of_slices
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
