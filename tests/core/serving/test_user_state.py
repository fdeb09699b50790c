"""The states of users between requests: at any moment, in any order of asking, as counted from the ratings."""

from dataclasses import fields
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.arrays import Int64s
from recsys_core.data.histories import Catalogue, histories_of, rating_log_of
from recsys_core.features.exposures import FATIGUE_S, Exposures, TimedItems, exposure_log
from recsys_core.features.point_in_time import UserSums, user_sums
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.features.state import RequestBatch, UserStates, user_states
from recsys_core.features.tables import item_features, user_features
from recsys_core.feedback.exposures import SHOWN_COLUMNS, Exposed
from recsys_core.feedback.schemas import CLICKS_COLUMNS
from recsys_core.ranking.inputs import RankingInputs, candidate_features, generate_candidates, generator_of
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.model import user_vectors
from recsys_core.retrieval.training import train_retrieval_model
from recsys_core.serving import user_state as users_module
from recsys_core.serving.requests import Clicked, Rated, Shown
from recsys_core.serving.user_state import UserExposures, UserStateStore, observations
from tests.core import embedded
from tests.core.features.asked import random_side
from tests.core.features.moments import moments
from tests.core.tables_by_hand import T0, ratings_of, shuffled

N_ITEMS = 12
SIDE = random_side(N_ITEMS, np.random.default_rng(0))
CATALOGUE = Catalogue(item_ids=10 * np.arange(1, N_ITEMS + 1))
LOGGED = ratings_of(
    [(5, 10, 4.0, 0), (5, 20, 1.0, 3), (5, 30, 5.0, 3), (5, 99, 5.0, 4), (5, 40, 3.0, 9), (7, 10, 5.0, 2)]
)
"""User 5 has rated two items in one second, and one that lies outside the catalogue."""

SOMEBODY = st.sampled_from([5, 7, 8])
STARS = st.sampled_from([half / 2 for half in range(1, 11)])
MOVES = st.lists(
    st.tuples(st.just("ask"), SOMEBODY, st.integers(-1, 12))
    | st.tuples(st.just("rate"), SOMEBODY, st.tuples(st.integers(0, N_ITEMS + 1), STARS, st.integers(0, 11))),
    max_size=30,
)
"""Questions at any time and ratings of any time, in any order."""


def users_with(ratings: pl.DataFrame = LOGGED) -> UserStateStore:
    return UserStateStore(catalogue=CATALOGUE, items=SIDE, ratings=ratings.sort("user_id"))


def known_before(ratings: list[tuple[int, int, float, int]], user: int, time: int) -> UserStates:
    """Counted from all ratings in the order in which they came: of an item the latest counts, then the last to come."""
    kept: dict[int, tuple[int, int, float, int]] = {}
    for one in ratings:
        if one[0] == user and one[3] < time and (one[1] not in kept or kept[one[1]][3] <= one[3]):
            kept[one[1]] = one
    table = pl.DataFrame(list(kept.values()), schema=LOGGED.schema, orient="row")
    return user_states(histories_of(table, CATALOGUE, np.array([user])), SIDE)


def same(one: UserStates, other: UserStates) -> bool:
    """To the bit, but for the name of the user."""
    parts = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(UserStates)[1:]]
    parts += [
        (getattr(one.histories, name), getattr(other.histories, name))
        for name in ("offsets", "item_idx", "ratings", "timestamps")
    ]
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in parts)


@given(MOVES)
@settings(max_examples=200)
def test_whatever_is_asked_and_rated_in_between_a_state_is_what_was_known_before(moves: list[tuple]) -> None:
    users, ratings = users_with(), list(LOGGED.iter_rows())
    for kind, user, what in moves:
        if kind == "ask":
            assert same(users.state_before(user, T0 + what), known_before(ratings, user, T0 + what))
        else:
            item, stars, at = what
            users.observe(user, Rated(item_id=10 * item, rating=stars, timestamp=T0 + at))
            ratings.append((user, 10 * item, stars, T0 + at))
    for user in (5, 7, 8):
        assert same(users.state_before(user, T0 + 99), known_before(ratings, user, T0 + 99))


def test_a_rating_of_the_second_of_the_request_is_not_known_yet() -> None:
    users = users_with()
    assert [len(users.state_before(5, T0 + at).histories.item_idx) for at in (0, 1, 3, 4, 9, 10)] == [0, 1, 1, 3, 3, 4]


def test_a_request_from_further_back_does_not_know_what_came_later() -> None:
    users = users_with()
    late, early = users.state_before(5, T0 + 99), users.state_before(5, T0 + 1)
    assert len(late.histories.item_idx) == 4
    assert same(early, users_with().state_before(5, T0 + 1))
    assert same(users.state_before(5, T0 + 99), late)


@pytest.mark.parametrize("user_id", [None, 8, 10**12, -1])
def test_of_somebody_unknown_nothing_is_known(user_id: int | None) -> None:
    state = users_with().state_before(user_id, T0 + 99)
    assert state.histories.offsets.tolist() == [0, 0]
    assert not state.totals.any()


def test_somebody_new_is_known_from_the_first_rating_on() -> None:
    users = users_with()
    assert users.state_before(8, T0 + 5).totals[0, 0] == 0
    users.observe(8, Rated(item_id=20, rating=4.0, timestamp=T0 + 5))
    assert users.state_before(8, T0 + 5).totals[0, 0] == 0
    assert users.state_before(8, T0 + 6).totals[0, :3].tolist() == [1, 1, 8]


def test_what_one_user_rates_changes_nobody_else() -> None:
    users = users_with()
    before = users.state_before(7, T0 + 99)
    users.observe(5, Rated(item_id=50, rating=5.0, timestamp=T0 + 1))
    assert same(users.state_before(7, T0 + 99), before)


def test_a_state_that_was_handed_out_stays_as_it_was() -> None:
    users = users_with()
    before = users.state_before(5, T0 + 5)
    users.observe(5, Rated(item_id=10, rating=0.5, timestamp=T0 + 4))
    assert not same(users.state_before(5, T0 + 5), before)
    assert same(before, users_with().state_before(5, T0 + 5))


def test_a_state_that_had_to_go_is_counted_again_with_what_came_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users_module, "MOST_STATES", 2)
    users, ratings = users_with(), list(LOGGED.iter_rows())
    rng = Random(0)
    for _ in range(300):
        user, at = rng.choice([5, 7, 8, 9, 11]), rng.randrange(12)
        if rng.random() < 0.3:
            rated = (user, 10 * rng.randrange(1, N_ITEMS), 0.5 * rng.randrange(1, 11), T0 + at)
            users.observe(user, Rated(item_id=rated[1], rating=rated[2], timestamp=rated[3]))
            ratings.append(rated)
        assert same(users.state_before(user, T0 + at), known_before(ratings, user, T0 + at))
        assert len(users._known) <= 2


@pytest.mark.parametrize("few", [0, 1, 10**6])
def test_following_and_counting_afresh_give_the_same_bits(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(users_module, "MOST_UPDATES", few)
    ratings = embedded.ratings().filter(pl.col("user_id") <= 10)
    ids = ratings["item_id"].unique().sort().to_numpy()[::2]
    side = random_side(len(ids), np.random.default_rng(1))
    users = UserStateStore(catalogue=Catalogue(item_ids=ids), items=side, ratings=ratings)
    for user in range(1, 11):
        own = ratings.filter(user_id=user)
        for time in own["timestamp"].unique().sort().to_list()[::7]:
            table = own.filter(pl.col("timestamp") < time)
            expected = user_states(histories_of(table, Catalogue(item_ids=ids), np.array([user])), side)
            assert same(users.state_before(user, time), expected)


def test_the_order_of_the_ratings_in_the_table_does_not_matter() -> None:
    for table in (LOGGED.reverse(), shuffled(LOGGED)):
        assert same(users_with(table).state_before(5, T0 + 99), users_with().state_before(5, T0 + 99))


GIVEN = st.lists(st.tuples(st.sampled_from([5, 7]), st.integers(1, 4), STARS, st.integers(0, 6)), max_size=20)
"""Few items and seconds: nearly every item is rated again, often in the same second."""


@pytest.mark.slow
@given(GIVEN, st.lists(st.integers(-1, 8), min_size=1, max_size=6))
@settings(max_examples=200)
def test_states_histories_and_running_totals_agree_on_what_was_rated_again(
    rated: list[tuple[int, int, float, int]], asked: list[int]
) -> None:
    """What a request reads, what the replay of parity reads, and what the table of user features is made from."""
    rows = [(user, 10 * item, stars, T0 + at) for user, item, stars, at in rated]
    ratings = pl.DataFrame(rows, schema=LOGGED.schema, orient="row").sort("timestamp", maintain_order=True)
    user_ids, times = np.tile([5, 7, 8], len(asked)), np.repeat([T0 + at for at in asked], 3)
    known = rating_log_of(ratings, CATALOGUE)
    batch = user_states(known.before(user_ids, times), SIDE)
    items = pl.DataFrame({"item_id": CATALOGUE.item_ids, "n_ratings": SIDE.n_ratings, "year": SIDE.years})
    sums = user_sums(ratings, items, user_ids, times)
    for field in fields(UserSums):
        assert np.array_equal(getattr(batch.sums(SIDE), field.name), getattr(sums, field.name)), field.name
    users = users_with(ratings)
    for row, (user, time) in enumerate(zip(user_ids.tolist(), times.tolist(), strict=True)):
        one = known.before(user_ids[[row]], times[[row]])
        assert same(users.state_before(user, time), user_states(one, SIDE))


N_REQUESTS, N_CANDIDATES = 1_000, 60


def offline(user_ids: Int64s, times: Int64s) -> tuple[RankingInputs, pl.DataFrame]:
    """All requests in one batch, as training sees them: user features from the table; each request is a user."""
    ratings = embedded.ratings()
    as_of = int(np.quantile(ratings["timestamp"].to_numpy(), 0.8))
    items = item_features(ratings, embedded.movies(), as_of)
    generator = generator_of(
        train_retrieval_model(ratings, items, as_of, TwoTowerConfig(dim=16, n_epochs=1)).model, items
    )
    asked = pl.DataFrame({"user_id": np.arange(len(times)), "requested_at": times, "own": user_ids})
    known = asked.join(ratings, left_on="own", right_on="user_id").filter(pl.col("timestamp") < pl.col("requested_at"))
    table = user_features(ratings, items, user_ids, times).with_columns(asked["user_id"])
    return generate_candidates(
        generator, known.select(ratings.columns), asked, user_rows=table, n_candidates=N_CANDIDATES
    ), known


@pytest.mark.slow
def test_a_thousand_random_requests_answered_one_by_one_read_the_bits_of_the_offline_batch() -> None:
    """At moments before, in and after the second of a rating, in the order in which they happen to come."""
    asked = moments(N_REQUESTS, seed=9)
    batch, known = offline(asked.user_ids, asked.times)
    features, generator = candidate_features(batch), batch.generator
    users = UserStateStore(
        catalogue=generator.model.catalogue, items=generator.items, ratings=embedded.ratings().sort("user_id")
    )
    for row in range(N_REQUESTS):
        time = asked.times[row : row + 1]
        state = users.state_before(int(asked.user_ids[row]), int(time[0]))
        vectors = user_vectors(generator.model, state.histories)
        assert np.array_equal(vectors[0], batch.user_vectors[row])
        requests = RequestBatch(users=state, requested_at=time)
        block = generator.features(requests, vectors, batch.candidates.item_idx[[row]])
        differing = [
            name
            for at, name in enumerate(FEATURE_NAMES)
            if not np.array_equal(block.values[0, :, at], features[row, :, at], equal_nan=True)
        ]
        assert not differing, (row, differing)
    assert known["user_id"].n_unique() < N_REQUESTS, "some ask before they have rated anything"
    assert np.isnan(features).any(axis=(1, 2)).sum() > 100


THREE_ITEMS = Catalogue(item_ids=np.array([10, 20, 30]))


def followed(exposed: Exposed, chance: Random) -> UserExposures:
    """Told of everything in some order, as of clients and queues."""
    users, told = UserExposures(catalogue=THREE_ITEMS), observations(exposed)
    for user_id, what in chance.sample(told, len(told)):
        if isinstance(what, Shown):
            users.observe_shown(user_id, what)
        else:
            users.observe_click(user_id, what)
    return users


def sorted_marks(marks: TimedItems) -> list[tuple[int, int]]:
    return sorted(zip(marks.times.tolist(), marks.item_idx.tolist(), strict=True))


def alike(one: Exposures, other: Exposures) -> bool:
    """But for the order of what happened in one second, which means nothing."""
    pairs = ((one.shown, other.shown), (one.clicked, other.clicked))
    same = all(sorted_marks(a) == sorted_marks(b) and (a.offsets == b.offsets).all() for a, b in pairs)
    return same and one.requested_at.tolist() == other.requested_at.tolist()


SECONDS = st.integers(0, 12)
ITEMS = st.sampled_from([10, 20, 30, 99])
USERS = st.sampled_from([1, 2])
SLOTS = st.lists(st.tuples(USERS, ITEMS, SECONDS))
CLICKS = st.lists(st.tuples(USERS, ITEMS, SECONDS))


@given(SLOTS, CLICKS, USERS, SECONDS, st.randoms(use_true_random=False))
def test_it_knows_at_any_moment_what_is_cut_from_the_whole_log(slots, clicks, user_id, at, chance) -> None:  # type: ignore[no-untyped-def]
    """Each request in a second of its own, told in whatever order."""
    shown = pl.DataFrame(
        [(f"r{user}-{second}", user, item, T0 + second) for user, item, second in slots],
        schema=SHOWN_COLUMNS,
        orient="row",
    )
    clicked = pl.DataFrame(
        [(user, item, T0 + second, None, f"e{n}", T0 + second) for n, (user, item, second) in enumerate(clicks)],
        schema=CLICKS_COLUMNS,
        orient="row",
    )
    found = followed(Exposed(shown=shown, clicks=clicked), chance).before(user_id, T0 + at)
    cut = exposure_log(shown, clicked, THREE_ITEMS).before(np.array([user_id]), np.array([T0 + at]))
    assert alike(found, cut)


def test_an_item_that_a_request_showed_before_counts_once() -> None:
    users = UserExposures(catalogue=THREE_ITEMS)
    for items, at in (((10, 20, 10), 5), ((10,), 5), ((20, 30), 6)):
        users.observe_shown(1, Shown(request_id="r", item_ids=items, timestamp=T0 + at))
    users.observe_shown(1, Shown(request_id="another", item_ids=(10,), timestamp=T0 + 5))
    users.observe_shown(2, Shown(request_id="r", item_ids=(10,), timestamp=T0 + 5))
    assert sorted_marks(users.before(1, T0 + 9).shown) == [(T0 + 5, 0), (T0 + 5, 0), (T0 + 5, 1), (T0 + 6, 2)]
    assert sorted_marks(users.before(2, T0 + 9).shown) == [(T0 + 5, 0)]


def test_somebody_unnamed_and_somebody_new_were_shown_nothing() -> None:
    users = UserExposures(catalogue=THREE_ITEMS)
    users.observe_shown(1, Shown(request_id="r", item_ids=(10,), timestamp=T0))
    users.observe_click(1, Clicked(item_id=10, timestamp=T0))
    for user_id in (None, 2):
        found = users.before(user_id, T0 + 9)
        assert not len(found.shown.item_idx)
        assert not len(found.clicked.item_idx)
        assert found.shown.offsets.tolist() == found.clicked.offsets.tolist() == [0, 0]


def test_what_is_too_old_to_count_is_left_out() -> None:
    users = UserExposures(catalogue=THREE_ITEMS)
    users.observe_shown(1, Shown(request_id="r", item_ids=(10,), timestamp=T0))
    assert len(users.before(1, T0 + FATIGUE_S).shown.item_idx) == 1
    assert len(users.before(1, T0 + FATIGUE_S + 1).shown.item_idx) == 0


def test_a_log_is_told_as_answers_and_clicks() -> None:
    shown = pl.DataFrame([("a", 1, 10, T0), ("a", 1, 20, T0), ("b", 1, 10, T0 + 1)], schema=SHOWN_COLUMNS, orient="row")
    clicks = pl.DataFrame([(1, 10, T0 + 2, "a", "e", T0 + 3)], schema=CLICKS_COLUMNS, orient="row")
    assert observations(Exposed(shown=shown, clicks=clicks)) == [
        (1, Shown(request_id="a", item_ids=(10, 20), timestamp=T0)),
        (1, Shown(request_id="b", item_ids=(10,), timestamp=T0 + 1)),
        (1, Clicked(item_id=10, timestamp=T0 + 2)),
    ]
