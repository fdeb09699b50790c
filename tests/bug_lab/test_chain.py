"""What the chain of windows promises as a whole: promises that belong to no single module, on the tiny world."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from recsys_core.data.config import HoldoutsConfig
from recsys_core.data.schemas import LIKED
from recsys_core.data.splits import NOW, fit_ratings, hold_out, known_ratings
from recsys_core.ranking.inputs import RankingInputs, generate_candidates
from recsys_core.ranking.training_rows import slice_rows
from recsys_core.retrieval.candidates import FirstRatings, find_candidates
from recsys_core.retrieval.config import IndexConfig
from recsys_core.retrieval.examples import Examples
from recsys_core.retrieval.index import ExactSearch, build_index
from recsys_core.retrieval.losses import full_softmax, sampled_scores, sampler_of
from recsys_core.retrieval.model import fitted_digest, save_retrieval_models
from recsys_core.retrieval.towers import TwoTower
from recsys_core.serving.bundle import read_bundle
from recsys_core.tables import write_table
from tests.core.worlds import N_CANDIDATES, TinyRun, histories_from, run_tiny_world

BORN_AT = np.array([0, 0, 0, 500])
"""Of four items the last is rated for the first time long after the others."""


@pytest.fixture(scope="module")
def tiny() -> TinyRun:
    """Read, do not change."""
    return run_tiny_world()


def asked(tiny: TinyRun, name: str) -> RankingInputs:
    known, requests = known_ratings(tiny.ratings, tiny.splits, name), tiny.splits.requests(name)
    return generate_candidates(tiny.generator(name), known, requests, n_candidates=N_CANDIDATES)


def test_each_tower_was_fitted_on_exactly_what_its_slice_may_see(tiny: TinyRun) -> None:
    for name, model in tiny.models.items():
        assert model.fitted_on == fitted_digest(tiny.ratings, None, tiny.splits, name)
        assert model.fit_end == tiny.splits.fit_end(name)


def test_the_rows_of_a_slice_come_from_its_own_tower(tiny: TinyRun) -> None:
    own = slice_rows(tiny.asked, asked(tiny, tiny.asked), tiny.ratings, tiny.splits)
    made = tiny.examples.rows.filter(slice=tiny.asked)
    assert made.select("user_id", "item_id", "label").equals(own.select("user_id", "item_id", "label"))


def test_the_towers_that_serve_have_seen_the_last_rating(tiny: TinyRun, tmp_path: Path) -> None:
    """And nothing of an older slice answers, whatever its age: not the towers, not the features."""
    tables = {"movies": tiny.movies, "base_ratings": tiny.ratings, "item_features": tiny.items}
    tables["interaction_log_head"] = tiny.ratings.clear()
    folders = {name: tmp_path / name for name in (*tables, "two_tower", "faiss_index", "ranker", "item_embeddings")}
    for folder in folders.values():
        folder.mkdir()
    for name, table in tables.items():
        write_table(table, folders[name] / f"{name}.parquet")
    save_retrieval_models(tiny.models, folders["two_tower"])
    tiny.index.save(folders["faiss_index"])
    tiny.ranker.save(folders["ranker"])
    generator = read_bundle(folders).generator
    assert generator.model.fit_end == generator.items.as_of == tiny.splits.fit_end(NOW)
    assert generator.model.fit_end > tiny.ratings["timestamp"].max()


def test_a_hold_out_hides_its_likes_from_its_models(tiny: TinyRun) -> None:
    splits = hold_out(tiny.ratings, tiny.splits.fit_end(NOW), HoldoutsConfig())
    for name in splits.asking:
        fitted, targets = fit_ratings(tiny.ratings, splits, name), splits.targets.filter(slice=name)
        assert targets.height > 0
        assert (targets["rating"] >= LIKED).all()
        assert fitted.join(targets, on=["user_id", "item_id"], how="semi").is_empty()


def unborn_for_one() -> Examples:
    """Two users are shown item 0 and asked for item 1: the first long before item 3 is there, the second after."""
    return Examples(
        inputs=histories_from([[(0, 5.0, 100)], [(0, 5.0, 900)]], 4),
        targets=histories_from([[(1, 5.0, 200)], [(1, 5.0, 950)]], 4),
        first_rated_at=BORN_AT,
    )


def test_an_item_that_nobody_had_rated_yet_is_no_negative() -> None:
    """Its score enters the loss of the later user alone."""
    for user, is_compared in ((0, False), (1, True)):
        users = torch.zeros((2, 3))
        users[user] = 1.0
        items = torch.full((4, 3), 0.1, requires_grad=True)
        full_softmax(users, items, unborn_for_one(), other_weight=0.2).backward()  # type: ignore[no-untyped-call]
        assert items.grad is not None
        assert bool(items.grad[3].abs().sum() > 0) == is_compared


def test_an_item_that_nobody_had_rated_yet_is_no_sampled_negative_either() -> None:
    users = histories_from([[(0, 5.0, 100), (1, 5.0, 200)], [(0, 5.0, 900), (1, 5.0, 950)]], 4)
    examples, towers = unborn_for_one(), TwoTower(np.zeros((4, 1), np.float32), np.zeros(4, np.float32), 2)
    negatives = sampler_of(users, 8).with_expectations(examples, np.array([0, 1]), np.array([2, 3]))
    drawn = sampled_scores(torch.ones((2, 3)), towers, examples, negatives).drawn
    place = negatives.item_idx.tolist().index(3)
    assert torch.isinf(drawn[:, place]).tolist() == [True, False]


@pytest.mark.parametrize("search", ["exact", "index"])
def test_an_item_that_nobody_had_rated_yet_is_no_candidate(search: str) -> None:
    """It has the highest score of all; the later request gets it, the earlier does not."""
    vectors, queries = np.array([[1.0], [2.0], [3.0], [9.0]], np.float32), np.ones((2, 1), np.float32)
    users, first_ratings = (
        histories_from([[], []], 4),
        FirstRatings(first_rated_at=BORN_AT, requested_at=np.array([200, 900])),
    )
    exact, index = ExactSearch(vectors=vectors), build_index(vectors, np.arange(4), IndexConfig())
    found = find_candidates(exact if search == "exact" else index, queries, users, 2, first_ratings)
    assert found.item_idx.tolist() == [[2, 1], [3, 2]]


def test_no_window_is_offered_what_came_later(tiny: TinyRun) -> None:
    first = tiny.ratings.group_by("item_id").agg(first=pl.col("timestamp").min())
    offered = tiny.examples.rows.join(tiny.splits.users, on=["slice", "user_id"]).join(first, on="item_id")
    assert offered.height == tiny.examples.rows.height
    assert (offered["first"] < offered["cut"]).all()
