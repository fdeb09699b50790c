"""What may be compared, and which rows hang together."""

import numpy as np
import pytest

from recsys_core.errors import DataError
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.monitoring.clustered_sample import ClusteredSample, scored_sample
from tests.core.monitoring.clustered import clustered, rows_of


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_value_is_refused_by_column_and_row(value: float) -> None:
    with pytest.raises(DataError, match=r"b is -?inf in row 1 \(2 infinite values"):
        rows_of([1, 2, 3], [0, value, value])


def test_names_values_and_clusters_must_fit() -> None:
    values = np.zeros((3, 2), dtype=np.float32)
    with pytest.raises(DataError, match=r"expected values of shape \(3 clusters, 1 names\), found \(3, 2\)"):
        ClusteredSample(names=("a",), values=values, clusters=np.arange(3))
    with pytest.raises(DataError, match="expected values of shape"):
        ClusteredSample(names=("a", "b"), values=values, clusters=np.arange(2))
    with pytest.raises(DataError, match="expected values of shape"):
        ClusteredSample(names=(), values=values[:, :0], clusters=np.arange(3))
    with pytest.raises(DataError, match="named twice: a"):
        ClusteredSample(names=("a", "a"), values=values, clusters=np.arange(3))


def test_thinning_keeps_whole_clusters() -> None:
    sample = clustered(np.random.default_rng(0), 50, n_rows=4)
    thinned = sample.at_most(20, np.random.default_rng(1))
    assert thinned.n_clusters == 20
    assert len(thinned.values) == 80
    assert sample.at_most(50, np.random.default_rng(1)) is sample


def test_the_score_stands_beside_the_features() -> None:
    features = np.zeros((2, len(FEATURE_NAMES)), dtype=np.float32)
    sample = scored_sample(features, np.array([0.5, -1], dtype=np.float32), np.array([7, 7]))
    assert sample.names == (*FEATURE_NAMES, "score")
    assert sample.values[:, -1].tolist() == [0.5, -1]
    assert sample.values.dtype == np.float32
