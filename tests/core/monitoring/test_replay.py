"""The offline road: what belongs at each position, who knew what when, and which ratings came late."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.feedback.records import REQUESTS_TABLE, RequestRecord
from recsys_core.monitoring.replay import (
    NOT_SHOWN,
    NOTHING,
    Replay,
    replay_of,
    shown_places,
    with_arrivals,
    with_late_events,
)
from recsys_core.monitoring.served import Served
from recsys_core.ranking.config import NO_RULES
from recsys_core.ranking.inputs import generator_of
from recsys_core.ranking.lists import ListedItems
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Request
from tests.core.monitoring.answers import served_to
from tests.core.worlds import N_CANDIDATES, TinyRun

T0 = 1_500_000_000


@pytest.fixture(scope="module")
def replay(release: Bundle) -> Replay:
    """Read, do not change."""
    return replay_of(release)


def ratings_of(*rows: tuple[int, int, float, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=RATINGS_COLUMNS, orient="row")


def arrived(*rows: tuple[int, int, float, int, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={**RATINGS_COLUMNS, "received_at": pl.Int64()}, orient="row")


def asked(request_id: str, user_id: int | None, requested_at: int, served_at_us: int) -> RequestRecord:
    return RequestRecord(
        request_id=request_id,
        user_id=user_id,
        history=None,
        k=5,
        requested_at=requested_at,
        served_at=served_at_us,
        release="release",
    )


def places_of(scores: Float32s, k: Int64s) -> Int64s:
    """Without list rules, of candidates that are numbered by their places."""
    item_idx = np.where(np.isfinite(scores), np.arange(scores.shape[1]), -1)
    listed = ListedItems(vectors=np.zeros((scores.shape[1], 1), np.float32), titles=[""] * scores.shape[1])
    return shown_places(scores, k, item_idx, np.zeros_like(scores), listed, NO_RULES)


def test_a_list_by_hand() -> None:
    """Equal scores keep the order of retrieval; the third request has one candidate, the last has none."""
    scores = np.array([[0.1, 0.9, 0.5], [0.5, 0.5, 0.5], [0.3, -np.inf, -np.inf], [-np.inf] * 3], dtype=np.float32)
    assert places_of(scores, np.array([2, 3, 9, 1])).tolist() == [
        [1, 2, NOT_SHOWN], [0, 1, 2], [0, NOT_SHOWN, NOT_SHOWN], [NOT_SHOWN] * 3
    ]  # fmt: skip


@given(st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=5), st.integers(1, 9))
def test_a_list_is_the_first_k_of_the_candidates_by_score(candidates: list[list[int]], k: int) -> None:
    scores = np.full((len(candidates), 6), -np.inf, dtype=np.float32)
    for row, own in zip(scores, candidates, strict=True):
        row[: len(own)] = own
    for own, places in zip(candidates, places_of(scores, np.full(len(candidates), k)), strict=True):
        expected = sorted(range(len(own)), key=lambda place: (-own[place], place))[:k]
        assert places[places != NOT_SHOWN].tolist() == expected
        assert (places[len(expected) :] == NOT_SHOWN).all()


def test_the_past_is_answered_alike(release: Bundle, replay: Replay, past: Served) -> None:
    again = replay.answer(past, with_arrivals(release.ratings, None))
    shown = past.impressions
    assert set(again.n_offered) == {10}
    assert again.item_ids.tolist() == shown["item_id"].to_list()
    assert again.ranks.tolist() == shown["retrieval_rank"].to_list()
    assert again.scores.astype(np.float64).tolist() == shown["score"].to_list()
    assert again.probabilities is not None
    assert again.probabilities.tolist() == shown["probability"].to_list()
    assert np.array_equal(again.features, past.features(), equal_nan=True)


def test_more_than_there_are_candidates_is_cut_to_them_and_nothing_belongs_beyond(
    release: Bundle, replay: Replay
) -> None:
    recommender = Recommender(bundle=release)
    served = served_to(recommender, [Request(request_id="r", requested_at=recommender.now, user_id=11, k=99)])
    assert served.impressions.height == N_CANDIDATES
    beyond = served.impressions.tail(2).with_columns(position=pl.col("position") + 5)
    longer = replace(served, impressions=pl.concat([served.impressions, beyond]))
    again = replay.answer(longer, with_arrivals(release.ratings, None))
    assert again.n_offered.tolist() == [N_CANDIDATES]
    assert again.item_ids.tolist() == [*served.impressions["item_id"], NOTHING, NOTHING]
    assert (again.ranks > 0).all()


def test_an_item_that_is_no_candidate_has_no_rank(release: Bundle, replay: Replay) -> None:
    recommender = Recommender(bundle=release)
    served = served_to(recommender, [Request(request_id="r", requested_at=recommender.now, user_id=11, k=3)])
    seen = release.ratings.filter(user_id=11)["item_id"][0]
    foreign = served.impressions.with_columns(item_id=pl.Series([77, seen, served.impressions["item_id"][2]]))
    again = replay.answer(replace(served, impressions=foreign), with_arrivals(release.ratings, None))
    assert again.ranks.tolist() == [0, 0, served.impressions["retrieval_rank"][2]]
    assert again.item_ids.tolist() == served.impressions["item_id"].to_list()


def test_a_ranker_without_a_calibration_has_no_probabilities(release: Bundle, past: Served) -> None:
    silent = replay_of(replace(release, ranker=replace(release.ranker, calibration=None)))
    few = replace(past, requests=past.requests.head(3), impressions=past.impressions.head(30))
    assert silent.answer(few, with_arrivals(release.ratings, None)).probabilities is None


def test_some_rows_of_an_answer(release: Bundle, replay: Replay, past: Served) -> None:
    again = replay.answer(past, with_arrivals(release.ratings, None))
    requests = np.arange(past.requests.height) == 3
    slots = (past.impressions["request_id"] == past.requests["request_id"][3]).to_numpy()
    few = again.only(requests, slots)
    assert few.n_offered.tolist() == [10]
    assert few.item_ids.tolist() == past.impressions.filter(pl.Series(slots))["item_id"].to_list()
    for values in (few.ranks, few.scores, few.features, few.probabilities):
        assert values is not None
        assert len(values) == 10


def test_asked_as_it_had_arrived_a_request_knows_nothing_that_came_later(release: Bundle, replay: Replay) -> None:
    """All ratings since the cut-off arrived when it was too late, so that the answer is that of the cut-off."""
    since = release.ratings.sort("timestamp").tail(150)
    recommender = Recommender(bundle=release)
    stale = Recommender(
        bundle=replace(release, ratings=release.ratings.join(since, on=list(RATINGS_COLUMNS), how="anti"))
    )
    users = since["user_id"].unique().sort().to_list()
    requests = [Request(request_id=f"r{user}", requested_at=recommender.now, user_id=user) for user in users]
    served = served_to(stale, requests)
    for later, is_known in ((-1, True), (0, False)):
        ratings = with_arrivals(
            release.ratings, since.with_columns(received_at=pl.lit(recommender.now + later, pl.Int64))
        )
        again = replay.answer(served, ratings, as_arrived=True)
        assert (again.item_ids.tolist() == served.impressions["item_id"].to_list()) != is_known
        by_now = replay.answer(served, ratings)
        assert (by_now.item_ids.tolist() == again.item_ids.tolist()) == is_known


def test_items_are_counted_from_the_ratings_and_not_taken_from_the_release(tiny: TinyRun, release: Bundle) -> None:
    harmed = tiny.item_rows.with_columns(item_like_share=pl.lit(0.25, pl.Float32))
    other = replace(release, generator=generator_of(tiny.model, harmed, tiny.index))
    assert replay_of(other).items.equals(replay_of(release).items)
    assert replay_of(release).items["item_like_share"].n_unique() > 5


def test_what_came_through_the_log_has_its_arrival_and_all_else_was_known_from_the_start() -> None:
    ratings = ratings_of((1, 10, 4.0, T0), (1, 11, 4.0, T0 + 1), (2, 10, 4.0, T0), (1, 10, 4.0, T0 + 1))
    logged = arrived((1, 11, 4.0, T0 + 1, T0 + 9), (1, 10, 4.5, T0, T0 + 9))
    found = with_arrivals(ratings, logged)
    assert found.select(*RATINGS_COLUMNS).equals(ratings)
    assert found["received_at"].to_list() == [None, T0 + 9, None, None]
    assert with_arrivals(ratings, None)["received_at"].to_list() == [None] * 4


def test_of_two_events_that_say_the_same_the_first_arrival_counts_unless_the_data_set_says_it_too() -> None:
    row = (1, 10, 4.0, T0)
    logged = arrived((*row, T0 + 9), (*row, T0 + 5))
    assert with_arrivals(ratings_of(row, row), logged)["received_at"].to_list() == [T0 + 5] * 2
    assert with_arrivals(ratings_of(row, row, row), logged)["received_at"].to_list() == [None] * 3


def test_late_is_what_had_happened_and_had_not_arrived_before_the_second_of_the_answer() -> None:
    at, us = T0 + 100, 1_000_000
    requests = [
        asked("known", 1, at, (T0 + 300) * us),
        asked("late", 1, at, (T0 + 200) * us + 999_999),
        asked("not yet happened", 1, T0 + 10, (T0 + 20) * us),
        asked("of the data set", 2, at, T0 * us),
        asked("of nobody", None, at, T0 * us),
        asked("of a stranger", 3, at, T0 * us),
    ]
    ratings = with_arrivals(
        ratings_of((1, 10, 4.0, T0 + 10), (2, 10, 4.0, T0)), arrived((1, 10, 4.0, T0 + 10, T0 + 200))
    )
    found = with_late_events(REQUESTS_TABLE.frame(requests), ratings)
    assert found["request_id"].to_list() == ["late"]
    assert found.columns == list(REQUESTS_TABLE.columns)
