"""The reference: complete, without anybody's number, and of the columns of what it is compared with."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recsys_core.errors import DataError
from recsys_core.monitoring.clustered_sample import ClusteredSample
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.reference import Reference, binned, cluster_counts, fitted_edges, make_reference, n_codes
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
    moved = ClusteredSample(names=sample.names, values=sample.values, clusters=sample.clusters * 1000 + 77)
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
    renamed = ClusteredSample(names=("new", *sample.names[1:]), values=sample.values, clusters=sample.clusters)
    with pytest.raises(DataError, match="differs: c0, new"):
        reference.counts_of(renamed)
    swapped = ClusteredSample(names=sample.names[::-1], values=sample.values, clusters=sample.clusters)
    with pytest.raises(DataError, match="differs: their order"):
        reference.counts_of(swapped)


ANY = st.floats(width=32, allow_infinity=False, allow_subnormal=False)
COLUMNS = st.lists(st.tuples(ANY, st.integers(0, 5)), min_size=1, max_size=60)


def code_of(value: float, edges: np.ndarray) -> int:
    return int(binned(np.array([value], dtype=np.float32), edges)[0])


def test_bins_of_a_hundred_values_hold_equal_shares() -> None:
    sample = rows_of(np.arange(1, 101, dtype=float).tolist())
    edges = fitted_edges(sample, 4)
    assert edges.tolist() == [[1, 25, 50, 75, 100]]
    assert cluster_counts(sample, edges).sum(axis=0).tolist() == [[1, 24, 25, 25, 25, 0, 0]]


def test_a_cluster_of_thousands_of_rows_moves_no_edge() -> None:
    """Its rows share one vote: the median stays among the others."""
    few = rows_of(np.arange(1, 12, dtype=float).tolist())
    crowd = ClusteredSample(
        names=few.names,
        values=np.concatenate([few.values, np.full((5000, 1), 11, dtype=np.float32)]),
        clusters=np.concatenate([few.clusters, np.full(5000, 10)]),
    )
    assert fitted_edges(crowd, 2).tolist() == fitted_edges(few, 2).tolist()


def test_a_constant_has_a_bin_of_its_own() -> None:
    (edges,) = fitted_edges(rows_of([3.0] * 20), 50)
    assert len({code_of(value, edges) for value in (2.9999, 3.0, 3.0001, np.nan)}) == 4


def test_a_value_between_two_frequent_ones_is_taken_for_neither() -> None:
    (edges,) = fitted_edges(rows_of([0.0, 1.0] * 30), 50)
    assert len({code_of(value, edges) for value in (-0.1, 0.0, 0.5, 1.0, 1.1)}) == 5


def test_with_heavy_ties_the_rest_keeps_its_bins() -> None:
    values = [0.0] * 600 + np.linspace(1, 2, 400).tolist()
    (edges,) = fitted_edges(rows_of(values), 50)
    codes = binned(np.array(values, dtype=np.float32), edges)
    assert len(set(codes[600:])) >= 20
    assert np.bincount(codes[600:]).max() <= 21


def test_minus_zero_is_zero() -> None:
    one, other = fitted_edges(rows_of([0.0, -0.0, 0.0]), 10), fitted_edges(rows_of([-0.0, 0.0, -0.0]), 10)
    assert one.tobytes() == other.tobytes()
    assert code_of(-0.0, one[0]) == code_of(0.0, one[0])


def test_a_column_without_values_has_no_edges_and_takes_whatever_comes() -> None:
    (edges,) = fitted_edges(rows_of([np.nan] * 5), 10)
    assert np.isinf(edges).all()
    assert code_of(7, edges) == code_of(-7, edges) == 0
    assert code_of(np.nan, edges) == len(edges) + 1


def test_missing_values_do_not_move_the_edges_of_the_others() -> None:
    values = np.arange(1, 101, dtype=float).tolist()
    assert fitted_edges(rows_of([*values, *[np.nan] * 900]), 4).tolist() == [[1, 25, 50, 75, 100]]


@given(COLUMNS, st.integers(10, 60))
@example([(float(np.finfo(np.float32).min), 0)], 10)
def test_edges_rise_and_every_row_has_one_bin(rows: list[tuple[float, int]], n_bins: int) -> None:
    sample = rows_of([value for value, _ in rows], clusters=[cluster for _, cluster in rows])
    edges = fitted_edges(sample, n_bins)
    finite = edges[0][np.isfinite(edges[0])]
    assert (np.diff(finite) > 0).all()
    counts = cluster_counts(sample, edges)
    assert counts.shape == (sample.n_clusters, 1, n_codes(edges))
    assert counts.sum() == len(rows)
    assert counts[:, 0, -2].sum() == 0, "nothing of the sample lies beyond its own greatest value"
    assert counts[:, 0, -1].sum() == np.isnan(sample.values).sum()


@given(st.integers(0, 2**32 - 1))
def test_neither_the_order_of_rows_nor_the_numbers_of_clusters_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sample = clustered(rng, 12, n_rows=3, n_columns=3)
    order, renamed = rng.permutation(len(sample.values)), rng.permutation(1000)
    other = ClusteredSample(
        names=sample.names, values=sample.values[order], clusters=renamed[sample.clusters[order]].astype(np.int64)
    )
    edges = fitted_edges(sample, 10)
    assert fitted_edges(other, 10).tobytes() == edges.tobytes()
    assert cluster_counts(other, edges).tobytes() == cluster_counts(sample, edges).tobytes()


def test_clusters_of_unequal_size_give_the_same_edges_in_any_order() -> None:
    """Weights of a third, a seventh and so on, whose sums depend on their order in the last digit."""
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(30), rng.integers(1, 12, 30))
    values = rng.integers(0, 6, (len(clusters), 1)).astype(np.float32)
    first = fitted_edges(ClusteredSample(names=("a",), values=values, clusters=clusters), 50)
    for _ in range(50):
        order = rng.permutation(len(clusters))
        again = fitted_edges(ClusteredSample(names=("a",), values=values[order], clusters=clusters[order]), 50)
        assert again.tobytes() == first.tobytes()


@pytest.mark.parametrize("share", [1 / 3, 1 / 7, 0.1])
def test_a_share_that_is_reached_exactly_ends_its_bin(share: float) -> None:
    """Sums of thirds and tenths fall short of the whole; the edge must not slip to the next value."""
    size = round(1 / share)
    clusters = np.repeat(np.arange(10), size)
    values = np.repeat(np.arange(10), size)[:, None].astype(np.float32)
    (edges,) = fitted_edges(ClusteredSample(names=("a",), values=values, clusters=clusters), 10)
    assert edges[np.isfinite(edges) & (edges == np.round(edges))].tolist() == list(range(10))
