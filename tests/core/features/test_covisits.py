"""What the latest ratings say of a candidate by what people rate around them."""

import numpy as np
import pytest
import scipy.sparse as sp

from recsys_core.features.contract import names_of
from recsys_core.features.covisits import covisit_features
from tests.core.worlds import histories_from, random_histories

N_ITEMS = 60
RNG = np.random.default_rng(0)
LIFTS = sp.csr_array(
    np.where(RNG.random((N_ITEMS, N_ITEMS)) < 0.2, RNG.random((N_ITEMS, N_ITEMS)), 0), dtype=np.float32
)
USERS = random_histories(2, n_users=25, n_items=N_ITEMS)
CANDIDATES = np.stack([RNG.permutation(N_ITEMS)[:15] for _ in range(USERS.n_users)])


def test_it_is_the_log_of_the_mean_lift_after_the_five_latest() -> None:
    found = covisit_features(USERS, CANDIDATES, LIFTS, LIFTS.T.tocsr())
    dense = LIFTS.toarray()
    for row in range(USERS.n_users):
        recent = USERS.item_idx[USERS.offsets[row] : USERS.offsets[row + 1]][-5:]
        for place, item in enumerate(CANDIDATES[row]):
            after = dense[recent, item].mean() if len(recent) else np.nan
            before = dense[item, recent].mean() if len(recent) else np.nan
            assert found["pair_next_lift"][row, place] == pytest.approx(np.log1p(after), rel=1e-5, nan_ok=True)
            assert found["pair_before_lift"][row, place] == pytest.approx(np.log1p(before), rel=1e-5, nan_ok=True)


def test_an_empty_history_says_nothing() -> None:
    users = histories_from([[], [(0, 5.0, 1)]], n_items=N_ITEMS)
    found = covisit_features(users, CANDIDATES[:2], LIFTS, LIFTS)
    for values in found.values():
        assert np.isnan(values[0]).all()
        assert np.isfinite(values[1]).all()
        assert values.dtype == np.float32


def test_a_user_means_the_same_in_any_company() -> None:
    together = covisit_features(USERS, CANDIDATES, LIFTS, LIFTS)
    for row in range(USERS.n_users):
        alone = covisit_features(USERS.select(np.array([row])), CANDIDATES[[row]], LIFTS, LIFTS)
        for name, values in alone.items():
            assert np.array_equal(values[0], together[name][row], equal_nan=True)


def test_the_names_are_those_of_the_contract() -> None:
    found = covisit_features(USERS, CANDIDATES, LIFTS, LIFTS)
    assert list(found) == [name for name in names_of("pair") if name.endswith("_lift")]
