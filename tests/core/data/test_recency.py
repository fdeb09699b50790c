"""How long ago each rating was."""

import numpy as np
import pytest

from recsys_core.data.histories import N_AGES, N_PLACES, recency
from tests.core.worlds import histories_from, random_histories

DAY = 86_400


def test_places_count_back_from_the_latest_on_a_log2_scale() -> None:
    users = histories_from([[(item, 4.0, item) for item in range(9)]], n_items=9)
    assert recency(users).place.tolist() == [3, 3, 2, 2, 2, 2, 1, 1, 0]  # places 9, 8, 7, ..., 1


def test_ratings_of_one_second_share_a_place() -> None:
    users = histories_from([[(0, 4.0, 10), (1, 4.0, 20), (2, 4.0, 20), (3, 4.0, 20), (4, 4.0, 30)]], n_items=5)
    assert recency(users).place.tolist() == [1, 1, 1, 1, 0]  # places 3, 2, 2, 2, 1


@pytest.mark.parametrize(
    ("seconds_back", "bucket"),
    [(0, 0), (600, 0), (601, 1), (3_600, 1), (DAY, 2), (7 * DAY, 3), (30 * DAY, 4), (31 * DAY, 5), (365 * DAY, 6),
     (3 * 365 * DAY, 7), (3 * 365 * DAY + 1, 8)],
)  # fmt: skip
def test_an_age_at_its_limit_belongs_to_the_younger_bucket(seconds_back: int, bucket: int) -> None:
    users = histories_from([[(0, 4.0, 1_000_000_000 - seconds_back), (1, 4.0, 1_000_000_000)]], n_items=2)
    assert recency(users).age.tolist() == [bucket, 0]


def test_the_last_buckets_take_everything_older() -> None:
    users = histories_from([[(item, 4.0, item * 10 * 365 * DAY) for item in range(3_000)]], n_items=3_000)
    buckets = recency(users)
    assert buckets.place[0] == N_PLACES - 1
    assert buckets.place[3_000 - 2_047] == N_PLACES - 2  # place 2,047 is the last before the open end
    assert buckets.age[0] == N_AGES - 1


def test_a_neighbour_in_the_same_second_changes_nothing() -> None:
    one, other = [(0, 4.0, 10), (1, 4.0, 20)], [(2, 4.0, 20), (0, 4.0, 20), (1, 4.0, 90)]
    both = recency(histories_from([one, [], other], n_items=3))
    alone = [recency(histories_from([user], n_items=3)) for user in (one, other)]
    assert both.place.tolist() == [*alone[0].place, *alone[1].place] == [1, 0, 1, 1, 0]
    assert both.age.tolist() == [*alone[0].age, *alone[1].age]


def test_a_history_means_the_same_whenever_it_is_read() -> None:
    users = random_histories(seed=0, n_users=20, n_items=30)
    later = histories_from(
        [
            [
                (int(users.item_idx[at]), 4.0, int(users.timestamps[at]) + 10**9)
                for at in range(users.offsets[user], users.offsets[user + 1])
            ]
            for user in range(users.n_users)
        ],
        n_items=30,
    )
    assert np.array_equal(recency(users).place, recency(later).place)
    assert np.array_equal(recency(users).age, recency(later).age)


def test_empty_histories_have_no_buckets() -> None:
    buckets = recency(histories_from([[], []], n_items=3))
    assert buckets.place.shape == buckets.age.shape == (0,)
