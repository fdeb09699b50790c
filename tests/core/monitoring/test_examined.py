"""What the ranker learned from, as it would have shown it."""

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import TEST
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.monitoring.config import ReferenceConfig
from recsys_core.monitoring.reference import make_reference
from recsys_core.monitoring.sample import SCORE
from recsys_core.monitoring.training import trained_sample
from tests.core.worlds import N_CANDIDATES, TinyRun


def last_lesson(tiny: TinyRun) -> pl.DataFrame:
    return tiny.examples.rows.filter(slice=tiny.splits.holdouts(TEST)[-1])


@pytest.mark.parametrize("k", [1, 5, N_CANDIDATES])
def test_it_agrees_with_the_slow_loop(tiny: TinyRun, k: int) -> None:
    """The first k places of each user of the latest hold-out, best first, by the ranker's own scores."""
    sample, rows = trained_sample(tiny.ranker, tiny.examples, k), []
    for own in last_lesson(tiny).partition_by("user_id", maintain_order=True):
        scores = tiny.ranker.score(own.select(FEATURE_NAMES).to_numpy())
        best = sorted(range(own.height), key=lambda at: -scores[at])[:k]
        rows += [(own["user_id"][0], *own.select(FEATURE_NAMES).row(at), scores[at]) for at in best]
    rows.sort(key=lambda row: row[0])
    expected = np.array([[np.nan if cell is None else cell for cell in row[1:]] for row in rows], dtype=np.float32)
    assert sample.names == (*FEATURE_NAMES, SCORE)
    assert np.array_equal(sample.values, expected, equal_nan=True)
    assert sample.clusters.tolist() == [row[0] for row in rows]


def test_a_cluster_is_a_user_of_the_latest_holdout(tiny: TinyRun) -> None:
    sample = trained_sample(tiny.ranker, tiny.examples, 10)
    assert len(tiny.splits.holdouts(TEST)) > 1
    assert sorted(set(sample.clusters.tolist())) == sorted(set(last_lesson(tiny)["user_id"].to_list()))
    assert np.bincount(sample.clusters).max() == 10


def test_it_makes_a_reference(tiny: TinyRun) -> None:
    sample = trained_sample(tiny.ranker, tiny.examples, 10)
    reference = make_reference(sample, ReferenceConfig())
    assert reference.n_clusters == sample.n_clusters
    assert reference.names == sample.names
