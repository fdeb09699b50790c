"""The bundle: parts of one build, or none at all."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import NOW, TEST
from recsys_core.errors import ArtifactError
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.lake.manifest import Lineage
from recsys_core.lake.store import Lake
from recsys_core.ranking.ranker import fit_ranker
from recsys_core.retrieval.config import IndexConfig
from recsys_core.retrieval.index import build_index
from recsys_core.retrieval.model import embed_items, item_vectors, save_retrieval_models
from recsys_core.retrieval.training import train_retrieval_model
from recsys_core.serving import GROWING_PARTS, PARTS
from recsys_core.serving.bundle import load_bundle
from recsys_core.tables import write_table
from tests.core.worlds import QUICK_RANKER, QUICK_TRAINING, TinyRun

PARENTS = {
    "movies": (),
    "base_ratings": ("movies",),
    "interaction_log_head": (),
    "ratings": ("base_ratings", "interaction_log_head"),
    "item_features": ("ratings", "movies"),
    "two_tower": ("ratings", "item_features"),
    "item_embeddings": ("two_tower",),
    "faiss_index": ("item_embeddings",),
    "ranking_examples": ("ratings", "item_features", "two_tower"),
    "ranker": ("ranking_examples",),
}


def writers(run: TinyRun) -> dict[str, Callable[[Path], None]]:
    return {
        "movies": lambda folder: write_table(run.movies, folder / "movies.parquet"),
        "base_ratings": lambda folder: write_table(run.ratings, folder / "base_ratings.parquet"),
        "interaction_log_head": lambda folder: write_table(
            run.ratings.clear(), folder / "interaction_log_head.parquet"
        ),
        "ratings": lambda folder: write_table(run.ratings, folder / "ratings.parquet"),
        "item_features": lambda folder: write_table(run.items, folder / "item_features.parquet"),
        "two_tower": lambda folder: save_retrieval_models(run.models, folder),
        "item_embeddings": run.embeddings.save,
        "faiss_index": run.index.save,
        "ranking_examples": run.examples.save,
        "ranker": run.ranker.save,
    }


def publish(lake: Lake, run: TinyRun, *assets: str) -> None:
    """Publish some assets, each as made from what is current now, and from a file outside the lake."""
    for asset in assets:
        parents = {name: lake.current(name).version for name in PARENTS[asset]}
        lineage = Lineage(code_version="c", inputs={"data_set.zip": "v1", **parents})
        lake.publish(asset, writers(run)[asset], lineage)


@pytest.fixture(scope="module")
def full(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Read, do not change."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    publish(lake, tiny, *PARENTS)
    return lake


@pytest.fixture
def lake(tiny: TinyRun, tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "lake")
    publish(made, tiny, *PARENTS)
    return made


@pytest.fixture(scope="module")
def later(tiny: TinyRun) -> TinyRun:
    """The same world after a training with another seed."""
    config = QUICK_TRAINING.model_copy(update={"seed": 99})
    model = train_retrieval_model(tiny.ratings, tiny.item_rows, tiny.model.fit_end, config).model
    embeddings = embed_items(model)
    return replace(
        tiny,
        models={**tiny.models, NOW: model},
        embeddings=embeddings,
        index=build_index(embeddings.vectors, embeddings.item_ids, IndexConfig()),
        examples=replace(tiny.examples, rows=tiny.examples.rows.head(1_000)),
        ranker=fit_ranker(tiny.examples.rows.head(1_000), tiny.examples.feature_set, QUICK_RANKER, model.fit_end),
    )


def test_a_bundle_holds_the_current_version_of_every_part(tiny: TinyRun, full: Lake) -> None:
    bundle = load_bundle(full)
    assert bundle.versions == {part: full.current(part).version for part in PARTS}
    assert bundle.movies.equals(tiny.movies)
    assert bundle.ratings.equals(tiny.ratings)
    generator = bundle.generator
    assert generator.model.fit_end == generator.items.as_of == tiny.splits.fit_end(NOW)
    assert np.array_equal(generator.items.features, tiny.generator().items.features, equal_nan=True)
    assert np.array_equal(generator.retriever.item_vectors, item_vectors(tiny.model))
    assert generator.retriever.index is not None
    assert np.array_equal(generator.retriever.index.item_ids, tiny.index.item_ids)
    assert bundle.ranker.feature_set == tiny.ranker.feature_set


def test_a_release_says_until_when_it_has_learned(tiny: TinyRun, full: Lake) -> None:
    """Nothing that was known when it was fitted is left out: the models that serve have seen the last rating."""
    learned_until = load_bundle(full).learned_until
    assert learned_until == int(tiny.ratings["timestamp"].max()) + 1
    assert learned_until > tiny.splits.start_of(TEST)


def test_ratings_that_were_replaced_are_known_as_well(lake: Lake, tiny: TinyRun) -> None:
    """The models' table holds the latest of each user and item; a request from before it must know the one before."""
    again = tiny.ratings.head(50).with_columns(pl.lit(0.5, pl.Float32).alias("rating"), pl.col("timestamp") + 9)
    head = Lineage(code_version="c")
    lake.publish(
        "interaction_log_head", lambda folder: write_table(again, folder / "interaction_log_head.parquet"), head
    )
    publish(lake, tiny, *list(PARENTS)[3:])
    assert load_bundle(lake).ratings.height == tiny.ratings.height + 50


def test_a_release_is_named_by_all_its_parts_but_the_ratings(full: Lake) -> None:
    bundle = load_bundle(full)
    assert len(bundle.release) == 16
    for part in PARTS:
        moved = replace(bundle, versions={**bundle.versions, part: "0" * 64})
        assert (moved.release == bundle.release) == (part in GROWING_PARTS)


def test_a_request_is_scored_on_one_thread_with_the_bits_of_many(tiny: TinyRun, full: Lake) -> None:
    """Threads that wait for each other took a hundred times as long on a busy machine."""
    ranker = load_bundle(full).ranker
    assert json.loads(ranker.booster.save_config())["learner"]["generic_param"]["nthread"] == "1"
    rows = tiny.examples.rows.select(FEATURE_NAMES).to_numpy()
    assert np.array_equal(ranker.score(rows), tiny.ranker.score(rows))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_never_built_is_named(tiny: TinyRun, tmp_path: Path, part: str) -> None:
    lake = Lake(tmp_path)
    for asset in PARENTS:
        if asset != part:
            lake.publish(asset, writers(tiny)[asset], Lineage(code_version="c"))
    with pytest.raises(ArtifactError, match=f"{part} has not been built yet"):
        load_bundle(lake)


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_part_is_refused(lake: Lake, part: str) -> None:
    path = next(one for one in sorted(lake.open(part).iterdir()) if one.name != "manifest.json")
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        load_bundle(lake)


REFRESH = ("two_tower", "item_embeddings", "faiss_index", "ranking_examples", "ranker")


@pytest.mark.parametrize("n_done", range(1, len(REFRESH)))
def test_a_refresh_that_stopped_half_way_is_refused(lake: Lake, later: TinyRun, n_done: int) -> None:
    """Also where all that is missing is the ranker, which knows the tower through its training rows only."""
    publish(lake, later, *REFRESH[:n_done])
    with pytest.raises(ArtifactError, match=r"was made from \w+ \w+, but \w+ is now \w+: run `recsys refresh`"):
        load_bundle(lake)


def test_a_finished_refresh_loads(lake: Lake, later: TinyRun) -> None:
    publish(lake, later, *REFRESH)
    assert np.array_equal(load_bundle(lake).generator.retriever.item_vectors, item_vectors(later.model))


def test_an_index_of_another_tower_is_refused_even_with_a_right_tower(lake: Lake, later: TinyRun) -> None:
    publish(lake, later, "item_embeddings")
    with pytest.raises(ArtifactError, match="faiss_index was made from item_embeddings"):
        load_bundle(lake)


def test_a_rebuild_to_the_same_bytes_breaks_nothing(lake: Lake, tiny: TinyRun) -> None:
    publish(lake, tiny, "two_tower", "ratings", "ranking_examples")
    load_bundle(lake)


def test_what_is_no_part_may_move_on(lake: Lake, tiny: TinyRun) -> None:
    """New rows for the next ranker do not take the present one out of service."""
    shorter = replace(tiny, examples=replace(tiny.examples, rows=tiny.examples.rows.head(5)))
    publish(lake, shorter, "ranking_examples")
    load_bundle(lake)


def test_rows_collected_since_are_no_obstacle(lake: Lake, tiny: TinyRun) -> None:
    shorter = replace(tiny, examples=replace(tiny.examples, rows=tiny.examples.rows.head(5)))
    publish(lake, shorter, "ranking_examples")
    lake.gc(keep_last=1)
    assert len(lake.versions("ranking_examples")) == 1
    load_bundle(lake)


@pytest.mark.parametrize("part", ["item_features", "faiss_index"])
def test_items_numbered_otherwise_are_refused_whatever_the_lineage_says(lake: Lake, tiny: TinyRun, part: str) -> None:
    shifted = replace(
        tiny,
        items=tiny.items.filter(pl.col("item_id") != tiny.model.catalogue.item_ids[0]),
        index=replace(tiny.index, item_ids=np.roll(tiny.index.item_ids, 1)),
    )
    lake.publish(part, writers(shifted)[part], Lineage(code_version="c"))
    if part == "item_features":
        for asset in ("two_tower", "ranking_examples", "item_embeddings", "faiss_index", "ranker"):
            lake.publish(asset, writers(tiny)[asset], Lineage(code_version="c"))
    with pytest.raises(ArtifactError, match=f"{part} numbers the items differently from two_tower"):
        load_bundle(lake)


USES = {
    "torch": "import torch; assert torch.ones(300, 300).matmul(torch.ones(300, 300)).sum() == 300**3",
    "faiss": (
        "import faiss, numpy; i = faiss.IndexFlatIP(8); i.add(numpy.eye(8, dtype='f4'))\n"
        "assert i.search(numpy.eye(8, dtype='f4'), 1)[1].ravel().tolist() == list(range(8))"
    ),
    "xgboost": (
        "import xgboost, numpy; x = numpy.arange(400.0).reshape(100, 4)\n"
        "assert xgboost.train({'nthread': 2}, xgboost.DMatrix(x, x[:, 0]), 2).num_boosted_rounds() == 2"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("order", [("torch", "faiss", "xgboost"), ("xgboost", "faiss", "torch")], ids="-".join)
def test_the_libraries_of_the_parts_work_in_one_process(order: tuple[str, ...]) -> None:
    """Each brings an OpenMP runtime. On macOS a second one can abort or hang a process, hence one process per order."""
    code = "\n".join(USES[name] for name in (*order, *order))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
