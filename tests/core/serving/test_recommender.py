"""One request, one answer."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from recsys_core.features.contract import FEATURE_NAMES
from recsys_core.features.declarations import FEATURES

from recsys_core.data.histories import Histories
from recsys_core.data.schemas import RATINGS
from recsys_core.data.splits import TEST, known_ratings
from recsys_core.errors import UnknownUserError
from recsys_core.ranking.inputs import propose
from recsys_core.ranking.lists import rank
from recsys_core.retrieval import candidates
from recsys_core.retrieval.candidates import Candidates
from recsys_core.retrieval.index import ItemIndex
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.recommender import Recommendation, known_of_likes, known_of_user, recommend
from tests import tiny_world
from tests.core.worlds import N_CANDIDATES, TinyRun

Float32s = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def bundle(tiny: TinyRun) -> Bundle:
    return Bundle(
        movies=tiny.movies,
        ratings=tiny.ratings,
        item_rows=tiny.item_rows,
        tower=tiny.tower,
        index=tiny.index,
        ranker=tiny.ranker,
        versions={},
    )


def ids_of(answer: list[Recommendation]) -> list[int]:
    return [place.item_id for place in answer]


def all_but(bundle: Bundle, n: int) -> pl.DataFrame:
    """Somebody who has rated the catalogue except for its last n items."""
    items = bundle.tower.catalogue.item_ids[: bundle.tower.catalogue.n_items - n]
    return known_of_likes(bundle, items.tolist())


def test_no_rated_item_is_ever_recommended(bundle: Bundle) -> None:
    for user_id in tiny_world.USER_IDS.tolist():
        known = known_of_user(bundle, user_id)
        answer = ids_of(recommend(bundle, known, k=N_CANDIDATES))
        assert not set(answer) & set(known["item_id"])
        assert len(set(answer)) == len(answer) > 0


def test_the_answer_is_the_offline_list_of_the_same_user(tiny: TinyRun, bundle: Bundle) -> None:
    """Offline: all users of the slice in one batch, without an index. Online: one user, with it."""
    known = known_ratings(tiny.ratings, tiny.splits, TEST)
    inputs = propose(tiny.tower, None, known, tiny.item_rows, n_candidates=tiny.ranker.n_candidates)
    ranked = rank(tiny.ranker, inputs)
    for row, user_id in enumerate(inputs.users.user_ids.tolist()):
        answer = recommend(bundle, known.filter(user_id=user_id), k=10)
        assert ids_of(answer) == tiny.tower.catalogue.item_ids[ranked.item_idx[row, :10]].tolist()
        assert [place.score for place in answer] == pytest.approx(ranked.scores[row, :10].tolist(), abs=1e-4)


def test_the_same_request_gives_the_same_answer(bundle: Bundle) -> None:
    known = known_of_user(bundle, 11)
    shuffled = known.sample(fraction=1.0, shuffle=True, seed=1)
    assert repr(recommend(bundle, known)) == repr(recommend(bundle, known)) == repr(recommend(bundle, shuffled))


def test_every_place_explains_itself(tiny: TinyRun, bundle: Bundle) -> None:
    answer = recommend(bundle, known_of_user(bundle, 14), k=12)
    assert [place.rank for place in answer] == list(range(1, 13))
    scores = [place.score for place in answer]
    assert scores == sorted(scores, reverse=True)
    base = tiny.ranker.contributions(np.full((1, len(FEATURE_NAMES)), np.nan, dtype=np.float32))[0, -1]
    for place in answer:
        assert tuple(place.features) == tuple(place.contributions) == FEATURE_NAMES
        assert place.features["pair_retrieval_rank"] == place.retrieval_rank
        assert sum(place.contributions.values()) + base == pytest.approx(place.score, abs=1e-3)
        for feature in FEATURES:
            value = place.features[feature.name]
            assert (feature.may_be_missing and np.isnan(value)) or (
                (feature.low is None or value >= feature.low) and (feature.high is None or value <= feature.high)
            )


def test_every_place_says_how_likely_a_like_is_in_the_order_of_the_scores(tiny: TinyRun, bundle: Bundle) -> None:
    assert tiny.ranker.calibration is not None
    answer = recommend(bundle, known_of_user(bundle, 14), k=12)
    scores = np.array([place.score for place in answer])
    assert [place.probability for place in answer] == tiny.ranker.calibration.probability(scores).tolist()
    assert [place.item_id for place in sorted(answer, key=lambda place: -(place.probability or 0))] == ids_of(answer)


def test_a_ranker_without_calibration_gives_the_same_answer_without_probabilities(bundle: Bundle) -> None:
    known = known_of_user(bundle, 14)
    plain = recommend(replace(bundle, ranker=replace(bundle.ranker, calibration=None)), known)
    assert {place.probability for place in plain} == {None}
    assert ids_of(plain) == ids_of(recommend(bundle, known))


def test_titles_genres_and_years_come_from_the_movie_table(tiny: TinyRun, bundle: Bundle) -> None:
    about = {row["item_id"]: row for row in tiny.movies.iter_rows(named=True)}
    for place in recommend(bundle, known_of_user(bundle, 17), k=N_CANDIDATES):
        row = about[place.item_id]
        assert (place.title, place.year, place.genres) == (row["title"], row["year"], row["genres"])


def test_a_movie_that_the_table_lacks_keeps_its_place_without_a_title(bundle: Bundle) -> None:
    known = known_of_user(bundle, 17)
    best = recommend(bundle, known, k=1)[0]
    without = replace(bundle, movies=bundle.movies.filter(pl.col("item_id") != best.item_id))
    again = recommend(without, known, k=1)[0]
    assert (again.item_id, again.title, again.year, again.genres) == (best.item_id, "", None, [])


def test_an_unknown_user_is_told_who_is_known(bundle: Bundle) -> None:
    with pytest.raises(
        UnknownUserError,
        match=r"user 12 has no ratings here: take one of the 120 users between 11 and 368, or name liked movies",
    ):
        known_of_user(bundle, 12)


def test_a_known_users_history_is_all_of_it(tiny: TinyRun, bundle: Bundle) -> None:
    assert known_of_user(bundle, 11).equals(tiny.ratings.filter(user_id=11))


def test_likes_become_a_history_of_five_stars_at_the_end_of_the_models_time(bundle: Bundle) -> None:
    known = known_of_likes(bundle, [5_007, 5_000, 5_007])
    assert known.select("item_id", "rating", "timestamp").rows() == [
        (5_000, 5.0, bundle.tower.fit_end),
        (5_007, 5.0, bundle.tower.fit_end),
    ]
    assert RATINGS.validate(known).equals(known)


def test_likes_outside_the_catalogue_are_passed_over_beside_others_and_refused_alone(bundle: Bundle) -> None:
    with_stranger = recommend(bundle, known_of_likes(bundle, [5_000, 1]))
    assert 1 not in ids_of(with_stranger)
    assert len(with_stranger) == 10
    for nothing in ([], [1, 2]):
        with pytest.raises(UnknownUserError, match="none of the movies"):
            known_of_likes(bundle, nothing)


@pytest.mark.parametrize("camp", range(tiny_world.N_CAMPS))
def test_somebody_new_with_a_taste_is_answered_in_that_taste(bundle: Bundle, camp: int) -> None:
    liked = [int(item) for item in tiny_world.ITEM_IDS[camp :: tiny_world.N_CAMPS][:5]]
    answer = ids_of(recommend(bundle, known_of_likes(bundle, liked)))
    assert not set(answer) & set(liked)
    found = tiny_world.CAMP_OF_ITEM[np.searchsorted(tiny_world.ITEM_IDS, answer)]
    assert (found == camp).mean() >= 0.5  # chance: 0.25


@pytest.mark.parametrize("n_left", [0, 1, 3])
def test_who_has_rated_nearly_everything_gets_what_is_left(bundle: Bundle, n_left: int) -> None:
    answer = recommend(bundle, all_but(bundle, n_left))
    left = bundle.tower.catalogue.item_ids[bundle.tower.catalogue.n_items - n_left :]
    assert sorted(ids_of(answer)) == left.tolist()
    assert all(np.isfinite(place.score) for place in answer)


def test_more_places_than_candidates_give_the_candidates(bundle: Bundle) -> None:
    assert len(recommend(bundle, known_of_user(bundle, 11), k=70)) == bundle.ranker.n_candidates == N_CANDIDATES


def test_a_rating_changes_the_next_answer_and_its_item_leaves_it(bundle: Bundle) -> None:
    known = known_of_user(bundle, 20)
    first = ids_of(recommend(bundle, known))
    rated = known.tail(1).with_columns(
        item_id=pl.lit(first[0], pl.Int64), timestamp=pl.col("timestamp") + 60, rating=pl.lit(5.0, pl.Float32)
    )
    second = ids_of(recommend(bundle, pl.concat([known, rated])))
    assert first[0] not in second
    assert second != first[1:]


def test_training_evaluation_and_serving_share_one_filter(
    tiny: TinyRun, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the filter gone, each of them shows what was rated: none has another one, and none does without."""

    def forgets(search: candidates.Search, n_items: int, vectors: Float32s, users: Histories, n: int) -> Candidates:
        nothing = replace(users, item_idx=users.item_idx[:0], offsets=np.zeros_like(users.offsets))
        return unseen(search, n_items, vectors, nothing, n)

    def repeats(index: ItemIndex | None) -> bool:
        made = propose(tiny.tower, index, known, tiny.item_rows, n_candidates=N_CANDIDATES)
        return bool(made.users.seen().toarray()[np.arange(made.users.n_users)[:, None], made.candidates.item_idx].any())

    known, unseen = known_ratings(tiny.ratings, tiny.splits, TEST), candidates._unseen
    own = known_of_user(bundle, 11)
    assert not repeats(None)
    assert not repeats(tiny.index)
    assert not set(ids_of(recommend(bundle, own, N_CANDIDATES))) & set(own["item_id"])
    monkeypatch.setattr(candidates, "_unseen", forgets)
    assert repeats(None)
    assert repeats(tiny.index)
    assert set(ids_of(recommend(bundle, own, N_CANDIDATES))) & set(own["item_id"])
