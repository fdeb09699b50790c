"""The reference: complete, without anybody's number, and of the columns of what it is compared with."""

import numpy as np
import pytest

from recsys_core.errors import DataError
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.reference import Reference, make_reference
from recsys_core.monitoring.sample import Sample
from tests.core.monitoring.clustered import clustered, rows_of

CONFIG = DriftConfig()


@pytest.fixture
def reference() -> Reference:
    return make_reference(clustered(np.random.default_rng(0), 60), CONFIG)


def test_every_row_of_every_cluster_lies_in_one_bin_of_each_column(reference: Reference) -> None:
    assert reference.n_clusters == 60
    assert (reference.counts.sum(axis=2) == 10).all(), "ten rows a cluster"


def test_the_numbers_of_clusters_change_nothing(reference: Reference) -> None:
    sample = clustered(np.random.default_rng(0), 60)
    moved = Sample(names=sample.names, values=sample.values, clusters=sample.clusters * 1000 + 77)
    again = make_reference(moved, CONFIG)
    assert np.array_equal(again.counts, reference.counts)
    assert np.array_equal(again.edges, reference.edges)


def test_of_more_clusters_than_are_looked_at_a_draw_is() -> None:
    sample = clustered(np.random.default_rng(0), 150, n_rows=2)
    kept = make_reference(sample, DriftConfig(max_clusters=100))
    assert kept.n_clusters == 100
    again = make_reference(sample, DriftConfig(max_clusters=100))
    assert np.array_equal(kept.counts, again.counts)
    other = make_reference(sample, DriftConfig(max_clusters=100, seed=18))
    assert not np.array_equal(kept.counts, other.counts)


def test_an_empty_reference_has_no_clusters_and_takes_whatever_comes() -> None:
    empty = make_reference(rows_of([]), CONFIG)
    assert empty.n_clusters == 0
    assert empty.counts_of(rows_of([1.0, 2.0])).sum() == 2


def test_rows_with_other_columns_are_refused_by_name(reference: Reference) -> None:
    sample = clustered(np.random.default_rng(0), 5)
    renamed = Sample(names=("new", *sample.names[1:]), values=sample.values, clusters=sample.clusters)
    with pytest.raises(DataError, match="differs: c0, new"):
        reference.counts_of(renamed)
    swapped = Sample(names=sample.names[::-1], values=sample.values, clusters=sample.clusters)
    with pytest.raises(DataError, match="differs: their order"):
        reference.counts_of(swapped)
