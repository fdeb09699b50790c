"""Counts and sums strictly before a moment, against the loop that anyone would write."""

from dataclasses import fields
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.days import DAY_S
from recsys_core.features.point_in_time import (
    CumulativeCounts,
    ItemCounts,
    UserSums,
    cumulative_counts_of,
    item_counts,
    ratio,
    share,
    sum_terms,
    user_sums,
)
from recsys_core.features.tables import item_features
from tests.core import embedded
from tests.core.features.moments import futures, moments
from tests.core.tables_by_hand import T0, movies_of, ratings_of, shuffled

NAN = float("nan")


def counts_of(ratings: pl.DataFrame, questions: list[tuple[int, int]], years: list[float] | None = None) -> ItemCounts:
    """Of (item_id, seconds after T0)."""
    item_ids, times = (np.array(column, dtype=np.int64) for column in zip(*questions, strict=True))
    known = np.full(len(item_ids), NAN) if years is None else np.array(years)
    return item_counts(ratings, item_ids, T0 + times, known.astype(np.float32))


def counts_row(counts: ItemCounts, at: int = 0) -> dict[str, float | list[int]]:
    return {field.name: getattr(counts, field.name)[at].tolist() for field in fields(counts)}


def same_counts(one: ItemCounts, other: ItemCounts) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)]
    return all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def slowly(ratings: list[tuple[int, int, float, int]], item: int, time: int) -> dict[str, int | list[int]]:
    """The counts of one item at one moment, one rating at a time."""
    known = [one for one in ratings if one[3] < time]
    own = [one for one in known if one[1] == item]

    def since(some: list[tuple[int, int, float, int]], days: int) -> int:
        return sum(one[3] >= time - days * DAY_S for one in some)

    stamps = sorted(one[3] for one in known)
    starts = [stamps[-max(1, round(part * len(stamps)))] if stamps else 0 for part in (0.02, 0.05, 0.2)]
    return {
        "n_newest_likes": [sum(one[3] >= start and one[2] >= 4 for one in own) for start in starts],
        "n_newest": [sum(stamp >= start for stamp in stamps) for start in starts],
        "first_at": min((one[3] for one in own), default=0),
        "n_ratings": len(own),
        "n_likes": sum(one[2] >= 4 for one in own),
        "n_recent": since(own, 30),
        "n_year": since(own, 365),
        "half_stars": round(sum(2 * one[2] for one in own)),
        "all_ratings": len(known),
        "all_recent": since(known, 30),
        "all_year": since(known, 365),
    }


def test_item_counts_by_hand() -> None:
    ratings = ratings_of([(1, 1, 4.0, 0), (2, 1, 2.5, 5 * DAY_S), (3, 1, 5.0, 400 * DAY_S), (1, 2, 3.5, 20 * DAY_S)])
    assert counts_row(counts_of(ratings, [(1, 401 * DAY_S)], [1999])) == {
        "times": T0 + 401 * DAY_S,
        "years": 1999,
        "first_at": T0,
        "n_ratings": 3,
        "n_likes": 2,
        "n_recent": 1,
        "n_year": 1,
        "half_stars": 23,
        "n_newest_likes": [1, 1, 1],
        "n_newest": [1, 1, 1],
        "all_ratings": 4,
        "all_recent": 1,
        "all_year": 1,
    }


def test_the_newest_ratings_are_a_share_of_all_and_not_of_days() -> None:
    """A hundred likes, one a second, of items 0 and 1 in turn; item 2 alone is rated in the last five."""
    ratings = ratings_of([(n, n % 2 if n < 95 else 2, 5.0, n) for n in range(100)])
    found = counts_of(ratings, [(0, 100), (2, 100), (1, 50)])
    assert found.n_newest.tolist() == [[2, 5, 20], [2, 5, 20], [1, 2, 10]]
    assert found.n_newest_likes.tolist() == [[0, 0, 8], [2, 5, 5], [1, 1, 5]]


def test_ratings_of_one_second_are_never_parted_by_the_newest() -> None:
    ratings = ratings_of([(n, n % 2, 5.0 if n % 4 else 1.0, n // 10) for n in range(100)])
    found = counts_of(ratings, [(0, 10)])
    assert found.n_newest.tolist() == [[10, 10, 20]], "the whole last second, of which 2 are 2 %"
    assert found.n_newest_likes.tolist() == [[3, 3, 5]]


@pytest.mark.slow
def test_item_counts_agree_with_the_slow_loop_at_any_moments() -> None:
    asked, ratings = moments(150, seed=1), embedded.ratings()
    found = item_counts(ratings, asked.item_ids, asked.times, np.full(150, NAN, dtype=np.float32))
    rows = list(ratings.iter_rows())
    for at in range(150):
        expected = slowly(rows, int(asked.item_ids[at]), int(asked.times[at]))
        assert {name: counts_row(found, at)[name] for name in expected} == expected


@pytest.mark.parametrize("end", [900_000_000, 1_100_000_000, 1_400_000_000])
def test_what_comes_later_changes_no_count_of_any_moment(end: int) -> None:
    asked = moments(4_000, seed=2)
    before = asked.times <= end
    item_ids, times = asked.item_ids[before], asked.times[before]
    years = np.full(len(times), 1990, dtype=np.float32)
    past = embedded.ratings().filter(pl.col("timestamp") < end)
    expected = item_counts(past, item_ids, times, years)
    for future in futures(end):
        assert same_counts(item_counts(pl.concat([future, past]), item_ids, times, years), expected)


def test_one_question_alone_and_among_thousands_is_answered_alike() -> None:
    asked, ratings = moments(500, seed=3), embedded.ratings()
    years = np.full(500, NAN, dtype=np.float32)
    together = item_counts(ratings, asked.item_ids, asked.times, years)
    for at in range(0, 500, 50):
        own = slice(at, at + 1)
        alone = item_counts(ratings, asked.item_ids[own], asked.times[own], years[own])
        of_batch = ItemCounts(**{field.name: getattr(together, field.name)[own] for field in fields(together)})
        assert same_counts(alone, of_batch)


def test_the_order_of_the_rows_changes_no_item_count() -> None:
    asked, ratings = moments(500, seed=4), embedded.ratings()
    years = np.full(500, NAN, dtype=np.float32)
    expected = item_counts(ratings, asked.item_ids, asked.times, years)
    assert same_counts(item_counts(shuffled(ratings), asked.item_ids, asked.times, years), expected)
    assert same_counts(item_counts(ratings.reverse(), asked.item_ids, asked.times, years), expected)


def test_an_event_of_the_same_second_is_not_known_yet() -> None:
    ratings = ratings_of([(1, 1, 5.0, 9), (2, 1, 1.0, 10), (3, 2, 5.0, 10)])
    found = counts_of(ratings, [(1, 10), (1, 11), (2, 10), (2, 11)])
    assert found.n_ratings.tolist() == [1, 2, 0, 1]
    assert found.all_ratings.tolist() == [1, 3, 1, 3]
    assert found.first_at.tolist() == [T0 + 9, T0 + 9, 0, T0 + 10], "of what was not rated yet there is no first time"


@pytest.mark.parametrize(("seconds", "counted"), [(0, 1), (-1, 1), (1, 0)])
@pytest.mark.parametrize(("days", "name"), [(30, "recent"), (365, "year")])
def test_a_window_begins_with_its_first_second(days: int, name: str, seconds: int, counted: int) -> None:
    """The second that lies so many days back is inside."""
    found = counts_of(ratings_of([(1, 1, 5.0, 0)]), [(1, days * DAY_S + seconds)])
    assert getattr(found, f"n_{name}").tolist() == getattr(found, f"all_{name}").tolist() == [counted]


def test_an_item_that_nobody_rated_counts_zero_and_all_others_count() -> None:
    found = counts_row(counts_of(ratings_of([(1, 1, 5.0, 0)]), [(99, 1)]))
    assert (found["n_ratings"], found["first_at"], found["half_stars"], found["all_ratings"]) == (0, 0, 0, 1)


def test_without_ratings_and_without_questions_there_are_zeros_and_shapes() -> None:
    nothing = ratings_of([])
    assert counts_of(nothing, [(1, 0)]).all_ratings.tolist() == [0]
    nobody = np.zeros(0, dtype=np.int64)
    assert item_counts(nothing, nobody, nobody, nobody.astype(np.float32)).n_ratings.shape == (0,)


def test_counts_are_signed_integers_that_cannot_wrap_around() -> None:
    found = counts_of(ratings_of([(1, 1, 5.0, 0)]), [(1, 1)])
    assert {getattr(found, field.name).dtype for field in fields(found)} == {np.dtype("int64"), np.dtype("float32")}
    assert found.years.dtype == np.float32


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_shares_and_ratios_differ_in_nothing_of_nothing_alone(part: int, rest: int) -> None:
    parts, wholes = np.array([part]), np.array([part + rest])
    found = [made(parts, wholes) for made in (share, ratio)]
    assert [one.dtype for one in found] == [np.float32, np.float32]
    if part + rest:
        assert found[0].tolist() == found[1].tolist() == [np.float32(part / (part + rest))]
    else:
        assert found[0].tolist() == [0.0]
        assert np.isnan(found[1]).all()


MOVIES = movies_of([(1, ["Comedy"], 1990), (2, ["Drama"], 2001), (3, ["War"], None)])
PAST = ratings_of([(8, 1, 4.0, 0), (9, 1, 3.0, 1), (9, 2, 2.0, 2), (9, 3, 5.0, 3)])
ITEMS = item_features(PAST, MOVIES, T0 + 100)


def sums_of(rows: list[tuple[int, int, float, int]], at: int = 100) -> dict[str, int]:
    """Of user 5, so many seconds after T0."""
    return sums_row(user_sums(ratings_of(rows), ITEMS, np.array([5]), np.array([T0 + at])))


def sums_row(sums: UserSums, at: int = 0) -> dict[str, int]:
    every = {field.name: getattr(sums, field.name) for field in fields(sums)}
    return {name: int(values[at]) if isinstance(values, np.ndarray) else values for name, values in every.items()}


def same_sums(one: UserSums, other: UserSums) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))


def test_user_sums_by_hand() -> None:
    assert sums_of([(5, 1, 4.0, 10), (5, 2, 5.0, 11), (5, 3, 0.5, 12), (6, 1, 5.0, 0)]) == {
        "n_ratings": 3,
        "n_likes": 2,
        "half_stars": 19,
        "popularity": 2 + 1 + 1,
        "n_liked_years": 2,
        "liked_years": 1990 + 2001,
        "all_ratings": 4,
    }


def test_a_rating_adds_what_it_says_by_itself() -> None:
    added = sum_terms(np.array([4, 5, 3.5], np.float32), np.array([7, 8, 9]), np.array([1990, NAN, 2000], np.float32))
    assert added.tolist() == [[1, 1, 8, 7, 1, 1990], [1, 1, 10, 8, 0, 0], [1, 0, 7, 9, 0, 0]]
    assert added.dtype == np.int64


def test_a_liked_item_without_a_year_does_not_count_as_year_zero() -> None:
    found = sums_of([(5, 3, 5.0, 10), (5, 2, 5.0, 11)])
    assert (found["n_likes"], found["n_liked_years"], found["liked_years"]) == (2, 1, 2001)


def test_ratings_of_items_outside_the_catalogue_are_not_counted() -> None:
    """Nothing is known of them, and a request does not find them in the history either."""
    assert sums_of([(5, 77, 5.0, 10), (5, 1, 5.0, 11)]) == sums_of([(5, 1, 5.0, 11)])


def test_a_rating_of_the_same_second_is_not_known_yet() -> None:
    rows = [(5, 1, 5.0, 10), (5, 2, 5.0, 11)]
    assert [sums_of(rows, at)["n_ratings"] for at in (9, 10, 11, 12)] == [0, 0, 1, 2]


def test_user_sums_agree_with_the_slow_loop_at_any_moments() -> None:
    asked, ratings = moments(150, seed=1), embedded.ratings()
    items = item_features(ratings, embedded.movies(), 1_200_000_000)
    about = {one["item_id"]: (one["n_ratings"], one["year"]) for one in items.iter_rows(named=True)}
    assert len(about) < ratings["item_id"].n_unique(), "some items lie outside the catalogue"
    rows = list(ratings.iter_rows())
    found = user_sums(ratings, items, asked.user_ids, asked.times)
    for at in range(150):
        own = [one for one in rows if one[0] == asked.user_ids[at] and one[3] < asked.times[at] and one[1] in about]
        years = [about[one[1]][1] for one in own if one[2] >= 4 and about[one[1]][1] is not None]
        assert sums_row(found, at) == {
            "n_ratings": len(own),
            "n_likes": sum(one[2] >= 4 for one in own),
            "half_stars": round(sum(2 * one[2] for one in own)),
            "popularity": sum(about[one[1]][0] for one in own),
            "n_liked_years": len(years),
            "liked_years": sum(years),
            "all_ratings": sum(n for n, _ in about.values()),
        }


@pytest.mark.parametrize("end", [900_000_000, 1_100_000_000, 1_400_000_000])
def test_what_comes_later_changes_no_sum_of_any_moment(end: int) -> None:
    asked = moments(4_000, seed=2)
    before = asked.times <= end
    past = embedded.ratings().filter(pl.col("timestamp") < end)
    items = item_features(past, embedded.movies(), end)
    expected = user_sums(past, items, asked.user_ids[before], asked.times[before])
    assert expected.n_ratings.max() > 100
    for future in futures(end):
        again = user_sums(pl.concat([future, past]), items, asked.user_ids[before], asked.times[before])
        assert same_sums(again, expected)


def test_the_order_of_the_rows_changes_no_user_sum() -> None:
    asked, ratings = moments(500, seed=4), embedded.ratings()
    items = item_features(ratings, embedded.movies(), 1_200_000_000)
    expected = user_sums(ratings, items, asked.user_ids, asked.times)
    assert same_sums(user_sums(shuffled(ratings), shuffled(items), asked.user_ids, asked.times), expected)


@given(st.lists(st.tuples(st.integers(1, 10), st.integers(0, 2**40), st.none() | st.integers(1880, 2030)), min_size=1))
def test_a_rating_taken_back_leaves_no_trace(rated: list[tuple[int, int, int | None]]) -> None:
    stars = np.array([half / 2 for half, _, _ in rated], dtype=np.float32)
    years = np.array([NAN if year is None else year for _, _, year in rated], dtype=np.float32)
    added = sum_terms(stars, np.array([popularity for _, popularity, _ in rated]), years)
    assert np.array_equal(added.sum(axis=0) - added[-1], added[:-1].sum(axis=0))


def test_nobody_known_sums_to_zero() -> None:
    assert sums_row(user_sums(PAST.clear(), ITEMS, np.array([5]), np.array([T0])))["n_ratings"] == 0
    nobody = np.zeros(0, dtype=np.int64)
    assert user_sums(PAST, ITEMS, nobody, nobody).n_likes.shape == (0,)


Event = tuple[int, int, tuple[int, int]]
"""Key, time, what it counts."""

KEYS, TIMES = st.integers(-3, 4), st.integers(-6, 6)
EVENTS = st.lists(st.tuples(KEYS, TIMES, st.tuples(st.integers(-9, 9), st.integers(0, 2**40))), max_size=25)
QUESTIONS = st.lists(st.tuples(KEYS, st.integers(-9, 9)), min_size=1, max_size=20)


def timeline(events: list[Event]) -> CumulativeCounts:
    keys, times = (np.array([event[at] for event in events], dtype=np.int64) for at in (0, 1))
    return cumulative_counts_of(keys, times, np.array([event[2] for event in events], dtype=np.int64).reshape(-1, 2))


def answers(made: CumulativeCounts, questions: list[tuple[int, int]]) -> list[list[int]]:
    keys, times = (np.array(column, dtype=np.int64) for column in zip(*questions, strict=True))
    return [list(row) for row in made.before(keys, times).tolist()]


def totals_slowly(events: list[Event], key: int, time: int) -> list[int]:
    """The totals of a key before a time, one event at a time."""
    before = [counted for own, at, counted in events if own == key and at < time]
    return [sum(counted[column] for counted in before) for column in (0, 1)]


@given(EVENTS, QUESTIONS)
def test_totals_agree_with_the_slow_loop(events: list[Event], questions: list[tuple[int, int]]) -> None:
    assert answers(timeline(events), questions) == [totals_slowly(events, *question) for question in questions]


@given(EVENTS, st.randoms(use_true_random=False), QUESTIONS)
def test_the_order_of_the_events_changes_nothing(
    events: list[Event], rng: Random, questions: list[tuple[int, int]]
) -> None:
    mixed = [*events]
    rng.shuffle(mixed)
    assert answers(timeline(mixed), questions) == answers(timeline(events), questions)


@given(EVENTS, EVENTS, QUESTIONS)
def test_what_comes_later_changes_no_count(
    past: list[Event], future: list[Event], questions: list[tuple[int, int]]
) -> None:
    """Events at or after the latest question, of old keys and of new ones."""
    latest = max(time for _, time in questions)
    known = [event for event in past if event[1] < latest]
    later = [(key * 7, latest + abs(time), counted) for key, time, counted in future]
    assert answers(timeline([*later, *known]), questions) == answers(timeline(known), questions)


@given(EVENTS, st.lists(KEYS, min_size=1))
def test_the_first_time_of_a_key_is_its_earliest_and_of_an_unknown_one_zero(
    events: list[Event], keys: list[int]
) -> None:
    expected = [min((time for key, time, _ in events if key == own), default=0) for own in keys]
    assert timeline(events).first_times(np.array(keys)).tolist() == expected


@pytest.mark.parametrize(("time", "counted"), [(9, 0), (10, 0), (11, 1), (12, 3), (10**12, 3)])
def test_a_total_leaves_out_events_of_the_asked_second(time: int, counted: int) -> None:
    made = timeline([(5, 10, (1, 0)), (5, 11, (2, 0)), (6, 0, (9, 9))])
    assert answers(made, [(5, time)]) == [[counted, 0]]


def test_without_events_everything_is_zero() -> None:
    nothing = timeline([])
    assert answers(nothing, [(1, 0), (2, 99)]) == [[0, 0], [0, 0]]
    assert nothing.first_times(np.array([1])).tolist() == [0]


def test_nothing_asked_is_answered_with_the_right_width() -> None:
    nobody = np.zeros(0, dtype=np.int64)
    assert timeline([(1, 1, (1, 1))]).before(nobody, nobody).shape == (0, 2)


def test_a_million_keys_over_a_century_do_not_meet() -> None:
    """One number stands for each (key, time): it must not run over, nor let the end of one key reach into the next."""
    keys, century = np.arange(10**6), 36_525 * 86_400
    times = np.where(keys % 2 == 0, 0, century)
    made = cumulative_counts_of(keys, times, np.ones((len(keys), 1), dtype=np.int64))
    for time, expected in ((0, 0), (1, 1 - keys % 2), (century, 1 - keys % 2), (century + 1, 1), (10**12, 1), (-5, 0)):
        found = made.before(keys, np.full(len(keys), time))[:, 0]
        assert np.array_equal(found, np.broadcast_to(expected, found.shape)), time
