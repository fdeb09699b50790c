"""What the rankers of the past would have shown of questions that they had not learned from."""

import numpy as np
import pytest

from recsys_core.data.splits import TEST
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.monitoring.examined import examined_sample
from recsys_core.monitoring.sample import SCORE
from tests.core.worlds import N_CANDIDATES, TinyRun


@pytest.mark.parametrize("k", [1, 5, N_CANDIDATES])
def test_it_agrees_with_the_slow_loop(tiny: TinyRun, k: int) -> None:
    """The first k places of each user of a window, best first, by the scores of the ranker that it examines."""
    for window in tiny.splits.exams:
        ranker, rows = tiny.examined[window], []
        for own in tiny.examples.of_window(window).partition_by("user_id", maintain_order=True):
            scores = ranker.score(own.select(FEATURE_NAMES).to_numpy())
            best = sorted(range(own.height), key=lambda at: -scores[at])[:k]
            rows += [(own["user_id"][0], *own.select(FEATURE_NAMES).row(at), scores[at]) for at in best]
        rows.sort(key=lambda row: row[0])
        expected = np.array([[np.nan if cell is None else cell for cell in row[1:]] for row in rows], dtype=np.float32)
        sample = examined_sample(ranker, tiny.examples, window, k)
        assert sample.names == (*FEATURE_NAMES, SCORE)
        assert np.array_equal(sample.values, expected, equal_nan=True)
        assert sample.clusters.tolist() == [row[0] for row in rows]


def test_a_cluster_is_a_user_whom_the_window_asked(tiny: TinyRun) -> None:
    sample = examined_sample(tiny.examined[TEST], tiny.examples, TEST, 10)
    asked = set(np.concatenate([tiny.splits.users_of(name) for name in tiny.splits.slices_of(TEST)]).tolist())
    assert set(sample.clusters.tolist()) == asked
    assert np.bincount(sample.clusters).max() == 10


def test_a_window_that_asked_no_user_has_no_rows(tiny: TinyRun) -> None:
    sample = examined_sample(tiny.examined[TEST], tiny.examples, "of no name", 10)
    assert sample.values.shape == (0, len(FEATURE_NAMES) + 1)
