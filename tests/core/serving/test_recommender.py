"""One request, one answer."""

import itertools
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys_core.arrays import Float32s
from recsys_core.data.histories import Histories
from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.data.splits import TEST, known_ratings
from recsys_core.errors import UnknownUserError
from recsys_core.features.assembler import MISSING, STALE
from recsys_core.features.registry import FEATURE_NAMES, names_of
from recsys_core.features.tables import of_slice
from recsys_core.ranking.config import NO_RULES, ListRulesConfig
from recsys_core.ranking.inputs import candidate_features, generate_candidates
from recsys_core.ranking.lists import apply_rules_to_all, listed_items, rank
from recsys_core.retrieval import candidates
from recsys_core.retrieval.candidates import Candidates
from recsys_core.retrieval.index import Searchable
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Answer, Clicked, Rated, Request
from tests import tiny_world
from tests.core.worlds import N_CANDIDATES, TinyRun, run_tiny_world

DAY = tiny_world.DAY
STRANGER = 10**6


def asked(
    recommender: Recommender,
    user_id: int | None = None,
    history: Sequence[Rated] = (),
    at: int | None = None,
    k: int = 10,
) -> Answer:
    """The answer of somebody who asks after all that is known, unless said otherwise."""
    requested_at = recommender.now if at is None else at
    return recommender.answer(
        Request(request_id="r", user_id=user_id, history=tuple(history), requested_at=requested_at, k=k)
    )


def ruled(bundle: Bundle, **rules: float) -> Recommender:
    """One that applies list rules."""
    settings = ListRulesConfig.model_validate(rules)
    return Recommender(bundle=replace(bundle, ranker=replace(bundle.ranker, list_rules=settings)))


def likes(recommender: Recommender, item_ids: Sequence[int]) -> tuple[Rated, ...]:
    return recommender.somebody_who_likes(item_ids, recommender.now)


def same(one: Answer, other: Answer) -> bool:
    """To the bit, but for the request."""
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Answer)[1:]]
    return all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a == b for a, b in pairs
    )


def test_no_rated_item_is_ever_recommended(tiny: TinyRun, recommender: Recommender) -> None:
    for user_id in tiny_world.USER_IDS.tolist():
        answer = asked(recommender, user_id, k=N_CANDIDATES).item_ids.tolist()
        assert not set(answer) & set(tiny.ratings.filter(user_id=user_id)["item_id"])
        assert len(set(answer)) == len(answer) > 0


def test_the_answer_is_the_offline_list_of_the_same_user(tiny: TinyRun, recommender: Recommender) -> None:
    """Offline: all users of a slice in one batch, without an index. Online: one user, with it."""
    known, requests = known_ratings(tiny.ratings, tiny.splits, tiny.asked), tiny.splits.requests(tiny.asked)
    inputs = generate_candidates(tiny.generator(), known, requests, n_candidates=tiny.ranker.n_candidates)
    ranked, features = rank(tiny.ranker, inputs), candidate_features(inputs)
    assert requests.height > 5
    for row, (user_id, at) in enumerate(requests.iter_rows()):
        answer = asked(recommender, user_id, at=at)
        assert answer.item_ids.tolist() == tiny.model.catalogue.item_ids[ranked.item_idx[row, :10]].tolist()
        assert answer.scores.tolist() == ranked.scores[row, :10].tolist()
        assert np.array_equal(answer.features, features[row, answer.retrieval_ranks - 1], equal_nan=True)


def test_a_release_of_the_past_answers_as_the_examined_slice_did(tiny: TinyRun, bundle: Bundle) -> None:
    """By the tables of features that evaluation reads, of the slice's own models."""
    name = tiny.asked
    known, requests = known_ratings(tiny.ratings, tiny.splits, name), tiny.splits.requests(name)
    rows, recommender = of_slice(tiny.users, name), Recommender(bundle=replace(bundle, generator=tiny.generator(name)))
    inputs = generate_candidates(
        tiny.generator(name), known, requests, user_rows=rows, n_candidates=tiny.ranker.n_candidates
    )
    ranked, features = rank(tiny.ranker, inputs), candidate_features(inputs)
    for row, (user_id, at) in enumerate(requests.iter_rows()):
        answer = asked(recommender, user_id, at=at)
        assert answer.item_ids.tolist() == tiny.models[name].catalogue.item_ids[ranked.item_idx[row, :10]].tolist()
        assert np.array_equal(answer.features, features[row, answer.retrieval_ranks - 1], equal_nan=True)


def test_a_new_like_moves_the_list_towards_the_movies_of_its_kind(tiny: TinyRun, bundle: Bundle) -> None:
    """A rating that the release learns of after it was built, without any refit; and a dislike does not."""
    shares: dict[float, list[float]] = {5.0: [], 0.5: []}
    for camp in range(tiny_world.N_CAMPS):
        own = tiny_world.ITEM_IDS[camp == tiny_world.CAMP_OF_ITEM].tolist()
        users = tiny_world.USER_IDS[camp != tiny_world.CAMP_OF_USER][:10].tolist()
        for (stars, found), user_id in itertools.product(shares.items(), users):
            recommender = Recommender(bundle=bundle)
            known = set(tiny.ratings.filter(user_id=user_id)["item_id"])
            rated = [item for item in own if item not in known][:3]

            def share(recommender: Recommender = recommender, user_id: int = user_id, own: list[int] = own) -> float:
                return float(np.isin(asked(recommender, user_id, at=recommender.now + DAY).item_ids, own).mean())

            before = share()
            for item_id in rated:
                recommender.observe(user_id, Rated(item_id=item_id, rating=stars, timestamp=recommender.now))
            found.append(share() - before)
    assert np.mean(shares[5.0]) > 0.1
    assert np.mean(shares[5.0]) > np.mean(shares[0.5]) + 0.1


@pytest.mark.slow
def test_a_movie_that_was_first_rated_yesterday_can_be_recommended_today() -> None:
    """As after a refit on the log: some have rated a movie that nobody had rated before, the release learned it."""
    ratings, new = tiny_world.ratings(), int(tiny_world.ITEM_IDS[-1])
    assert tiny_world.CAMP_OF_ITEM[-1] == 3
    before = ratings.filter(pl.col("item_id") != new)
    yesterday = int(before["timestamp"].max()) + DAY  # type: ignore[arg-type]  # never null
    camp = tiny_world.USER_IDS[tiny_world.CAMP_OF_USER == 3].tolist()
    likes = pl.DataFrame([(user, new, 5.0, yesterday) for user in camp[:15]], schema=RATINGS_COLUMNS, orient="row")
    run = run_tiny_world(pl.concat([before, likes]))
    bundle = Bundle(
        movies=run.movies,
        ratings=run.ratings,
        generator=run.generator(indexed=True),
        ranker=run.ranker,
        versions={},
    )
    recommender = Recommender(bundle=bundle)

    def n_shown(at: int) -> int:
        return sum(new in asked(recommender, user, at=at, k=N_CANDIDATES).item_ids for user in camp[15:])

    assert n_shown(yesterday + DAY) > 0
    assert n_shown(yesterday) == 0, "nobody could know the movie before its first rating"


def test_an_answer_is_what_the_ranker_says_of_what_it_read(tiny: TinyRun, recommender: Recommender) -> None:
    answer = asked(recommender, 14, k=12)
    assert answer.scores.tolist() == sorted(answer.scores.tolist(), reverse=True)
    assert answer.scores.tolist() == tiny.ranker.score(answer.features).tolist()
    assert answer.probabilities is not None
    assert answer.probabilities.tolist() == tiny.ranker.probability(answer.scores).tolist()
    assert answer.features[:, FEATURE_NAMES.index("pair_retrieval_rank")].tolist() == answer.retrieval_ranks.tolist()
    assert answer.states.shape == answer.features.shape == (12, len(FEATURE_NAMES))


def test_the_same_request_gives_the_same_answer_whoever_asked_in_between(bundle: Bundle) -> None:
    recommender = Recommender(bundle=bundle)
    first = asked(recommender, 11)
    for user_id in (14, 17, STRANGER):
        asked(recommender, user_id)
    assert same(asked(recommender, 11), first)
    assert same(asked(Recommender(bundle=replace(bundle, ratings=bundle.ratings.reverse())), 11), first)


def test_what_comes_after_the_request_is_not_read(tiny: TinyRun, bundle: Bundle) -> None:
    """Neither from the ratings, nor from events that were observed, nor from the history in the request."""
    at = tiny.splits.start_of(TEST)
    past = replace(bundle, ratings=tiny.ratings.filter(pl.col("timestamp") < at))
    assert past.ratings.height < tiny.ratings.height
    recommender = Recommender(bundle=bundle)
    for user_id in tiny_world.USER_IDS[:40].tolist():
        expected = asked(Recommender(bundle=past), user_id, at=at)
        recommender.observe(user_id, Rated(item_id=5_000, rating=5.0, timestamp=at))
        late = [Rated(item_id=5_007, rating=5.0, timestamp=at), Rated(item_id=5_014, rating=1.0, timestamp=at + 9)]
        assert same(asked(recommender, user_id, late, at=at), expected)


def test_an_event_and_the_same_rating_in_the_request_are_answered_alike(bundle: Bundle) -> None:
    observed, told = Recommender(bundle=bundle), Recommender(bundle=bundle)
    rated = Rated(item_id=int(asked(told, 20).item_ids[0]), rating=5.0, timestamp=told.now + 60)
    observed.observe(20, rated)
    assert same(asked(observed, 20, at=told.now + 61), asked(told, 20, [rated], at=told.now + 61))


def test_the_history_of_a_request_is_not_kept(recommender: Recommender) -> None:
    before = asked(recommender, 20)
    asked(recommender, 20, likes(recommender, [5_000]))
    assert same(asked(recommender, 20), before)


def test_the_order_of_the_history_in_a_request_does_not_matter(recommender: Recommender) -> None:
    now, items = recommender.now, tiny_world.ITEM_IDS[:8].tolist()
    history = [Rated(item_id=item, rating=4.0, timestamp=now - at - 1) for at, item in enumerate(items)]
    history.append(Rated(item_id=items[0], rating=0.5, timestamp=now - 9))  # of an item that is rated again later
    assert same(asked(recommender, history=history), asked(recommender, history=history[::-1]))


def test_a_rating_changes_the_next_answer_and_its_item_leaves_it(recommender: Recommender) -> None:
    first = asked(recommender, 20).item_ids.tolist()
    recommender.observe(20, Rated(item_id=first[0], rating=5.0, timestamp=recommender.now))
    second = asked(recommender, 20, at=recommender.now + 1).item_ids.tolist()
    assert first[0] not in second
    assert second != first[1:]


def test_a_known_users_history_is_all_of_it(tiny: TinyRun, recommender: Recommender) -> None:
    """Dislikes and shrugs too."""
    catalogue = tiny.model.catalogue
    for user_id in tiny_world.USER_IDS[:20].tolist():
        own = tiny.ratings.filter(user_id=user_id)
        assert asked(recommender, user_id).n_known == (catalogue.idx_of(own["item_id"].to_numpy()) >= 0).sum()


def test_somebody_unknown_is_answered_as_somebody_unnamed(recommender: Recommender) -> None:
    """Whoever has no history gets what everybody new gets, and the answer says that nothing is known of them."""
    unnamed, stranger = asked(recommender), asked(recommender, STRANGER)
    assert same(unnamed, stranger)
    assert (unnamed.n_known, len(unnamed.item_ids)) == (0, 10)
    of_user = [FEATURE_NAMES.index(name) for name in names_of("user")]
    assert unnamed.features[:, of_user[0]].tolist() == [0] * 10
    assert (unnamed.states[:, of_user[1:]] == MISSING).all()
    assert unnamed.degraded["user_like_share"] == {"missing": N_CANDIDATES}


def test_who_asks_before_their_first_rating_is_unknown_then(tiny: TinyRun, recommender: Recommender) -> None:
    first = int(tiny.ratings.filter(user_id=11)["timestamp"].min())  # type: ignore[arg-type]
    assert same(asked(recommender, 11, at=first), asked(recommender, STRANGER, at=first))
    assert asked(recommender, 11, at=first + 1).n_known > 0


def test_an_answer_from_an_old_snapshot_says_so_and_reads_the_defaults(tiny: TinyRun, recommender: Recommender) -> None:
    late = tiny.model.fit_end + 1_462 * DAY
    answer = asked(recommender, 14, at=late)
    at = FEATURE_NAMES.index("item_like_share")
    assert (answer.states[:, at] == STALE).all()
    assert np.isnan(answer.features[:, at]).all()
    assert answer.degraded["item_like_share"] == {"stale": N_CANDIDATES}
    fresh = asked(recommender, 14)
    assert "item_like_share" not in fresh.degraded


def test_now_is_after_all_that_is_known(tiny: TinyRun, recommender: Recommender) -> None:
    assert recommender.now == tiny.ratings["timestamp"].max() + 1  # type: ignore[operator]


def test_likes_become_a_history_of_five_stars_in_the_second_before_the_request(recommender: Recommender) -> None:
    assert recommender.somebody_who_likes([5_007, 5_000, 5_007], 77) == (
        Rated(item_id=5_000, rating=5.0, timestamp=76),
        Rated(item_id=5_007, rating=5.0, timestamp=76),
    )


def test_likes_outside_the_catalogue_are_passed_over_beside_others_and_refused_alone(recommender: Recommender) -> None:
    with_stranger = asked(recommender, history=likes(recommender, [5_000, 1]))
    assert same(with_stranger, asked(recommender, history=likes(recommender, [5_000])))
    assert (with_stranger.n_known, len(with_stranger.item_ids)) == (1, 10)
    for nothing in ([], [1, 2]):
        with pytest.raises(UnknownUserError, match="none of the movies"):
            likes(recommender, nothing)


@pytest.mark.parametrize("camp", range(tiny_world.N_CAMPS))
def test_somebody_new_with_a_taste_is_answered_in_that_taste(recommender: Recommender, camp: int) -> None:
    liked = [int(item) for item in tiny_world.ITEM_IDS[camp :: tiny_world.N_CAMPS][:5]]
    answer = asked(recommender, history=likes(recommender, liked)).item_ids
    assert not set(answer.tolist()) & set(liked)
    found = tiny_world.CAMP_OF_ITEM[np.searchsorted(tiny_world.ITEM_IDS, answer)]
    assert (found == camp).mean() >= 0.5  # chance: 0.25


@pytest.mark.parametrize("n_left", [0, 1, 3])
def test_who_has_rated_nearly_everything_gets_what_is_left(
    tiny: TinyRun, recommender: Recommender, n_left: int
) -> None:
    items = tiny.model.catalogue.item_ids
    n_rated = len(items) - n_left
    answer = asked(recommender, history=likes(recommender, items[:n_rated].tolist()))
    assert sorted(answer.item_ids.tolist()) == items[n_rated:].tolist()
    assert np.isfinite(answer.scores).all()
    assert len(answer.features) == len(answer.states) == len(answer.retrieval_ranks) == n_left


def test_more_places_than_candidates_give_the_candidates(recommender: Recommender) -> None:
    assert len(asked(recommender, 11, k=70).item_ids) == recommender.bundle.ranker.n_candidates == N_CANDIDATES


def test_without_list_rules_every_slot_stands_where_the_ranker_put_it(recommender: Recommender) -> None:
    answer = asked(recommender, 14, k=12)
    assert answer.ranker_ranks.tolist() == list(range(1, 13))
    assert answer.moved_by == ("",) * 12
    assert answer.list_rules == NO_RULES


def test_list_rules_are_the_last_step_and_change_the_order_alone(bundle: Bundle) -> None:
    plain = asked(Recommender(bundle=bundle), 14, k=N_CANDIDATES)
    answer = asked(ruled(bundle, diversity=0.5, most_per_franchise=1), 14, k=N_CANDIDATES)
    back = np.argsort(answer.ranker_ranks)
    assert answer.ranker_ranks.tolist() != plain.ranker_ranks.tolist()
    for name in ("item_ids", "scores", "probabilities", "retrieval_ranks", "states"):
        assert getattr(answer, name)[back].tolist() == getattr(plain, name).tolist()
    assert np.array_equal(answer.features[back], plain.features, equal_nan=True)
    assert {"diversity", "franchise"} <= set(answer.moved_by)
    assert answer.list_rules == ListRulesConfig(diversity=0.5, most_per_franchise=1)


def test_an_answer_under_rules_is_the_offline_list_under_them(tiny: TinyRun, bundle: Bundle) -> None:
    recommender = ruled(bundle, diversity=0.3, most_per_franchise=1, rewatch_after_days=60)
    ranker, generator = recommender.bundle.ranker, tiny.generator()
    known, requests = known_ratings(tiny.ratings, tiny.splits, tiny.asked), tiny.splits.requests(tiny.asked)
    inputs = generate_candidates(generator, known, requests, n_candidates=ranker.n_candidates, rewatch_after_days=60)
    assert requests.height > 5
    lists = apply_rules_to_all(rank(ranker, inputs), listed_items(generator, tiny.movies), ranker.list_rules)
    for row, (user_id, at) in enumerate(requests.iter_rows()):
        answer = asked(recommender, user_id, at=at)
        assert answer.item_ids.tolist() == tiny.model.catalogue.item_ids[lists.item_idx[row, :10]].tolist()
        assert answer.scores.tolist() == lists.scores[row, :10].tolist()


def test_only_what_was_liked_long_ago_comes_back(tiny: TinyRun, bundle: Bundle) -> None:
    plain, again = Recommender(bundle=bundle), ruled(bundle, rewatch_after_days=100)
    n_back = 0
    for user_id in tiny_world.USER_IDS[:40].tolist():
        own = tiny.ratings.filter(user_id=user_id)
        may = own.filter(pl.col("rating") >= 4, pl.col("timestamp") <= again.now - 100 * DAY)["item_id"]
        shown = set(asked(again, user_id, k=N_CANDIDATES).item_ids.tolist())
        assert not shown & set(own["item_id"]) - set(may)
        assert not set(asked(plain, user_id, k=N_CANDIDATES).item_ids.tolist()) & set(own["item_id"])
        n_back += len(shown & set(may))
    assert n_back > 40


def test_training_evaluation_and_serving_share_one_filter(
    tiny: TinyRun, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the filter gone, each of them shows what was rated: none has another one, and none does without."""

    def forgets(index: Searchable, vectors: Float32s, users: Histories, *others: Any) -> Candidates:
        nothing = replace(users, item_idx=users.item_idx[:0], offsets=np.zeros_like(users.offsets))
        return find(index, vectors, nothing, *others)

    def repeats(*, indexed: bool) -> bool:
        generator, requests = tiny.generator(indexed=indexed), tiny.splits.requests(tiny.asked)
        made = generate_candidates(generator, known, requests, n_candidates=N_CANDIDATES)
        return bool(made.users.seen().toarray()[np.arange(made.users.n_users)[:, None], made.candidates.item_idx].any())

    def shown() -> set[int]:
        return set(asked(Recommender(bundle=bundle), 11, k=N_CANDIDATES).item_ids.tolist())

    known, find = known_ratings(tiny.ratings, tiny.splits, tiny.asked), candidates.find_candidates
    own = set(tiny.ratings.filter(user_id=11)["item_id"])
    assert not repeats(indexed=False)
    assert not repeats(indexed=True)
    assert not shown() & own
    monkeypatch.setattr(candidates, "find_candidates", forgets)
    assert repeats(indexed=False)
    assert repeats(indexed=True)
    assert shown() & own


def times_shown(answer: Answer) -> list[float]:
    """Of each place, how often its item was shown and left alone."""
    return answer.features[:, FEATURE_NAMES.index("pair_shown_unclicked")].tolist()


def test_what_was_shown_before_the_second_of_a_request_counts_until_it_is_clicked(recommender: Recommender) -> None:
    now = recommender.now
    first = asked(recommender, 11, at=now)
    assert times_shown(first) == [0.0] * 10
    recommender.observe(11, first.as_shown(now))
    assert times_shown(asked(recommender, 11, at=now)) == [0.0] * 10, "an impression of this very second"
    assert times_shown(asked(recommender, 11, at=now - 1)) == [0.0] * 10, "an impression after the request"
    assert times_shown(asked(recommender, 11, at=now + 1)) == [1.0] * 10
    assert times_shown(asked(recommender, 14, at=now + 1)) == [0.0] * 10, "somebody else saw it"
    recommender.observe(11, Clicked(item_id=int(first.item_ids[3]), timestamp=now + 5))
    assert times_shown(asked(recommender, 11, at=now + 5)) == [1.0] * 10, "a click of this very second"
    later = asked(recommender, 11, at=now + 6)
    assert times_shown(later) == [0.0 if item == first.item_ids[3] else 1.0 for item in later.item_ids.tolist()]


def test_what_was_shown_too_often_goes_behind_all_others(tiny: TinyRun, bundle: Bundle) -> None:
    """The ranker has never met a slot, so that its scores stay."""
    recommender = ruled(bundle, tired_after=2)
    now = recommender.now
    first = asked(recommender, 11, at=now, k=N_CANDIDATES)
    assert set(first.moved_by) == {""}
    seen = replace(first, item_ids=first.item_ids[[0, 2]])
    for n in range(2):
        assert asked(recommender, 11, at=now + n, k=N_CANDIDATES).item_ids.tolist() == first.item_ids.tolist()
        recommender.observe(11, replace(seen, request=replace(seen.request, request_id=f"r{n}")).as_shown(now + n))
    tired = asked(recommender, 11, at=now + 2, k=N_CANDIDATES)
    rested = [item for item in first.item_ids.tolist() if item not in seen.item_ids]
    assert tired.item_ids.tolist() == [*rested, *seen.item_ids.tolist()]
    assert tired.moved_by == ("fatigue",) * N_CANDIDATES
    assert tired.ranker_ranks.tolist()[-2:] == [1, 3]
    recommender.observe(11, Clicked(item_id=int(seen.item_ids[0]), timestamp=now + 2))
    assert asked(recommender, 11, at=now + 3).item_ids[0] == first.item_ids[0]


def test_a_movie_that_the_models_do_not_know_is_not_sent_in_a_circle(bundle: Bundle) -> None:
    """A search by title shows its id, so it can't be told to search."""
    new = bundle.movies.head(1).with_columns(item_id=pl.lit(88_888, pl.Int64), title=pl.lit("Tomorrow"))
    recommender = Recommender(bundle=replace(bundle, movies=pl.concat([bundle.movies, new])))
    said = recommender.unknown_movies([5_000, 88_888, 99_999])
    assert said.keys() == {88_888, 99_999}
    assert "Tomorrow (88888) had no rating when the models were fitted" in said[88_888]
    assert "data movies" not in said[88_888]
    assert said[99_999] == "no movie has the id 99999: `recsys data movies` finds ids"
    with pytest.raises(UnknownUserError, match=r"none of the movies \[88888\] is in the catalogue: Tomorrow"):
        recommender.somebody_who_likes([88_888], recommender.now)
    assert len(recommender.somebody_who_likes([5_000, 88_888], recommender.now)) == 2
