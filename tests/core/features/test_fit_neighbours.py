"""Which users are kept to be compared with, and how much each counts."""

import numpy as np
import pytest

from recsys_core.data.histories import OTHER_VALUE
from recsys_core.features import neighbours
from recsys_core.features.neighbours import HALF_LIFE_S, LEAST_RATINGS, fit_neighbours
from tests.core.worlds import Rating, histories_from

END = 2_000_000_000


def user(last: int, n: int = LEAST_RATINGS, first_item: int = 0) -> list[Rating]:
    """A user whose latest of n ratings lies so many seconds before the end; each is of another item."""
    return [(first_item + at, 5.0 if at % 2 else 2.0, END - last - (n - 1 - at)) for at in range(n)]


def test_who_rated_little_is_not_kept() -> None:
    users = histories_from([user(9), user(8, LEAST_RATINGS - 1), [], user(7, LEAST_RATINGS + 2)], 10)
    kept = fit_neighbours(users, END)
    assert np.diff(kept.offsets).tolist() == [LEAST_RATINGS, LEAST_RATINGS + 2]
    assert kept.n_items == 10


def test_the_latest_users_are_kept_in_the_order_of_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of six fit in: not the one who left long ago, and of two who left together not the one of the higher id."""
    monkeypatch.setattr(neighbours, "MOST_USERS", 4)
    lasts = [50, 10, 90, 20, 50, 30]
    users = histories_from([user(last, first_item=10 * at) for at, last in enumerate(lasts)], 70)
    kept = fit_neighbours(users, END)
    assert (kept.item_idx[kept.offsets[:-1]] // 10).tolist() == [0, 1, 3, 5]


def test_a_user_counts_half_after_each_half_life() -> None:
    """By the latest rating, however far back the others lie."""
    users = histories_from([user(0), user(HALF_LIFE_S), user(2 * HALF_LIFE_S), user(HALF_LIFE_S // 2)], 10)
    assert fit_neighbours(users, END).recency == pytest.approx([1, 0.5, 0.25, 0.5**0.5])


def test_their_ratings_count_as_the_closed_form_counts_them() -> None:
    kept = fit_neighbours(histories_from([user(5)], 10), END)
    assert kept.item_idx.tolist() == [0, 1, 2, 3, 4]
    assert kept.evidence.tolist() == pytest.approx([OTHER_VALUE, 1, OTHER_VALUE, 1, OTHER_VALUE])
    assert {kept.evidence.dtype, kept.recency.dtype} == {np.dtype(np.float32)}


@pytest.mark.parametrize("users", [[], [[], []], [[(0, 5.0, 1)]]], ids=["nobody", "nobody who rated", "one rating"])
def test_without_anybody_worth_keeping_there_are_no_neighbours(users: list[list[Rating]]) -> None:
    asking = histories_from([[(0, 5.0, 1)]], 3)
    kept = fit_neighbours(histories_from(users, 3), END)
    assert len(kept.recency) == 0
    assert np.isnan(kept.liked_share(asking, np.ones(1, dtype=np.float32), np.array([[1, 2]]))).all()
