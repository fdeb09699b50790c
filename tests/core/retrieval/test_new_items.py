"""New items: movies that nobody has rated, found by what they are, in a declared share of the places."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from recsys_core.data.histories import Histories, histories_of
from recsys_core.features.tables import item_features
from recsys_core.retrieval.candidates import Candidates, Retriever
from recsys_core.retrieval.config import IndexConfig, TwoTowerConfig
from recsys_core.retrieval.index import build_index
from recsys_core.retrieval.model import RetrievalModel, embed_items, item_vectors, user_vectors
from recsys_core.retrieval.training import train_retrieval_model
from tests import tiny_world
from tests.core.worlds import QUICK_TRAINING

FIRST_NEW = 9_000
N_OF_CAMP = 3
N = 20
CONFIG = QUICK_TRAINING.model_copy(update={"new_item_share": 0.2})
N_NEW = 4
"""A fifth of N."""


def world() -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Ratings, movies with three new ones of each camp, and the second after the last rating."""
    ratings = tiny_world.ratings()
    end = int(ratings["timestamp"].max()) + 1  # type: ignore[arg-type]  # never null
    year = pl.from_epoch(pl.Series([end])).dt.year()[0]
    genres = [list(genres) for genres in tiny_world.GENRES_OF_CAMP for _ in range(N_OF_CAMP)]
    new = pl.DataFrame(
        {
            "item_id": FIRST_NEW + np.arange(len(genres)),
            "title": [f"New {number}" for number in range(len(genres))],
            "genres": genres,
            "year": [year] * len(genres),
        },
        schema_overrides={"year": pl.Int32},
    )
    return ratings, pl.concat([tiny_world.movies(), new], how="diagonal_relaxed"), end


@pytest.fixture(scope="module")
def fitted() -> Callable[[TwoTowerConfig], RetrievalModel]:
    ratings, movies, end = world()
    return lambda config: train_retrieval_model(ratings, item_features(ratings, movies, end), end, config).model


@pytest.fixture(scope="module")
def model(fitted: Callable[[TwoTowerConfig], RetrievalModel]) -> RetrievalModel:
    return fitted(CONFIG)


def users_of(model: RetrievalModel) -> Histories:
    ratings, _, _ = world()
    return histories_of(ratings, model.catalogue, tiny_world.USER_IDS)


def found(model: RetrievalModel, users: Histories, at: int | None = None, *, indexed: bool = False) -> Candidates:
    embeddings = embed_items(model)
    index = build_index(embeddings.vectors, embeddings.item_ids, IndexConfig()) if indexed else None
    times = np.full(users.n_users, model.fit_end if at is None else at)
    return Retriever.of(model, index).candidates(user_vectors(model, users), users, times, N)


def ids_of(model: RetrievalModel, candidates: Candidates) -> npt.NDArray[np.int64]:
    return np.where(candidates.item_idx >= 0, model.catalogue.item_ids[candidates.item_idx], -1)


@pytest.mark.parametrize("indexed", [False, True])
def test_new_items_take_their_share_of_the_places_and_no_other(model: RetrievalModel, indexed: bool) -> None:  # noqa: FBT001
    users = users_of(model)
    ids = ids_of(model, found(model, users, indexed=indexed))
    n_rated = (ids > 0).sum(axis=1) - N_NEW  # some users have rated nearly all of the 80 movies
    assert (n_rated > 0).all()
    assert ((ids >= FIRST_NEW).sum(axis=1) == N_NEW).all()
    for own, n in zip(ids, n_rated, strict=True):
        assert (own[n : n + N_NEW] >= FIRST_NEW).all(), "behind the rated items"
        assert (own[n + N_NEW :] == -1).all(), "gaps come last"


def test_the_rated_items_are_those_of_a_request_for_fewer(model: RetrievalModel) -> None:
    users = users_of(model)
    with_new = found(model, users)
    none = np.full(users.n_users, model.fit_end - 1)
    alone = Retriever.of(model).candidates(user_vectors(model, users), users, none, N - N_NEW)
    not_yet_rated = model.first_rated_at.argmax()
    assert model.first_rated_at[not_yet_rated] > model.fit_end
    rated = with_new.item_idx[:, : N - N_NEW]
    full = (alone.item_idx >= 0).all(axis=1)
    assert np.array_equal(rated[full], alone.item_idx[full])


def test_a_new_item_comes_to_those_who_like_what_it_is(model: RetrievalModel) -> None:
    ids = ids_of(model, found(model, users_of(model)))
    own_camp = []
    for user, listed in enumerate(ids):
        new = listed[listed >= FIRST_NEW]
        own_camp.append((new - FIRST_NEW) // N_OF_CAMP == tiny_world.CAMP_OF_USER[user])
    share = np.concatenate(own_camp).mean()
    assert share > 0.6, "a quarter by chance; three of four places is the most that a camp's three movies can take"


def test_what_a_new_item_is_worth_is_said_by_its_content_alone(model: RetrievalModel) -> None:
    """Two new movies of the same genres and year have the same vector: nothing of their own was drawn or learned."""
    vectors = item_vectors(model)[model.new]
    for camp in range(tiny_world.N_CAMPS):
        own = vectors[camp * N_OF_CAMP : (camp + 1) * N_OF_CAMP]
        assert (own == own[0]).all()
    assert not (vectors[0] == vectors[-1]).all()


def test_a_new_item_that_was_rated_since_is_seen(model: RetrievalModel) -> None:
    ratings, _, end = world()
    own = {"user_id": int(tiny_world.USER_IDS[0]), "item_id": FIRST_NEW, "rating": 5.0, "timestamp": end}
    known = pl.concat([ratings, pl.DataFrame([own]).cast(dict(ratings.schema))], how="vertical")  # type: ignore[arg-type]
    users = histories_of(known, model.catalogue, tiny_world.USER_IDS[:2])
    ids = ids_of(model, found(model, users, at=end + 1))
    assert FIRST_NEW not in ids[0]
    assert (ids[0] >= FIRST_NEW).sum() == N_NEW


def test_a_request_from_before_the_fit_gets_no_new_item(model: RetrievalModel) -> None:
    assert (ids_of(model, found(model, users_of(model), at=model.fit_end - 1)) < FIRST_NEW).all()


def test_with_no_share_there_are_none(fitted: Callable[[TwoTowerConfig], RetrievalModel]) -> None:
    without = fitted(CONFIG.model_copy(update={"new_item_share": 0.0}))
    assert (ids_of(without, found(without, users_of(without))) < FIRST_NEW).all()


def test_the_index_holds_rated_items_alone(model: RetrievalModel) -> None:
    embeddings = embed_items(model)
    assert (embeddings.item_ids < FIRST_NEW).all()
    assert np.array_equal(embeddings.item_ids, model.catalogue.item_ids[model.rated])


def test_one_user_alone_gets_the_bits_of_a_thousand_together(model: RetrievalModel) -> None:
    users = users_of(model)
    together = found(model, users, indexed=True)
    for user in (0, 7, 119):
        alone = found(model, users.select(np.array([user])), indexed=True)
        assert np.array_equal(alone.item_idx[0], together.item_idx[user])
        assert np.array_equal(alone.scores[0], together.scores[user])
