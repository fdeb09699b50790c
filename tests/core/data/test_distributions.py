"""How ratings spread over stars and movies."""

import polars as pl
import pytest

from recsys_core.data.distributions import about_ratings, ratings_by_rank, ratings_by_stars
from recsys_core.data.schemas import RATINGS_COLUMNS

RATINGS = pl.DataFrame(
    [(1, 10, 5.0, 1), (1, 11, 4.0, 2), (2, 10, 2.5, 3), (3, 10, 5.0, 4)], schema=RATINGS_COLUMNS, orient="row"
)
NOTHING = pl.DataFrame(schema=RATINGS_COLUMNS)


def test_stars_are_counted_fewest_first() -> None:
    assert ratings_by_stars(RATINGS).rows() == [(2.5, 1), (4.0, 1), (5.0, 2)]


def test_movies_are_counted_most_popular_first() -> None:
    assert ratings_by_rank(RATINGS).tolist() == [3, 1]


def test_the_figures_by_hand() -> None:
    assert about_ratings(RATINGS) == {
        "n_users": 3,
        "n_items": 2,
        "mean_rating": pytest.approx(16.5 / 4),
        "like_share": 0.75,
        "density": pytest.approx(4 / 6),
    }


def test_no_ratings_are_no_users_and_no_mean() -> None:
    assert ratings_by_stars(NOTHING).is_empty()
    assert ratings_by_rank(NOTHING).tolist() == []
    assert about_ratings(NOTHING) == {"n_users": 0, "n_items": 0}
