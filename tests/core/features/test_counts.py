"""What was counted of items before a moment."""

from dataclasses import fields

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.features.counts import DAY, ItemCounts, item_counts, ratio, share
from tests.core import embedded
from tests.core.features.moments import futures, moments
from tests.core.tables_by_hand import T0, ratings_of, shuffled

NAN = float("nan")


def counts_of(ratings: pl.DataFrame, questions: list[tuple[int, int]], years: list[float] | None = None) -> ItemCounts:
    """Of (item_id, seconds after T0)."""
    item_ids, times = (np.array(column, dtype=np.int64) for column in zip(*questions, strict=True))
    known = np.full(len(item_ids), NAN) if years is None else np.array(years)
    return item_counts(ratings, item_ids, T0 + times, known.astype(np.float32))


def row(counts: ItemCounts, at: int = 0) -> dict[str, float | list[int]]:
    return {field.name: getattr(counts, field.name)[at].tolist() for field in fields(counts)}


def same(one: ItemCounts, other: ItemCounts) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)]
    return all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def slowly(ratings: list[tuple[int, int, float, int]], item: int, time: int) -> dict[str, int | list[int]]:
    """The counts of one item at one moment, one rating at a time."""
    known = [one for one in ratings if one[3] < time]
    own = [one for one in known if one[1] == item]

    def since(some: list[tuple[int, int, float, int]], days: int) -> int:
        return sum(one[3] >= time - days * DAY for one in some)

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


def test_numbers_by_hand() -> None:
    ratings = ratings_of([(1, 1, 4.0, 0), (2, 1, 2.5, 5 * DAY), (3, 1, 5.0, 400 * DAY), (1, 2, 3.5, 20 * DAY)])
    assert row(counts_of(ratings, [(1, 401 * DAY)], [1999])) == {
        "times": T0 + 401 * DAY,
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


def test_it_agrees_with_the_slow_loop_at_any_moments() -> None:
    asked, ratings = moments(150, seed=1), embedded.ratings()
    found = item_counts(ratings, asked.item_ids, asked.times, np.full(150, NAN, dtype=np.float32))
    rows = list(ratings.iter_rows())
    for at in range(150):
        expected = slowly(rows, int(asked.item_ids[at]), int(asked.times[at]))
        assert {name: row(found, at)[name] for name in expected} == expected


@pytest.mark.parametrize("end", [900_000_000, 1_100_000_000, 1_400_000_000])
def test_what_comes_later_changes_no_count_of_any_moment(end: int) -> None:
    asked = moments(4_000, seed=2)
    before = asked.times <= end
    item_ids, times = asked.item_ids[before], asked.times[before]
    years = np.full(len(times), 1990, dtype=np.float32)
    past = embedded.ratings().filter(pl.col("timestamp") < end)
    expected = item_counts(past, item_ids, times, years)
    for future in futures(end):
        assert same(item_counts(pl.concat([future, past]), item_ids, times, years), expected)


def test_one_question_alone_and_among_thousands_is_answered_alike() -> None:
    asked, ratings = moments(500, seed=3), embedded.ratings()
    years = np.full(500, NAN, dtype=np.float32)
    together = item_counts(ratings, asked.item_ids, asked.times, years)
    for at in range(0, 500, 50):
        own = slice(at, at + 1)
        alone = item_counts(ratings, asked.item_ids[own], asked.times[own], years[own])
        of_batch = ItemCounts(**{field.name: getattr(together, field.name)[own] for field in fields(together)})
        assert same(alone, of_batch)


def test_the_order_of_the_rows_changes_nothing() -> None:
    asked, ratings = moments(500, seed=4), embedded.ratings()
    years = np.full(500, NAN, dtype=np.float32)
    expected = item_counts(ratings, asked.item_ids, asked.times, years)
    assert same(item_counts(shuffled(ratings), asked.item_ids, asked.times, years), expected)
    assert same(item_counts(ratings.reverse(), asked.item_ids, asked.times, years), expected)


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
    found = counts_of(ratings_of([(1, 1, 5.0, 0)]), [(1, days * DAY + seconds)])
    assert getattr(found, f"n_{name}").tolist() == getattr(found, f"all_{name}").tolist() == [counted]


def test_an_item_that_nobody_rated_counts_zero_and_all_others_count() -> None:
    found = row(counts_of(ratings_of([(1, 1, 5.0, 0)]), [(99, 1)]))
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
