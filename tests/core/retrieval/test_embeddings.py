"""The item vectors as an artifact of their own."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import NOW
from recsys_core.errors import ArtifactError
from recsys_core.retrieval.embeddings import ItemEmbeddings, embed_items, lengths_of
from recsys_core.retrieval.encoding import item_vectors
from tests import tiny_world
from tests.core.worlds import QUICK_TOWER, TinyRun


def test_each_row_is_the_item_towers_vector_of_the_id_beside_it(tiny: TinyRun) -> None:
    """Of the first tower, which does not know the movies that came out after its cut-off, and of the last."""
    missing = {}
    for name in (tiny.splits.names[0], NOW):
        tower = tiny.towers[name]
        embeddings = embed_items(tower)
        assert np.array_equal(embeddings.vectors, item_vectors(tower))
        width = QUICK_TOWER.dim + tower.closed_form.rank + tower.trend.n_bins + 1
        assert embeddings.vectors.shape == (tower.catalogue.n_items, width)
        assert embeddings.vectors.dtype == np.float32
        assert np.all(np.diff(embeddings.item_ids) > 0)
        missing[name] = np.setdiff1d(tiny_world.ITEM_IDS, embeddings.item_ids).tolist()
    first = tiny.ratings.group_by("item_id").agg(pl.col("timestamp").min())
    late = first.filter(pl.col("timestamp") >= tiny.splits.fit_end(tiny.splits.names[0]))["item_id"].sort().to_list()
    assert missing == {tiny.splits.names[0]: late, NOW: []}
    assert late


def test_vectors_of_one_camp_lie_together(tiny: TinyRun) -> None:
    """By the ids: a shift of the ids against the rows would mix the camps."""
    vectors = tiny.embeddings.vectors[:, :-1]  # the bias says how popular an item is, not for whom it is
    camp = tiny_world.CAMP_OF_ITEM[np.searchsorted(tiny_world.ITEM_IDS, tiny.embeddings.item_ids)]
    centres = np.array([vectors[camp == one].mean(axis=0) for one in range(tiny_world.N_CAMPS)])
    nearest = np.argmax((vectors - vectors.mean(axis=0)) @ (centres - vectors.mean(axis=0)).T, axis=1)
    assert (nearest == camp).mean() > 0.75


def test_they_come_back_as_they_were_and_save_to_the_same_bytes(tiny: TinyRun, tmp_path: Path) -> None:
    tiny.embeddings.save(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    back = ItemEmbeddings.load(tmp_path)
    assert np.array_equal(back.vectors, tiny.embeddings.vectors)
    assert np.array_equal(back.item_ids, tiny.embeddings.item_ids)
    back.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert sorted(first) == ["item_ids.npy", "vectors.npy"]


@pytest.mark.parametrize("file", ["vectors.npy", "item_ids.npy"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_damage_is_refused(tiny: TinyRun, tmp_path: Path, file: str, content: bytes | None) -> None:
    tiny.embeddings.save(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ArtifactError, match="recsys refresh"):
        ItemEmbeddings.load(tmp_path)


def test_ids_of_another_build_are_refused(tiny: TinyRun, tmp_path: Path) -> None:
    tiny.embeddings.save(tmp_path)
    np.save(tmp_path / "item_ids.npy", tiny.embeddings.item_ids[:-1])
    with pytest.raises(ArtifactError, match=f"{tiny_world.N_ITEMS} vectors for {tiny_world.N_ITEMS - 1} items"):
        ItemEmbeddings.load(tmp_path)


def test_a_length_is_that_of_the_whole_vector() -> None:
    embeddings = ItemEmbeddings(vectors=np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32), item_ids=np.array([1, 2]))
    assert lengths_of(embeddings).tolist() == [5.0, 0.0]
