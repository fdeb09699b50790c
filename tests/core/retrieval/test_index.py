"""The index: the same scores as the towers, the same answers as exact search, the same after a round trip."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from recsys_core.arrays import Float32s
from recsys_core.errors import ArtifactError
from recsys_core.retrieval.config import IndexConfig
from recsys_core.retrieval.index import ItemIndex, build_index, index_recall
from recsys_core.retrieval.model import item_vectors, user_vectors
from tests.core.worlds import TinyRun, random_histories

INVERTED = IndexConfig(flat_until=0)


def vectors_like_a_towers(n: int, d: int, rng: np.random.Generator, n_clusters: int = 50) -> Float32s:
    """Clustered vectors whose last entry is a bias, so that their lengths differ as those of real items do."""
    centres = np.random.default_rng(7).normal(size=(n_clusters, d)) * 2
    vectors = centres[rng.integers(0, n_clusters, n)] + rng.normal(size=(n, d))
    return vectors.astype(np.float32)


def reloaded(index: ItemIndex, folder: Path) -> ItemIndex:
    index.save(folder)
    return ItemIndex.load(folder)


@pytest.mark.parametrize("config", [IndexConfig(), INVERTED], ids=["flat", "inverted"])
def test_scores_are_the_towers_dot_products(tiny: TinyRun, config: IndexConfig, tmp_path: Path) -> None:
    """For 100 random pairs, after a round trip: search uses the measure that the towers were trained with."""
    index = reloaded(build_index(tiny.embeddings.vectors, tiny.embeddings.item_ids, config), tmp_path)
    users = random_histories(0, n_users=100, n_items=tiny.model.catalogue.n_items)
    queries, items = user_vectors(tiny.model, users), item_vectors(tiny.model)
    item_idx, scores = index.search(queries, index.n_items)
    picked = np.random.default_rng(0).integers(0, index.n_items, 100)
    for user, item in enumerate(picked):
        score = scores[user, item_idx[user] == item]
        assert score == pytest.approx([float(queries[user] @ items[item])], abs=1e-4)


def test_a_flat_index_finds_exactly_the_best_after_a_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    vectors, queries = vectors_like_a_towers(3_000, 17, rng), vectors_like_a_towers(600, 17, rng)
    index = reloaded(build_index(vectors, np.arange(3_000) * 3, IndexConfig()), tmp_path)
    assert index_recall(index, vectors, queries, 100).tolist() == [1.0] * 600
    order = np.argsort(-(queries[:20] @ vectors.T), axis=1, kind="stable")[:, :10]
    assert np.array_equal(index.search(queries[:20], 10)[0], order)


@pytest.mark.parametrize("config", [IndexConfig(), INVERTED], ids=["flat", "inverted"])
def test_one_user_alone_and_many_together_find_the_same_with_the_same_bits(config: IndexConfig) -> None:
    """Were the sums of another order, so could the lists be. So many ask because FAISS turns to BLAS for many alone."""
    rng = np.random.default_rng(6)
    vectors, queries = vectors_like_a_towers(100, 33, rng), vectors_like_a_towers(150_000, 33, rng)
    index = build_index(vectors, np.arange(100), config)
    together = index.search(queries, 5)
    for user in range(0, len(queries), 5_000):
        alone = index.search(queries[[user]], 5)
        assert np.array_equal(alone[0][0], together[0][user])
        assert np.array_equal(alone[1][0], together[1][user])


@pytest.mark.slow
def test_an_inverted_file_keeps_its_recall_and_its_probes_through_a_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    vectors, queries = vectors_like_a_towers(60_000, 33, rng), vectors_like_a_towers(200, 33, rng)
    built = build_index(vectors, np.arange(60_000), IndexConfig())
    index = reloaded(built, tmp_path)
    assert index.faiss_index.nprobe == IndexConfig().n_probe == 32  # FAISS' own default is 1
    assert float(index_recall(index, vectors, queries, 100).mean()) >= 0.95
    assert np.array_equal(index.search(queries, 100)[0], built.search(queries, 100)[0])
    index.faiss_index.nprobe = 1
    assert float(index_recall(index, vectors, queries, 100).mean()) < 0.8  # so the measure can see a lost n_probe


def test_n_probe_is_stored_with_the_index_and_never_above_the_number_of_cells(tmp_path: Path) -> None:
    vectors = vectors_like_a_towers(2_000, 9, np.random.default_rng(3))
    kept = reloaded(build_index(vectors, np.arange(2_000), IndexConfig(flat_until=0, n_probe=5)), tmp_path)
    assert kept.faiss_index.nprobe == 5
    all_cells = build_index(vectors, np.arange(2_000), IndexConfig(flat_until=0, n_probe=4_096))
    assert all_cells.faiss_index.nprobe == all_cells.faiss_index.nlist
    assert index_recall(all_cells, vectors, vectors[:50], 20).tolist() == [1.0] * 50


def test_recall_survives_the_disk(tmp_path: Path) -> None:
    """Small, so that it is always run; the measure itself is tried on one visited cell."""
    rng = np.random.default_rng(10)
    vectors, queries = vectors_like_a_towers(4_000, 9, rng), vectors_like_a_towers(100, 9, rng)
    config = IndexConfig(flat_until=0, n_probe=32)
    index = reloaded(build_index(vectors, np.arange(4_000), config), tmp_path)
    assert float(index_recall(index, vectors, queries, 50).mean()) >= 0.95
    index.faiss_index.nprobe = 1
    assert float(index_recall(index, vectors, queries, 50).mean()) < 0.8


@pytest.mark.parametrize("n_items", [1, 2, 38, 39, 100])
def test_an_inverted_file_over_few_items_finds_them_all(n_items: int) -> None:
    vectors = vectors_like_a_towers(n_items, 9, np.random.default_rng(4))
    index = build_index(vectors, np.arange(n_items), INVERTED)
    assert sorted(index.search(vectors[:1], n_items)[0][0].tolist()) == list(range(n_items))


def test_the_size_of_the_catalogue_decides_the_kind_of_index() -> None:
    vectors = vectors_like_a_towers(200, 9, np.random.default_rng(5))
    at_limit = build_index(vectors, np.arange(200), IndexConfig(flat_until=200))
    above = build_index(vectors, np.arange(200), IndexConfig(flat_until=199))
    assert not hasattr(at_limit.faiss_index, "nprobe")
    assert above.faiss_index.nprobe >= 1


def test_where_fewer_items_exist_than_are_asked_for_the_rest_is_minus_one() -> None:
    vectors = vectors_like_a_towers(3, 9, np.random.default_rng(6))
    item_idx, _ = build_index(vectors, np.arange(3), IndexConfig()).search(vectors, 5)
    assert item_idx[:, 3:].tolist() == [[-1, -1]] * 3


def test_equal_vectors_are_all_found_with_equal_scores() -> None:
    vectors = np.ones((5, 4), dtype=np.float32)
    item_idx, scores = build_index(vectors, np.arange(5), IndexConfig()).search(vectors[:1], 5)
    assert sorted(item_idx[0].tolist()) == [0, 1, 2, 3, 4]
    assert np.unique(scores).tolist() == [4.0]


@pytest.mark.parametrize("config", [IndexConfig(), INVERTED], ids=["flat", "inverted"])
def test_of_equal_items_the_first_are_found_however_many_are_asked_for(config: IndexConfig) -> None:
    """One answer asks for a few, a replay in batches for many: which equals are candidates must not depend on that."""
    rng = np.random.default_rng(7)
    vectors, queries = np.repeat(vectors_like_a_towers(20, 9, rng), 5, axis=0), vectors_like_a_towers(7, 9, rng)
    index = build_index(vectors, np.arange(100), config)
    all_found, all_scores = index.search(queries, 100)
    same = all_scores[:, 1:] == all_scores[:, :-1]
    assert same.mean() > 0.7
    assert (np.diff(all_found, axis=1)[same] > 0)[all_found[:, 1:][same] >= 0].all()
    for k in range(1, 100):
        found, scores = index.search(queries, k)
        assert np.array_equal(found, all_found[:, :k])
        assert np.array_equal(scores, all_scores[:, :k])


def test_items_find_themselves_under_cosine_and_carry_their_own_ids(tiny: TinyRun) -> None:
    vectors = tiny.embeddings.vectors / np.linalg.norm(tiny.embeddings.vectors, axis=1, keepdims=True)
    index = build_index(vectors, tiny.embeddings.item_ids, IndexConfig())
    nearest = index.search(vectors, 1)[0][:, 0]
    assert np.array_equal(index.item_ids[nearest], tiny.embeddings.item_ids)


@pytest.mark.parametrize("config", [IndexConfig(), INVERTED], ids=["flat", "inverted"])
def test_two_builds_give_the_same_bytes(config: IndexConfig, tmp_path: Path) -> None:
    vectors = vectors_like_a_towers(2_000, 9, np.random.default_rng(8))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        build_index(vectors, np.arange(2_000), config).save(tmp_path / name)
    for file in ("items.faiss", "item_ids.npy"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_another_seed_clusters_otherwise() -> None:
    vectors = vectors_like_a_towers(2_000, 9, np.random.default_rng(8))
    one, two = (build_index(vectors, np.arange(2_000), IndexConfig(flat_until=0, seed=seed)) for seed in (1, 2))
    centres = [index.faiss_index.quantizer.reconstruct_n(0, index.faiss_index.nlist) for index in (one, two)]
    assert not np.array_equal(*centres)


@pytest.mark.parametrize("file", ["items.faiss", "item_ids.npy"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "no index at all", "first byte"])
def test_a_damaged_index_is_refused(file: str, damage: str, tmp_path: Path) -> None:
    build_index(vectors_like_a_towers(100, 9, np.random.default_rng(9)), np.arange(100), INVERTED).save(tmp_path)
    path = tmp_path / file
    good = path.read_bytes()
    path.write_bytes(
        {"half": good[: len(good) // 2], "no index at all": b"hello", "first byte": b"\xff" + good[1:]}.get(damage, b"")
    )
    if damage == "missing":
        path.unlink()
    with pytest.raises(ArtifactError, match="recsys refresh"):
        ItemIndex.load(tmp_path)


def test_a_length_gone_astray_is_damage_and_no_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One flipped bit of a length makes FAISS ask for 128 GB; staged here, as some machines would grant it."""

    def ask_for_too_much(data: npt.NDArray[np.uint8]) -> None:
        raise MemoryError("std::bad_alloc")

    build_index(vectors_like_a_towers(100, 9, np.random.default_rng(9)), np.arange(100), IndexConfig()).save(tmp_path)
    monkeypatch.setattr("faiss.deserialize_index", ask_for_too_much)
    with pytest.raises(ArtifactError, match="missing or damaged"):
        ItemIndex.load(tmp_path)


def test_ids_of_another_build_are_refused(tmp_path: Path) -> None:
    build_index(vectors_like_a_towers(100, 9, np.random.default_rng(9)), np.arange(100), IndexConfig()).save(tmp_path)
    np.save(tmp_path / "item_ids.npy", np.arange(99))
    with pytest.raises(ArtifactError, match="100 vectors for 99 items"):
        ItemIndex.load(tmp_path)


def test_recall_counts_what_the_index_misses() -> None:
    """An index without the best item of every query misses one in two."""
    vectors = np.eye(4, dtype=np.float32) * np.array([[4], [3], [2], [1]], dtype=np.float32)
    blind = vectors.copy()
    blind[0] = -1
    queries = np.ones((3, 4), dtype=np.float32)
    index = build_index(blind, np.arange(4), IndexConfig())
    assert index_recall(index, vectors, queries, 2).tolist() == [0.5, 0.5, 0.5]
    assert index_recall(index, vectors, queries, 99).tolist() == [1.0, 1.0, 1.0]  # k beyond the catalogue is all of it
    assert index_recall(index, vectors, queries[:0], 2).shape == (0,)
