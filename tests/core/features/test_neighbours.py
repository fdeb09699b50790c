"""What the latest users who rated alike say of a candidate."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_core.features.neighbours import pair_neighbour_share
from tests.core.features.asked import Asked, equal, evidence_of, neighbours_of, pairs_of, side_of
from tests.core.worlds import histories_from

NEIGHBOURS = neighbours_of(histories_from([[(0, 5.0, 1), (1, 5.0, 2)], [(0, 5.0, 1), (2, 5.0, 2)]], 4), [1, 0.5])
SIDE = side_of([[1.0]] * 4)
WITH_NEIGHBOURS = replace(SIDE, learned=replace(SIDE.learned, neighbours=NEIGHBOURS))


def test_numbers_by_hand() -> None:
    """Both are equally like the user; who rated last counts twice as much."""
    pairs = pairs_of([[(0, 5.0, 9)], []], [[1, 2, 3], [1, 2, 3]], WITH_NEIGHBOURS)
    found = pairs.value(pair_neighbour_share)
    assert found[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert np.isnan(found[1]).all(), "of somebody without a history nothing is known"
    assert found.dtype == np.float32


def test_it_is_the_share_of_the_towers_neighbours_by_the_evidence_of_the_request(asked_of_people: Asked) -> None:
    pairs = asked_of_people.pairs
    users = pairs.users.histories
    expected = asked_of_people.side.learned.neighbours.liked_share(users, evidence_of(users), pairs.item_idx)
    assert equal(pairs.value(pair_neighbour_share), expected)
    assert 0 < np.nanmean(expected) < 1


def test_an_absent_candidate_is_no_fault() -> None:
    pairs = pairs_of([[(0, 5.0, 9)]], [[1, -1]], WITH_NEIGHBOURS)
    assert pairs.value(pair_neighbour_share)[0, 0] == pytest.approx(2 / 3)
