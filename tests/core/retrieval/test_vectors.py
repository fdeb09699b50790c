"""The vectors that are searched: all parts in one, and those of the items as an artifact."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.histories import histories_of
from recsys_core.data.splits import NOW
from recsys_core.errors import ArtifactError
from recsys_core.retrieval.model import (
    ItemEmbeddings,
    embed_items,
    item_vectors,
    lengths_of,
    user_vectors,
    vector_layout,
)
from recsys_core.retrieval.training import train_retrieval_model
from tests import tiny_world
from tests.core.worlds import QUICK_TRAINING, TinyRun, histories_from


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_a_score_is_the_sum_of_all_parts(tiny: TinyRun, weight: float) -> None:
    model = replace(tiny.model, ease_weight=weight)
    users = histories_of(tiny.ratings, model.catalogue)
    asking, offered = model.user_encoder.encode(users), model.trained_items
    trained = asking[:, :-1] @ offered[:, :-1].T
    closed = model.ease.encode_users(users) @ model.ease.target_factors.T
    trend = model.trend.encode_users(users) @ model.trend.item_factors.T
    found = user_vectors(model, users) @ item_vectors(model).T
    np.testing.assert_allclose(found, trained + weight * closed + trend + offered[:, -1], rtol=1e-4, atol=1e-4)


def test_each_part_lies_where_it_is_said_to(tiny: TinyRun) -> None:
    model = replace(tiny.model, ease_weight=2.0)
    users = histories_of(tiny.ratings, model.catalogue)
    asking, offered, parts = user_vectors(model, users), item_vectors(model), vector_layout(model)
    assert np.array_equal(asking[:, parts.trained], model.user_encoder.encode(users)[:, :-1])
    assert np.array_equal(offered[:, parts.trained], model.trained_items[:, :-1])
    assert np.array_equal(asking[:, parts.ease], model.ease.encode_users(users))
    assert np.array_equal(offered[:, parts.ease], 2 * model.ease.target_factors)
    assert np.array_equal(asking[:, parts.trend], model.trend.encode_users(users))
    assert np.array_equal(offered[:, parts.trend], model.trend.item_factors)
    assert (asking[:, parts.bias] == 1).all()
    assert np.array_equal(offered[:, parts.bias], model.trained_items[:, -1:])


def test_the_parts_are_the_whole_vector_once(tiny: TinyRun) -> None:
    parts, width = vector_layout(tiny.model), item_vectors(tiny.model).shape[1]
    places = [place for part in (parts.trained, parts.ease, parts.trend, parts.bias) for place in range(width)[part]]
    assert places == list(range(width))
    assert width == QUICK_TRAINING.dim + tiny.model.ease.rank + tiny.model.trend.n_bins + 1


def test_an_empty_history_gets_what_the_trained_half_and_the_latest_trend_say(tiny: TinyRun) -> None:
    vector = user_vectors(tiny.model, histories_from([[]], n_items=tiny.model.catalogue.n_items))[0]
    parts = vector_layout(tiny.model)
    assert vector[parts.trained].tolist() == tiny.model.user_encoder.everyone.tolist()
    assert not vector[parts.ease].any()
    assert vector[parts.trend].nonzero()[0].tolist() == [tiny.model.trend.n_bins - 1]
    assert user_vectors(tiny.model, histories_from([], n_items=tiny.model.catalogue.n_items)).shape == (0, len(vector))


def test_the_weight_is_that_of_the_settings(tiny: TinyRun) -> None:
    config = QUICK_TRAINING.model_copy(update={"closed_form_weight": 0.5, "n_epochs": 1})
    model = train_retrieval_model(tiny.ratings, tiny.item_rows, tiny.model.fit_end, config).model
    part = vector_layout(model).ease
    assert np.array_equal(item_vectors(model)[:, part], model.ease.target_factors / 2)


def test_each_row_is_the_item_towers_vector_of_the_id_beside_it(tiny: TinyRun) -> None:
    """Of the first tower, which does not know the movies that came out after its cut-off, and of the last."""
    missing = {}
    for name in (tiny.splits.names[0], NOW):
        model = tiny.models[name]
        embeddings = embed_items(model)
        assert np.array_equal(embeddings.vectors, item_vectors(model))
        width = QUICK_TRAINING.dim + model.ease.rank + model.trend.n_bins + 1
        assert embeddings.vectors.shape == (model.catalogue.n_items, width)
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
