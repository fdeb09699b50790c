"""The reference: small, complete, the same after a round trip, and refused when damaged."""

import json
from pathlib import Path

import numpy as np
import pytest

from recsys_core.errors import ArtifactError, DataError
from recsys_core.monitoring.config import ReferenceConfig
from recsys_core.monitoring.reference import FILE, Reference, make_reference
from recsys_core.monitoring.sample import Sample
from tests.core.monitoring.clustered import clustered, rows_of


@pytest.fixture
def reference() -> Reference:
    return make_reference(clustered(np.random.default_rng(0), 60), ReferenceConfig())


def test_a_reference_comes_back_as_it_was(reference: Reference, tmp_path: Path) -> None:
    reference.save(tmp_path)
    back = Reference.load(tmp_path)
    assert back.names == reference.names
    assert np.array_equal(back.edges, reference.edges)
    assert np.array_equal(back.counts, reference.counts)
    assert back.counts.dtype == np.int32


def test_the_same_rows_give_the_same_bytes(reference: Reference, tmp_path: Path) -> None:
    reference.save(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    make_reference(clustered(np.random.default_rng(0), 60), ReferenceConfig()).save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_a_thousand_clusters_of_thirty_columns_take_less_than_three_megabytes(tmp_path: Path) -> None:
    sample = clustered(np.random.default_rng(0), 1000, n_columns=31)
    make_reference(sample, ReferenceConfig()).save(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3e6


def test_no_number_of_a_cluster_is_kept(tmp_path: Path) -> None:
    sample = clustered(np.random.default_rng(0), 60)
    moved = Sample(names=sample.names, values=sample.values, clusters=sample.clusters * 1000 + 77)
    for name, one in (("a", sample), ("b", moved)):
        (tmp_path / name).mkdir()
        make_reference(one, ReferenceConfig()).save(tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_of_more_clusters_than_are_kept_a_draw_is(tmp_path: Path) -> None:
    sample = clustered(np.random.default_rng(0), 150, n_rows=2)
    kept = make_reference(sample, ReferenceConfig(max_clusters=100))
    assert kept.n_clusters == 100
    again = make_reference(sample, ReferenceConfig(max_clusters=100))
    assert np.array_equal(kept.counts, again.counts)
    other = make_reference(sample, ReferenceConfig(max_clusters=100, seed=18))
    assert not np.array_equal(kept.counts, other.counts)


def test_an_empty_reference_is_refused() -> None:
    with pytest.raises(DataError, match="there are none"):
        make_reference(rows_of([]), ReferenceConfig())


def test_rows_with_other_columns_are_refused_by_name(reference: Reference) -> None:
    sample = clustered(np.random.default_rng(0), 5)
    renamed = Sample(names=("new", *sample.names[1:]), values=sample.values, clusters=sample.clusters)
    with pytest.raises(DataError, match="differs: c0, new"):
        reference.counts_of(renamed)
    swapped = Sample(names=sample.names[::-1], values=sample.values, clusters=sample.clusters)
    with pytest.raises(DataError, match="differs: their order"):
        reference.counts_of(swapped)


@pytest.mark.parametrize("file", [FILE, "edges.npy", "cells.npy", "counts.npy"])
@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_a_damaged_file_is_refused(reference: Reference, tmp_path: Path, file: str, damage: str) -> None:
    reference.save(tmp_path)
    path = tmp_path / file
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9] if damage == "cut" else b"{}")
    with pytest.raises(ArtifactError, match="recsys refresh"):
        Reference.load(tmp_path)


def test_files_that_do_not_belong_together_are_refused(reference: Reference, tmp_path: Path) -> None:
    other = make_reference(clustered(np.random.default_rng(1), 60), ReferenceConfig())
    (tmp_path / "other").mkdir()
    other.save(tmp_path / "other")
    for file in ("cells.npy", "counts.npy"):
        reference.save(tmp_path)
        (tmp_path / file).write_bytes((tmp_path / "other" / file).read_bytes())
        with pytest.raises(ArtifactError, match="recsys refresh"):
            Reference.load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"n_clusters": 59},
        {"n_clusters": 61},
        {"n_clusters": 10**15},
        {"n_clusters": 0},
        {"n_bins": 52},
        {"names": ["c0"]},
    ],
)
def test_sizes_that_do_not_fit_the_arrays_are_refused(
    reference: Reference, tmp_path: Path, change: dict[str, object]
) -> None:
    reference.save(tmp_path)
    path = tmp_path / FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError, match="recsys refresh"):
        Reference.load(tmp_path)


@pytest.mark.parametrize("damage", ["a column too few", "falling", "undefined"])
def test_edges_that_cannot_be_are_refused(reference: Reference, tmp_path: Path, damage: str) -> None:
    reference.save(tmp_path)
    edges = reference.edges[:-1] if damage == "a column too few" else reference.edges.copy()
    if damage != "a column too few":
        edges[0, 5] = -99 if damage == "falling" else np.nan
    np.save(tmp_path / "edges.npy", edges)
    with pytest.raises(ArtifactError, match="recsys refresh"):
        Reference.load(tmp_path)


@pytest.mark.parametrize("change", [[1, 0], [-20, 20]], ids=["one too many", "less than none"])
def test_counts_that_cannot_be_are_refused(reference: Reference, tmp_path: Path, change: list[int]) -> None:
    """The first two counts are of one column of one cluster: what one gains there, the other may lose unseen."""
    reference.save(tmp_path)
    counts = np.load(tmp_path / "counts.npy")
    counts[:2] += change
    np.save(tmp_path / "counts.npy", counts)
    with pytest.raises(ArtifactError, match="recsys refresh"):
        Reference.load(tmp_path)
