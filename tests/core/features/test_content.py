"""Genres and years as vectors."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.features.item_inputs import (
    FIRST_PERIOD,
    GENRES,
    N_PERIODS,
    PERIOD_YEARS,
    content_matrix,
    genre_matrix,
    genre_shares,
    period_matrix,
)
from tests.core import embedded

ANY_GENRES = st.lists(st.lists(st.sampled_from([*GENRES, "Telenovela"]), unique=True, max_size=5), min_size=1)


def genres_of(rows: list[list[str]]) -> pl.Series:
    return pl.Series(rows, dtype=pl.List(pl.String))


def test_a_genre_has_its_column() -> None:
    matrix = genre_matrix(genres_of([["Western", "Action"], [], ["Sci-Fi", "Telenovela"]]))
    assert matrix.shape == (3, 19)
    assert [np.flatnonzero(row).tolist() for row in matrix] == [[0, 18], [], [GENRES.index("Sci-Fi")]]


@given(ANY_GENRES)
def test_the_shares_of_an_item_sum_to_one_or_nothing_is_known(rows: list[list[str]]) -> None:
    shares = genre_shares(genres_of(rows))
    for genres, share in zip(rows, shares, strict=True):
        listed = [genre for genre in genres if genre in GENRES]
        assert share.sum() == pytest.approx(1.0 if listed else 0.0, abs=1e-6)
        assert {GENRES[at] for at in np.flatnonzero(share)} == set(listed)


@pytest.mark.parametrize(
    ("year", "period"), [(1915, 0), (1919, 0), (1920, 1), (1890, 0), (2034, 23), (2050, 23), (None, None)]
)
def test_a_year_falls_into_its_five_years(year: int | None, period: int | None) -> None:
    row = period_matrix(pl.Series([year], dtype=pl.Int32))[0]
    assert np.flatnonzero(row).tolist() == ([] if period is None else [period])


def test_the_content_of_no_item_has_the_same_width() -> None:
    nothing = pl.DataFrame({"genres": [], "year": []}, schema={"genres": pl.List(pl.String), "year": pl.Int32})
    assert content_matrix(nothing).shape == (0, len(GENRES) + N_PERIODS)


def test_all_genres_and_years_of_the_embedded_data_are_known() -> None:
    movies = embedded.movies()
    assert set(movies["genres"].explode().drop_nulls().unique()) <= set(GENRES)
    content = content_matrix(movies)
    assert content.dtype == np.float32
    assert (content[:, len(GENRES) :].sum(axis=1) == movies["year"].is_not_null().to_numpy()).all()
    years = movies["year"].drop_nulls()
    share_of_early_films = (years < FIRST_PERIOD).mean()
    assert share_of_early_films is not None
    assert share_of_early_films < 0.01
    assert years.max() < FIRST_PERIOD + N_PERIODS * PERIOD_YEARS  # type: ignore[operator]
