"""What the latest ratings say of a candidate by what people rate around them."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

from recsys_core.features.covisits import pair_before_lift, pair_next_lift
from recsys_core.features.pairs import Pairs
from tests.core.features.asked import equal, pairs_of, side_of
from tests.core.worlds import Rating, random_histories

N_ITEMS = 60
RNG = np.random.default_rng(0)
LIFTS = sp.csr_array(
    np.where(RNG.random((N_ITEMS, N_ITEMS)) < 0.2, RNG.random((N_ITEMS, N_ITEMS)), 0), dtype=np.float32
)
USERS = random_histories(2, n_users=25, n_items=N_ITEMS)
CANDIDATES = np.stack([RNG.permutation(N_ITEMS)[:15] for _ in range(USERS.n_users)])
FEATURES = (pair_next_lift, pair_before_lift)


def pairs_with(lifts: sp.csr_array, histories: list[list[Rating]], item_idx: npt.NDArray[np.int64]) -> Pairs:
    side = side_of([[1.0]] * lifts.shape[0])
    learned = replace(side.learned, following=lifts, preceding=lifts.T.tocsr())
    return pairs_of(histories, item_idx.tolist(), replace(side, learned=learned))


def history(row: int) -> list[Rating]:
    own = slice(USERS.offsets[row], USERS.offsets[row + 1])
    columns = (USERS.item_idx[own], USERS.ratings[own], USERS.timestamps[own])
    return list(zip(*(column.tolist() for column in columns), strict=True))


ALL = [history(row) for row in range(USERS.n_users)]


def test_numbers_by_hand() -> None:
    """Of item 0, item 2 follows three times as often as at any time, and item 1 nothing that is known."""
    lifts = sp.csr_array(np.array([[0, 0, 3], [0, 0, 0], [0, 5, 0]]), dtype=np.float32)
    pairs = pairs_with(lifts, [[(0, 1.0, 1), (1, 5.0, 2)]], np.array([[2, 1]]))
    assert pairs.value(pair_next_lift).tolist() == [pytest.approx([np.log(1 + 3 / 2), 0])]
    assert pairs.value(pair_before_lift).tolist() == [pytest.approx([np.log(1 + 5 / 2), 0])]


def test_it_is_the_log_of_the_mean_lift_after_the_five_latest() -> None:
    pairs, dense = pairs_with(LIFTS, ALL, CANDIDATES), LIFTS.toarray()
    for row in range(USERS.n_users):
        recent = USERS.item_idx[USERS.offsets[row] : USERS.offsets[row + 1]][-5:]
        for place, item in enumerate(CANDIDATES[row]):
            after = dense[recent, item].mean() if len(recent) else np.nan
            before = dense[item, recent].mean() if len(recent) else np.nan
            assert pairs.value(pair_next_lift)[row, place] == pytest.approx(np.log1p(after), rel=1e-5, nan_ok=True)
            assert pairs.value(pair_before_lift)[row, place] == pytest.approx(np.log1p(before), rel=1e-5, nan_ok=True)


def test_an_empty_history_says_nothing_and_one_that_nothing_follows_says_zero() -> None:
    nothing = sp.csr_array((N_ITEMS, N_ITEMS), dtype=np.float32)
    pairs = pairs_with(nothing, [[], [(0, 5.0, 1)]], CANDIDATES[:2])
    for one in FEATURES:
        assert np.isnan(pairs.value(one)[0]).all()
        assert set(pairs.value(one)[1].tolist()) == {0.0}
        assert pairs.value(one).dtype == np.float32


def test_a_user_means_the_same_in_any_company_and_with_any_candidates() -> None:
    together = pairs_with(LIFTS, ALL, CANDIDATES)
    for row in range(USERS.n_users):
        for places in (slice(0, 15), slice(3, 4)):
            alone = pairs_with(LIFTS, [ALL[row]], CANDIDATES[[row], places])
            for one in FEATURES:
                assert equal(alone.value(one)[0], together.value(one)[row, places]), one.name
